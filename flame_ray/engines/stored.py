"""Finds models on an object store, where a run stores what it trains: the small files for a driver, all files for an actor."""

import hashlib
import json
import re
from fnmatch import fnmatch
from pathlib import Path

from flame_ray.engines.hub import CARD, CODE, SMALL, Listing
from flame_ray.errors import ModelError, StorageError
from flame_ray.storage.atomic import MANIFEST, verify_manifest
from flame_ray.storage.build_once import build_once
from flame_ray.storage.cache import cache_dir
from flame_ray.storage.filesystem import Storage

PINNED = re.compile(r"(.+)@([0-9a-f]{64})")
STORED = "give the URL of what a run stored, such as s3://bucket/runs/RUN/checkpoints/round-0001/merged"


def is_url(name: str) -> bool:
    return "://" in name


def look_up(name: str) -> Listing:
    """The small files of the model at a URL, which may end in `@` and the commit that it is to have: its manifest's SHA-256.

    Raises ModelError if there is no model, or another one, and StorageError if the package for such URLs is not installed.
    """
    pinned = PINNED.fullmatch(name)
    url, wanted = (pinned[1], pinned[2]) if pinned else (name, None)
    try:
        manifest = Storage(url).read(MANIFEST)
        sizes = {file: int(entry["bytes"]) for file, entry in json.loads(manifest)["files"].items()}
    except StorageError as error:
        if isinstance(error.__cause__, ImportError):  # which says what to install
            raise
        raise ModelError(f"a model's folder with its {MANIFEST}", f"{url}: {error.found}", STORED) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"a model's folder with its {MANIFEST}", f"{url}: {error!r}", STORED) from error
    commit = hashlib.sha256(manifest).hexdigest()
    if wanted not in (None, commit):
        raise ModelError(f"the model that was at {url}", "another one", "store it again, or start a new run")
    return Listing(commit, _settings(url, commit, sizes), sizes | {MANIFEST: len(manifest)})


def fetch(url: str, commit: str) -> Path:
    """The folder of the model on this node. The processes of a node download it one after another: the first one does.

    Raises ModelError for another model than that of the commit, and StorageError.
    """

    def download(folder: Path) -> None:
        look_up(f"{url}@{commit}")
        above, _, name = url.rstrip("/").rpartition("/")
        found = Storage(above).get_folder(name, folder)
        verify_manifest(found)
        (found / MANIFEST).unlink()  # the folder gets one, as every folder of the cache
        for path in found.iterdir():
            path.rename(folder / path.name)
        found.rmdir()

    return build_once(_place() / commit / "whole", download)


def commit_of(folder: Path) -> str | None:
    """The commit of a folder that this module has made."""
    return folder.parent.name if folder.parent.parent == _place() else None


def _settings(url: str, commit: str, sizes: dict[str, int]) -> Path:
    small = [name for name in sizes if any(fnmatch(name, pattern) for pattern in (*SMALL, CARD, CODE))]

    def download(folder: Path) -> None:
        for name in small:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(Storage(url).read(name))

    return build_once(_place() / commit / "settings", download)


def _place() -> Path:
    return cache_dir() / "models" / "stored"
