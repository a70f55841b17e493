"""A side of a benchmark that counts its turns, and fails as its words ask: `dies`, `raises` or `hangs`, from that turn on."""

import os
import sys
import threading

from tests.benchmarks.bench.channel import Channel, serve
from tests.benchmarks.bench.samples import Measured, Turn

PARENT = os.getppid()
KIND, TURN = (*sys.argv[2:4], "works", "0")[:2]


def work(number: int) -> Turn:
    print(f"a library says: turn {number}")  # noqa: T201
    if KIND != "works" and number >= int(TURN):
        fail()
    return {"turn": Measured(float(number), "s")}


def fail() -> None:
    if KIND == "raises":
        raise ValueError("nothing | to count")
    while KIND == "hangs" and os.getppid() == PARENT:  # a test that fails leaves no process behind
        threading.Event().wait(0.1)
    os._exit(3)


if __name__ == "__main__":
    channel = Channel()
    if KIND == "never-starts":
        raise ImportError("No module named 'peer'")
    serve(channel, work)
