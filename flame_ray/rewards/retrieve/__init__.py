"""Retrievers: the passages of a corpus that are nearest to a query. Each backend is a file."""

from flame_ray.rewards.retrieve.base import Retriever
from flame_ray.rewards.retrieve.bm25 import Bm25Retriever

__all__ = ["Bm25Retriever", "Retriever"]
