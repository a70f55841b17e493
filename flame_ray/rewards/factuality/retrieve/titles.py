"""Finds the passages whose whole title stands in a query, with the same case."""

import json
import re
from array import array
from pathlib import Path

import numpy as np

from flame_ray.rewards.factuality.retrieve.arrow_files import Words, write_words
from flame_ray.rewards.factuality.text import fold

WORD = re.compile(r"[^\W_]+")
QUALIFIER = re.compile(r"(?<=.)\s\([^)]*\)$")  # as in `Mercury (planet)`: queries do not have it
TITLES, STARTS, PASSAGES, LONGEST = "titles.arrow", "title_starts.npy", "title_passages.npy", "titles.json"
# At the start of a query, these words are not the titles (of bands and films) that they look like.
OPENERS = """
    A An And Are As At Be Can Compare Could Create Define Describe Did Discuss Do Does Explain Find For From Generate Give Has
    Have How I If In Is It List Make Name Of On Outline Please Provide Show Summarize Tell That The Then There These They This
    To Was We Were What When Where Which Who Whose Why Will With Would Write You"""


def words_of(text: str) -> list[str]:
    """Words without accents; case is kept."""
    return WORD.findall(fold(text))


class TitleWriter:
    """Collects titles in the order of their passages, and writes them sorted."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._of_passages = array("l")

    def add(self, title: str) -> None:
        words = words_of(QUALIFIER.sub("", title))
        key = " ".join(words[1:] if len(words) > 1 and words[0] == "The" else words)
        self._of_passages.append(self._numbers.setdefault(key, len(self._numbers)))

    def write(self, folder: Path) -> None:
        keys = sorted(self._numbers)
        write_words(keys, folder / TITLES)
        ranks = np.empty(len(keys), np.int32)
        ranks[[self._numbers[key] for key in keys]] = np.arange(len(keys), dtype=np.int32)
        of_passages = ranks[np.frombuffer(self._of_passages, self._of_passages.typecode)]
        np.save(folder / PASSAGES, np.argsort(of_passages, kind="stable").astype(np.int32))
        np.save(folder / STARTS, np.concatenate(([0], np.cumsum(np.bincount(of_passages, minlength=len(keys))))))
        longest = max(key.count(" ") + 1 for key in keys)
        (folder / LONGEST).write_text(json.dumps({"longest": longest}), encoding="utf-8")


class Titles:
    """The memory-mapped titles that a `TitleWriter` wrote."""

    def __init__(self, folder: Path):
        self._keys = Words(folder / TITLES)
        self._passages, self._starts = (np.load(folder / name, mmap_mode="r") for name in (PASSAGES, STARTS))
        self._openers = frozenset(OPENERS.split())
        self._longest = json.loads((folder / LONGEST).read_text(encoding="utf-8"))["longest"]

    def named(self, query: str) -> tuple[np.ndarray, list[str]]:
        """Results of the passages whose title stands in the query, and the query's other words; the longest title wins.

        BM25 searches only the other words: every passage has the words of its title, and short passages would gain most.
        """
        words, found, others, start = words_of(query), [], [], 0
        while start < len(words):
            size, place = self._longest_at(words, start)
            if place is None:
                others.append(words[start])
            else:
                found.append(self._passages[self._starts[place] : self._starts[place + 1]])
            start += size
        return (np.concatenate(found) if found else np.zeros(0, np.int32)), others

    def _longest_at(self, words: list[str], start: int) -> tuple[int, int | None]:
        for size in range(min(self._longest, len(words) - start), 0, -1):
            is_opener = start == 0 and size == 1 and len(words) > 1 and words[0] in self._openers
            place = None if is_opener else self._keys.find(" ".join(words[start : start + size]))
            if place is not None:
                return size, place
        return 1, None
