"""Rows with a title and a text -> passages: what JSONL, Parquet and `datasets` have in common.

In: a row and where it stands. Out: its passages, or a DataError that names the place. A text of up to 150 words is one
passage, a longer one is cut.
"""

from collections.abc import Iterator
from typing import Any

from flame_ray.errors import DataError
from flame_ray.rewards.factuality.corpus.split_passages import cut
from flame_ray.types import Passage

FIX = "write a string there, or remove the row"


def passages_of(row: dict[str, Any], columns: tuple[str, str], where: str, passage_id: str) -> Iterator[Passage]:
    """`columns`: those of title and text. Ids of pieces are `<passage_id>/0`, `/1`, ..."""
    for column, setting in zip(columns, ("title_column", "text_column"), strict=True):
        if column not in row:
            names = ", ".join(row) or "no columns"
            raise DataError(f"a column `{column}`", f"{where} has {names}", f"set factuality.{setting} to one of them")
    title, text = (_text(row[column], f"{where}: `{column}`") for column in columns)
    if not text:
        raise DataError("text in every row", f"{where}: `{columns[1]}` is empty", FIX)
    yield from pieces(passage_id, title, text)


def pieces(passage_id: str, title: str, text: str) -> Iterator[Passage]:
    """One passage, or several where the text is long."""
    parts = cut(text)
    if len(parts) == 1:
        yield Passage(passage_id, title, parts[0])
    else:
        yield from (Passage(f"{passage_id}/{number}", title, part) for number, part in enumerate(parts))


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise DataError("text in every row", f"{what} is {type(value).__name__}", FIX)
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half a character, as JSON can write it: no file can hold it
        raise DataError("text in every row", f"{what} is not Unicode: {error}", FIX) from error
    return value.strip()
