"""Decides which instructions need facts (FLAME, section 4.1), by asking a language model or by the labels of the prompt set."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from flame_ray.engines.base import Message, probability_of_yes
from flame_ray.errors import DataError
from flame_ray.storage.cache import Cache, cache_dir, node_file
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

LEAST_ROOM = 64  # tokens that a prompt is left of, beside the question, where it has to be shortened


@dataclass(frozen=True, slots=True)
class Question:
    """What a language model is asked about a text, after demonstrations; `yes` and `no` are the words of its two answers."""

    words: str
    yes: str
    no: str
    demonstrations: tuple[tuple[str, str], ...]

    def messages(self, text: str) -> list[dict[str, str]]:
        """Few-shot turns; the first token of the assistant's next turn is the answer."""
        messages = []
        for demonstration, answer in self.demonstrations:
            messages += [self._turn(demonstration), {"role": "assistant", "content": answer}]
        return [*messages, self._turn(text)]

    def _turn(self, text: str) -> dict[str, str]:
        return {"role": "user", "content": f"{text}\n\n{self.words}"}


NEEDS_FACTS = Question(QUESTION, YES, NO, DEMONSTRATIONS)


class LanguageModel(Protocol):
    """A model that chooses between words."""

    def choose(self, chats: Iterable[Sequence[Message]], words: Sequence[str]) -> Sequence[tuple[float, ...]]:
        """For each chat and each word, the log-probability that the word's first token comes next."""
        ...


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How decisions agree with labels: of `labelled` texts, how many were decided rightly and how many called fact-based.

    >>> found = Accuracy.of([(True, True), (True, False), (False, False)])
    >>> found.correct, found.labelled, found.right_yes, found.said_yes, found.labelled_yes
    (2, 3, 1, 1, 2)
    """

    correct: int
    labelled: int
    right_yes: int  # called fact-based, and labelled so: of `said_yes` the precision, of `labelled_yes` the recall
    said_yes: int
    labelled_yes: int

    @classmethod
    def of(cls, pairs: Iterable[tuple[bool, bool]]) -> "Accuracy":
        """From the label and the decision of each text."""
        pairs = list(pairs)
        return cls(
            correct=sum(label == said for label, said in pairs),
            labelled=len(pairs),
            right_yes=sum(label and said for label, said in pairs),
            said_yes=sum(said for _, said in pairs),
            labelled_yes=sum(label for label, _ in pairs),
        )


def classify(prompts: Sequence[Prompt], model: LanguageModel, known: Cache, threshold: float) -> tuple[Prompt, ...]:
    """Each prompt with `fact_based`: whether P(yes) reaches the threshold. `known` keeps P(yes) by text, for later runs."""
    return decide(prompts, probabilities([prompt.text for prompt in prompts], NEEDS_FACTS, model, known), threshold)


def probabilities(texts: Sequence[str], question: Question, model: LanguageModel, known: Cache | None) -> list[float]:
    """P(yes) of each text, if yes and no are the only answers. `known` keeps it by text; no text is asked about twice."""
    found = known.get(texts) if known else {}
    unknown = [text for text in dict.fromkeys(texts) if text not in found]
    answers = model.choose((question.messages(text) for text in unknown), (question.yes, question.no))
    new = {text: probability_of_yes(*answer) for text, answer in zip(unknown, answers, strict=True)}
    if known:
        known.add(new)
    found |= new
    return [found[text] for text in texts]


def classification_messages(instruction: str) -> list[dict[str, str]]:
    """The question whether an instruction needs facts."""
    return NEEDS_FACTS.messages(instruction)


def classification_cache(model: str, question: Question = NEEDS_FACTS) -> Cache:
    """This node's answers. A change of the model, which its fingerprint tells, or of the question starts a new cache."""
    key = hashlib.sha256((model + repr(question.messages(""))).encode()).hexdigest()[:16]
    return Cache(node_file(cache_dir() / "classify" / key), needed=False)


def decide(prompts: Sequence[Prompt], probabilities: Sequence[float], threshold: float) -> tuple[Prompt, ...]:
    """Each prompt with `fact_based`: whether its probability of needing facts reaches the threshold."""
    return tuple(replace(prompt, fact_based=p >= threshold) for prompt, p in zip(prompts, probabilities, strict=True))


def decide_by_label(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Each prompt with its label as `fact_based`. Raises DataError if a prompt has no label."""
    bare = [prompt.id for prompt in prompts if prompt.label is None]
    if bare:
        found = f"{len(bare)} of {len(prompts)} without one, such as {bare[0]!r}"
        fix = "set label_column in prompts.sources (of `flame-ray sft`: in sft.sources), or classify.by: model"
        raise DataError("a label on every prompt, as classify.by is label", found, fix)
    return tuple(replace(prompt, fact_based=prompt.label) for prompt in prompts)


def accuracy(prompts: Sequence[Prompt]) -> Accuracy:
    """Over the prompts that have both a label and a decision."""
    return Accuracy.of(
        (prompt.label, prompt.fact_based) for prompt in prompts if prompt.label is not None and prompt.fact_based is not None
    )
