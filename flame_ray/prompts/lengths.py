"""Finds the prompts of a run that a model has no room for: they are refused, or left out, before anything is placed."""

import logging
from dataclasses import replace
from pathlib import Path

from flame_ray.config import Config
from flame_ray.engines.chat_template import render_chat
from flame_ray.engines.models import check_prompts, load_tokenizer, named_prompts, overlong_prompts, prompt_limit
from flame_ray.engines.text_config import longest
from flame_ray.errors import ModelError
from flame_ray.prompts.classify import LEAST_ROOM, classification_messages
from flame_ray.prompts.load import LoadedPrompts, check_splits

log = logging.getLogger(__name__)
OVERLONG = "longer than model.max_length allows"


def fitting(loaded: LoadedPrompts, policy: Path, config: Config) -> LoadedPrompts:
    """The prompts that leave room for a response. Others are left out if `prompts.overlong` says so.

    Raises ModelError, naming them, if it does not, and DataError if too few are left. `policy` is the model's folder.
    """
    model, places, answer = config.model, loaded.places, config.longest_answer
    if config.prompts.overlong == "refuse":
        check_prompts(policy, loaded.prompts, model, answer, places)
        return loaded
    if not (overlong := overlong_prompts(policy, loaded.prompts, model, answer)):
        return loaded
    words = f"of more than {prompt_limit(policy, model, answer)} tokens are left out"
    log.warning("%d of %d prompts %s: %s", len(overlong), len(loaded.prompts), words, named_prompts(overlong, places))
    gone = {prompt.id for prompt, _ in overlong}
    kept = tuple(prompt for prompt in loaded.prompts if prompt.id not in gone)
    check_splits(kept, f", as {len(overlong)} {words} (prompts.overlong)")
    return replace(loaded, prompts=kept, left_out={**loaded.left_out, OVERLONG: len(overlong)})


def check_classification(judge: Path, config: Config) -> None:
    """Raise ModelError unless the question whether a prompt needs facts leaves room for some of the prompt."""
    tokenizer = load_tokenizer(judge, config.model)
    question = len(render_chat(tokenizer, classification_messages(""), config.judge_variables))
    if question + LEAST_ROOM >= (most := longest(judge, config.model)).tokens:
        raise ModelError(
            f"a judge that reads over {question + LEAST_ROOM} tokens: the question that classifies a prompt has {question}",
            str(most),
            f"{most.fix}, or set classify.by to label or embedding",
        )
