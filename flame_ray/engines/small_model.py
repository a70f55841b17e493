"""The small checker's model: MiniLM read as a cross-encoder, of which the trained layers are ours and the rest its own.

In: pairs of claim and evidence. Out: a logit each, above 0 where the evidence supports the claim. The trained tensors are
one safetensors file in half precision, in a folder that `flame-ray train-checker` wrote.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flame_ray.engines.embedder import MINILM, embedder_folder
from flame_ray.errors import ModelError

WEIGHTS = "checker.safetensors"
FROZEN = ("embeddings", "encoder.layer.0.")  # of MiniLM, as they are: what is trained fits into 20 MB
MAX_LENGTH = 192


class SmallModel:
    """A `PairScorer` with one label. Raises ModelError where the weights are missing or not of this model."""

    labels = ("supported",)

    def __init__(self, folder: Path, batch: int = 32):
        path = folder / WEIGHTS
        if not path.is_file():
            fix = "name the folder that flame-ray train-checker wrote, in factuality.checker_model"
            raise ModelError("the small checker's weights", f"nothing at {path}", fix)
        self._tokenizer, self._model = load_base()
        _load(self._model, path)
        self._batch = batch
        with path.open("rb") as file:
            self.name = hashlib.file_digest(file, "sha256").hexdigest()[:16]

    def logits(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Float32 [N, 1], in the pairs' order."""
        return score_pairs(self._model, self._tokenizer, pairs, self._batch)[:, None]


def load_base(seed: int = 0) -> tuple[Any, Any]:
    """The tokenizer, and MiniLM with a new head of one logit, drawn by the seed. Raises ModelError."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    folder = embedder_folder(MINILM)
    logging.set_verbosity_error()  # that the head is new is meant
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, use_safetensors=True)
    return AutoTokenizer.from_pretrained(folder), model


def trained_tensors(model: Any) -> Iterator[tuple[str, Any]]:
    """The parameters that training moves, by name."""
    return ((name, each) for name, each in model.named_parameters() if not any(part in name for part in FROZEN))


def encode(tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> Any:
    claims, evidence = zip(*pairs, strict=True)
    return tokenizer(
        list(claims), list(evidence), truncation="longest_first", max_length=MAX_LENGTH, padding=True, return_tensors="pt"
    )


def score_pairs(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], batch: int = 32) -> np.ndarray:
    """Float32 [N]: a logit a pair. Pairs of like length go together."""
    import torch

    model.eval()
    scores = np.zeros(len(pairs), np.float32)
    order = sorted(range(len(pairs)), key=lambda index: sum(map(len, pairs[index])))
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            scores[places] = model(**encode(tokenizer, [pairs[index] for index in places])).logits[:, 0].float().numpy()
    return scores


def save(model: Any, folder: Path) -> None:
    """The trained tensors in half precision."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: each.detach().to(torch.float16).contiguous() for name, each in trained_tensors(model)}, folder / WEIGHTS)


def _load(model: Any, path: Path) -> None:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(path)
    except SafetensorError as error:
        raise ModelError("the small checker's weights", f"{path}: {error}", "install flame-ray again, or train one") from error
    wanted = dict(trained_tensors(model))
    if {name: each.shape for name, each in found.items()} != {name: each.shape for name, each in wanted.items()}:
        raise ModelError(f"weights of {MINILM}'s trained layers", f"other tensors in {path}", "train the checker again")
    with torch.no_grad():
        for name, each in wanted.items():
            each.copy_(found[name].float())
