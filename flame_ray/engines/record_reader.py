"""Runs the model that reads a record once and then judges many statements about it.

It has the blocks of the fine-tuned checker's model and an adapter of its own. One sequence holds the record and then the
statements; each statement sees the record and itself, and its positions go on after the record's. So the record, which is much
longer than a statement, is read once for all of them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flame_ray.engines.finetuned import MODEL as PROSE_MODEL
from flame_ray.engines.finetuned import READ_AFTER, load_base, load_tensors, short_floats
from flame_ray.errors import ModelError
from flame_ray.storage.atomic import sha256_of

WEIGHTS = "records.safetensors"
MODEL = f"records: {PROSE_MODEL}"
LABELS = ("supported", "contradicted")
RECORD_TOKENS, STATEMENT_TOKENS = 900, 140
MOST_TOGETHER = 40  # statements of a sequence: attention costs the square of its length


class RecordClassifier(nn.Module):
    """The blocks, and a head with a logit for each label."""

    def __init__(self, blocks: Any, width: int):
        super().__init__()
        self.blocks = blocks
        self.head = nn.Linear(len(READ_AFTER) * width, len(LABELS))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, record: Sequence[int], statements: Sequence[Sequence[int]]) -> Tensor:
        """Logits [N, 2] of N statements on a record, all as token ids."""
        positions_T, seen_TT, last_N = layout(len(record), [len(each) for each in statements])
        ids_T = torch.tensor([*record, *(token for each in statements for token in each)])
        states = self.blocks(
            input_ids=ids_T[None],
            position_ids=positions_T[None],
            attention_mask=seen_TT[None, None],
            use_cache=False,
            output_hidden_states=True,
        ).hidden_states
        return self.read([states[block] for block in READ_AFTER], last_N)

    def read(self, states: Sequence[Tensor], last_N: Tensor) -> Tensor:
        """Logits [N, 2] from the states [1, T, width] of the blocks that are read, at the statements' last tokens."""
        last = torch.stack([each[0, last_N].float() for each in states], dim=1)
        scaled = last * torch.rsqrt(last.square().mean(-1, keepdim=True) + 1e-6)
        with torch.autocast("cpu", enabled=False):
            logits: Tensor = self.head(scaled.flatten(1))
        return logits


class RecordReader:
    """A `RecordScorer` whose weights are in `folder`; `name` identifies them. Raises ModelError."""

    def __init__(self, folder: Path):
        path = folder / WEIGHTS
        if not path.is_file():
            fix = "set factuality.checker_model to the folder that flame-ray train-checker wrote"
            raise ModelError("weights of the record reader", f"nothing at {path}", fix)
        self._tokenizer, self._model = load_reader()
        load_tensors(dict(trained_tensors(self._model)), path, MODEL)
        self._model.blocks = self._model.blocks.merge_and_unload()
        self._model.eval()
        self.name = sha256_of(path)[:16]

    def logits(self, record: str, statements: Sequence[str]) -> np.ndarray:
        record_ids, ids = encode(self._tokenizer, record, statements)
        parts = []
        with torch.inference_mode(), short_floats():
            for start in range(0, len(ids), MOST_TOGETHER):
                parts.append(self._model(record_ids, ids[start : start + MOST_TOGETHER]).float().numpy())
        return np.concatenate(parts) if parts else np.zeros((0, len(LABELS)), np.float32)


def load_reader(seed: int = 0) -> tuple[Any, RecordClassifier]:
    """The tokenizer, and the model with a new adapter that the seed draws and that changes nothing yet. Raises ModelError."""
    tokenizer, base = load_base(seed)
    return tokenizer, RecordClassifier(base.blocks, base.head.in_features // len(READ_AFTER))


def trained_tensors(model: RecordClassifier) -> Iterator[tuple[str, Tensor]]:
    """The parameters that training changes, by name."""
    return ((name, each) for name, each in model.named_parameters() if ".lora_" in name or not name.startswith("blocks."))


def encode(tokenizer: Any, record: str, statements: Sequence[str]) -> tuple[list[int], list[list[int]]]:
    """Token ids of the record and of each statement, truncated to their limits; a statement keeps its end."""
    record_ids = tokenizer(f"Text: {record}\n").input_ids[:RECORD_TOKENS]
    return record_ids, [tokenizer(each).input_ids[-STATEMENT_TOKENS:] for each in statements]


def layout(record: int, statements: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Positions [T], who sees whom [T, T], and the places [N] of the last tokens, for a record and N statements of lengths.

    >>> positions_T, seen_TT, last_N = layout(2, [1, 2])
    >>> positions_T.tolist(), last_N.tolist()
    ([0, 1, 2, 2, 3], [2, 4])
    >>> seen_TT.int().tolist()
    [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [1, 1, 0, 1, 1]]
    """
    lengths = torch.tensor([record, *statements])
    segments_T = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    positions = [*range(record), *(record + place for length in statements for place in range(length))]
    seen_TT = torch.ones(len(positions), len(positions), dtype=torch.bool).tril()
    seen_TT &= (segments_T == segments_T[:, None]) | (segments_T == 0)
    return torch.tensor(positions), seen_TT, lengths.cumsum(0)[1:] - 1
