"""Checkers: what the evidence says of facts. Each backend is a file; all take claims and give a verdict each.

lexical   words, names and numbers in common; no model
small     the lower half of SmolLM2-135M, trained here, together with `lexical`; in the worker's own process
nli       a cross-encoder's entailment, window by window; in the worker's own process
llm       a language model's True against False, a fact at a time; asks a verifier
whole     the same, a whole response at a time
cached    any of them, asked once for each (fact, evidence)
"""

from typing import TYPE_CHECKING

from flame_ray.rewards.factuality.check.base import Checker
from flame_ray.rewards.factuality.check.lexical import LexicalChecker

if TYPE_CHECKING:
    from flame_ray.config import FactualityConfig
    from flame_ray.rewards.verifier.protocol import Verifier

__all__ = ["Checker", "LexicalChecker", "make_checker"]


def make_checker(config: "FactualityConfig", verifier: "Verifier | None" = None) -> Checker:
    """The checker of the settings. `llm` and `whole` need a `verifier`. Raises ModelError.

    The lexical checker is faster than a disk: its verdicts are not kept.
    """
    if config.checker == "lexical":
        return LexicalChecker(config.threshold)
    from flame_ray.rewards.factuality.check.cached import CachedChecker, default_path

    checker = _read(config) if config.checker in ("small", "nli") else _asking(config, verifier)
    return CachedChecker(checker, default_path()) if config.cache else checker


def _asking(config: "FactualityConfig", verifier: "Verifier | None") -> Checker:
    from flame_ray.rewards.factuality.check.llm import LlmChecker
    from flame_ray.rewards.factuality.check.response_level import whole_checker

    assert verifier is not None  # controller/workers.py starts one for these settings
    return (whole_checker if config.checker == "whole" else LlmChecker)(verifier, config.threshold)


def _read(config: "FactualityConfig") -> Checker:
    """A model in this process."""
    return _small(config) if config.checker == "small" else _nli(config)


def _small(config: "FactualityConfig") -> Checker:
    from pathlib import Path

    from flame_ray.engines.finetuned import SmallModel
    from flame_ray.rewards.factuality.check.finetuned import SmallChecker

    model = SmallModel(Path(config.checker_model)) if config.checker_model else SmallModel()
    return SmallChecker(model, model.name, config.threshold)


def _nli(config: "FactualityConfig") -> Checker:
    from flame_ray.config import ModelConfig
    from flame_ray.engines.cross_encoder import CrossEncoder
    from flame_ray.engines.models import fingerprint, resolve_model
    from flame_ray.rewards.factuality.check.nli import NliChecker

    assert config.checker_model is not None  # the settings see to it
    folder = resolve_model(config.checker_model, ModelConfig(), "factuality.checker_model")
    return NliChecker(CrossEncoder(str(folder)), fingerprint(folder), config.threshold)
