"""A memory-mapped dictionary of words: their numbers by binary search, a few microseconds each, no copy a process.

In: words, each once, sorted. Out: the place of a word among them.
"""

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import pyarrow as pa

SCHEMA = pa.schema([("word", pa.large_string())])


def write_words(words: Sequence[str], path: Path) -> None:
    """The words in ascending order of their code points, as an Arrow IPC file."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        writer.write_batch(pa.record_batch([pa.array(words, pa.large_string())], schema=SCHEMA))


class Words(Sequence[str]):
    """The words of a file that `write_words` wrote."""

    def __init__(self, path: Path):
        self._words = pa.ipc.open_file(pa.memory_map(str(path), "r")).get_batch(0).column(0)

    def find(self, word: str) -> int | None:
        """The place of a word, or None."""
        place = bisect_left(self, word)
        return place if place < len(self) and self[place] == word else None

    def __len__(self) -> int:
        return len(self._words)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return self._words[index].as_py() if isinstance(index, int) else self._words[index].to_pylist()
