"""Retrieves by meaning: the passages whose vectors have the highest dot product with the query's vector.

Up to EXACT passages, a query is compared with every vector. Beyond that, the index stores one byte per dimension and searches
only the PROBES nearest of its lists (FAISS: Douze et al. 2024), which misses a few passages. Processes of a node share the
memory-mapped file. Building it needs all of it in memory: 1.5 KB per passage of 384 dimensions up to EXACT, 0.4 KB beyond, so
8 GB for 20 million passages.

FAISS, torch and scikit-learn each bring a copy of GNU OpenMP, and bm25s brings numba. With 2 threads each, they are no slower
in one process than alone.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from flame_ray.engines.base import TextEmbedder
from flame_ray.errors import ModelError, StorageError
from flame_ray.rewards.factuality.retrieve.arrow_files import Passages, batches
from flame_ray.rewards.factuality.retrieve.index import Key, open_index
from flame_ray.rewards.factuality.retrieve.ranking import titled_text
from flame_ray.types import Passage

FORMAT = 1  # raise it when the file changes
FILE = "vectors.faiss"
EXACT = 200_000  # passages
PROBES = 64  # lists that a query searches
PER_LIST = 40  # vectors that the centre of a list is learned from: FAISS's minimum
BATCH = 4096


class DenseRetriever:
    """Searches the index that `write_dense` wrote into `folder`; `embedder` must be the one that wrote it."""

    def __init__(self, passages: Sequence[Passage], folder: Path, embedder: TextEmbedder):
        faiss = _faiss()
        self._passages, self._embedder = passages, embedder
        self._index = faiss.read_index(str(folder / FILE), faiss.IO_FLAG_MMAP_IFC)  # IO_FLAG_MMAP copies an exact index

    def retrieve(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        """For each query the k nearest passages; ties keep the order of the corpus."""
        if not queries:
            return []
        scores, numbers = self._index.search(self._embedder.queries(queries), min(k, len(self._passages)))
        return [self._ordered(*found) for found in zip(scores, numbers, strict=True)]

    def _ordered(self, scores: np.ndarray, numbers: np.ndarray) -> tuple[Passage, ...]:
        best = np.lexsort((numbers, -scores))
        return tuple(self._passages[int(numbers[place])] for place in best if numbers[place] >= 0)  # -1: no more passages


def open_dense(passages: Passages, embedder: TextEmbedder, identity: str) -> DenseRetriever:
    """Opens the index that all processes of this node share; the first one builds it."""
    key: Key = {
        "passages": passages.name,
        "embedder": identity,
        "format": FORMAT,
        "exact": EXACT,
        "faiss": version("faiss-cpu"),
    }
    return DenseRetriever(passages, open_index("dense", key, lambda folder: write_dense(passages, folder, embedder)), embedder)


def write_dense(passages: Sequence[Passage], folder: Path, embedder: TextEmbedder, exact: int = EXACT) -> None:
    """Writes the vectors of all passages, in their order. Raises StorageError if there is no room."""
    faiss = _faiss()
    index = _empty(passages, embedder, exact)
    for batch in batches(passages, BATCH):
        index.add(embedder.passages([titled_text(passage) for passage in batch]))
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
    step = max(1, len(passages) // (lists * PER_LIST))  # from all over the corpus, because neighbours are alike
    index.train(embedder.passages([titled_text(passages[number]) for number in range(0, len(passages), step)]))
    return index


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ModelError("faiss-cpu", str(error), "pip install 'flame-ray[dense]'") from error
    return faiss
