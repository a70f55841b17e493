"""What a round costs over its parts, when they follow each other and when they overlap."""

from tests.benchmarks.bench.channel import Channel, seconds, serve
from tests.benchmarks.bench.samples import Goal, Measured, Row, Side, Turn
from tests.benchmarks.bench.work import Work

ROUNDS = 2, 3  # in sequence, and overlapped: the first of these has nothing before it to overlap with


def row(work: Work) -> Row:
    return Row(
        "overhead",
        "round over its parts, stages that sleep",
        "`tests/benchmarks/overlap.py`: sampling, scoring and training are doubles that sleep, as if each had resources of its "
        "own; the round, the pools on a real Ray and the journal are real. Parts: sampling with scoring, and training, as they "
        "took in sequence. `loop` has the same of real engines that share the cores.",
        (Side("here", __name__),),
        (
            Goal("here: in sequence, over the sum", limit=1.05, at_most=True),
            Goal("here: overlapped, over the longer", limit=1.1, at_most=True),
        ),
    )


def main() -> None:
    channel = Channel()
    import ray

    from tests.benchmarks.overlap import lasted, measure

    ray.init(address="local", num_cpus=8, include_dashboard=False, log_to_driver=False)

    def turn(number: int) -> Turn:
        one_by_one, together = (measure(staleness, rounds) for staleness, rounds in enumerate(ROUNDS))
        alone = lasted(one_by_one, "sample", "score"), lasted(one_by_one, "train", "train")
        sequence, overlapped = _cost(one_by_one), _cost(together)
        return {
            "in sequence": seconds(sequence),
            "overlapped": seconds(overlapped),
            "in sequence, over the sum": Measured(sequence / sum(alone), ""),
            "overlapped, over the longer": Measured(overlapped / max(alone), ""),
        }

    serve(channel, turn)
    ray.shutdown()


def _cost(spans: list[dict]) -> float:
    """Mean seconds from the end of one round's training to that of the next."""
    ends = sorted(span["end"] for span in spans if span["stage"] == "train")
    return (ends[-1] - ends[0]) / (len(ends) - 1)


if __name__ == "__main__":
    main()
