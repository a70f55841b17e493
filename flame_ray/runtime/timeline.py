"""When each stage ran: on the screen while it does, in Ray's gauges, and in timeline.json.

In: a stage's beginning, progress and end, from any thread. Out: spans in seconds since the run began, also those of earlier
processes of the same run. Stages may overlap. Knows nothing of what they do.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TypeVar

from flame_ray.runtime.metrics import Metrics
from flame_ray.runtime.progress import Bar, Screen
from flame_ray.runtime.rundir import RunDirectory

Item = TypeVar("Item")
FILE = "timeline.json"


@dataclass(frozen=True, slots=True)
class Span:
    """`start` and `end` in seconds since the run began; the time between a death and a resume is not counted."""

    stage: str
    round: int
    start: float
    end: float


class RunningStage:
    """What a stage says of itself while it runs."""

    def __init__(self, bar: Bar, clock: Callable[[], float]):
        self.bar, self._clock = bar, clock
        self.start = clock()
        self.counts: Counter[str] = Counter()
        self.text = ""

    def restart(self) -> None:
        """What went before was waiting for another stage."""
        self.start = self._clock()
        self.bar.started = time.monotonic()

    def note(self, text: str) -> None:
        """The closing line; without one, the counts."""
        self.text = text

    def add(self, **counts: int) -> None:
        self.counts.update(counts)

    def counted(self, stream: Iterable[Item], total: int | None, done: int) -> Iterator[Item]:
        """Passes a stream on and shows how far it is; `done` were there before."""
        for item in stream:
            done += 1
            self.bar.advance(done, total)
            yield item

    def line(self) -> str:
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self.counts.items())
        return self.text or counts or "nothing left to do"


class Timeline:
    """One process's view; `seconds` and `wall_seconds` count what earlier processes of the run took, too."""

    def __init__(self, run: RunDirectory, screen: Screen, metrics: Metrics):
        self._run, self._screen, self._metrics = run, screen, metrics
        self._spans = [Span(**span) for span in run.read_json(FILE, [])]
        self._before = max([float(run.summary().get("wall_seconds", 0.0)), *(span.end for span in self._spans)])
        self._started = time.monotonic()
        self._bars: dict[tuple[str, int], Bar] = {}
        self._lock = threading.Lock()

    def wall_seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def seconds(self, round: int) -> dict[str, float]:
        """Seconds by stage, in the order of their ends; stages that overlap add up to more than the round took."""
        total: dict[str, float] = {}
        for span in self._spans:
            if span.round == round:
                total[span.stage] = round_off(total.get(span.stage, 0.0) + span.end - span.start)
        return total

    def advance(self, name: str, round: int, done: int, total: int | None) -> None:
        if bar := self._bars.get((name, round)):
            bar.advance(done, total)

    @contextmanager
    def stage(self, name: str, round: int) -> Iterator[RunningStage]:
        running = RunningStage(self._screen.begin(f"round {round} {name}"), self.wall_seconds)
        self._bars[name, round] = running.bar
        self._metrics.stage(name, round, running=True)
        try:
            yield running
        except BaseException:
            running.bar.close()
            raise
        finally:
            self._metrics.stage(name, round, running=False)
            del self._bars[name, round]
        running.bar.end(running.line())
        self._keep(Span(name, round, round_off(running.start), round_off(self.wall_seconds())))

    def _keep(self, span: Span) -> None:
        with self._lock:
            self._spans.append(span)
            self._run.write_json(FILE, [asdict(span) for span in self._spans])


def round_off(seconds: float) -> float:
    return round(seconds, 2)
