"""What decides a model's memory: its shape, out of its config.json.

In: config.json as a mapping, and the headers of safetensors files. Out: a `ModelShape`. Reads no file, and knows of the
language models that are built like a Llama only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What decides memory in a model's config.json."""

    parameters: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    vocabulary: int


def model_shape(config: Mapping[str, Any], parameters: int | None = None) -> ModelShape:
    """Read config.json. Without a count of `parameters`, it is worked out (see `count_from_config`).

    Raises ValueError naming what is missing.
    """
    text = config.get("text_config", config)
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
    if missing := [name for name in names if not isinstance(text.get(name), int)]:
        raise ValueError(f"config.json has no whole number {', '.join(missing)}")
    hidden, layers, heads, intermediate, vocabulary = (text[name] for name in names)
    kv_heads = text.get("num_key_value_heads") or heads
    head_size = text.get("head_dim") or hidden // heads
    counted = parameters or count_from_config(text)
    return ModelShape(counted, hidden, layers, heads, kv_heads, head_size, intermediate, vocabulary)


def count_from_config(text: Mapping[str, Any]) -> int:
    """P of a dense Llama: V h for the embeddings and again for an untied head; a layer has its four attention projections
    (h a, 2 h k, a h; a and k: widths of all query and of all key heads), three of the MLP (3 h i) and two norms (2 h).

    Raises ValueError for a mixture of experts, whose count depends on its family.
    """
    if any(text.get(name) for name in ("num_experts", "num_local_experts", "n_routed_experts")):
        raise ValueError("a mixture of experts is counted from its safetensors only")
    h, heads = text["hidden_size"], text["num_attention_heads"]
    size = text.get("head_dim") or h // heads
    queries, keys = heads * size, (text.get("num_key_value_heads") or heads) * size
    layer = 2 * h * queries + 2 * h * keys + 3 * h * text["intermediate_size"] + 2 * h
    embeddings = text["vocab_size"] * h * (1 if text.get("tie_word_embeddings") else 2)
    return embeddings + text["num_hidden_layers"] * layer + h


def count_from_headers(headers: Iterable[Mapping[str, Any]]) -> int:
    """P as safetensors headers have it: the product of each tensor's shape, summed."""
    return sum(prod(tensor["shape"]) for header in headers for name, tensor in header.items() if name != "__metadata__")
