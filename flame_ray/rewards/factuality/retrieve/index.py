"""Folders in the cache that are built once from a corpus, and that every process of a node then maps into memory."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from flame_ray.storage.build_once import build_once
from flame_ray.storage.cache import cache_dir

KEY = "made_from.json"
Key = Mapping[str, str | int | float | None]


def open_index(kind: str, key: Key, make: Callable[[Path], None]) -> Path:
    """The folder of `key`, which `make` fills if it is missing or damaged. Raises StorageError.

    `key` lists all that the folder is made from: corpus, settings, library versions.
    """

    def build(folder: Path) -> None:
        make(folder)
        (folder / KEY).write_text(json.dumps({"kind": kind, **key}, indent=1), encoding="utf-8")

    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return build_once(cache_dir() / "indexes" / f"{kind}-{digest[:24]}", build)
