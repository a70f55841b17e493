"""Turns instructions and answers into token ids without an engine, as vLLM's engine renders and samples them."""

from pathlib import Path

from flame_ray.config import ModelConfig
from flame_ray.engines.chat_template import check_variables, render_chat, turn_end
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
        end = turn_end(self._tokenizer, folder, self._variables)
        if end is None:
            fix = "add `eos_token` to tokenizer_config.json"
            raise ModelError("a model with an end-of-text token", f"none in {folder}", fix)
        self._end = end

    def prompt(self, text: str) -> tuple[int, ...]:
        """The chat up to the beginning of the assistant's turn."""
        chat = [{"role": "user", "content": spelled_apart(text, self._special)}]
        return render_chat(self._tokenizer, chat, self._variables)

    def answer(self, text: str) -> tuple[int, ...]:
        """The answer after that, as a sampler would write it."""
        words = spelled_apart(text.strip(), self._special)
        return (*self._tokenizer.encode(words, add_special_tokens=False), self._end)

    def length(self, text: str) -> int:
        """Tokens of plain text that opens a document."""
        return len(self._tokenizer.encode(spelled_apart(text, self._special), add_special_tokens=True))
