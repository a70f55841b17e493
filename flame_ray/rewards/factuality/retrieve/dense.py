"""Evidence for a query: the passages nearest to it in meaning, by the dot product of their vectors.

In: the corpus, an embedder, then queries. Out: at most k passages each, nearest first, the same ones every time. Knows
nothing of words in common, responses or facts.

Up to EXACT passages every vector is compared; beyond, the index keeps a byte a dimension and looks into the PROBES nearest of
its lists (FAISS: Douze et al. 2024), which misses a few. The file is memory-mapped, one copy a node. While it is made, all
its bytes are in memory: 1.5 KB a passage of 384 dimensions exactly, 0.4 KB otherwise, thus 8 GB at 20 million.

FAISS, torch and scikit-learn each bring a copy of GNU OpenMP, and bm25s brings numba: in one process, with 2 threads each, they
were found to be no slower than alone.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from flame_ray.errors import ModelError, StorageError
from flame_ray.rewards.factuality.retrieve.base import reading
from flame_ray.rewards.factuality.retrieve.index import Key, open_index
from flame_ray.rewards.factuality.retrieve.passages import Passages, batches
from flame_ray.types import Passage

FORMAT = 1  # to be raised when the file changes
FILE = "vectors.faiss"
EXACT = 200_000  # passages
PROBES = 64  # lists that a query is compared with
PER_LIST = 40  # vectors a list that its centre is learned from, FAISS's own minimum
BATCH = 4096


class TextEmbedder(Protocol):
    """Unit vectors of `width` D: of queries and of passages, float32 [N, D]."""

    width: int

    def queries(self, texts: Sequence[str]) -> np.ndarray: ...

    def passages(self, texts: Sequence[str]) -> np.ndarray: ...


class DenseRetriever:
    """The passages of an index that `write_dense` wrote into `folder`, by an embedder like the one that wrote it."""

    def __init__(self, passages: Sequence[Passage], folder: Path, embedder: TextEmbedder):
        faiss = _faiss()
        self._passages, self._embedder = passages, embedder
        self._index = faiss.read_index(str(folder / FILE), faiss.IO_FLAG_MMAP_IFC)  # IO_FLAG_MMAP would copy an exact index

    def retrieve(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        """For each query the k nearest passages; ties keep the corpus's order."""
        if not queries:
            return []
        scores, numbers = self._index.search(self._embedder.queries(queries), min(k, len(self._passages)))
        return [self._ordered(*found) for found in zip(scores, numbers, strict=True)]

    def _ordered(self, scores: np.ndarray, numbers: np.ndarray) -> tuple[Passage, ...]:
        best = np.lexsort((numbers, -scores))
        return tuple(self._passages[int(numbers[place])] for place in best if numbers[place] >= 0)  # -1: none left


def open_dense(passages: Passages, embedder: TextEmbedder, identity: str) -> DenseRetriever:
    """With the index that all processes of this node share, made by the first that asks."""
    key: Key = {
        "passages": passages.name,
        "embedder": identity,
        "format": FORMAT,
        "exact": EXACT,
        "faiss": version("faiss-cpu"),
    }
    return DenseRetriever(passages, open_index("dense", key, lambda folder: write_dense(passages, folder, embedder)), embedder)


def write_dense(passages: Sequence[Passage], folder: Path, embedder: TextEmbedder, exact: int = EXACT) -> None:
    """The vectors of all passages, in their order."""
    faiss = _faiss()
    index = _empty(passages, embedder, exact)
    for batch in batches(passages, BATCH):
        index.add(embedder.passages([reading(passage) for passage in batch]))
    try:
        faiss.write_index(index, str(folder / FILE))
    except RuntimeError as error:
        raise StorageError(f"room for an index in {folder}", str(error), "free space, or set FLAME_RAY_CACHE") from error


def _empty(passages: Sequence[Passage], embedder: TextEmbedder, exact: int) -> Any:
    faiss = _faiss()
    if len(passages) <= exact:
        return faiss.IndexFlatIP(embedder.width)
    lists = max(1, min(int(4 * len(passages) ** 0.5), len(passages) // PER_LIST))
    index = faiss.index_factory(embedder.width, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.nprobe = PROBES
    step = max(1, len(passages) // (lists * PER_LIST))  # from all over the corpus: neighbours are alike
    index.train(embedder.passages([reading(passages[number]) for number in range(0, len(passages), step)]))
    return index


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ModelError("faiss-cpu", str(error), "pip install 'flame-ray[dense]'") from error
    return faiss
