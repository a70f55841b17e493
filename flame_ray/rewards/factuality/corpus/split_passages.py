"""Turns rows with a title and a text into passages of about a hundred words, the size that dense retrievers are trained on.

A text of up to 150 words is one passage. A longer one is split between sentences, and only white space is lost.
"""

from collections.abc import Iterator
from typing import Any

import sentencex

from flame_ray.errors import DataError
from flame_ray.shown import kind_of
from flame_ray.types import Passage

MAX_WORDS = 150  # a text of up to this many words stays one passage
TARGET_WORDS = 100
MIN_WORDS = 40  # a shorter last piece joins the one before it
CHARACTERS_PER_WORD = 12  # for text with few spaces, such as Chinese, Thai or a table
FIX = "write a string there, or remove the row"


def row_passages(row: dict[str, Any], columns: tuple[str, str], where: str, passage_id: str) -> Iterator[Passage]:
    """The passages of one row. `columns` names its title and text columns; `where` is the place that an error reports.

    Raises DataError if a column is missing, or is not text.
    """
    for column, setting in zip(columns, ("title_column", "text_column"), strict=True):
        if column not in row:
            names = ", ".join(row) or "no columns"
            raise DataError(f"a column `{column}`", f"{where} has {names}", f"set factuality.{setting} to one of them")
    title, text = (_text(row[column], f"{where}: `{column}`") for column in columns)
    if not text:
        raise DataError("text in every row", f"{where}: `{columns[1]}` is empty", FIX)
    yield from text_passages(passage_id, title, text)


def text_passages(passage_id: str, title: str, text: str) -> Iterator[Passage]:
    """One passage, or several with the ids `<passage_id>/0`, `/1`, ... if the text is long."""
    pieces = split_text(text)
    if len(pieces) == 1:
        yield Passage(passage_id, title, pieces[0])
    else:
        yield from (Passage(f"{passage_id}/{number}", title, piece) for number, piece in enumerate(pieces))


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise DataError("text in every row", f"{what} is {kind_of(value)}", FIX)
    try:
        value.encode()
    except UnicodeEncodeError as error:  # JSON can hold half a surrogate pair; a UTF-8 file cannot
        raise DataError("text in every row", f"{what} is not valid Unicode: {error}", FIX) from error
    return value.strip()


def split_text(text: str) -> tuple[str, ...]:
    """The pieces of a text.

    >>> split_text("Lima is a city. It lies in Peru.")
    ('Lima is a city. It lies in Peru.',)
    """
    if count_words(text) <= MAX_WORDS:
        return (text.strip(),)
    pieces: list[list[str]] = [[]]
    words = 0
    for sentence in _sentences(text):
        more = count_words(sentence)
        if words and words + more - TARGET_WORDS > TARGET_WORDS - words:  # the target is missed by less without it
            pieces.append([])
            words = 0
        pieces[-1].append(sentence)
        words += more
    if len(pieces) > 1 and words < MIN_WORDS:
        pieces[-2:] = [pieces[-2] + pieces[-1]]
    return tuple(piece for piece in ("".join(sentences).strip() for sentences in pieces) if piece)


def count_words(text: str) -> int:
    """The number of words, or an estimate from the number of characters where spaces are rare."""
    return max(len(text.split()), len(text) // CHARACTERS_PER_WORD)


def _sentences(text: str) -> Iterator[str]:
    """Sentences with the white space after them; a sentence that is longer than a passage comes in slices."""
    for line in text.splitlines(keepends=True):
        for sentence in sentencex.segment("en", line):
            if count_words(sentence) <= MAX_WORDS:
                yield sentence
            else:
                yield from _slices(sentence)


def _slices(sentence: str) -> Iterator[str]:
    words = sentence.split()
    if len(words) * CHARACTERS_PER_WORD > len(sentence):
        yield from (" ".join(words[start : start + TARGET_WORDS]) + " " for start in range(0, len(words), TARGET_WORDS))
    else:
        step = TARGET_WORDS * CHARACTERS_PER_WORD
        yield from (sentence[start : start + step] for start in range(0, len(sentence), step))
