"""A job file -> `Config`, and what differs between two of them.

In: a YAML file and overrides. Out: settings, or a ConfigError that names the file and the setting's path.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from flame_ray.config import Config
from flame_ray.errors import ConfigError


def load_config(path: Path | str | None, overrides: tuple[str, ...] = ()) -> Config:
    """Read a job YAML (None: the defaults); each override is `section.key=value` with a YAML value. Raises ConfigError."""
    tree = {} if path is None else _read(Path(path))
    for override in overrides:
        _apply(tree, override)
    return parse_config(tree, "the settings given" if path is None else str(path))


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError("a job file (YAML)", f"nothing at {path}", "give the path of a file such as jobs/quickstart.yaml")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("a job file in YAML", f"{path}: {error}", "correct the line that is named") from error
    if not isinstance(tree, dict):
        raise ConfigError(
            "sections such as `run:` and `rollout:`", f"{path} holds a {type(tree).__name__}", "see jobs/quickstart.yaml"
        )
    return tree


def parse_config(tree: dict, where: str) -> Config:
    """Check a tree of settings; `where` names its origin in errors."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(
            "settings that this version knows",
            _describe(error, where),
            "see flame_ray/config/ for every setting and its range",
        ) from error


WHERE_NOT_WHAT = re.compile(
    r"cluster\..*|run\.(id|root|keep_checkpoints)"
    r"|(rollout|factuality|verifier|judge|learner)\.(workers|min_workers|cpus|gpus|threads|node_labels.*)"
    r"|(rollout|verifier|judge)\.(max_sequences|kv_cache_gib|gpu_memory|batch_sequences)|factuality\.cache"
    r"|weights\..*|rollout\.tensor_parallel|pipeline\.colocated|(train_checker|score)\..*"
    r"|learner\.(placement|zero_stage|offload|micro_batch_pairs|gradient_checkpointing|checkpoint_steps)"
)


def changed_settings(before: Config, after: Config) -> list[str]:
    """`path: before -> after` of each setting that says what is learned; those that say where and how fast may change."""
    return differences(before.model_dump(mode="json"), after.model_dump(mode="json"))


def differences(before: dict, after: dict) -> list[str]:
    """The same for settings as they are stored, whichever version wrote them."""
    old, new = _leaves(before), _leaves(after)
    return [
        f"{path}: {old.get(path)!r} -> {new.get(path)!r}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path) and not WHERE_NOT_WHAT.fullmatch(path)
    ]


def _leaves(tree: dict, prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves.update(_leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return leaves


def _apply(tree: dict, override: str) -> None:
    key, equals, value = override.partition("=")
    *sections, leaf = key.split(".")
    if not equals or not sections:
        raise ConfigError("--set section.key=value", override, "name the section, as in --set rollout.workers=2")
    for section in sections:
        node = tree[section] = {} if tree.get(section) is None else tree[section]
        if not isinstance(node, dict):
            raise ConfigError("a section", f"`{section}` in {override} is a value", "name the section, then the setting")
        tree = node
    try:
        tree[leaf] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError("--set section.key=value with a YAML value", f"{override}: {error}", "quote the value") from error


def _describe(error: ValidationError, where: str) -> str:
    return f"in {where}: " + "; ".join(_described(item) for item in error.errors())


def _described(item: Any) -> str:
    """What concerns several sections has no path, and names its settings itself."""
    path, message = ".".join(str(part) for part in item["loc"]), item["msg"].removeprefix("Value error, ")
    return f"{path}: {message} (given {item['input']!r:.80})" if path else message
