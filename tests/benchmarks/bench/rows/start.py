"""How long a run takes from its command to the first token that it samples."""

import signal
import subprocess
import time
from pathlib import Path

from tests.benchmarks.bench.channel import Channel, seconds, serve
from tests.benchmarks.bench.process import REPOSITORY
from tests.benchmarks.bench.rows.loop import command, settings
from tests.benchmarks.bench.samples import Goal, Row, Side, Turn
from tests.benchmarks.bench.work import Work

POLL_S, END_S = 0.02, 120.0


def row(work: Work) -> Row:
    return Row(
        "start",
        "start, from the command to the first token",
        "`flame-ray run` with the quickstart's settings, its model converted and its corpus indexed before: until the one "
        "held-out answer, of one token, is sampled, scored by checker and judge, and stored. Then the run is told to stop.",
        (Side("here", __name__),),
        (Goal("here: first token", limit=12.0, at_most=True),),
    )


def main() -> None:
    channel, work = Channel(), Work.given()

    def turn(number: int) -> Turn:
        name = f"start-{number}"
        values = settings(work, name) | {"evaluation.max_tokens": 1}
        return {"first token": seconds(until_stored(command(values), Path(work.folder) / "runs" / name))}

    if not work.quick:
        turn(-1)  # the first one reads all libraries from the disk
    serve(channel, turn)


def until_stored(words: list[str], run: Path) -> float:
    """Seconds until the first answer lies in the run's folder."""
    start = time.perf_counter()
    process = subprocess.Popen(words, cwd=REPOSITORY)
    try:
        while not (run / "rounds" / "0000" / "heldout.json.gz").is_file():
            if process.poll() is not None:
                raise RuntimeError(f"the run ended with code {process.returncode} before it sampled a token")
            time.sleep(POLL_S)
        return time.perf_counter() - start
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(END_S)


if __name__ == "__main__":
    main()
