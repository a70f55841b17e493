"""Decides which texts need or carry facts, by logistic regression on the embeddings of labelled ones."""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from flame_ray.config import ClassifyConfig, FactualityConfig, PromptSource
from flame_ray.engines.embedder import Embedder, embedder_folder
from flame_ray.errors import DataError
from flame_ray.prompts.load import normal, prompts_of
from flame_ray.types import Prompt, Split

PENALTY = 0.1  # of the squared weights; a unit vector's components are small, so that a penalty of 1 would hold them near 0
SETTING, LABELS, SENTENCE_LABELS = "classify.embedder", "classify.labels", "factuality.sentence_labels"


class QueryEmbedder(Protocol):
    """Unit vectors of queries, float32 [N, D]."""

    def queries(self, texts: Sequence[str]) -> np.ndarray: ...


class EmbeddingClassifier:
    """P(needs facts) of instructions, or P(carries facts) of sentences.

    Training has one solution, so that it is the same in every process.
    """

    def __init__(self, embedder: QueryEmbedder, labelled: Sequence[Prompt]):
        self._embedder, self._labelled = embedder, labelled

    @cached_property
    def _model(self) -> Any:
        from sklearn.linear_model import LogisticRegression  # comes with sentence-transformers

        vectors_ND = self._embedder.queries([prompt.text for prompt in self._labelled])
        return LogisticRegression(C=1 / PENALTY, max_iter=1000).fit(vectors_ND, [prompt.label for prompt in self._labelled])

    def probabilities(self, texts: Sequence[str]) -> list[float]:
        """One for each text."""
        return self._model.predict_proba(self._embedder.queries(texts))[:, 1].tolist() if texts else []

    def was_trained_on(self, text: str) -> bool:
        return normal(text) in self._texts

    @cached_property
    def _texts(self) -> frozenset[str]:
        return frozenset(normal(prompt.text) for prompt in self._labelled)


def open_classifier(config: ClassifyConfig) -> EmbeddingClassifier:
    """The classifier of `classify.by: embedding`. Raises DataError and ModelError."""
    return EmbeddingClassifier(Embedder(config.embedder, setting=SETTING), labelled_prompts(config.labels))


def open_sentence_classifier(config: FactualityConfig) -> EmbeddingClassifier:
    """The classifier of `factuality.sentence_labels`. Raises DataError and ModelError."""
    return EmbeddingClassifier(Embedder(config.embedder), labelled_prompts(config.sentence_labels, SENTENCE_LABELS))


def check_classifier(config: ClassifyConfig) -> None:
    """Raises what `open_classifier` would, without loading a model: DataError, or ModelError if there is no embedder."""
    if config.by == "embedding":
        labelled_prompts(config.labels)
        embedder_folder(config.embedder, SETTING)


def check_sentence_labels(config: FactualityConfig) -> None:
    """Raises what `open_sentence_classifier` would, without loading a model; nothing where the settings name no labels."""
    if config.sentence_labels:
        labelled_prompts(config.sentence_labels, SENTENCE_LABELS)
        embedder_folder(config.embedder)


def labels_digest(labels: Sequence[PromptSource], setting: str = LABELS) -> str:
    """Changes whenever the texts or labels that a classifier learns from do. Raises DataError."""
    learned = json.dumps([(prompt.text, prompt.label) for prompt in labelled_prompts(labels, setting)])
    return hashlib.sha256(learned.encode()).hexdigest()


def labelled_prompts(labels: Sequence[PromptSource], setting: str = LABELS) -> tuple[Prompt, ...]:
    """The training texts of these sets. Raises DataError unless each has a label, and both labels occur."""
    found = [prompt for source in labels for prompt in prompts_of(source, setting) if prompt.split is Split.TRAIN]
    bare = [prompt.id for prompt in found if prompt.label is None]
    if bare:
        shown = f"{len(bare)} of {len(found)} without one, such as {bare[0]!r}"
        raise DataError(f"a label on every text of {setting}", shown, f"set label_column in {setting}")
    counts = [sum(prompt.label is label for prompt in found) for label in (True, False)]
    if not all(counts):
        shown = f"{counts[0]} with facts and {counts[1]} without, among those for training"
        raise DataError(f"texts of both labels in {setting}", shown, "add texts of the other label")
    return tuple(found)
