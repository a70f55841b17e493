"""Decides which instructions need facts (FLAME, section 4.1), by asking a language model or by the labels of the prompt set."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from flame_ray.engines.base import Message, probability_of_yes
from flame_ray.errors import DataError
from flame_ray.storage.cache import Cache
from flame_ray.types import Prompt

# The answers' first tokens are "Knowledge" and "Creat" in SmolLM2's vocabulary. A model of 135M parameters chooses between
# these words by what the instruction asks for; between "Yes" and "No" it chooses by the shape of the sentence.
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


class LanguageModel(Protocol):
    """A model that chooses between words."""

    def choose(self, chats: Iterable[Sequence[Message]], words: Sequence[str]) -> Sequence[tuple[float, ...]]:
        """For each chat and each word, the log-probability that the word's first token comes next."""
        ...


class Accuracy(NamedTuple):
    """On how many prompts the decision agrees with the label, out of those that have both."""

    correct: int
    labelled: int


def classify(prompts: Sequence[Prompt], model: LanguageModel, known: Cache, threshold: float) -> tuple[Prompt, ...]:
    """Each prompt with `fact_based`: whether P(yes) reaches the threshold. `known` keeps P(yes) by text, for later runs."""
    found = known.get([prompt.text for prompt in prompts])
    unknown = [prompt.text for prompt in prompts if prompt.text not in found]
    answers = model.choose((classification_messages(text) for text in unknown), (YES, NO))
    new = {text: probability_of_yes(*answer) for text, answer in zip(unknown, answers, strict=True)}
    known.add(new)
    found |= new
    return decide(prompts, [found[prompt.text] for prompt in prompts], threshold)


def classification_messages(instruction: str) -> list[dict[str, str]]:
    """Few-shot turns; the first token of the assistant's next turn is the answer."""
    messages = []
    for demonstration, answer in DEMONSTRATIONS:
        messages += [_question(demonstration), {"role": "assistant", "content": answer}]
    return [*messages, _question(instruction)]


def _question(instruction: str) -> dict[str, str]:
    return {"role": "user", "content": f"{instruction}\n\n{QUESTION}"}


def decide(prompts: Sequence[Prompt], probabilities: Sequence[float], threshold: float) -> tuple[Prompt, ...]:
    """Each prompt with `fact_based`: whether its probability of needing facts reaches the threshold."""
    return tuple(replace(prompt, fact_based=p >= threshold) for prompt, p in zip(prompts, probabilities, strict=True))


def decide_by_label(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Each prompt with its label as `fact_based`. Raises DataError if a prompt has no label."""
    bare = [prompt.id for prompt in prompts if prompt.label is None]
    if bare:
        found = f"{len(bare)} of {len(prompts)} without one, such as {bare[0]!r}"
        fix = "set label_column in prompts.sources, or classify.by: model"
        raise DataError("a label on every prompt, as classify.by is label", found, fix)
    return tuple(replace(prompt, fact_based=prompt.label) for prompt in prompts)


def accuracy(prompts: Sequence[Prompt]) -> Accuracy:
    both = [prompt for prompt in prompts if prompt.label is not None and prompt.fact_based is not None]
    return Accuracy(sum(prompt.label == prompt.fact_based for prompt in both), len(both))
