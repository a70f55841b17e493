"""What a response token costs the learner in longer and longer responses."""

from pathlib import Path

from tests.benchmarks.bench.channel import Channel, mebibytes, serve
from tests.benchmarks.bench.memory import forget_peak, peak_bytes
from tests.benchmarks.bench.samples import Goal, Measured, Row, Side, Turn
from tests.benchmarks.bench.work import BATCH_PAIRS, Work, made_pairs, write_rows

LENGTHS, QUICK_LENGTHS = (40, 80, 160, 320), (40, 80)
LINEAR = 1.1  # a tenth for noise


def row(work: Work) -> Row:
    lengths = _lengths(work)
    first, last = lengths[0], lengths[-1]
    return Row(
        "growth-length",
        f"growth with response length, at most {first} to {last} tokens",
        f"the learner's epoch over {2 * BATCH_PAIRS} pairs, as in `learner`, by the tokens of their responses. A longer "
        "response shares the cost of its prompt among more tokens, and has more to attend to.",
        (Side("learner", __name__),),
        (Goal(f"learner: {last} tokens", per=f"learner: {first} tokens", limit=LINEAR, at_most=True),),
    )


def _lengths(work: Work) -> tuple[int, ...]:
    return QUICK_LENGTHS if work.quick else LENGTHS


def main() -> None:
    channel, work = Channel(), Work.given()
    from tests.benchmarks.bench.rows.learner import connected_rank, examples, trained

    rank, of_length = connected_rank(work), {}
    for length in _lengths(work):
        file = Path(work.folder) / f"pairs-{length}.jsonl"
        write_rows(file, made_pairs(Path(work.model), work.prompt_texts()[: 2 * BATCH_PAIRS], length))
        of_length[length] = examples(work, str(file))
    trained(rank, of_length[_lengths(work)[0]], round=1)

    def turn(number: int) -> Turn:
        found: dict[str, Measured] = {}
        for place, (length, given) in enumerate(of_length.items()):
            forget_peak()
            took = trained(rank, given, round=2 + number * len(of_length) + place)
            tokens = sum(each.response_tokens for each in given)
            found[f"{length} tokens"] = Measured(1000 * took / tokens, "ms/token")
            found[f"peak memory, {length} tokens"] = mebibytes(peak_bytes())
        return found

    serve(channel, turn)


if __name__ == "__main__":
    main()
