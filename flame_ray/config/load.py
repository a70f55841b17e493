"""Reads a job file into a `Config`, and says which settings differ between two of them."""

import copy
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from flame_ray.config import Config
from flame_ray.config.base import ChangeableMark
from flame_ray.config.describe import typed
from flame_ray.config.faults import did_you_mean, faults
from flame_ray.config.yaml_text import BadYaml, parse_value, parse_yaml
from flame_ray.errors import ConfigError
from flame_ray.shown import kind_of


def load_config(path: Path | str | None, overrides: tuple[str, ...] = ()) -> Config:
    """Read a job file (None: take the defaults), then apply the overrides.

    An override is `section.key=value`, with a value in YAML. A job file may name another one that it builds on:
    `base: base.yaml`, a path from the file's own folder. What the job file says replaces what its base says, setting by
    setting. Raises ConfigError, which names the file and the setting's path.
    """
    files = _with_bases(Path(path)) if path is not None else {}
    tree: dict[str, Any] = {}
    for layer in reversed(files.values()):
        tree = _merged(tree, layer)
    for override in overrides:
        _apply(tree, override)
    return parse_config(tree, ", based on ".join(map(str, files)), overrides)


def files_of(path: Path) -> list[Path]:
    """A job file and its bases. Raises ConfigError if one cannot be read."""
    return list(_with_bases(path))


def parse_config(tree: dict, where: str, overrides: tuple[str, ...] = ()) -> Config:
    """Check a tree of settings; `where` says in errors where it came from, but for what the overrides set.

    Raises ConfigError, naming each setting that is wrong.
    """
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        found = faults(error, Config)
        section = next(iter(found)).partition(".")[0]
        help_ = f"flame-ray settings {section}" if section in Config.model_fields else "flame-ray settings"
        raise ConfigError(
            "settings that there are, with values that they take",
            f"in {_origin(where, overrides, found, tree)}: {'; '.join(_named(found))}",
            f"correct each; `{help_}` lists the settings",
        ) from error


def _named(found: dict[str, str]) -> Iterator[str]:
    return (f"{path}: {fault}" if path else fault for path, fault in found.items())


def _origin(where: str, overrides: tuple[str, ...], found: Mapping[str, str], tree: dict) -> str:
    """Where the settings are whose faults were found, by their paths: in the files, in --set, or in both."""
    keys = [f"{override.partition('=')[0]}." for override in overrides]
    paths = [each for path, fault in found.items() for each in _at_fault(path, fault, tree)]
    typed = [any(key.startswith(f"{path}.") or f"{path}.".startswith(key) for key in keys) for path in paths]
    return "--set" if all(typed) or not where else f"{where} and --set" if any(typed) else where


def _at_fault(path: str, fault: str, tree: dict) -> list[str]:
    """Of a section, or of several (""), the settings that are given and that the fault names; else the path itself."""
    start = f"{path}." if path else ""
    given = {part for leaf in leaves(tree) if leaf.startswith(start) for part in _prefixes(leaf.removeprefix(start))}
    names = (part for part in sorted(given) if path or "." in part)  # among words, a section has no name of its own
    named = [part for part in names if re.search(rf"(?<![\w.]){re.escape(part)}(?!\.?\w)", fault)]
    return [f"{start}{part}" for part in named] or [path]


def changed_settings(before: Config, after: Config) -> list[str]:
    """`path: before -> after` of each setting that differs and that a resumed run may not change."""
    return differences(before.model_dump(mode="json"), after.model_dump(mode="json"))


def differences(before: dict, after: dict) -> list[str]:
    """The same for stored settings, which another version may have written."""
    old, new = lasting(before), lasting(after)
    return [
        f"{path}: {typed(old.get(path))} -> {typed(new.get(path))}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def lasting(tree: dict) -> dict[str, Any]:
    """By their paths, the settings that decide what is computed: all but those that a resumed run may change."""
    free = _all_changeable()
    return {path: value for path, value in leaves(tree).items() if free.isdisjoint(_prefixes(path))}


@cache
def _all_changeable() -> frozenset[str]:
    return frozenset(changeable_paths())


def changeable_paths(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[str]:
    """The paths of the settings and sections that are marked `Changeable`."""
    for name, field in model.model_fields.items():
        if any(isinstance(mark, ChangeableMark) for mark in field.metadata):
            yield f"{prefix}{name}"
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from changeable_paths(field.annotation, f"{prefix}{name}.")


def _prefixes(path: str) -> Iterator[str]:
    """`a.b.c`, `a.b` and `a`."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def leaves(tree: dict, prefix: str = "") -> dict[str, Any]:
    """The values of a tree by their paths, such as `rollout.samples`."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found.update(leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return found


def _with_bases(path: Path) -> dict[Path, dict[str, Any]]:
    """The settings of a job file and of all its bases, the job's own first."""
    trees: dict[Path, dict[str, Any]] = {}
    seen: set[Path] = set()
    named_by = None
    while True:
        if path.resolve() in seen:
            chain = " -> ".join(map(str, [*trees, path]))
            raise ConfigError("bases that come to an end", f"a circle: {chain}", "remove one `base:` of it")
        tree = trees[path] = _read(path, named_by)
        seen.add(path.resolve())
        if "base" not in tree:
            return trees
        base = tree.pop("base")
        if not isinstance(base, str) or not base.strip():
            found = f"{typed(base)} in {path}"
            raise ConfigError("a file name after `base:`", found, "name one job file, such as base: base.yaml, or leave it out")
        named_by, path = path, path.parent / base


def _read(path: Path, named_by: Path | None) -> dict[str, Any]:
    text = _text(path, named_by)
    try:
        tree = copy.deepcopy(_parsed(text))
    except BadYaml as error:
        raise ConfigError("a job file in YAML", f"{path}:{error.line}: {error.reason}", "correct that line") from error
    if tree is None:
        raise ConfigError("settings in a job file", f"none in {path}", "write them, or {} for a job with all defaults")
    if not isinstance(tree, dict):
        found = f"{path} holds {kind_of(tree)}"
        raise ConfigError("sections such as `run:` and `rollout:`", found, "see jobs/quickstart.yaml")
    return tree


@lru_cache(64)
def _parsed(text: str) -> Any:
    """Many jobs have one base, which is parsed once."""
    return parse_yaml(text)


def _text(path: Path, named_by: Path | None) -> str:
    fix = "give the path of a file such as jobs/quickstart.yaml"
    expected = "a job file (YAML)"
    if named_by is not None:
        expected, fix = f"the base of {named_by}", f"correct `base:` in {named_by}; its path starts from that file's folder"
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(expected, f"nothing at {path}", fix) from error
    except IsADirectoryError as error:
        raise ConfigError(expected, f"a folder at {path}", fix) from error
    except (OSError, ValueError) as error:  # the second: a NUL in the path
        found = f"{path}, which cannot be read ({getattr(error, 'strerror', error)})"
        raise ConfigError(expected, found, "correct its path or its permissions") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("a job file in UTF-8", f"{path}:{line}: bytes that are not", "save the file as UTF-8") from error


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Mappings are merged key by key; any other value, be it a list or null, replaces the one below it."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merged(below[key], value) if both else value
    return merged


def _apply(tree: dict, override: str) -> None:
    key, equals, value = override.partition("=")
    *sections, leaf = key.split(".")
    if not equals or not sections:
        found = f"{override}{did_you_mean(key, Config)}"
        has_section = bool(sections) or key in Config.model_fields
        fix = "write the setting with its value" if has_section else "name the section"
        raise ConfigError("--set section.key=value", found, f"{fix}, as in --set rollout.workers=2")
    if not value.strip():
        raise ConfigError(
            "--set section.key=value", f"no value in {override}", "give one; null stands for none, '' for an empty text"
        )
    for section in sections:
        node = tree[section] = {} if tree.get(section) is None else tree[section]
        if not isinstance(node, dict):
            raise ConfigError("a section", f"`{section}` in {override} is a value", "name the section, then the setting")
        tree = node
    try:
        tree[leaf] = parse_value(value)
    except BadYaml as error:
        found = f"{override}: {error.reason}"
        raise ConfigError("--set section.key=value with a YAML value", found, "quote the value") from error
