"""Whether the controller's memory stays flat over the rounds of a run."""

import io
import tempfile
from pathlib import Path

from tests.benchmarks.bench.channel import Channel, mebibytes, seconds, serve
from tests.benchmarks.bench.memory import resident_bytes
from tests.benchmarks.bench.samples import Goal, Row, Side, Turn
from tests.benchmarks.bench.work import Work

ROUNDS, QUICK_ROUNDS = (2, 8, 32), (2, 4)  # after which the memory is read; before the second not all is loaded
PROMPTS = 250
FLAT = 1.05


def row(work: Work) -> Row:
    rounds = QUICK_ROUNDS if work.quick else ROUNDS
    last, first = f"controller: memory, round {rounds[-1]}", f"controller: memory, round {rounds[0]}"
    return Row(
        "growth-rounds",
        f"growth with rounds, {rounds[-1]} of {PROMPTS} prompts",
        "the controller collects round after round by `tests/benchmarks/pairing.py`, whose engines are doubles: its stages, "
        "the journal, the tables and the pairs are real, and nothing is trained. After each round the journal reports it, "
        "which writes all rounds so far anew. Memory: that of its process after a round. Each turn is a run in a "
        "process of its own.",
        (Side("controller", __name__),),
        (Goal(last, per=first, limit=FLAT, at_most=True),),
        fresh=True,
    )


def main() -> None:
    channel, work = Channel(), Work.given()
    rounds = QUICK_ROUNDS if work.quick else ROUNDS

    def turn(number: int) -> Turn:
        with tempfile.TemporaryDirectory(dir=work.folder) as folder:
            return collected(Path(folder), rounds)

    serve(channel, turn)


def collected(folder: Path, read_after: tuple[int, ...]) -> Turn:
    """The memory after these rounds, and the CPU time of one."""
    import time

    from rich.console import Console

    from flame_ray.journal.journal import Journal
    from flame_ray.journal.run_folder import RunFolder
    from flame_ray.report.progress import Screen
    from flame_ray.round import collect
    from flame_ray.storage.filesystem import Storage
    from flame_ray.types import Prompt
    from tests.benchmarks.pairing import Load, stages
    from tests.builders import make_change, make_round_report, make_training_report
    from tests.doubles import FakeMetrics

    metrics = FakeMetrics()
    journal = Journal(RunFolder(Storage(folder / "run")), "mine", Screen(Console(file=io.StringIO())), metrics)
    prompts_P = [Prompt(f"prompt {number:06}", f"Tell me about number {number}.") for number in range(PROMPTS)]
    wrapped = journal.wrap(stages(Load(PROMPTS, tokens=80), folder, journal.advance))
    found, start = {}, time.process_time()
    for round in range(1, read_after[-1] + 1):
        counts = collect(wrapped, prompts_P, round).counts
        journal.report(make_round_report(round, pairs=counts, training=make_training_report(), change=make_change()))
        metrics.others.clear()  # a real gauge keeps no list
        if round in read_after:
            found[f"memory, round {round}"] = mebibytes(resident_bytes())
    return {**found, "CPU of a round": seconds((time.process_time() - start) / read_after[-1])}


if __name__ == "__main__":
    main()
