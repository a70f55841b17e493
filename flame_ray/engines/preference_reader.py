"""Runs the model that reads an instruction once for all responses to it, and says how helpful people would find each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flame_ray.engines.chat_template import render_chat
from flame_ray.engines.models import JUDGE_WEIGHTS
from flame_ray.engines.prefix_reader import PrefixReader, ReaderKind
from flame_ray.engines.vllm_engine import special_tokens, spelled_apart

PREFERENCES = ReaderKind("preferences", JUDGE_WEIGHTS, outputs=1, adapted=range(8, 16))
INSTRUCTION_TOKENS, RESPONSE_TOKENS = 500, 300


class PreferenceReader(PrefixReader):
    """A `ResponseScorer` whose weights are in `folder`; `name` identifies them. Raises ModelError."""

    def __init__(self, folder: Path):
        super().__init__(folder, PREFERENCES, "set judge.preferences to the folder that flame-ray train-judge wrote")

    def scores(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[np.ndarray]:
        encoded = [encode(self.tokenizer, *each) for each in asked]
        return [logits[:, 0] for logits in self.logits_of_each(encoded, keep=False)]


def encode(tokenizer: Any, instruction: str, responses: Sequence[str]) -> tuple[list[int], list[list[int]]]:
    """Token ids of the chat up to the response, and of each response with the end of its turn, truncated to their limits.

    An instruction keeps its end, and a response its beginning.
    """
    special = special_tokens(tokenizer)
    chat = [{"role": "user", "content": spelled_apart(instruction, special)}]
    prefix = list(render_chat(tokenizer, chat, variables={}))  # it reads the built-in model's own template
    texts = [spelled_apart(each, special) + tokenizer.eos_token for each in responses]
    return prefix[-INSTRUCTION_TOKENS:], [
        tokenizer(each, add_special_tokens=False).input_ids[:RESPONSE_TOKENS] for each in texts
    ]
