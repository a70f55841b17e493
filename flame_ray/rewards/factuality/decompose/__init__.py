"""Decomposers: they split a response into sentences, and these into atomic facts, each stated once. Each backend is a file.

rule            clauses and list items by rules, where each can stand alone, or whole sentences; no model
llm             a language model, asked about one sentence at a time
response_level  the response as one fact, for the checker that judges whole responses

`fact_based` leaves out the sentences that carry no factual knowledge, for either of the first two.
"""

from typing import TYPE_CHECKING

from flame_ray.rewards.factuality.decompose.base import Decomposer, skip_none
from flame_ray.rewards.factuality.decompose.rule import ResponseLevelDecomposer, RuleDecomposer, decompose
from flame_ray.rewards.factuality.decompose.sentences import sentences

if TYPE_CHECKING:
    from flame_ray.config import FactualityConfig
    from flame_ray.rewards.factuality.decompose.fact_based import SentenceClassifier
    from flame_ray.rewards.verifier.protocol import Verifier

__all__ = ["Decomposer", "RuleDecomposer", "decompose", "make_decomposer", "make_sentence_classifier", "sentences"]


def make_decomposer(config: "FactualityConfig", verifier: "Verifier | None" = None) -> Decomposer:
    """The decomposer that the settings name. `llm` needs a `verifier`, and so does `sentences: fact_based` without
    `sentence_labels`; the checker `whole` needs whole responses.
    """
    if config.checker == "whole":
        return ResponseLevelDecomposer()
    skips = make_sentence_classifier(config, verifier).skipped if config.sentences == "fact_based" else skip_none
    if config.decompose != "llm":
        return RuleDecomposer(config.decompose, skips)
    from flame_ray.rewards.factuality.decompose.llm import LlmDecomposer

    assert verifier is not None  # controller/workers.py starts one for these settings
    return LlmDecomposer(verifier, skips)


def make_sentence_classifier(config: "FactualityConfig", verifier: "Verifier | None") -> "SentenceClassifier":
    """The classifier of `factuality.sentences: fact_based`."""
    from flame_ray.prompts.classify import classification_cache
    from flame_ray.prompts.embedding_classifier import open_sentence_classifier
    from flame_ray.rewards.factuality.decompose.fact_based import CARRIES_FACTS, SentenceClassifier, by_verifier

    if config.sentence_labels:
        return SentenceClassifier(open_sentence_classifier(config).probabilities, config.sentence_threshold)
    assert verifier is not None  # controller/workers.py starts one for this setting
    known = classification_cache(verifier.model, CARRIES_FACTS) if config.cache else None
    return SentenceClassifier(by_verifier(verifier, known), config.sentence_threshold)
