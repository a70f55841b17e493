"""Describes the settings in a user's words: what each may be, its default, and what it means."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

from flame_ray.config.base import ChangeableMark, InWords, is_section

WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", JsonValue: "a value that JSON has"}
BOUNDS = {"ge": "of at least", "gt": "above", "le": "at most", "lt": "below"}
ELSEWHERE = 0.75  # of 1: how much a mistyped name resembles one of another section that may be meant


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `path` is as --set takes it; `[]` in it stands for each item of a list: `prompts.sources[].limit`.

    `default` is as a job file would have it; None: the setting must be given.
    """

    path: str
    may_be: str
    default: str | None
    meaning: str
    changeable: bool


@dataclass(frozen=True, slots=True)
class Section:
    """A section, without those inside it."""

    path: str
    meaning: str
    settings: tuple[Setting, ...]


def sections(model: type[BaseModel], path: str = "", changeable: bool = False) -> Iterator[Section]:
    """The section that a model is, if it has settings, and all that are inside it, in their order."""
    fields = model.model_fields.items()
    own = [_setting(f"{path}.{name}", field, changeable) for name, field in fields if not is_section(field.annotation)]
    if own:
        yield Section(path, plain(model.__doc__ or ""), tuple(own))
    for name, field in fields:
        for inner, place in _inner_sections(field.annotation, f"{path}.{name}".lstrip(".")):
            yield from sections(inner, place, changeable or _is_changeable(field))


def nearest(path: str, known: Sequence[str], most: int = 3) -> list[str]:
    """The paths that a mistyped one may mean: written alike in its section, or else with the same or a like name elsewhere.

    >>> known = ["learner.lr", "rollout.samples", "run.samples"]
    >>> nearest("rollout.sampels", known), nearest("lr", known), nearest("rolout.samples", known)
    (['rollout.samples'], ['learner.lr'], ['rollout.samples', 'run.samples'])
    """
    section, name = _section(path), _last(path)
    here = {_last(each): each for each in known if _section(each) == section}
    if alike := difflib.get_close_matches(name, here, 1):
        return [here[alike[0]]]
    names = [name] if name in map(_last, known) else difflib.get_close_matches(name, map(_last, known), 1, ELSEWHERE)
    found = [each for each in known if _last(each) in names]
    return sorted(found, key=lambda each: -difflib.SequenceMatcher(None, section, _section(each)).ratio())[:most]


def typed(value: Any) -> str:
    """A value as a job file would have it, on one line.

    >>> typed(None), typed(("a", 1e-05)), typed({"pool": "1"})
    ('null', '[a, 1.0e-05]', "{pool: '1'}")
    """
    try:
        text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=2**30)
    except yaml.YAMLError:  # no value of YAML, as only a program can give
        return repr(value)
    return text.removesuffix("\n").removesuffix("\n...")


def may_be(kind: Any, marks: Sequence[Any] = ()) -> str:
    """Which values a type takes, within the limits of its marks.

    >>> from pydantic import Field
    >>> may_be(Annotated[float | None, Field(gt=0)])
    'a number above 0, or null'
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return may_be(parts[0], (*marks, *_flat(parts[1:])))
    if said := [mark.words for mark in marks if isinstance(mark, InWords)]:
        return str(said[0])
    if origin in (Union, UnionType):
        others = " or ".join(may_be(part, marks) for part in parts if part is not NoneType)
        return f"{others}, or null" if NoneType in parts else others
    if origin is Literal:
        return _either([typed(value) for value in parts])
    if origin is tuple:
        least = ", at least one" if any(getattr(mark, "min_length", 0) for mark in marks) else ""
        return f"a list of {may_be(parts[0]).removeprefix('one of ').replace('a section', 'sections')}{least}"
    if origin is dict:
        return f"names, each with {may_be(parts[1])}"
    return "a section" if is_section(kind) else WORDS[kind] + _range(marks)


def stored(value: Any) -> Any:
    """A default without the defaults inside it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    return [stored(each) for each in value] if isinstance(value, tuple) else value


def plain(text: str) -> str:
    """A docstring as one line."""
    return " ".join(text.split())


def _setting(path: str, field: FieldInfo, changeable: bool) -> Setting:
    default = None if field.is_required() else typed(stored(field.get_default(call_default_factory=True)))
    meaning = plain(field.description or "")
    return Setting(path, may_be(field.annotation, field.metadata), default, meaning, changeable or _is_changeable(field))


def _inner_sections(kind: Any, path: str) -> Iterator[tuple[type[BaseModel], str]]:
    if is_section(kind):
        yield kind, path
    elif get_origin(kind) is tuple:
        yield from _inner_sections(get_args(kind)[0], f"{path}[]")
    elif get_origin(kind) in (Union, UnionType):
        for part in get_args(kind):
            yield from _inner_sections(part, path)


def _range(marks: Sequence[Any]) -> str:
    bounds = {name: getattr(mark, name) for name in BOUNDS for mark in marks if hasattr(mark, name)}
    if "ge" in bounds and "le" in bounds:
        return f" from {bounds['ge']:g} to {bounds['le']:g}"
    words = [f"{BOUNDS[name]} {bound:g}" for name, bound in bounds.items()]
    return f" {' and '.join(words)}" if words else ""


def _flat(marks: Sequence[Any]) -> Iterator[Any]:
    for mark in marks:
        yield from mark.metadata if isinstance(mark, FieldInfo) else (mark,)


def _either(words: list[str]) -> str:
    return " or ".join(words) if len(words) < 3 else f"one of {', '.join(words[:-1])} or {words[-1]}"


def _is_changeable(field: FieldInfo) -> bool:
    return any(isinstance(mark, ChangeableMark) for mark in field.metadata)


def _section(path: str) -> str:
    return path.rpartition(".")[0]


def _last(path: str) -> str:
    return path.rpartition(".")[2]
