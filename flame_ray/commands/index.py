"""`flame-ray index`: builds the index of a corpus on this machine, so that actors find it ready."""

from flame_ray.config import FactualityConfig
from flame_ray.rewards.factuality.retrieve import open_passages, open_retriever
from flame_ray.storage.cache import cache_dir


def build_index(config: FactualityConfig) -> str:
    """Build what is not there yet, and say what it holds and where it is."""
    passages = open_passages(config)
    open_retriever(config, passages)
    return f"{len(passages)} passages of {config.corpus}, indexed for {config.retriever} in {cache_dir() / 'indexes'}"
