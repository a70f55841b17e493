"""Finds the passages of a corpus that are nearest to a query, by words (BM25), by meaning (FAISS), or by both.

Indexes that do not exist are built, and every process of a node shares them. Importing this imports neither bm25s (it brings
numba, and vLLM 0.32 cannot start in a process that has imported that) nor FAISS nor torch: opening an index does.
"""

from flame_ray.config import FactualityConfig
from flame_ray.engines.cross_encoder import CrossEncoder
from flame_ray.engines.embedder import Embedder, embedder_identity
from flame_ray.rewards.factuality.corpus import read_corpus, signature
from flame_ray.rewards.factuality.retrieve.arrow_files import FORMAT, Passages, write_passages
from flame_ray.rewards.factuality.retrieve.bm25 import Bm25Retriever, open_bm25
from flame_ray.rewards.factuality.retrieve.dense import DenseRetriever, open_dense
from flame_ray.rewards.factuality.retrieve.index import open_index
from flame_ray.rewards.factuality.retrieve.ranking import CrossReranker, FusionRetriever, Reranker, Retriever

__all__ = ["Bm25Retriever", "Reranker", "Retriever", "open_passages", "open_reranker", "open_retriever"]


def open_passages(config: FactualityConfig) -> Passages:
    """The corpus. Raises DataError if it cannot be read, StorageError if it cannot be stored."""
    source = (config.corpus, config.title_column, config.text_column)
    key = {**signature(*source), "passages_format": FORMAT}
    return Passages(open_index("passages", key, lambda folder: write_passages(read_corpus(*source), folder)))


def open_retriever(config: FactualityConfig, passages: Passages | None = None) -> Retriever:
    """The retriever that the settings name; `passages` is the corpus if it is already open. Also raises ModelError."""
    corpus = passages or open_passages(config)
    match config.retriever:
        case "bm25":
            return open_bm25(corpus)
        case "dense":
            return _open_dense(corpus, config.embedder)
        case "fusion":
            return FusionRetriever((open_bm25(corpus), _open_dense(corpus, config.embedder)))


def open_reranker(config: FactualityConfig) -> Reranker | None:
    """The re-ranker, or None if the settings name none. Raises ModelError."""
    return CrossReranker(CrossEncoder(config.reranker)) if config.reranker else None


def _open_dense(passages: Passages, embedder: str) -> DenseRetriever:
    return open_dense(passages, Embedder(embedder), embedder_identity(embedder))
