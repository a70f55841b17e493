"""The console of every command: what a model, a prompt or a path holds is shown, and never obeyed."""

import sys
import threading
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from flame_ray.shown import escaped, without_secrets

WIDTH = 175  # columns of a table that is written to a file or a pipe


class PlainConsole(Console):
    """A console without markup, that spells control codes out and hides the passwords of URLs."""

    def __init__(self, **options: Any):
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(_plain(each) if isinstance(each, str) else each for each in objects), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Of a table, each title and cell comes here by itself, before its lines are broken.

        Colours are no text of a segment, so that only foreign control codes are left to spell out.
        """
        for segment in super().render(_hidden(renderable), options):
            yield segment if segment.control else Segment(escaped(segment.text, keep="\n"), segment.style)


def standard_output() -> PlainConsole:
    """As wide as the terminal; wider tables where there is no terminal."""
    console = PlainConsole()
    return console if console.is_terminal else PlainConsole(width=WIDTH)


def show_traces() -> None:
    """From now on, a trace of this process is shown as all else: its last line may hold a model's text, or a password."""
    sys.excepthook = _show_trace
    threading.excepthook = lambda ended: _show_trace(ended.exc_type, ended.exc_value, ended.exc_traceback)


def _show_trace(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if not issubclass(kind, SystemExit):  # of a thread, which Python passes over too
        sys.stderr.write(_plain("".join(traceback.format_exception(kind, error, trace))))


def _hidden(renderable: RenderableType) -> RenderableType:
    """A text without its secrets. One that has some loses the colours of its parts; any other is as it was."""
    if isinstance(renderable, str):
        return without_secrets(renderable)
    if not isinstance(renderable, Text) or (hidden := without_secrets(renderable.plain)) == renderable.plain:
        return renderable
    return renderable.blank_copy(hidden)


def _plain(text: str) -> str:
    """Rich would drop some of the codes, which nobody would then see."""
    return escaped(without_secrets(text), keep="\n\t")
