"""The chat template of a model: which one, with which variables, what it makes of a chat, and how it ends an answer."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flame_ray.config import ModelConfig
from flame_ray.engines.model_files import SETTINGS, read_settings
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
    return tuple(_rendered(tokenizer, chat, variables, add_generation_prompt=opens, tokenize=True, return_dict=False))


def _rendered(tokenizer: Any, chat: Sequence[Mapping[str, str]], variables: Variables, **settings: Any) -> Any:
    try:
        return tokenizer.apply_chat_template(chat, **settings, **variables)
    except Exception as error:  # a template may divide by zero, call itself without end, and fail in many other ways
        fix = "correct it, or use another model"
        raise ModelError("a chat template that takes a user's turn and an answer", f"one that says: {error}", fix) from error


def check_says(tokenizer: Any, variables: Variables) -> None:
    """Raise ModelError for a template that leaves out what the user says: all prompts would be the same."""
    chats = ([{"role": "user", "content": text}] for text in ("Name a river.", "Where is Peru?"))
    if len({_rendered(tokenizer, chat, variables, add_generation_prompt=True, tokenize=False) for chat in chats}) == 1:
        found = "one that leaves it out"
        raise ModelError("a chat template that writes what the user says", found, "correct it, or use another model")


def end_ids(tokenizer: Any, folder: Path) -> frozenset[int]:
    """The tokens at which a sampler stops: the tokenizer's own, and those that the model's settings list.

    Some models list -1 for none. Raises ModelError, naming the file, for what is no list of tokens, and where the tokenizer has
    none of those that are listed.
    """
    files = [folder / name for name in SETTINGS if (folder / name).is_file()]
    listed = {id for file in files for id in _listed_ends(file)}
    if tokenizer.eos_token_id is not None:
        return frozenset(listed | {tokenizer.eos_token_id})
    if listed and min(listed) > (most := max(tokenizer.get_vocab().values())):
        expected = f"an eos_token_id of at most {most}, the tokenizer's last token"
        raise ModelError(expected, f"{sorted(listed)} in {folder}", "save the tokenizer beside the model that it belongs to")
    return frozenset(listed)


def _listed_ends(file: Path) -> list[int]:
    given = read_settings(file).get("eos_token_id")
    ids = given if isinstance(given, list) else [] if given is None else [given]
    if any(type(id) is not int for id in ids):
        fix = "write the token's number there, a list of numbers, or null"
        raise ModelError("eos_token_id as a whole number, or a list of them", f"{json.dumps(given):.80} in {file}", fix)
    return [id for id in ids if id >= 0]


def turn_end(tokenizer: Any, folder: Path, variables: Variables) -> int | None:
    """The token with which the template ends an answer and at which a sampler stops; the tokenizer's own if it writes none."""
    chat = [{"role": role, "content": "Hi"} for role in ("user", "assistant")]
    opened, whole = render_chat(tokenizer, chat[:1], variables), render_chat(tokenizer, chat, variables, opens=False)
    start = next((place for place, (a, b) in enumerate(zip(opened, whole, strict=False)) if a != b), len(opened))
    ends = end_ids(tokenizer, folder)
    return next((id for id in whole[start:] if id in ends), tokenizer.eos_token_id)


def model_with(fingerprint: str, variables: Variables, template: str | None = None) -> str:
    """Identifies a model as it is asked: another template or variable of it may give another answer.

    `template`: the text of the one that the settings name, if they name one.

    >>> model_with("1f", {}), model_with("1f", {"think": False}), len(model_with("1f", {}, "{{ messages }}"))
    ('1f', '1f {"think": false}', 67)
    """
    told = [json.dumps(dict(variables), sort_keys=True)] if variables else []
    return " ".join([fingerprint, *told, *([hashlib.sha256(template.encode()).hexdigest()] if template else [])])


def check_variables(tokenizer: Any, variables: Variables, setting: str) -> None:
    """Raise ModelError for a variable that the template nowhere names: it would change nothing."""
    template = str(tokenizer.chat_template)
    for name in variables:
        if not re.search(rf"\b{re.escape(name)}\b", template):
            fix = f"correct the name in {setting}, or leave it out"
            expected = f"variables in {setting} that the model's chat template reads"
            raise ModelError(expected, f"`{name}`, which it does not", fix)
