"""Instructions with answers to learn from, and what a supervised fine-tuning on them gives."""

from dataclasses import dataclass

from flame_ray.types.responses import Prompt
from flame_ray.types.results import TrainingReport


@dataclass(frozen=True, slots=True)
class Demonstration:
    """An instruction with an answer to learn from.

    >>> Demonstration(Prompt("peru", "What is the capital of Peru?"), "Lima.", source="seeds.jsonl").weight
    1.0
    """

    prompt: Prompt
    answer: str
    source: str  # the one of the settings that it comes from, or `elicited`
    weight: float = 1.0  # how much each token of the answer counts in the loss
    is_seed: bool = True  # it may be classified, answered by the model itself, and shown to it as an example


@dataclass(frozen=True, slots=True)
class DemonstrationSet:
    """Demonstrations in the order of their sources; `left_out` counts what of the sources is not among them, by reason."""

    demonstrations: tuple[Demonstration, ...]
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class SftTraining:
    """A supervised fine-tuning on demonstrations: how many of each source, and how many tokens their answers have.

    `too_long` demonstrations had more tokens than the model takes.
    """

    report: TrainingReport
    by_source: dict[str, int]
    tokens_by_source: dict[str, int]
    too_long: int


@dataclass(frozen=True, slots=True)
class Elicited:
    """How many instructions the model was asked, and how many of its answers are learned; the others by reason."""

    instructions: int
    answers: int
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class ShownCounts:
    """What the few-shot prompts of an elicitation show, in sum, and what they had no room for."""

    prompts: int
    examples: int
    passages: int
    examples_left_out: int
    passages_left_out: int


@dataclass(frozen=True, slots=True)
class SftReport:
    """The results of a supervised fine-tuning. `fact_based` of the `seeds` need facts; None: nobody asked.

    `model`: where the adapter or the whole model is.
    """

    seeds: int
    fact_based: int | None
    elicited: Elicited
    training: SftTraining
    model: str
