"""How a side talks with the runner: a line in for each turn, a line of JSON out. Peers run it too: it needs Python alone."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.benchmarks.bench.samples import Measured, Turn

READY = "ready"


class Channel:
    """The side's end. Whatever else prints goes to the log: libraries write to stdout too."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def turns(self) -> Iterator[int]:
        """Say that the side is ready, and give the number of each turn that is asked for, until there is no more."""
        self.say({READY: True})
        for line in sys.stdin:
            yield int(line)

    def answer(self, measured: Turn) -> None:
        self.say({name: [each.value, each.unit] for name, each in measured.items()})

    def say(self, message: Mapping[str, Any]) -> None:
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()


def serve(channel: Channel, work: Callable[[int], Turn]) -> None:
    """Answer each turn with what the work measured."""
    for number in channel.turns():
        channel.answer(work(number))


def seconds(value: float) -> Measured:
    return Measured(value, "s")


def mebibytes(value: float) -> Measured:
    return Measured(value / 2**20, "MiB")
