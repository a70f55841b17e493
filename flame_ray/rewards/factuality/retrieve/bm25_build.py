"""Builds the files of a BM25 index: the arrays of scores that bm25s reads, and the titles.

bm25s builds an index from Python lists of all tokens and sorts all postings at once, which takes tens of gigabytes at 20
million passages. Here a first pass writes the postings of each batch to disk, and a second pass moves each posting to its
place. Only the vocabulary, the titles and a few numbers per passage stay in memory. bm25s still tokenizes the text and scores
the queries, and the scores equal those of its default method, `lucene`.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import Stemmer

from flame_ray.rewards.factuality.retrieve.arrow_files import batches, write_words
from flame_ray.rewards.factuality.retrieve.titles import TitleWriter
from flame_ray.rewards.factuality.text import fold
from flame_ray.types import Passage

TITLE_REPEATS = 3  # a title says what its passage is about, so each of its terms counts this often
K1, B = 1.5, 0.75  # the defaults of bm25s
BATCH = 8192
TERMS = "terms.arrow"
DATA, INDICES, INDPTR = (f"{name}.csc.index.npy" for name in ("data", "indices", "indptr"))  # the names that bm25s expects
POSTING = np.dtype([("term", np.int32), ("passage", np.int32), ("count", np.int32)])


def write_bm25(passages: Sequence[Passage], folder: Path) -> None:
    """Writes all files of the index, and removes the file between the two passes."""
    spill = folder / "spill.tmp"
    with spill.open("wb") as file:
        first_pass = _FirstPass(file)
        for batch in batches(passages, BATCH):
            first_pass.add(batch)
    first_pass.titles.write(folder)
    words, ranks, frequencies = first_pass.sorted()
    write_words(words, folder / TERMS)
    _write_scores(_read(spill), ranks, frequencies, np.array(first_pass.lengths), folder)
    spill.unlink()


def tokenize(texts: list[str], stemmer: Stemmer.Stemmer) -> tuple[list[list[int]], dict[str, int]]:
    """Token ids [texts][tokens], and the id of each token: lower case, without stop words, stemmed."""
    import bm25s  # not at the top: it brings numba, and vLLM 0.32 cannot start in a process that has imported that

    found = bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)
    return found.ids, found.vocab


class _FirstPass:
    """Writes postings to disk, and collects the totals that the second pass needs."""

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
        """Writes postings in the order of their terms, then of their passages."""
        block = np.empty(len(pairs), POSTING)
        block["term"], block["passage"], block["count"] = pairs >> 32, pairs & 0xFFFFFFFF, counts
        self._file.write(len(block).to_bytes(8, "little") + block.tobytes())
        if len(self._terms) > len(self._frequencies):
            self._frequencies = np.concatenate((self._frequencies, np.zeros(len(self._terms), np.int64)))
        self._frequencies += np.bincount(block["term"], minlength=len(self._frequencies))

    def sorted(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Terms [V] in order, the rank in that order of each term id [V], and the number of passages with each term [V]."""
        words = sorted(self._terms)
        numbers = np.array([self._terms[word] for word in words], np.int64)
        ranks = np.empty(len(words), np.int64)
        ranks[numbers] = np.arange(len(words))
        return words, ranks, self._frequencies[numbers]


def _read(spill: Path) -> Iterator[np.ndarray]:
    with spill.open("rb") as file:
        while size := file.read(8):
            yield np.frombuffer(file.read(int.from_bytes(size, "little") * POSTING.itemsize), POSTING)


def _write_scores(
    blocks: Iterator[np.ndarray], ranks: np.ndarray, frequencies: np.ndarray, lengths: np.ndarray, folder: Path
) -> None:
    """The second pass: scores [postings] by term; within a term in the order of passages, which is the order of the blocks."""
    ends = np.concatenate(([0], np.cumsum(frequencies)))
    np.save(folder / INDPTR, ends)
    data, indices = _mapped(folder / DATA, np.float32, int(ends[-1])), _mapped(folder / INDICES, np.int32, int(ends[-1]))
    rarity = np.log(1 + (len(lengths) - frequencies + 0.5) / (frequencies + 0.5))
    weight = K1 * ((1 - B) + B * lengths / max(lengths.mean(), 1))
    free = ends[:-1].copy()
    for block in blocks:
        terms, passages = ranks[block["term"]], block["passage"]
        firsts = np.flatnonzero(np.diff(terms, prepend=-1))  # a block is sorted by term
        runs = np.diff(firsts, append=len(terms))
        places = free[terms] + np.arange(len(terms)) - np.repeat(firsts, runs)
        data[places] = rarity[terms] * block["count"] / (weight[passages] + block["count"])
        indices[places] = passages
        free[terms[firsts]] += runs
    data.flush()
    indices.flush()


def _mapped(path: Path, kind: type, length: int) -> np.memmap:
    """An array on disk, with its space reserved: a full disk then raises OSError here and does not kill the process later."""
    array = np.lib.format.open_memmap(path, "w+", kind, (max(length, 1),))  # an empty file cannot be mapped
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array
