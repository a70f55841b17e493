"""Keeps a corpus and its words in Arrow files that are memory-mapped, so that all processes of a node share one copy."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import overload

import pyarrow as pa

from flame_ray.types import Passage

PASSAGES = "passages.arrow"
FORMAT = 1  # raise it when the file of passages changes
BATCH = 8192  # passages in one record batch
PASSAGE_SCHEMA = pa.schema([("id", pa.string()), ("title", pa.string()), ("text", pa.string())])
WORD_SCHEMA = pa.schema([("word", pa.large_string())])


def write_passages(passages: Iterable[Passage], folder: Path) -> None:
    """Writes an Arrow IPC file, with at most BATCH passages in memory."""
    with pa.OSFile(str(folder / PASSAGES), "wb") as sink, pa.ipc.new_file(sink, PASSAGE_SCHEMA) as writer:
        for batch in batches(passages, BATCH):
            columns = [[getattr(passage, name) for passage in batch] for name in PASSAGE_SCHEMA.names]
            arrays = [pa.array(column, pa.string()) for column in columns]
            writer.write_batch(pa.record_batch(arrays, schema=PASSAGE_SCHEMA))


def batches(passages: Iterable[Passage], size: int) -> Iterator[list[Passage]]:
    """Lists of `size` passages; the last one may be shorter."""
    rest = iter(passages)
    while batch := list(islice(rest, size)):
        yield batch


class Passages(Sequence[Passage]):
    """The passages that `write_passages` wrote into `folder`, each built when it is asked for. `name` is the folder's name."""

    def __init__(self, folder: Path):
        self.name = folder.name
        reader = pa.ipc.open_file(pa.memory_map(str(folder / PASSAGES), "r"))
        self._batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        self._length = sum(batch.num_rows for batch in self._batches)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Passage: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Passage, ...]: ...

    def __getitem__(self, index: int | slice) -> Passage | tuple[Passage, ...]:
        if isinstance(index, slice):
            return tuple(self[number] for number in range(*index.indices(self._length)))
        number = index + self._length if index < 0 else index
        if not 0 <= number < self._length:
            raise IndexError(f"passage {index} of {self._length}")
        batch, row = self._batches[number // BATCH], number % BATCH
        return Passage(*(column[row].as_py() for column in batch.columns))

    def __iter__(self) -> Iterator[Passage]:
        for batch in self._batches:
            yield from (Passage(*row) for row in zip(*(column.to_pylist() for column in batch.columns), strict=True))


def write_words(words: Sequence[str], path: Path) -> None:
    """Writes distinct words, sorted by their code points, as an Arrow IPC file."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, WORD_SCHEMA) as writer:
        writer.write_batch(pa.record_batch([pa.array(words, pa.large_string())], schema=WORD_SCHEMA))


class Words(Sequence[str]):
    """The words that `write_words` wrote, found by binary search in a few microseconds."""

    def __init__(self, path: Path):
        self._words = pa.ipc.open_file(pa.memory_map(str(path), "r")).get_batch(0).column(0)

    def find(self, word: str) -> int | None:
        """The position of a word, or None."""
        position = bisect_left(self, word)
        return position if position < len(self) and self[position] == word else None

    def __len__(self) -> int:
        return len(self._words)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return self._words[index].as_py() if isinstance(index, int) else self._words[index].to_pylist()
