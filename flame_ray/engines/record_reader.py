"""Runs the model that reads a record once and then judges many statements about it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flame_ray.engines.prefix_reader import PrefixReader, ReaderKind

RECORDS = ReaderKind("records", "records.safetensors", outputs=3, adapted=range(6, 16))
RECORD_TOKENS, STATEMENT_TOKENS = 900, 140


class RecordReader(PrefixReader):
    """A `RecordScorer` whose weights are in `folder`; `name` identifies them. Raises ModelError."""

    def __init__(self, folder: Path):
        super().__init__(folder, RECORDS, "set factuality.checker_model to the folder that flame-ray train-checker wrote")

    def logits(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[np.ndarray]:
        return self.logits_of_each([encode(self.tokenizer, *each) for each in asked], keep=True)


def encode(tokenizer: Any, record: str, statements: Sequence[str]) -> tuple[list[int], list[list[int]]]:
    """Token ids of the record and of each statement, truncated to their limits; a statement keeps its end."""
    record_ids = tokenizer(f"Text: {record}\n").input_ids[:RECORD_TOKENS]
    return record_ids, [tokenizer(each).input_ids[-STATEMENT_TOKENS:] for each in statements]
