"""A corpus of `datasets`: a small set of the user's, or a whole Wikipedia dump, streamed from its shards.

In: `owner/name`, with `:configuration` and `@revision` where wanted (`wikimedia/wikipedia:20231101.en`), or a folder of
Parquet or JSONL shards. Out: passages of the train split in the order of its shards; articles are cut. Nothing is kept on
disk but the index that is made from it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from flame_ray.errors import DataError
from flame_ray.rewards.factuality.corpus.rows import passages_of
from flame_ray.types import Passage


class DataSet(NamedTuple):
    """What the name of a set says.

    >>> parse_name("wikimedia/wikipedia:20231101.en@main")
    DataSet(path='wikimedia/wikipedia', configuration='20231101.en', revision='main')
    """

    path: str
    configuration: str | None = None
    revision: str | None = None


def parse_name(source: str) -> DataSet:
    """A folder's name is taken as it stands."""
    if Path(source).expanduser().is_dir():
        return DataSet(str(Path(source).expanduser()))
    rest, _, revision = source.partition("@")
    path, _, configuration = rest.partition(":")
    return DataSet(path, configuration or None, revision or None)


def read_data_set(source: str, columns: tuple[str, str]) -> Iterator[Passage]:
    """Streams the train split. `datasets` tries again where the network fails; what it gives up on is a DataError."""
    import datasets

    name = parse_name(source)
    try:
        rows = datasets.load_dataset(name.path, name.configuration, split="train", revision=name.revision, streaming=True)
        for number, row in enumerate(rows, 1):
            yield from passages_of(row, columns, f"{source}:{number}", f"{name.path}/{number}")
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            "`factbook`, a corpus file, or the name of a `datasets` set with a train split",
            f"{source}: {type(error).__name__}: {error}",
            "correct factuality.corpus, or use the built-in `factbook`",
        ) from error
