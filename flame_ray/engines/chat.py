"""Turns instructions and answers into token ids without an engine, as vLLM's engine renders and samples them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flame_ray.config import ModelConfig
from flame_ray.engines.chat_template import check_variables, render_chat
from flame_ray.engines.models import load_tokenizer
from flame_ray.engines.vllm_engine import special_tokens, spelled_apart
from flame_ray.errors import ModelError


class ChatTokenizer:
    """A model's tokenizer with its chat template. An answer ends with the token that ends the assistant's turn.

    A sampler stops at that token. Of several end-of-text tokens it is the one that the template writes after an answer.
    Special tokens that a text spells out stay text. Raises ModelError for a model without a template or such a token, and for
    variables that the template does not read.
    """

    def __init__(self, folder: Path, config: ModelConfig):
        self._tokenizer = load_tokenizer(folder, config)
        self._special, self._variables = special_tokens(self._tokenizer), config.chat_template_kwargs
        check_variables(self._tokenizer, self._variables, "model.chat_template_kwargs")
        self._end = self._turn_end(_end_ids(self._tokenizer, folder), folder)

    def prompt(self, text: str) -> tuple[int, ...]:
        """The chat up to the beginning of the assistant's turn."""
        return self._rendered([("user", spelled_apart(text, self._special))], True)

    def answer(self, text: str) -> tuple[int, ...]:
        """The answer after that, as a sampler would write it."""
        words = spelled_apart(text.strip(), self._special)
        return (*self._tokenizer.encode(words, add_special_tokens=False), self._end)

    def length(self, text: str) -> int:
        """Tokens of plain text that opens a document."""
        return len(self._tokenizer.encode(spelled_apart(text, self._special), add_special_tokens=True))

    def _turn_end(self, ends: Iterable[int], folder: Path) -> int:
        chat = [("user", "Hi"), ("assistant", "Hi")]
        begun, whole = self._rendered(chat[:1], True), self._rendered(chat, False)
        written = [id for id in whole[len(begun) :] if id in ends] if whole[: len(begun)] == begun else []
        end = written[0] if written else self._tokenizer.eos_token_id
        if end is None:
            fix = "add `eos_token` to tokenizer_config.json"
            raise ModelError("a model with an end-of-text token", f"none in {folder}", fix)
        return int(end)

    def _rendered(self, turns: Iterable[tuple[str, str]], opens: bool) -> tuple[int, ...]:
        chat = [{"role": role, "content": text} for role, text in turns]
        return render_chat(self._tokenizer, chat, self._variables, opens)


def _end_ids(tokenizer: Any, folder: Path) -> set[int]:
    """The tokens at which a sampler stops: the tokenizer's, and those that the model's generation settings list."""
    path = folder / "generation_config.json"
    listed = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") if path.is_file() else None
    ends = [tokenizer.eos_token_id, *(listed if isinstance(listed, list) else [listed])]
    return {id for id in ends if id is not None}
