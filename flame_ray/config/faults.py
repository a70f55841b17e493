"""Says in a user's words what is wrong with settings: which one, what it may be, and what was given."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue, ValidationError

from flame_ray.config.base import is_section
from flame_ray.config.describe import may_be, nearest, sections, stored, typed
from flame_ray.shown import without_secrets

SHOWN = 80  # characters of a value
EMPTY = "is empty: put its settings below it, indented, or leave it out"


@dataclass(frozen=True, slots=True)
class Place:
    """What may stand at a path: values of a type, within the limits of its marks. The default serves as an example."""

    path: str
    kind: Any
    marks: Sequence[Any] = ()
    default: Any = None


def faults(error: ValidationError, model: type[BaseModel]) -> dict[str, str]:
    """By its path, what is wrong with each setting; by "", what is wrong among several sections.

    Of a list and an item of it, only the item: the library reports that a list without its bad items is too short.
    """
    found: dict[str, str] = {}
    for item in error.errors():
        path, message = _fault(item, model)
        found.setdefault(path, message)
    return {path: message for path, message in found.items() if not any(each.startswith(f"{path}.") for each in found)}


@cache
def known_paths(model: type[BaseModel]) -> list[str]:
    """Of each section and setting; see `Setting.path`."""
    listed = [path for section in sections(model) for path in (section.path, *(each.path for each in section.settings))]
    return [path for path in dict.fromkeys(listed) if not path.endswith("[]")]


def did_you_mean(path: str, model: type[BaseModel]) -> str:
    """` (did you mean ...?)`, or nothing where no name is like this one, or where it is one itself."""
    if path in known_paths(model):
        return ""
    close = nearest(re.sub(r"\.\d+(?=\.|$)", "[]", path), known_paths(model)) or _by_meaning(path, model)
    return f" (did you mean {', '.join(close[:-2])}{', ' * (len(close) > 2)}{' or '.join(close[-2:])}?)" if close else ""


def _by_meaning(path: str, model: type[BaseModel]) -> list[str]:
    """The first three settings whose meaning has all words of a name, such as `learning_rate`."""
    words = path.rpartition(".")[2].lower().split("_")
    settings = (setting for section in sections(model) for setting in section.settings)
    return [each.path for each in settings if len(words) > 1 and all(word in each.meaning.lower() for word in words)][:3]


def _fault(item: Any, model: type[BaseModel]) -> tuple[str, str]:
    """A path, and what is wrong there. A fault among the settings of a section does not show the section."""
    given, place = item["input"], _place(model, item["loc"])
    if item["type"] == "invalid_key":
        return f"{place.path}.{typed(given)}".lstrip("."), "there is no such setting"
    if item["type"] == "extra_forbidden":
        path = ".".join(map(str, item["loc"]))
        return path, f"there is no such setting{did_you_mean(path, model) or f' (given {_cut(given)})'}"
    if item["type"] == "missing":
        return place.path, f"must be given (only {_cut(given)} is)"
    if item["type"] == "value_error":
        message = str(item["ctx"]["error"])
        return place.path, message if isinstance(given, dict) else f"{message} (given {_cut(given)})"
    if given is None and is_section(place.kind):
        return place.path, EMPTY
    return place.path, f"must be {may_be(place.kind, place.marks)}{_example(place)} (given {_cut(given)}{_hint(place, given)})"


def _place(model: type[BaseModel], loc: Sequence[int | str]) -> Place:
    """Where a fault is. Behind the setting, the library may name which of several types it tried; that is left out."""
    place = Place("", model)
    for part in loc:
        inner = _inside(place, part)
        if inner is None:
            break
        place = replace(inner, path=f"{place.path}.{part}".lstrip("."))
    return place


def _inside(place: Place, part: int | str) -> Place | None:
    origin, parts = get_origin(place.kind), get_args(place.kind)
    if origin in (Annotated, Union, UnionType):
        tried = (_inside(replace(place, kind=each), part) for each in parts)
        return next((found for found in tried if found), None)
    if is_section(place.kind) and part in place.kind.model_fields:
        field = place.kind.model_fields[part]
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        return Place("", field.annotation, field.metadata, default)
    if origin is tuple and isinstance(part, int):
        return Place("", parts[0])
    return Place("", parts[1]) if origin is dict else None


def _example(place: Place) -> str:
    """`, such as ...` for lists and sections, which are easily written wrongly."""
    if get_origin(place.kind) in (tuple, dict) and place.default:
        return f", such as {typed(stored(place.default))}"
    example = _made_up(place.kind)
    return f", such as {example}" if example else ""


def _made_up(kind: Any) -> str:
    if is_section(kind):
        return f"{{{next(iter(kind.model_fields))}: ...}}"
    if get_origin(kind) is tuple:
        return f"[{_made_up(get_args(kind)[0]) or 'a, b'}]"
    return "{name: ...}" if get_origin(kind) is dict else ""


def _hint(place: Place, given: Any) -> str:
    """YAML reads some texts as something else."""
    if given is None:
        return "; YAML reads an empty value so"
    if not _takes_text(place.kind):
        return ""
    if isinstance(given, bool):
        return "; YAML also reads yes, no, on and off so: in quotes they are text"
    return "; in quotes it is text" if isinstance(given, int | float) else ""


def _takes_text(kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return any(isinstance(value, str) for value in get_args(kind))
    return kind in (str, JsonValue) or any(
        _takes_text(part) for part in get_args(kind) if get_origin(kind) in (Annotated, Union, UnionType)
    )


def _cut(value: Any) -> str:
    return f"{without_secrets(typed(value)):.{SHOWN}}"
