"""Checks `--out`, or another place to write to, before anything starts: that it lasts, and can be written to."""

import os
from collections.abc import Mapping
from pathlib import Path

from flame_ray.cluster.submitted import require_lasting
from flame_ray.errors import ConfigError, StorageError
from flame_ray.storage.filesystem import Storage

OUT = "--out"
LONGEST = 220  # bytes of a file's name: those of files beside it are longer, as `.<name>.batches.jsonl.settings.json.part`


def check_out_folder(out: Path, setting: str = OUT) -> None:
    """Raises ConfigError or StorageError if the folder, which is made later, could not hold what a command writes."""
    _check_place(out, setting)
    with Storage(out).trial(setting):
        pass


def check_out_file(out: Path, inputs: Mapping[str, Path] | None = None) -> None:
    """The same for a file, which may exist, but is none of the `inputs`, by their options: writing it would lose that."""
    _check_place(out, OUT)
    place = Path(os.path.realpath(out))
    if os.path.lexists(out) and not os.path.exists(out):
        found = f"{out}, a link to {os.readlink(out)}, where nothing is"
        raise StorageError(f"{OUT} to be a file", found, f"correct the link, or give another {OUT}")
    if place.is_dir():
        raise StorageError(f"{OUT} to be a file", f"the folder {out}", "add the name of a file")
    if place.exists() and not place.is_file():
        raise StorageError(f"{OUT} to be a file", f"the device or pipe {out}", "give the name of a file")
    if (length := len(os.fsencode(place.name))) > LONGEST:
        found = f"{length} bytes: {place.name:.40}..."
        raise ConfigError(f"a name of at most {LONGEST} bytes for the file of {OUT}", found, "give a shorter one")
    for option, given in (inputs or {}).items():
        if place == Path(os.path.realpath(given)) or (place.exists() and given.exists() and place.samefile(given)):
            raise ConfigError(f"{OUT} to be another file than {option}", f"{out} for both", f"give another {OUT}")
    with Storage((place if out.is_symlink() else out.absolute()).parent).trial(OUT):
        pass


def _check_place(out: Path, setting: str) -> None:
    if out.parts and out.parts[0].endswith(":"):  # `s3://bucket/x`, of which Path has dropped a slash
        fix = "write to a local path, then copy it there" if setting == OUT else "give a folder that every node mounts"
        raise ConfigError(f"{setting} to be a path on this machine", f"the URL {out}", fix)
    require_lasting(setting, out, f"{setting} /shared/path")
