"""Text as a person may see it: secrets are hidden, and nothing in it acts on the screen."""

import json
import logging
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # actors show text too, and need no console
    from rich.console import Console

# Signs that reorder the text around them (Unicode, annex 9) and could make a false fact look like a true one.
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
HIDDEN = "***"
KINDS: dict[type, str] = {
    list: "a list",
    dict: "an object",
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
}
KINDS |= {type(None): "null", date: "a date", datetime: "a date"}
# `user:password@` of any URL, also of one that lacks a slash or its colon; `token@` of a web address; `?secret=`, `&sig=`
# and `&api_key=`.
_PASSWORD = re.compile(r"(?<=[:/]/)([^\s/@:\"'<>]*):[^\s/\"'<>]*@")
_TOKEN = re.compile(r"(https?://)[^\s/@:\"'<>]+@")
_QUERY = re.compile(
    r"([?&](?:[\w-]*(?:password|passwd|secret|token|signature|credential)[\w-]*|sig|(?:[\w-]*(?:api|access|[_-]))?key)=)[^&#\s\"'<>]+",
    re.I,
)
# Tokens of the hub, of GitHub and of others, by their beginnings, and what follows a scheme of HTTP's `Authorization`.
_BEGINNINGS = ("hf_", "ghp_", "gho_", "ghs_", "github_pat_", "sk-", "xox", "Bearer ", "Basic ")
_SHAPE = re.compile(
    r"\b(hf_|ghp_|gho_|ghs_)[A-Za-z0-9]{30,}|\b(github_pat_|sk-|xox[abprs]-)[\w-]{20,}"
    r"|\b(Bearer |Authorization: Basic )[\w.~+/=-]{16,}"
)
# Variables whose values are secrets: HF_TOKEN, AWS_SECRET_ACCESS_KEY, WANDB_API_KEY. A path to a secret is none.
_VARIABLE = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|SECRET_KEY|PRIVATE_KEY|STORAGE_KEY|CONNECTION_STRING)$", re.I
)
_LEAST = 8  # characters of a variable's value that is looked for: a shorter one may be a word


def without_secrets(text: str) -> str:
    """The text, with the password of each URL in it hidden, and tokens, and the values of this process's secret variables.

    >>> without_secrets("s3://me:pass@host/runs and redis://:pass@host, https://host/a?sig=x&b=1, abfs://box@host")
    's3://me:***@host/runs and redis://:***@host, https://host/a?sig=***&b=1, abfs://box@host'
    >>> without_secrets("s3:/me:pass@host/runs and s3//me:pass@host/runs")
    's3:/me:***@host/runs and s3//me:***@host/runs'
    """
    for value in secret_variables():
        text = text.replace(value, HIDDEN)
    if any(beginning in text for beginning in _BEGINNINGS):
        text = _SHAPE.sub(lambda found: f"{found[1] or found[2] or found[3]}{HIDDEN}", text)
    if ":/" not in text and "//" not in text:
        return text
    text = _TOKEN.sub(rf"\1{HIDDEN}@", _PASSWORD.sub(rf"\1:{HIDDEN}@", text))
    return _QUERY.sub(rf"\1{HIDDEN}", text)


def names_secret(variable: str) -> bool:
    """Whether the value of a variable is a secret, by its name.

    >>> names_secret("HF_TOKEN"), names_secret("HF_TOKEN_PATH")
    (True, False)
    """
    return bool(_VARIABLE.search(variable))


@cache
def secret_variables() -> Mapping[str, str]:
    """By their values, the variables that this process was started with; the longest first, as one may hold another."""
    found = {value.strip(): name for name, value in os.environ.items() if names_secret(name)}
    return {value: found[value] for value in sorted(found, key=len, reverse=True) if len(value) >= _LEAST}


def why_hidden(tree: Any) -> str:
    """What would be hidden in a tree, in a user's words; "" if nothing would.

    >>> why_hidden(["s3://me:pass@host/runs"]), why_hidden({"a": "s3://host/runs"})
    ('a password or a token', '')
    """
    texts = list(_texts(tree))
    for value, name in secret_variables().items():
        if any(value in text for text in texts):
            return f"the value of the variable {name}"
    return "a password or a token" if any(without_secrets(text) != text for text in texts) else ""


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict | list | tuple):
        for part in tree.items() if isinstance(tree, dict) else tree:
            yield from _texts(part)


def hide_secrets(tree: Any) -> Any:
    """The same for every text in a tree of dictionaries, lists and tuples."""
    if isinstance(tree, dict):
        return {hide_secrets(key): hide_secrets(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [hide_secrets(value) for value in tree]
    return without_secrets(tree) if isinstance(tree, str) else tree


def kind_of(value: Any) -> str:
    """What a value of JSON or YAML is, in a user's words.

    >>> kind_of([1, 2]), kind_of(None)
    ('a list', 'null')
    """
    return KINDS.get(type(value), "a value of another kind")


def as_json(value: Any, most: int = 80) -> str:
    """A value of a person's file as it would be there, cut short.

    >>> print(as_json(None), as_json(["a", True]), as_json("a"))
    null ["a", true] 'a'
    """
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f"{text:.{most}}"


def shown(text: str) -> str:
    """Text for the screen, of one line or several. A further line is indented, so that none looks like a message of ours.

    >>> shown("prompt a\\x1b[2Jb:\\nflame-ray: all is well")
    'prompt a\\\\x1b[2Jb:\\n  flame-ray: all is well'
    """
    return "\n  ".join(escaped(line) for line in without_secrets(text).split("\n"))


def printable(text: str) -> str:
    """Text on one line, with its secrets hidden and its control codes spelled out.

    >>> printable("red: \\x1b[31m, bell: \\x07")
    'red: \\\\x1b[31m, bell: \\\\x07'
    """
    return escaped(without_secrets(" ".join(text.split())))


def escaped(text: str, keep: str = "\t") -> str:
    """Text with each character spelled out that a screen obeys instead of showing it."""
    return "".join(_escape(char) if _acts(char) and char not in keep else char for char in text)


def _acts(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs") or char in BIDI_CONTROLS


def _escape(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"


def say(console: "Console", text: str) -> None:
    """Print text as it is: nothing in it is markup, and a line, which may hold a path to copy, is never broken."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


class ShownFormatter(logging.Formatter):
    """Shows log records, which may hold a model's text."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record))
