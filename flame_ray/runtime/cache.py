"""Answers of a model that are worth keeping between runs: text -> number, one JSON object a line.

In: a file that is named after what the answers depend on. Appended to with one write, so that a kill loses at most its
last line, which the next reader leaves out.
"""

import json
import logging
from pathlib import Path

log = logging.getLogger(__name__)


class Cache:
    """A dictionary on disk."""

    def __init__(self, path: Path):
        self._path = path
        self._values: dict[str, float] = {}
        if path.is_file():
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                self._take(line, number)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __getitem__(self, key: str) -> float:
        return self._values[key]

    def add(self, values: dict[str, float]) -> None:
        if not values:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps([key, value]) + "\n" for key, value in values.items())
        with self._path.open("a", encoding="utf-8") as file:
            file.write(lines)
        self._values.update(values)

    def _take(self, line: str, number: int) -> None:
        try:
            key, value = json.loads(line)
        except ValueError:
            log.warning("%s:%d is not complete and is asked again", self._path, number)
            return
        self._values[str(key)] = float(value)
