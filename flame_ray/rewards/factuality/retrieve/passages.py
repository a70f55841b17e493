"""A corpus as one memory-mapped Arrow file: any passage by its number, no copy a process.

In: passages, written one after another in little memory; then the file. Out: a sequence of passages, each made when it is
asked for. Knows nothing of retrieval.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import overload

import pyarrow as pa

from flame_ray.types import Passage

FILE = "passages.arrow"
FORMAT = 1  # to be raised when the file changes
BATCH = 8192  # passages of one record batch: the unit in which they are written, and found again
SCHEMA = pa.schema([("id", pa.string()), ("title", pa.string()), ("text", pa.string())])


def write_passages(passages: Iterable[Passage], folder: Path) -> None:
    """Writes them as an Arrow IPC file; BATCH of them are in memory at a time."""
    with pa.OSFile(str(folder / FILE), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        for batch in batches(passages, BATCH):
            columns = [[getattr(passage, name) for passage in batch] for name in SCHEMA.names]
            arrays = [pa.array(column, pa.string()) for column in columns]
            writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))


def batches(items: Iterable[Passage], size: int) -> Iterator[list[Passage]]:
    """Lists of `size` items, the last one shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


class Passages(Sequence[Passage]):
    """The passages of a file that `write_passages` wrote. `name` is that of the index folder they lie in."""

    def __init__(self, folder: Path):
        self.name = folder.name
        reader = pa.ipc.open_file(pa.memory_map(str(folder / FILE), "r"))
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
