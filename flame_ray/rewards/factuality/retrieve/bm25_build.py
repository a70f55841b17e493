"""Passages -> the files of a BM25 index: scores by term, in the arrays that bm25s reads, and the titles.

In: passages, once through, and a folder. Out: files that are memory-mapped when opened.

bm25s itself indexes Python lists of all tokens, then sorts all postings at once: tens of gigabytes at 20 million passages.
Here the postings of a batch go to disk, and in a second pass each to its place. What is not bounded: the vocabulary, an entry
a title and a few numbers a passage stay in memory while it is made. The tokenizer and the scoring of queries are bm25s's own,
and the numbers are those of its default method, `lucene`.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import Stemmer

from flame_ray.rewards.factuality.retrieve.passages import batches
from flame_ray.rewards.factuality.retrieve.terms import write_words
from flame_ray.rewards.factuality.retrieve.titles import TitleWriter
from flame_ray.rewards.factuality.text import fold
from flame_ray.types import Passage

TITLE_REPEATS = 3  # a title says what a passage is about, so each of its terms counts as often as this
K1, B = 1.5, 0.75  # bm25s's own
BATCH = 8192
TERMS = "terms.arrow"
DATA, INDICES, INDPTR = (f"{name}.csc.index.npy" for name in ("data", "indices", "indptr"))  # bm25s's names
POSTING = np.dtype([("term", np.int32), ("passage", np.int32), ("count", np.int32)])


def write_bm25(passages: Sequence[Passage], folder: Path) -> None:
    """All files of the index; what the first pass left on disk is removed at the end."""
    spill = folder / "spill.tmp"
    with spill.open("wb") as file:
        counts = _Counts(file)
        for batch in batches(passages, BATCH):
            counts.add(batch)
    counts.titles.write(folder)
    words, ranks, frequencies = counts.sorted()
    write_words(words, folder / TERMS)
    _place(_read(spill), ranks, frequencies, np.array(counts.lengths), folder)
    spill.unlink()


def tokenize(texts: list[str], stemmer: Stemmer.Stemmer) -> tuple[list[list[int]], dict[str, int]]:
    """As queries and passages are both read: lower case, without stop words, stemmed. Tokens [texts][tokens], their numbers."""
    import bm25s  # here, because it brings numba: vLLM 0.32 cannot start in a process that has imported it

    found = bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)
    return found.ids, found.vocab


class _Counts:
    """The first pass: postings to disk, and what the second needs to know of the whole."""

    def __init__(self, file: BinaryIO):
        self.titles = TitleWriter()
        self.lengths: list[int] = []
        self._file, self._stemmer = file, Stemmer.Stemmer("english")
        self._terms: dict[str, int] = {}
        self._frequencies = np.zeros(1024, np.int64)

    def add(self, batch: Sequence[Passage]) -> None:
        for passage in batch:
            self.titles.add(passage.title)
        texts = [" ".join((*[fold(passage.title)] * TITLE_REPEATS, fold(passage.text))) for passage in batch]
        found, vocabulary = tokenize(texts, self._stemmer)
        numbers = np.zeros(len(vocabulary), np.int64)
        for token, number in vocabulary.items():
            numbers[number] = self._terms.setdefault(token, len(self._terms))
        sizes = [len(row) for row in found]
        terms = numbers[np.fromiter(chain.from_iterable(found), np.int64, sum(sizes))]
        where = np.repeat(np.arange(len(self.lengths), len(self.lengths) + len(sizes)), sizes)
        self.lengths += sizes
        self._write(*np.unique((terms << 32) | where, return_counts=True))

    def _write(self, pairs: np.ndarray, counts: np.ndarray) -> None:
        """Postings in the order of their terms, then passages."""
        block = np.empty(len(pairs), POSTING)
        block["term"], block["passage"], block["count"] = pairs >> 32, pairs & 0xFFFFFFFF, counts
        self._file.write(len(block).to_bytes(8, "little") + block.tobytes())
        if len(self._terms) > len(self._frequencies):
            self._frequencies = np.concatenate((self._frequencies, np.zeros(len(self._terms), np.int64)))
        self._frequencies += np.bincount(block["term"], minlength=len(self._frequencies))

    def sorted(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Terms [V] in order, the place of each in that order by its number, and in how many passages it is."""
        words = sorted(self._terms)
        numbers = np.array([self._terms[word] for word in words], np.int64)
        ranks = np.empty(len(words), np.int64)
        ranks[numbers] = np.arange(len(words))
        return words, ranks, self._frequencies[numbers]


def _read(spill: Path) -> Iterator[np.ndarray]:
    with spill.open("rb") as file:
        while size := file.read(8):
            yield np.frombuffer(file.read(int.from_bytes(size, "little") * POSTING.itemsize), POSTING)


def _place(blocks: Iterator[np.ndarray], ranks: np.ndarray, frequencies: np.ndarray, lengths: np.ndarray, folder: Path) -> None:
    """The second pass: score [postings], by term; within a term in the order of passages, as the blocks come."""
    ends = np.concatenate(([0], np.cumsum(frequencies)))
    np.save(folder / INDPTR, ends)
    data, indices = _mapped(folder / DATA, np.float32, int(ends[-1])), _mapped(folder / INDICES, np.int32, int(ends[-1]))
    rarity = np.log(1 + (len(lengths) - frequencies + 0.5) / (frequencies + 0.5))
    weight = K1 * ((1 - B) + B * lengths / max(lengths.mean(), 1))
    free = ends[:-1].copy()
    for block in blocks:
        terms, passages = ranks[block["term"]], block["passage"]
        firsts = np.flatnonzero(np.diff(terms, prepend=-1))  # a block is in the order of its terms
        runs = np.diff(firsts, append=len(terms))
        places = free[terms] + np.arange(len(terms)) - np.repeat(firsts, runs)
        data[places] = rarity[terms] * block["count"] / (weight[passages] + block["count"])
        indices[places] = passages
        free[terms[firsts]] += runs
    data.flush()
    indices.flush()


def _mapped(path: Path, kind: type, length: int) -> np.memmap:
    """An array on disk, with its room taken: a page that finds the disk full would kill the process, this raises OSError."""
    made = np.lib.format.open_memmap(path, "w+", kind, (max(length, 1),))  # a file of no bytes cannot be mapped
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return made
