"""Decides which instructions need facts, as `classify.by` says: by label, by embedding, or by asking a language model."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Protocol

from flame_ray.config import ClassifyConfig
from flame_ray.prompts.classify import decide, decide_by_label
from flame_ray.prompts.embedding_classifier import open_classifier
from flame_ray.types import Prompt

Prompts = Sequence[Prompt]


class Embedded(Protocol):
    def probabilities(self, texts: Sequence[str]) -> Sequence[float]:
        """P(needs facts) of each text."""
        ...


class InstructionClassifier:
    """`ask` decides by a language model. `open` trains the classifier of embeddings, once and only if it is needed."""

    def __init__(
        self,
        config: ClassifyConfig,
        ask: Callable[[Prompts], Prompts],
        open: Callable[[ClassifyConfig], Embedded] = open_classifier,
    ):
        self._config, self._ask, self._open = config, ask, open

    def classify(self, prompts_P: Prompts) -> Prompts:
        """Each prompt with `fact_based`. Raises DataError if labels are to decide and a prompt has none."""
        match self._config.by:
            case "label":
                return decide_by_label(prompts_P)
            case "embedding":
                found = self._embedded.probabilities([prompt.text for prompt in prompts_P])
                return decide(prompts_P, found, self._config.threshold)
            case "model":
                return self._ask(prompts_P)

    @cached_property
    def _embedded(self) -> Embedded:
        return self._open(self._config)


def check_labels(config: ClassifyConfig, prompts_P: Prompts) -> None:
    """Raises DataError if labels are to decide and a prompt has none, before anything is placed."""
    if config.by == "label":
        decide_by_label(prompts_P)
