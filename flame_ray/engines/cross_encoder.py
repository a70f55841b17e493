"""Runs a model that reads two texts together and scores how they relate, such as a re-ranker or an entailment model.

Any sequence-classification model with safetensors works, by hub id or folder. The model's own code is never run.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError

from flame_ray.config import ModelConfig
from flame_ray.engines.model_files import read_settings
from flame_ray.engines.models import resolve_model
from flame_ray.errors import ModelError

HEAD = "ForSequenceClassification"


class PairScorer(Protocol):
    """A model that reads pairs of texts. `labels` [L] are in the order of its logits; what they mean is the model's own."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def logits(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Float [N, L] for N pairs, in their order."""
        ...


class RecordScorer(Protocol):
    """A model that judges statements on records."""

    def logits(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[np.ndarray]:
        """For each record with its N statements, float32 [N, 3]. Above 0: the record supports it; the record contradicts it;
        it says nothing.
        """
        ...


class CrossEncoder:
    """A `PairScorer` of any sequence-classification model.

    A pair longer than `max_length` tokens (None: the model's own limit) is truncated, its longer text first. Raises ModelError.
    """

    def __init__(self, model: str, max_length: int | None = None, batch: int = 32):
        folder = resolve_model(model, ModelConfig(), "the cross-encoder")
        self.labels: tuple[str, ...] = _labels(folder)
        self._model, self._batch, self._name = _load(folder, max_length), batch, model

    def logits(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Float32 [N, L] for N pairs, in their order. Raises ModelError if a logit is not finite."""
        from torch.nn import Identity

        if not pairs:
            return np.zeros((0, len(self.labels)), np.float32)
        found = self._model.predict(
            list(pairs), batch_size=self._batch, activation_fn=Identity(), convert_to_numpy=True, show_progress_bar=False
        )
        logits = np.asarray(found, np.float32).reshape(len(pairs), len(self.labels))
        if not np.isfinite(logits).all():
            raise ModelError("finite logits", f"NaN or infinity from {self._name}", "use other weights: these are damaged")
        return logits


def _load(folder: Path, max_length: int | None) -> Any:
    try:
        from sentence_transformers import CrossEncoder as Model
    except ImportError as error:
        raise ModelError("sentence-transformers", str(error), "pip install 'flame-ray[dense]'") from error
    try:
        return Model(
            str(folder),
            max_length=max_length,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"a cross-encoder in {folder}", str(error), "save the model and its tokenizer again") from error


def _labels(folder: Path) -> tuple[str, ...]:
    """The model's labels. A model without a trained head is refused: transformers would only warn and add a random one."""
    config = read_settings(folder / "config.json")
    kinds = config.get("architectures") or []
    if not any(kind.endswith(HEAD) for kind in kinds):
        fix = "name a cross-encoder: an embedding model has no head that compares two texts"
        raise ModelError(f"a model of kind ...{HEAD}", f"{', '.join(kinds) or 'none'} in {folder}", fix)
    names = config.get("id2label") or {str(i): f"LABEL_{i}" for i in range(config.get("num_labels", 2))}
    return tuple(names[key] for key in sorted(names, key=int))
