"""Decomposers: they split a response into sentences, and these into atomic facts, each stated once. Each backend is a file.

rule            clauses and list items by rules, where each can stand alone, or whole sentences; no model
llm             a language model, asked about one sentence at a time
response_level  the response as one fact, for the checker that judges whole responses
"""

from typing import TYPE_CHECKING

from flame_ray.rewards.factuality.decompose.base import Decomposer
from flame_ray.rewards.factuality.decompose.rule import ResponseLevelDecomposer, RuleDecomposer, decompose
from flame_ray.rewards.factuality.decompose.sentences import sentences

if TYPE_CHECKING:
    from flame_ray.config import FactualityConfig
    from flame_ray.rewards.verifier.protocol import Verifier

__all__ = ["Decomposer", "RuleDecomposer", "decompose", "make_decomposer", "sentences"]


def make_decomposer(config: "FactualityConfig", verifier: "Verifier | None" = None) -> Decomposer:
    """The decomposer that the settings name. `llm` needs a `verifier`; the checker `whole` needs whole responses."""
    if config.checker == "whole":
        return ResponseLevelDecomposer()
    if config.decompose != "llm":
        return RuleDecomposer(config.decompose)
    from flame_ray.rewards.factuality.decompose.llm import LlmDecomposer

    assert verifier is not None  # controller/workers.py starts one for these settings
    return LlmDecomposer(verifier)
