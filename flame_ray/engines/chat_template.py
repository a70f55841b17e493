"""The chat template of a model: which one, with which variables, and what it makes of a chat."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flame_ray.config import ModelConfig
from flame_ray.errors import ModelError
from flame_ray.storage.text_files import reason

PLAIN_TEMPLATE = (  # a line of its own names who speaks, and the end-of-text token ends an answer
    "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>\n{{ message.content }}"
    "{{ eos_token if message.role == 'assistant' }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
Variables = Mapping[str, Any]  # what a job gives to the template, such as `enable_thinking`, by name


def chat_template(config: ModelConfig) -> str | None:
    """The text of `model.chat_template`. Raises ModelError if it names no file."""
    if config.chat_template in (None, "plain"):
        return PLAIN_TEMPLATE if config.chat_template else None
    try:
        return Path(str(config.chat_template)).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        found = f"{config.chat_template}: {reason(error)}"
        raise ModelError("`plain`, or a file in Jinja, at model.chat_template", found, "correct the path") from error


def render_chat(tokenizer: Any, chat: Sequence[Mapping[str, str]], variables: Variables, opens: bool = True) -> tuple[int, ...]:
    """The token ids of a chat; `opens`: up to the beginning of the assistant's next turn.

    Raises ModelError, with the template's own words, if the template refuses the chat.
    """
    from jinja2 import TemplateError  # transformers brings it, and imports it when it renders

    settings: dict[str, Any] = {"add_generation_prompt": opens, "tokenize": True, "return_dict": False}
    try:
        return tuple(tokenizer.apply_chat_template(chat, **settings, **variables))
    except (TemplateError, TypeError) as error:  # the second: it joins what does not go together
        fix = "correct it, or use another model"
        raise ModelError("a chat template that takes a user's turn and an answer", f"one that says: {error}", fix) from error


def model_with(fingerprint: str, variables: Variables) -> str:
    """Identifies a model as it is asked: another variable of its template may give another answer."""
    return f"{fingerprint} {json.dumps(dict(variables), sort_keys=True)}" if variables else fingerprint


def check_variables(tokenizer: Any, variables: Variables, setting: str) -> None:
    """Raise ModelError for a variable that the template nowhere names: it would change nothing."""
    template = str(tokenizer.chat_template)
    for name in variables:
        if not re.search(rf"\b{re.escape(name)}\b", template):
            fix = f"correct the name in {setting}, or leave it out"
            expected = f"variables in {setting} that the model's chat template reads"
            raise ModelError(expected, f"`{name}`, which it does not", fix)
