"""What a person sees while a run goes on: a bar for the running stage on a terminal, one line a stage elsewhere.

In: names, counts and a closing word. Out: the screen. Knows nothing of stages.
"""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Screen:
    """One stage at a time: `begin`, any number of `advance`, `end`."""

    def __init__(self, console: Console):
        self.console = console
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._started = 0.0
        self._label = ""

    def begin(self, label: str) -> None:
        self._label, self._started = label, time.monotonic()
        if self.console.is_terminal:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description:<24}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            self._bars = Progress(*columns, console=self.console, transient=True)
            self._task = self._bars.add_task(label, total=None)
            self._bars.start()

    def advance(self, done: int, total: int) -> None:
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Take the bar away, whether the stage ended well or not."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = self._task = None

    def end(self, note: str) -> None:
        """Close the stage with a line that stays on the screen."""
        self.close()
        seconds = time.monotonic() - self._started
        self.console.print(f"{self._label:<18} {seconds:6.1f} s  {note}", highlight=False, markup=False, soft_wrap=True)
