"""Answers of a model that are worth keeping between runs: text -> number, one JSON object a line.

In: a file that is named after what the answers depend on. Appended to with one write, so that a kill tears at most its
last line, which the next reader leaves out.
"""

import json
import logging
from pathlib import Path

from flame_ray.storage.filesystem import storing

log = logging.getLogger(__name__)


class Cache:
    """A dictionary on disk."""

    def __init__(self, path: Path):
        self._path = path
        self._values: dict[str, float] = {}
        self._torn = False
        if path.is_file():
            text = path.read_bytes()
            self._torn = bool(text) and not text.endswith(b"\n")
            for number, line in enumerate(text.splitlines(), start=1):
                self._take(line, number)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __getitem__(self, key: str) -> float:
        return self._values[key]

    def add(self, values: dict[str, float]) -> None:
        if not values:
            return
        lines = "".join(json.dumps([key, value]) + "\n" for key, value in values.items())
        with storing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" + lines if self._torn else lines)
        self._torn = False
        self._values.update(values)

    def _take(self, line: bytes, number: int) -> None:
        if not line.strip():
            return
        try:
            key, value = json.loads(line)
            self._values[str(key)] = float(value)
        except (ValueError, TypeError):  # torn: not JSON, not UTF-8, or not a pair
            log.warning("%s:%d is not complete and is asked again", self._path, number)
