"""What the page shows of a run or of a fine-tuning: the records that the journal reads from its folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flame_ray.types import Interval, Passage, VerdictLabel

Metrics = Mapping[str, Interval]  # by the names of `report.summary.EVALUATION_METRICS`


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One entry of summary.json. `start`: the round whose weights it started from; None for round 0.

    `pairs`: by kind, and `dropped`: by reason; both are None for round 0. `training`: the loss and its metrics.
    """

    round: int
    heldout: Metrics
    change: Metrics = field(default_factory=dict)  # from round 0, paired by prompt
    development: Metrics = field(default_factory=dict)
    start: int | None = None
    pairs: Mapping[str, int] | None = None
    dropped: Mapping[str, int] | None = None
    responses: int = 0
    truncated: int = 0
    training: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)  # by stage
    is_skipped: bool = False


@dataclass(frozen=True, slots=True)
class StageTime:
    """When a stage of a round ran, in seconds of run time, and how it ended: ok, failed, interrupted or running."""

    stage: str
    round: int
    start: float
    end: float
    ended: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. `planned`: its rounds by the settings. `seconds`: its wall time so far; None: not known yet.

    `about`: what it was made with, by name. `judge`: what the helpfulness score is, with its unit. `measure`: the same for two
    runs exactly if one judge, one checker and one set of held-out prompts measured both. `steps`: of the learner, by name.
    """

    id: str
    status: str
    planned: int
    seconds: float | None
    rounds: tuple[RoundRecord, ...]
    stages: tuple[StageTime, ...]
    about: Mapping[str, str]
    judge: str
    measure: str
    best: int | None = None
    error: str | None = None
    audit: Mapping[str, Any] | None = None
    steps: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)

    @property
    def trained(self) -> tuple[RoundRecord, ...]:
        """Round 0 and those that have weights of their own: a skipped round repeats what was measured before it."""
        return tuple(each for each in self.rounds if not each.is_skipped)


@dataclass(frozen=True, slots=True)
class LearnedSource:
    """How many answers of a source a fine-tuning learns, and how many tokens these have; None: not counted yet."""

    name: str
    answers: int
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class SftRecord:
    """One fine-tuning. `about`, `seconds` and `steps` are as a run's. `training`: its counts and its mean loss, by name.

    `seeds`: how many instructions may be classified and answered by the model itself, of which `fact_based` need facts; None:
    not known yet, or not asked. `asked`: to how many the model answered itself, with `shown` in its prompts. `left_out`: of the
    sources, and `own_left_out`: of the model's own answers, both by reason.
    """

    id: str
    status: str
    seconds: float | None
    stages: tuple[StageTime, ...]
    about: Mapping[str, str]
    sources: tuple[LearnedSource, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    seeds: int | None = None
    fact_based: int | None = None
    asked: int = 0
    own_answers: int = 0
    own_left_out: Mapping[str, int] = field(default_factory=dict)
    shown: Mapping[str, int] = field(default_factory=dict)
    training: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    steps: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckedFact:
    """A fact of an answer. `sentence`: the place of its sentence in the answer; `passage_id`: of the passage that decided."""

    text: str
    sentence: int
    verdict: VerdictLabel
    score: float | None
    passage_id: str | None
    relevant: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A held-out prompt. It is the same in two runs if id and text are; `needs_facts` is what its run decided."""

    id: str
    text: str
    needs_facts: bool | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A held-out answer. `helpfulness` and `precision` are None where there is none; `missing`: why a reward failed.

    `facts` is None if the prompt needs none, or if the check failed.
    """

    text: str
    truncated: bool = False
    helpfulness: float | None = None
    precision: float | None = None
    missing: str | None = None
    facts: tuple[CheckedFact, ...] | None = None
    sentences: tuple[str, ...] = ()
    evidence: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """The answers of one round of one run: what is compared with another side."""

    run: str
    round: int
    answers: Mapping[Question, Answer]
