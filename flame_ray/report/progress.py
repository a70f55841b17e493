"""Shows the progress of a command: on a terminal a bar for each running stage, and everywhere a line for each finished one."""

import threading
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Bar:
    """The bar of one running stage, made by `Screen.begin`. `end` replaces it by a line, `close` only removes it."""

    def __init__(self, screen: "Screen", label: str):
        self.label, self.started = label, screen.clock()
        self._screen = screen
        self.task = screen.show(label)

    @property
    def seconds(self) -> float:
        return self._screen.clock() - self.started

    def restart(self) -> None:
        """Count the seconds from now on."""
        self.started = self._screen.clock()

    def advance(self, done: int, total: int | None) -> None:
        self._screen.update(self, done, total)

    def close(self) -> None:
        """Remove the bar; calling it again does nothing."""
        self._screen.hide(self)

    def end(self, note: str) -> None:
        self.close()
        line = f"{self.label:<18} {self.seconds:6.1f} s  {note}"
        self._screen.console.print(line, highlight=False, markup=False, soft_wrap=True)


class Screen:
    """The bars of all stages that are running. Stages may run at the same time, on several threads."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic):
        self.console, self.clock = console, clock
        self._bars: Progress | None = None
        self._lock = threading.Lock()

    def begin(self, label: str) -> Bar:
        return Bar(self, label)

    def show(self, label: str) -> TaskID | None:
        """Add a bar; None where there is no terminal."""
        with self._lock:
            if not self.console.is_terminal:
                return None
            if self._bars is None:
                name = TextColumn("{task.description:<24}", markup=False)
                columns = (SpinnerColumn(), name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
                self._bars = Progress(*columns, console=self.console, transient=True)
                self._bars.start()
            return self._bars.add_task(label, total=None)

    def update(self, bar: Bar, done: int, total: int | None) -> None:
        with self._lock:
            if self._bars is not None and bar.task is not None:
                self._bars.update(bar.task, completed=done, total=total)

    def hide(self, bar: Bar) -> None:
        with self._lock:
            if self._bars is None or bar.task is None:
                return
            self._bars.remove_task(bar.task)
            bar.task = None
            if not self._bars.tasks:
                self._bars.stop()
                self._bars = None
