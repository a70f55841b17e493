"""Retrievers: the passages of a corpus that are nearest to a query. Each backend is a file.

Importing this imports neither bm25s (it brings numba, and vLLM 0.32 cannot start in a process that has imported that) nor
FAISS nor torch: what opens an index does.
"""

from flame_ray.rewards.factuality.retrieve.base import Reranker, Retriever
from flame_ray.rewards.factuality.retrieve.bm25 import Bm25Retriever
from flame_ray.rewards.factuality.retrieve.build import open_passages, open_reranker, open_retriever
from flame_ray.rewards.factuality.retrieve.fusion import FusionRetriever
from flame_ray.rewards.factuality.retrieve.rerank import CrossReranker

__all__ = [
    "Bm25Retriever",
    "CrossReranker",
    "FusionRetriever",
    "Reranker",
    "Retriever",
    "open_passages",
    "open_reranker",
    "open_retriever",
]
