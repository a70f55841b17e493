"""Keeps the learner's steps in steps.jsonl: a line for each, in their order, whatever a resume does again.

An object store cannot append to a file: there they are in `steps/000000.jsonl` and so on, of PART lines each.
"""

import json
import math
from dataclasses import asdict
from typing import Any

from flame_ray.journal.telemetry import Metrics
from flame_ray.storage.filesystem import Storage
from flame_ray.types import StepReport

STEPS, PARTS = "steps.jsonl", "steps"
PART = 100


def step_files(storage: Storage) -> list[str]:
    return [*storage.names(STEPS), *storage.names(PARTS)]  # an earlier version wrote the first to object stores too


def read_steps(storage: Storage) -> list[dict[str, Any]]:
    """The lines, without one that a kill has cut off."""
    lines = [
        line for name in step_files(storage) for line in storage.read(name).decode("utf-8", "replace").splitlines(keepends=True)
    ]
    steps = [json.loads(line) for line in lines if line.endswith("\n")]
    return [*{(step["round"], step["step"]): step for step in steps}.values()]


class StepLog:
    """The steps of one run, of which `metrics` is told. A step that is done again takes the place of the lines from it on."""

    def __init__(self, storage: Storage, metrics: Metrics):
        self._storage, self._metrics = storage, metrics
        self._lines = read_steps(storage)
        self._told = len(self._lines)  # an earlier process has told the trackers of them
        self._is_whole = False  # the file may end in a line that was cut off

    def add(self, round: int, report: StepReport) -> None:
        while self._lines and (self._lines[-1]["round"], self._lines[-1]["step"]) >= (round, report.step):
            self._lines.pop()
            self._is_whole = False
        self._lines.append(_line(round, report))
        self._write()
        self._metrics.step(round, len(self._lines), report, is_new=len(self._lines) > self._told)
        self._told = max(self._told, len(self._lines))

    def _write(self) -> None:
        """A line more; all of them where lines are gone."""
        if self._storage.local is None:
            self._write_parts()
        elif self._is_whole:
            self._storage.append(STEPS, _text(self._lines[-1]))
        else:
            self._storage.write(STEPS, b"".join(map(_text, self._lines)))
        self._is_whole = True

    def _write_parts(self) -> None:
        starts = range(0, len(self._lines), PART)
        parts = {f"{PARTS}/{start // PART:06d}.jsonl": self._lines[start : start + PART] for start in starts}
        for name in [*parts][-1:] if self._is_whole else parts:
            self._storage.write(name, b"".join(map(_text, parts[name])))
        if not self._is_whole:
            for name in {STEPS, *self._storage.names(PARTS)} - {*parts}:
                self._storage.remove(name)


def _line(round: int, report: StepReport) -> dict[str, Any]:
    """The numbers of a step. JSON has no infinite ones."""
    found = {"round": round} | asdict(report)
    metrics = found.pop("metrics")
    values = {"round": round, "step": report.step, "loss": report.loss} | metrics | found
    return {name: value if math.isfinite(value or 0.0) else None for name, value in values.items()}


def _text(line: dict[str, Any]) -> bytes:
    return (json.dumps(line, allow_nan=False) + "\n").encode()
