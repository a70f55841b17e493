"""What a prompt costs in rounds of more and more prompts: the sampler, and the controller with its memory."""

import sys

from tests.benchmarks.bench.channel import Channel, seconds, serve
from tests.benchmarks.bench.samples import Goal, Measured, Row, Side, Turn
from tests.benchmarks.bench.work import SAMPLES, TOKENS, Work

TIMES, QUICK_TIMES = (1, 4, 16, 64), (1, 4)
SAMPLED, CONTROLLED = 4, 125  # prompts, times 1
SAMPLER, CONTROLLER, ALL_PAIRED = "sampler", "controller", "controller, all paired"
FEW, ALL = "0.02", "1"  # of the prompts, the share that gives pairs
LINEAR, FLAT = 1.1, 1.2  # a tenth and a fifth for noise


def row(work: Work) -> Row:
    most = _times(work)[-1]
    return Row(
        "growth-prompts",
        f"growth with prompts, x 1 to {most}",
        f"sampler: {SAMPLED} to {SAMPLED * most} prompts x {SAMPLES} samples of at most {TOKENS} tokens, by one worker behind "
        "its pool; a few prompts leave places of the engine empty, so that more are cheaper, and prompts come "
        f"again, so that little of them is computed. Controller: a round of {CONTROLLED} to {CONTROLLED * most} "
        "prompts by `tests/benchmarks/pairing.py`, whose engines are doubles, in a process of its own each: CPU time, and the "
        "most memory of that process. Of the prompts a fiftieth gives pairs, of responses of 10 tokens, because pairs stay in "
        "memory until they are trained: flat is what the controller keeps beside them. With all paired, memory grows "
        "with the pairs; it has no goal.",
        (
            Side(SAMPLER, __name__, (SAMPLER,)),
            Side(CONTROLLER, __name__, (CONTROLLER, FEW)),
            Side(ALL_PAIRED, __name__, (CONTROLLER, ALL)),
        ),
        (
            Goal(f"{SAMPLER}: x{most}", per=f"{SAMPLER}: x1", limit=LINEAR, at_most=True),
            Goal(f"{CONTROLLER}: x{most}", per=f"{CONTROLLER}: x1", limit=LINEAR, at_most=True),
            Goal(f"{CONTROLLER}: memory, x{most}", per=f"{CONTROLLER}: memory, x1", limit=FLAT, at_most=True),
            Goal(f"{ALL_PAIRED}: memory, x{most}", per=f"{ALL_PAIRED}: memory, x1"),
        ),
        apart=True,
    )


def _times(work: Work) -> tuple[int, ...]:
    return QUICK_TIMES if work.quick else TIMES


def main() -> None:
    channel, work = Channel(), Work.given()
    if sys.argv[2] == SAMPLER:
        return _sampler(channel, work)
    _controller(channel, work, float(sys.argv[3]))


def _sampler(channel: Channel, work: Work) -> None:
    from tests.benchmarks.bench.rows.sampler import rollout_pool, sampled

    texts = work.prompt_texts()

    def cost(prompts: int, round: int) -> float:
        """Seconds a prompt. Texts come again where there are too few, under other ids."""
        many = [texts[place % len(texts)] for place in range(prompts)]
        return sampled(pool, many, round, 1.0)[1] / prompts

    with rollout_pool(work) as pool:
        cost(SAMPLED, 0)

        def turn(number: int) -> Turn:
            rounds = enumerate(_times(work), number * len(TIMES) + 1)
            return {f"x{times}": seconds(cost(SAMPLED * times, round)) for round, times in rounds}

        serve(channel, turn)


def _controller(channel: Channel, work: Work, paired: float) -> None:
    from tests.benchmarks.pairing import Load, measure_apart

    def turn(number: int) -> Turn:
        found = {}
        for times in _times(work):
            memory = measure_apart(Load(CONTROLLED * times, tokens=10, paired=paired))
            found[f"x{times}"] = seconds(memory.seconds / (CONTROLLED * times))
            found[f"memory, x{times}"] = Measured(memory.before + memory.grown, "MiB")
        return found

    serve(channel, turn)


if __name__ == "__main__":
    main()
