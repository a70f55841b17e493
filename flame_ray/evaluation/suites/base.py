"""What a suite is: prompts, and a measure that turns their answers into figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from flame_ray.config import Config
from flame_ray.evaluation.metrics import SHARE, Bounds, bootstrap_mean
from flame_ray.types import FactScore, Interval, Missing, Prompt, Response

Figures = Mapping[str, Interval]
Values = Mapping[str, float | None]  # of one answer: what figures are the means of, by their names
SHARES = frozenset(
    (
        "precision",
        "factscore",
        "abstentions",
        "win_rate",
        "mc1",
        "mc2",
        "mc3",
        "accuracy",
        "exact_match_strict",
        "exact_match_flexible",
    )
)  # figures whose values lie between 0 and 1, beside f1_at_K
Needs = Literal["answers", "facts", "comparison"]  # what a measure needs to be found of the answers


@dataclass(frozen=True, slots=True)
class Comparison:
    """An answer against the reference answer: 1 if it is better, 0 if it is worse, one half for a tie, in each order.

    `orders`: one result where the order plays no part. `scores`: the judge's of the answer and of the reference, if it gave
    them.

    >>> Comparison(orders=(1.0, 0.5)).value
    0.75
    """

    orders: tuple[float, ...]
    scores: tuple[float, float] | None = None
    read: int = 0  # judgements that the scores are made of
    unread: int = 0  # further ones of which no score could be read

    @property
    def value(self) -> float:
        return sum(self.orders) / len(self.orders)


@dataclass(frozen=True, slots=True)
class Answered:
    """A prompt with the model's greedy answer, and what its suite's measure needs of it."""

    prompt: Prompt
    response: Response
    facts: FactScore | Missing | None = None  # None: the suite checks no facts
    comparison: Comparison | Missing | None = None  # None: the suite compares with no other answer

    @property
    def missing(self) -> str | None:
        """Why the answer could not be scored."""
        return next((each.reason for each in (self.facts, self.comparison) if isinstance(each, Missing)), None)


class Measure(Protocol):
    """Turns the answers to a suite's prompts into figures. Pure: what it needs was found before."""

    needs: ClassVar[Needs]

    def values(self, answered: Answered, config: Config) -> Values:
        """Of one answer, by the names of the figures that are means of them; None where the answer has no value."""
        ...

    def figures(self, answered_P: Sequence[Answered], config: Config) -> Figures:
        """Each figure by its name, with its n and 95 % interval."""
        ...

    def columns(self, answered: Answered, config: Config) -> dict[str, Any]:
        """What the table of answers says of one answer, as JSON values."""
        ...


def means(values_P: Sequence[Values], config: Config) -> dict[str, Interval]:
    """Each value's mean over the answers that have it."""
    names = dict.fromkeys(name for values in values_P for name in values)
    known = {name: [value for values in values_P if (value := values.get(name)) is not None] for name in names}
    resamples, seed = config.evaluation.bootstrap, config.run.seed
    return {name: bootstrap_mean(found, resamples, seed, bounds_of(name)) for name, found in known.items()}


def bounds_of(figure: str) -> Bounds | None:
    """Between what an answer's value of a figure lies; None for counts and scores, and for a name that is not known.

    >>> bounds_of("f1_at_64"), bounds_of("rougeL_diff"), bounds_of("correct_facts")
    ((0.0, 1.0), (-100.0, 100.0), None)
    """
    if figure.endswith("_diff"):  # of TruthfulQA, in points of 100
        return -100.0, 100.0
    return SHARE if figure in SHARES or figure.startswith("f1_at_") else None


@dataclass(frozen=True, slots=True)
class Suite:
    """A benchmark whose prompts our samplers answer, greedily.

    `corpus`: what facts are checked on, for a measure that needs them. `references`: by prompt id, what answers are measured
    against, which is part of the suite's identity. `only_fact_based`: prompts that need no facts are left out, as the
    instruction classifier decides.
    """

    name: str
    prompts_P: tuple[Prompt, ...]
    measure: Measure
    corpus: str | None = None
    references: Mapping[str, Any] | None = None
    only_fact_based: bool = False


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """The figures of a model on a suite. `missing` counts by their reasons the answers that could not be scored. `noted`
    counts, by what happened, what weakens the figures although no answer is left out.

    >>> SuiteResult("factbook", 2, {"precision": Interval(mean=0.5, low=0.0, high=1.0, n=2)}).figures["precision"].n
    2
    """

    suite: str
    prompts: int
    figures: Figures
    missing: Mapping[str, int] | None = None
    noted: Mapping[str, int] | None = None
