"""Reads an answer that is JSON as the list that it means: `{"country": "Peru", "capital": "Lima"}`."""

import json
import re
from collections.abc import Iterator

FENCED = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n\s*```\s*$", re.DOTALL | re.IGNORECASE)


def as_list(text: str) -> str:
    """The text itself, if it is no JSON object or list of objects.

    >>> print(as_list('{"country": "Peru", "land_borders": ["Chile", "Brazil"]}'))
    - Country: Peru
    - Land borders: Chile, Brazil
    """
    found = FENCED.match(text)
    body = (found[1] if found else text).strip()
    if not body.startswith(("{", "[")):
        return text
    try:
        value = json.loads(body)
    except ValueError:
        return text
    return "\n".join(_lines(value)) or text


def _lines(value: object, indent: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if _is_plain(inner):
                yield f"{indent}- {_named(key)}: {_said(inner)}"
            else:
                yield f"{indent}- {_named(key)}"
                yield from _lines(inner, f"{indent}  ")
    elif isinstance(value, list):
        for each in value:
            yield from ("", "") if isinstance(each, dict) else (f"{indent}- {_said(each)}",)
            yield from _lines(each, indent) if isinstance(each, dict) else ()


def _is_plain(value: object) -> bool:
    return not isinstance(value, dict) and not (
        isinstance(value, list) and any(isinstance(each, dict | list) for each in value)
    )


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _named(key: str) -> str:
    """`land_borders` -> `Land borders`"""
    words = re.sub(r"[_-]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(key))).strip()
    return words[:1].upper() + words[1:]
