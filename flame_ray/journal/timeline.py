"""Records when each stage of a run started and how it ended: on the screen, in Ray's gauges and in timeline.json.

Stages may overlap and may be reported from any thread. The file also keeps the stages of earlier processes of the run.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

from flame_ray.errors import Interrupted, StorageError
from flame_ray.journal.run_folder import TIMELINE, RunFolder
from flame_ray.journal.telemetry import Metrics
from flame_ray.report.progress import Bar, Screen

Item = TypeVar("Item")
Key = tuple[str, int]  # the name of a stage, and the round
OK, FAILED, INTERRUPTED, RUNNING = "ok", "failed", "interrupted", "running"


@dataclass(frozen=True, slots=True)
class Span:
    """One stage of one round. `start` and `end` are in seconds of run time: the time between a crash and a resume is left out.

    `ended`: ok, failed, interrupted (by a signal or a kill), or running. If a kill ended the stage, `end` is the last time at
    which its process wrote the file.
    """

    stage: str
    round: int
    start: float
    end: float
    ended: str = OK


class RunningStage:
    """A stage that is running: its bar on the screen, its start, its counts and its closing line."""

    def __init__(self, bar: Bar, clock: Callable[[], float]):
        self.bar, self._clock = bar, clock
        self.start = clock()
        self.counts: Counter[str] = Counter()
        self.text = ""

    def restart(self) -> None:
        """Start the time again, because the stage has only waited for another one until now."""
        self.start = self._clock()
        self.bar.restart()

    def note(self, text: str) -> None:
        """Set the closing line; without a note it shows the counts."""
        self.text = text

    def add(self, **counts: int) -> None:
        self.counts.update(counts)

    def counted(self, stream: Iterable[Item], total: int | None, done: int) -> Iterator[Item]:
        """Passes a stream on and shows its progress. `done`: how many items earlier processes have finished."""
        for item in stream:
            done += 1
            self.bar.advance(done, total, self.bar.note)
            yield item

    def line(self) -> str:
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self.counts.items())
        return self.text or counts or "nothing left to do"


class Timeline:
    """The timeline of a run, by the screen's clock. Times include those of earlier processes of the same run."""

    def __init__(self, run: RunFolder, screen: Screen, metrics: Metrics):
        self._run, self._screen, self._metrics = run, screen, metrics
        before = [Span(**span) for span in run.read_json(TIMELINE, [])]
        last = max([0.0, *(span.end for span in before)])
        self._spans = [replace(span, end=last, ended=INTERRUPTED) if span.ended == RUNNING else span for span in before]
        self._before = max(last, float(run.summary().get("wall_seconds", 0.0)))
        self._started = screen.clock()
        self._running: dict[Key, RunningStage] = {}
        self._closed = False
        self._lock = threading.Lock()

    def wall_seconds(self) -> float:
        return self._before + self._screen.clock() - self._started

    def seconds(self, round: int) -> dict[str, float]:
        """Seconds by stage, in the order in which stages ended. Overlapping stages may add up to more than the round took."""
        total: dict[str, float] = {}
        for span in self._spans:
            if span.round == round:
                total[span.stage] = _rounded(total.get(span.stage, 0.0) + span.end - span.start)
        return total

    def advance(self, name: str, round: int, done: int, total: int | None, note: str = "") -> None:
        if running := self._running.get((name, round)):
            running.bar.advance(done, total, note)

    @contextmanager
    def stage(self, name: str, round: int) -> Iterator[RunningStage]:
        running = RunningStage(self._screen.begin(f"round {round} {name}"), self.wall_seconds)
        self._metrics.stage(name, round, running=True)
        try:
            self._begin((name, round), running)
            yield running
        except GeneratorExit:  # nothing reads the stage's stream any more; `close` records how the run ended
            raise
        except BaseException as error:
            with suppress(StorageError):  # the error that ended the stage matters more
                self._end((name, round), INTERRUPTED if isinstance(error, Interrupted | KeyboardInterrupt) else FAILED)
            raise
        finally:
            running.bar.close()
            self._metrics.stage(name, round, running=False)
        self._end((name, round), OK)
        running.bar.end(running.line())

    def close(self, ended: str) -> None:
        """End every running stage as the run ended; nothing is written after that."""
        with suppress(StorageError):
            for key in list(self._running):
                self._end(key, ended)
        self._closed = True

    def _begin(self, key: Key, running: RunningStage) -> None:
        with self._lock:
            self._running[key] = running
            self._write()

    def _end(self, key: Key, ended: str) -> None:
        with self._lock:
            if running := self._running.pop(key, None):
                self._spans.append(self._span(key, running.start, ended))
                self._write()

    def _write(self) -> None:
        if not self._closed:
            running = [self._span(key, running.start, RUNNING) for key, running in self._running.items()]
            self._run.write_json(TIMELINE, [asdict(span) for span in [*self._spans, *running]])

    def _span(self, key: Key, start: float, ended: str) -> Span:
        return Span(*key, _rounded(start), _rounded(self.wall_seconds()), ended)


def _rounded(seconds: float) -> float:
    return round(seconds, 2)
