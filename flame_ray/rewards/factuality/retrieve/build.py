"""What the settings ask for, opened: the corpus, a retriever of it, a re-ranker. Indexes that are missing are made.

In: the factuality settings. Out: stages that share their files with every other process of the node.
"""

from flame_ray.config import FactualityConfig
from flame_ray.engines.cross_encoder import CrossEncoder
from flame_ray.engines.embedder import Embedder, embedder_identity
from flame_ray.rewards.factuality.corpus import read_corpus, signature
from flame_ray.rewards.factuality.retrieve.base import Reranker, Retriever
from flame_ray.rewards.factuality.retrieve.bm25 import open_bm25
from flame_ray.rewards.factuality.retrieve.dense import DenseRetriever, open_dense
from flame_ray.rewards.factuality.retrieve.fusion import FusionRetriever
from flame_ray.rewards.factuality.retrieve.index import open_index
from flame_ray.rewards.factuality.retrieve.passages import FORMAT, Passages, write_passages
from flame_ray.rewards.factuality.retrieve.rerank import CrossReranker


def open_passages(config: FactualityConfig) -> Passages:
    """The corpus. Raises DataError if it cannot be read, StorageError if it cannot be kept."""
    source = (config.corpus, config.title_column, config.text_column)
    key = {**signature(*source), "passages_format": FORMAT}
    return Passages(open_index("passages", key, lambda folder: write_passages(read_corpus(*source), folder)))


def open_retriever(config: FactualityConfig, passages: Passages | None = None) -> Retriever:
    """The retriever that the settings name. `passages`: the corpus, where it is open already. Raises ModelError too."""
    corpus = passages or open_passages(config)
    if config.retriever == "bm25":
        return open_bm25(corpus)
    if config.retriever == "dense":
        return _open_dense(corpus, config.embedder)
    return FusionRetriever((open_bm25(corpus), _open_dense(corpus, config.embedder)))


def open_reranker(config: FactualityConfig) -> Reranker | None:
    """None where the settings name none. Raises ModelError."""
    return CrossReranker(CrossEncoder(config.reranker)) if config.reranker else None


def _open_dense(passages: Passages, embedder: str) -> DenseRetriever:
    return open_dense(passages, Embedder(embedder), embedder_identity(embedder))
