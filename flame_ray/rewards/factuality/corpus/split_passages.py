"""Long texts -> passages of about a hundred words, cut between sentences (the size that dense retrieval is trained on).

In: a text of any length and language. Out: its pieces, in order, with nothing lost but the white space between them.
"""

from collections.abc import Iterator

import sentencex

WHOLE = 150  # a text of up to this many words is one passage
AIM = 100
LEAST = 40  # a last piece shorter than this joins the one before it
CHARACTERS = 12  # that count as a word where a text has few spaces: Chinese, Thai, a table


def cut(text: str) -> tuple[str, ...]:
    """The pieces of a text.

    >>> cut("Lima is a city. It lies in Peru.")
    ('Lima is a city. It lies in Peru.',)
    """
    if size(text) <= WHOLE:
        return (text.strip(),)
    pieces: list[list[str]] = [[]]
    words = 0
    for part in _parts(text):
        more = size(part)
        if words and words + more - AIM > AIM - words:  # further from the aim with it than without
            pieces.append([])
            words = 0
        pieces[-1].append(part)
        words += more
    if len(pieces) > 1 and words < LEAST:
        pieces[-2:] = [pieces[-2] + pieces[-1]]
    return tuple(piece for piece in ("".join(parts).strip() for parts in pieces) if piece)


def size(text: str) -> int:
    """How many words; one that never pauses counts by its characters."""
    return max(len(text.split()), len(text) // CHARACTERS)


def _parts(text: str) -> Iterator[str]:
    """Sentences with the white space behind them; one that is longer than a passage comes in parts."""
    for line in text.splitlines(keepends=True):
        for sentence in sentencex.segment("en", line):
            if size(sentence) <= WHOLE:
                yield sentence
            else:
                yield from _slices(sentence)


def _slices(sentence: str) -> Iterator[str]:
    words = sentence.split()
    if len(words) * CHARACTERS > len(sentence):
        yield from (" ".join(words[start : start + AIM]) + " " for start in range(0, len(words), AIM))
    else:
        step = AIM * CHARACTERS
        yield from (sentence[start : start + step] for start in range(0, len(sentence), step))
