"""Judges whether evidence supports a fact. Each checker is a file; the first word here is its `factuality.checker` setting.

lexical   shared words, names and numbers; no model (lexical.py)
small     the lower half of SmolLM2-135M, fine-tuned here, together with `lexical`; in the worker's process (finetuned.py)
          What a field of a country's record decides, rules decide (record_rules/).
nli       entailment by a cross-encoder; in the worker's process (nli.py)
llm       a language model's probability of True against False, for one fact at a time; asks a verifier (llm.py)
whole     the same for a whole response at a time (llm.py)

cached.py wraps any of them and remembers its verdicts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from flame_ray.config import FactualityConfig, ModelConfig
from flame_ray.errors import ConfigError
from flame_ray.rewards.factuality.check.lexical import LexicalChecker
from flame_ray.rewards.verifier.protocol import Verifier
from flame_ray.types import Claim, Verdict

__all__ = ["Checker", "LexicalChecker", "make_checker"]


class Checker(Protocol):
    """Judges facts on evidence. A fact is SUPPORTED when its score reaches `threshold`.

    `identity` names everything that a verdict depends on, except the fact and its evidence: backend, model, version and
    threshold. Cached verdicts of one identity are never read by another.
    """

    threshold: float

    @property
    def identity(self) -> str: ...

    def check(self, claims: Sequence[Claim]) -> tuple[Verdict, ...]:
        """One verdict per claim, in order. A claim on which the model fails is ERROR, and the others keep their verdicts."""
        ...


def make_checker(config: FactualityConfig, verifier: Verifier | None = None) -> Checker:
    """The checker that the settings name; `llm` and `whole` need a `verifier`. Raises ConfigError and ModelError.

    Verdicts of the lexical checker are not cached, because it is faster than a disk.
    """
    from flame_ray.rewards.factuality.check.cached import CachedChecker, default_path

    checker: Checker
    match config.checker:
        case "lexical":
            return LexicalChecker(config.threshold)
        case "small":
            checker = _finetuned(config)
        case "nli":
            checker = _nli(config)
        case "llm" | "whole" as name:
            if verifier is None:
                raise ConfigError(f"a verifier for factuality.checker={name}", "none", "start one, or set another checker")
            from flame_ray.rewards.factuality.check.llm import TEMPLATES, LlmChecker

            checker = LlmChecker(verifier, config.threshold, TEMPLATES[name])
    return CachedChecker(checker, default_path()) if config.cache else checker


def rules_version(config: FactualityConfig) -> str:
    """Names the checker, and changes when newer code may give other verdicts with the same model."""
    from flame_ray.rewards.factuality.check import finetuned, lexical, nli

    versions = {"small": [finetuned.VERSION, lexical.VERSION], "nli": [nli.VERSION], "lexical": [lexical.VERSION]}
    return "/".join([config.checker, *map(str, versions.get(config.checker, []))])


def _finetuned(config: FactualityConfig) -> Checker:
    from flame_ray.engines.finetuned import FinetunedModel
    from flame_ray.engines.record_reader import RECORDS, RecordReader
    from flame_ray.rewards.factuality.check.finetuned import SHIPPED, FinetunedChecker

    folder = Path(config.checker_model).expanduser() if config.checker_model else SHIPPED
    model = FinetunedModel(folder)
    reader = RecordReader(folder) if (folder / RECORDS.weights).is_file() else None
    return FinetunedChecker(model, f"{model.name}/{reader.name if reader else None}", config.threshold, reader)


def _nli(config: FactualityConfig) -> Checker:
    from flame_ray.engines.cross_encoder import CrossEncoder
    from flame_ray.engines.models import fingerprint, resolve_model
    from flame_ray.rewards.factuality.check.nli import NliChecker

    if config.checker_model is None:
        fix = "name a cross-encoder's folder or hub id"
        raise ConfigError("factuality.checker_model for factuality.checker=nli", "none", fix)
    folder = resolve_model(config.checker_model, ModelConfig(), "factuality.checker_model")
    return NliChecker(CrossEncoder(str(folder)), fingerprint(folder), config.threshold)
