"""The arguments and options that commands share, and the words that options take."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from flame_ray.commands import completion
from flame_ray.config.base import LONGEST_NAME, can_be_a_name, is_mistyped_url
from flame_ray.errors import ConfigError
from flame_ray.shown import without_secrets


def job_argument(example: str) -> Any:
    return typer.Argument(help=f"A job file, such as {example}.", autocompletion=completion.job_files)


JobFile = Annotated[Path, job_argument("jobs/quickstart.yaml")]
Job = Annotated[
    Path | None,
    typer.Option(
        "--job", help="Take the settings of this job file in place of the defaults.", autocompletion=completion.job_files
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Override a setting: section.key=value. May be repeated. `flame-ray settings` lists them.",
        autocompletion=completion.assignments,
    ),
]
Corpus = Annotated[str | None, typer.Option("--corpus", help="Short for --set factuality.corpus=...")]
Checker = Annotated[str | None, typer.Option("--checker", help="Short for --set factuality.checker=...")]
Decompose = Annotated[str | None, typer.Option("--decompose", help="Short for --set factuality.decompose=...")]
WorkersOption = Annotated[int | None, typer.Option("--workers", help="Short for --set factuality.workers=...")]


NUMBERS = {"int_parsing": "a whole number", "float_parsing": "a number"}  # by the names that pydantic gives to their faults


class Format(StrEnum):
    JSONL = "jsonl"
    TABLE = "table"


class Listing(StrEnum):
    TEXT = "text"
    JSON = "json"


class BadLine(StrEnum):
    SKIP = "skip"
    FAIL = "fail"


class ScaleName(StrEnum):
    PAPER = "paper"
    CPU = "cpu"


class Kind(StrEnum):
    CLAIMS = "claims"
    RESPONSES = "responses"
    PREFERENCES = "preferences"
    INSTRUCTIONS = "instructions"
    SENTENCES = "sentences"


USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]  # click's, of which Typer has a copy of its own


class Commands(TyperGroup):
    """All commands. Words that they do not take are refused in the words of every other message, not in Typer's."""

    def make_context(self, *given: Any, **more: Any) -> Any:
        with _own_words():
            return super().make_context(*given, **more)

    def invoke(self, ctx: Any) -> Any:
        with _own_words():
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        names = self.list_commands(ctx)
        if args[0] not in names:
            raise ConfigError("a command of flame-ray", _with_nearest(args[0], names), "`flame-ray --help` lists them")
        return super().resolve_command(ctx, args)


@contextmanager
def _own_words() -> Iterator[None]:
    try:
        yield
    except USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # it holds the page of help
            raise
        raise bad_usage(error) from error


def bad_usage(error: Any) -> ConfigError:
    """What is wrong with the words after a command, by the error of Typer."""
    command = error.ctx.command_path if error.ctx else "flame-ray"
    more = f"`{command} --help` says more"
    match type(error).__name__:
        case "MissingParameter":
            return _missing(error, more)
        case "NoSuchOption":
            found = _with_nearest(error.option_name, [name for each in error.ctx.command.params for name in each.opts])
            return ConfigError(f"an option of `{command}`", found, f"correct it; {more}")
        case "BadOptionUsage" if "requires an argument" in error.message:
            return ConfigError(f"a value for {error.option_name}", "none", f"write it after {error.option_name}; {more}")
        case "BadOptionUsage":
            return ConfigError(f"{error.option_name} without a value", "one", f"leave it out; {more}")
    if isinstance(error, typer.BadParameter):
        return bad_value(error)
    words = error.message.partition("extra argument(s) (")[2].removesuffix(")") or error.message
    return ConfigError(f"no further words for `{command}`", without_secrets(words), f"leave them out, or quote a blank; {more}")


def _missing(error: Any, more: str) -> ConfigError:
    """The help of an argument or an option says what it may be."""
    name = error.param.opts[0]
    runs = "`ls runs` lists the runs here; " if name in ("run", "runs") else ""
    return ConfigError(f"{name} ({(error.param.help or '').rstrip('.')})", "none", f"give it; {runs}{more}")


def _with_nearest(word: str, names: Iterable[str]) -> str:
    near = get_close_matches(word, list(names), n=1)
    return without_secrets(word) + (f" (did you mean {near[0]}?)" if near else "")


def bad_value(error: typer.BadParameter) -> ConfigError:
    """What is wrong with the value of an option or an argument."""
    name = error.param.opts[0] if error.param and error.param.opts else "an option"
    fix = f"correct it; `{error.ctx.command_path if error.ctx else 'flame-ray'} --help` says more"
    if isinstance(cause := error.__cause__, ValidationError) and (takes := _takes(cause.errors()[0])):
        return ConfigError(f"{name} with {takes}", str(cause.errors()[0]["input"]), fix)
    return ConfigError(f"a value that {name} takes", error.message.rstrip("."), fix)


def _takes(fault: Mapping[str, Any]) -> str:
    """What an option takes, by pydantic's description of what is wrong with its value; "" where that is not known."""
    limits = fault.get("ctx", {})
    for key, words in (("ge", "of at least"), ("le", "of at most")):
        if key in limits:
            return f"a number {words} {limits[key]:g}"
    choices = fault["msg"].partition(" is not one of ")[2].rstrip(".").replace("'", "")
    return f"one of {choices}" if choices else NUMBERS.get(fault["type"], "")


def refuse_empty(words: list[str]) -> None:
    """An empty word, as of a shell variable that is not set, would be taken for the working directory or a default."""
    for before, word in zip(["the first word", *words], words, strict=False):
        if not word.strip() or (word.startswith("--") and word.endswith("=") and word.count("=") == 1):
            where = word or f"an empty word after {before}"
            raise ConfigError("a value for each option and argument", where, "give its value, or leave it out")
        if "=" not in word and not any(map(str.isspace, word)) and not can_be_a_name(word):
            raise ConfigError(f"names of at most {LONGEST_NAME} bytes", f"{word:.40}...", "correct that name or path")
        if is_mistyped_url(word.partition("=")[2] if word.startswith("--") else word):
            fix = "correct it; a folder of this name is written ./ and the name"
            raise ConfigError("a path, or a URL such as s3://bucket/folder", without_secrets(word), fix)
