"""Shows the progress of a command: on a terminal a bar for each running stage, and everywhere a line for each finished one.

Where there is no terminal, as in the log of a job, each stage that is at work also has a line every half minute.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

REMIND_S = 30.0
CONNECT = "connect to Ray"
Entered = TypeVar("Entered")
Result = TypeVar("Result")


class Bar:
    """The bar of one running stage, made by `Screen.begin`. `end` replaces it by a line, `close` only removes it.

    `done`, `total`, `note`: how far the stage is, and what else there is to say of it, as it was last told.
    """

    def __init__(self, screen: "Screen", label: str):
        self.label, self.started = label, screen.clock()
        self.done: int = 0
        self.total: int | None = None
        self.note = ""
        self.thread = threading.get_ident()
        self._screen = screen
        self.task = screen.show(self)

    @property
    def seconds(self) -> float:
        return self._screen.clock() - self.started

    def restart(self) -> None:
        """Count the seconds from now on."""
        self.started = self._screen.clock()

    def advance(self, done: int, total: int | None, note: str = "") -> None:
        self.done, self.total, self.note = done, total, note
        self._screen.update(self, done, total)

    def counted(self, results: Iterable[Result], total: int) -> Iterator[Result]:
        """Passes the results on, each of which is one step of `total`."""
        for done, result in enumerate(results, start=1):
            self.advance(done, total)
            yield result

    def close(self) -> None:
        """Remove the bar; calling it again does nothing."""
        self._screen.hide(self)

    def end(self, note: str) -> None:
        self.close()
        self.say(note)

    def say(self, note: str) -> None:
        line = f"{self.label:<18} {self.seconds:6.1f} s  {note}"
        self._screen.console.print(line, highlight=False, markup=False, soft_wrap=True)

    @property
    def is_told(self) -> bool:
        """Whether it is known how far the stage is."""
        return bool(self.done or self.note)

    def remind(self) -> None:
        """Say how far the stage is."""
        of_all = f"{self.done} of {self.total}" if self.total else str(self.done)
        note = f", {self.note}" if self.note else ""
        self.say(f"goes on: {of_all} done{note}" if self.is_told else "goes on")


class Screen:
    """The bars of all stages that are running. Stages may run at the same time, on several threads.

    `remind_s`: how often each has a line where there is no terminal.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic, remind_s: float = REMIND_S):
        self.console, self.clock, self._remind_s = console, clock, remind_s
        self._bars: Progress | None = None
        self._without_bar: list[Bar] = []
        self._all_ended = threading.Event()
        self._lock = threading.Lock()

    def begin(self, label: str) -> Bar:
        return Bar(self, label)

    @contextmanager
    def entering(self, label: str, block: AbstractContextManager[Entered]) -> Iterator[Entered]:
        """The same block, whose beginning has a bar."""
        with ExitStack() as stack:
            with closing(self.begin(label)):
                entered = stack.enter_context(block)
            yield entered

    def show(self, bar: Bar) -> TaskID | None:
        """Add a bar; None where there is no terminal."""
        with self._lock:
            if not self.console.is_terminal:
                self._without_bar.append(bar)
                if len(self._without_bar) == 1:
                    self._all_ended = threading.Event()
                    threading.Thread(target=self._remind, args=(self._all_ended,), name="reminder", daemon=True).start()
                return None
            if self._bars is None:
                name = TextColumn("{task.description:<24}", markup=False)
                columns = (SpinnerColumn(), name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
                self._bars = Progress(*columns, console=self.console, transient=True)
                self._bars.start()
            return self._bars.add_task(bar.label, total=None)

    def update(self, bar: Bar, done: int, total: int | None) -> None:
        with self._lock:
            if self._bars is not None and bar.task is not None:
                self._bars.update(bar.task, completed=done, total=total)

    def hide(self, bar: Bar) -> None:
        with self._lock:
            if bar in self._without_bar:
                self._without_bar.remove(bar)
                if not self._without_bar:
                    self._all_ended.set()
            if self._bars is None or bar.task is None:
                return
            self._bars.remove_task(bar.task)
            bar.task = None
            if not self._bars.tasks:
                self._bars.stop()
                self._bars = None

    def _remind(self, ended: threading.Event) -> None:
        while not ended.wait(self._remind_s):
            for bar in working(list(self._without_bar)):
                bar.remind()


def working(bars: Sequence[Bar]) -> list[Bar]:
    """Of the bars, in the order in which they began, those whose own work goes on.

    One that has told nothing yet waits for a later one of its thread: a stage for the stream that it reads, or a list of
    answers for the actors that give them.
    """
    told = enumerate(bars, start=1)
    return [bar for later, bar in told if bar.is_told or all(each.thread != bar.thread for each in bars[later:])]
