"""What the project asks of an engine that samples and scores (vLLM), and of an embedder. batch.py describes what trains.

Every token id here is of the model's own tokenizer; nothing is tokenized twice.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from flame_ray.storage.local_copy import Folder

EAGER_COLUMNS = 256  # of a learner's rows for which transformers' own attention is faster than SDPA on a CPU; not for a Llama


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One text to sample after `prompt_token_ids`. `temperature` 0 is greedy; `top_k` 0 is off. The text ends before any of
    `stop`, whose tokens the sample still has.

    With `json_schema` the text is JSON of this schema, or the beginning of it if `max_tokens` cut it.
    """

    prompt_token_ids: tuple[int, ...]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    json_schema: str | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """What the engine sampled; `finish_reason` is "stop" or "length"."""

    text: str
    token_ids: tuple[int, ...]
    finish_reason: str


@dataclass(frozen=True, slots=True)
class Continuation:
    """A fixed text, to score or to train on: `token_ids` after `prompt_token_ids`."""

    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chunks:
    """Weights in the Ray object store: references, each to a `WeightArrays`."""

    references: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A whole model's safetensors on storage that every node sees."""

    path: str


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A round's folder on storage, for a worker that joins after the push: a whole model, or an adapter that the engine merges
    into its initial model, as a learner in `adapter_dtype` does.
    """

    folder: Folder
    adapter_dtype: str | None = None


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """A PEFT adapter on storage that every node sees; the engine keeps its initial weights and adds this."""

    path: str


@dataclass(frozen=True, slots=True)
class Received:
    """The learner has sent the weights straight into the engine: nothing is left to load."""


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """Where the learner's first rank and the ranks of the engines meet; `worker_ranks` has the number of each engine."""

    host: str
    port: int
    worker_ranks: tuple[int, ...]


Weights = Chunks | ModelFolder | StoredModel | AdapterFolder | Received
Message = Mapping[str, str]


class TextEngine(Protocol):
    """A model that samples and scores; `weight_version` names the weights that it holds, `ranks` counts its GPUs.

    `max_length` is the most tokens that a prompt and its answer have together.
    """

    weight_version: int
    ranks: int
    max_length: int

    def render(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Token ids of a chat, up to the beginning of the assistant's turn. Special tokens spelled out in a text stay text."""
        ...

    def encode(self, text: str, opens: bool = False) -> tuple[int, ...]:
        """Token ids of plain text. Special tokens spelled out in it stay text. `opens`: it is the beginning of a document, and
        gets the token that the model knows such a beginning by, if there is one.
        """
        ...

    def sample(self, requests: Sequence[SampleRequest]) -> Iterator[tuple[int, Sample]]:
        """Each request's position and sample, as soon as the sample is finished. Nothing else may be sampled meanwhile."""
        ...

    def add(self, key: int, request: SampleRequest) -> None:
        """Queue a request beside those that run. `key` is one that none of them has."""
        ...

    def step(self) -> list[tuple[int, Sample]]:
        """Draw the next token of each running request. Returns those that are finished now, with their keys."""
        ...

    def abort(self, keys: Iterable[int]) -> None:
        """Drop requests that were added."""
        ...

    def logprobs(self, continuations: Sequence[Continuation]) -> list[tuple[float, ...]]:
        """Natural log-probability of each continuation's tokens."""
        ...

    def choices(self, prompts: Sequence[tuple[int, ...]], token_ids: tuple[int, ...]) -> list[tuple[float, ...]]:
        """For each prompt, the log-probability of each of `token_ids` as its next token."""
        ...

    def load_weights(self, weights: Weights, version: int) -> None:
        """Use these weights from now on, drop cached state, and set the version."""
        ...

    def transfer(self, step: str, arguments: Mapping[str, Any]) -> None:
        """One step of an update that the learner drives; `load_weights` with `Received` ends it."""
        ...

    def sleep(self, level: int) -> None:
        """Free the GPU: level 1 keeps the weights in the machine's memory, level 2 drops them."""
        ...

    def wake(self, part: str) -> None:
        """Restore `weights` or `kv_cache`; sampling and scoring need both. Does nothing if the engine is awake."""
        ...


class TextEmbedder(Protocol):
    """Unit vectors of `width` D: of queries and of passages, float32 [N, D]."""

    width: int

    def queries(self, texts: Sequence[str]) -> np.ndarray: ...

    def passages(self, texts: Sequence[str]) -> np.ndarray: ...


def probability_of_yes(yes_logprob: float, no_logprob: float) -> float:
    """P(yes) if yes and no are the only two answers: the probability of other tokens is left out.

    Raises ValueError if the two log-probabilities (see `TextEngine.choices`) cannot be compared.

    >>> probability_of_yes(-1.0, -1.0)
    0.5
    """
    difference = no_logprob - yes_logprob
    if math.isnan(difference):
        raise ValueError(f"log-probabilities of yes and no that can be compared, not {yes_logprob} and {no_logprob}")
    return 1 / (1 + math.exp(difference)) if difference < 700 else 0.0  # exp overflows; the result rounds to 0 there
