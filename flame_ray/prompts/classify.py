"""Which instructions need facts (FLAME, section 4.1): the question to the model, and what its answer means.

In: an instruction, or the log-probabilities of the two answers. Out: chat messages, P(yes), decided prompts. Knows
nothing of how a model is run: the caller renders the messages with the chat template, asks for the next assistant
token and reads the log-probabilities of the first tokens of `YES` and `NO`.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from flame_ray.errors import DataError
from flame_ray.types import Prompt

# The answers' first tokens are "Knowledge" and "Creat" in SmolLM2's vocabulary. A model of 135M parameters separates these
# words by what the instruction asks for; "Yes" and "No" it gives by the shape of the sentence.
YES, NO = "Knowledge", "Creativity"

QUESTION = "Does this ask for knowledge or creativity?"

# Turns of a conversation: a small model follows these far better than the same demonstrations inside one message. Their
# order and number matter to it: these put its decision boundary near P(yes) = 0.5, as measured on prompts of this project.
# The prefix is the same for every instruction, so that an engine with a prefix cache reads it once.
DEMONSTRATIONS = (
    ("Explain how vaccines work.", YES),
    ('Rewrite this sentence politely: "Give me the salt."', NO),
    ("Is it nicer to walk or to ride a bike? Tell me what you think.", NO),
    ("Make up a story about a talking spoon in two sentences.", NO),
    ("Tell me about the history of the Olympic Games.", YES),
    ("Can you explain how magnets work?", YES),
    ("Which river runs through Vienna?", YES),
)


class Accuracy(NamedTuple):
    """How decisions agree with labels, over the prompts that have both.

    `balanced` is the mean of the accuracies on the two labels, None unless both occur: a set of facts only would
    otherwise reward saying yes to all.
    """

    correct: int
    labelled: int
    balanced: float | None


def classification_messages(instruction: str) -> list[dict[str, str]]:
    """Few-shot turns that end where the assistant's next token is the answer."""
    messages = []
    for demonstration, answer in DEMONSTRATIONS:
        messages += [_question(demonstration), {"role": "assistant", "content": answer}]
    return [*messages, _question(instruction)]


def _question(instruction: str) -> dict[str, str]:
    return {"role": "user", "content": f"{instruction}\n\n{QUESTION}"}


def probability_of_yes(yes_logprob: float, no_logprob: float) -> float:
    """P(yes) among the two answers, whatever mass other tokens hold.

    >>> probability_of_yes(-1.0, -1.0)
    0.5
    """
    difference = no_logprob - yes_logprob
    if math.isnan(difference):
        raise ValueError(f"log-probabilities of yes and no that can be compared, not {yes_logprob} and {no_logprob}")
    # exp overflows above about 700; the answer there is 0 to every digit that a float has.
    return 1 / (1 + math.exp(difference)) if difference < 700 else 0.0


def decide(prompts: Sequence[Prompt], probabilities: Sequence[float], threshold: float) -> tuple[Prompt, ...]:
    """Each prompt with `fact_based` set: true where P(yes) reaches the threshold."""
    return tuple(replace(prompt, fact_based=p >= threshold) for prompt, p in zip(prompts, probabilities, strict=True))


def decide_by_label(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Each prompt with `fact_based` taken from its label; a prompt without one is an error, not a guess."""
    bare = [prompt.id for prompt in prompts if prompt.label is None]
    if bare:
        found = f"{len(bare)} of {len(prompts)} without one, such as {bare[0]!r}"
        fix = "set label_column in prompts.sources, or classify.by: model"
        raise DataError("a label on every prompt, as classify.by is label", found, fix)
    return tuple(replace(prompt, fact_based=prompt.label) for prompt in prompts)


def accuracy(prompts: Sequence[Prompt]) -> Accuracy:
    """Decisions against labels; prompts without a label or a decision are left out."""
    judged = [prompt for prompt in prompts if prompt.label is not None and prompt.fact_based is not None]
    correct = sum(prompt.label == prompt.fact_based for prompt in judged)
    shares = []
    for label in (True, False):
        of_label = [prompt for prompt in judged if prompt.label is label]
        if of_label:
            shares.append(sum(prompt.fact_based is label for prompt in of_label) / len(of_label))
    return Accuracy(correct, len(judged), sum(shares) / 2 if len(shares) == 2 else None)
