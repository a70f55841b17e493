"""What a round gives: reports of its training and of its evaluation."""

from dataclasses import dataclass

from flame_ray.types.pairs import PairCounts
from flame_ray.types.scores import ScoredResponse


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """One round of training. `loss` and `metrics` are weighted means over the examples; the metrics are the loss's, by name.

    `examples` (for a preference loss: pairs) counts each example once, `tokens` the response tokens of every epoch.
    `step_losses`: the mean loss of each step, before its update.
    `reference`: the weights that the loss compared with, such as `round 2`. `seconds`: what the steps and the reference pass
    took, where `learner.seconds` limits that; else None.
    """

    steps: int
    examples: int
    tokens: int
    loss: float
    metrics: dict[str, float]
    step_losses: tuple[float, ...] = ()
    reference: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StepReport:
    """One optimizer step: means over its examples, before its update. `step` counts from 1 in the round.

    >>> StepReport(step=1, loss=0.69, metrics={"margin": 0.0}, learning_rate=1e-6, tokens=512, seconds=2.5).figures["margin"]
    0.0
    """

    step: int
    loss: float
    metrics: dict[str, float]  # of the loss, by name
    learning_rate: float
    tokens: int  # of the responses
    seconds: float
    gradient_norm: float | None = None  # before it is cut to `learner.grad_clip`; None: the engine does not tell

    @property
    def figures(self) -> dict[str, float]:
        """What curves show, by name."""
        norm = {} if self.gradient_norm is None else {"gradient_norm": self.gradient_norm}
        rates = {"learning_rate": self.learning_rate, "tokens_per_second": self.tokens / self.seconds if self.seconds else 0.0}
        return {"loss": self.loss, **self.metrics, **norm, **rates}


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean of `n` values with its 95 % bootstrap interval; `mean` is None when n is 0.

    `low` and `high` are None of one value, and of equal values that have no bounds (see `evaluation.metrics.equal_values`).
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class MetricIntervals:
    """Each metric, or its change. Facts are counted per response, on fact-based prompts only."""

    factual_precision: Interval
    correct_facts: Interval
    relevant_facts: Interval  # correct facts that answer the instruction
    erroneous_facts: Interval
    f_at_k: Interval  # F-beta of precision and recall at K (see `evaluation.recall_at`), so that saying less does not win
    abstention_rate: Interval
    instruction_score: Interval
    response_tokens: Interval


@dataclass(frozen=True, slots=True)
class Evaluation(MetricIntervals):
    """The metrics of greedy answers to so many prompts; `missing` rewards failed.

    `failed_facts`: facts of the other rewards on which the checker failed.
    """

    prompts: int
    missing: int
    failed_facts: int = 0


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The scored greedy answers of a round [P], to the held-out or to the development prompts, and their evaluation."""

    scored_P: tuple[ScoredResponse, ...]
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class Selection:
    """What the development prompts decide after a round: which round is the best so far, and where the next one starts.

    >>> value = Interval(mean=0.2, low=0.1, high=0.3, n=48)
    >>> Selection(round=2, best=1, restart=1, value=value).rolled_back
    True
    """

    round: int
    best: int
    restart: int  # the next round starts from this round's weights: those of `round`, or of `best`
    value: Interval  # of the metric that decides (`run.select_by`), in this round
    change: Interval | None = None  # its change from the best round before, paired by prompt; None for round 0
    abstains_too_often: bool = False  # above `run.max_abstentions`

    @property
    def rolled_back(self) -> bool:
        return self.restart != self.round


@dataclass(frozen=True, slots=True)
class Synced:
    """The version of the weights that every sampler serves, and what the check of that found.

    `slope`, `gap`: the canary's worst (see `weights.Agreement`), where they could be taken. `seconds`: what the push took.
    """

    version: int
    check: str = ""
    slope: float | None = None
    gap: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RoundReport:
    """The results of one round. Round 0 is the model before training and has no pairs and no training.

    A round that was skipped has pairs, of which there are none, and no training. What was measured is repeated from the round
    whose weights it left as they were: `weight_version`.

    `change`: of each held-out metric, paired by prompt, from round 0. `development` and `selection`: the metrics of the
    development prompts and what follows from them, if the settings ask for the best round.
    """

    round: int
    evaluation: Evaluation
    pairs: PairCounts | None = None
    training: TrainingReport | None = None
    weight_version: int = 0
    change: MetricIntervals | None = None
    development: Evaluation | None = None
    selection: Selection | None = None

    @property
    def is_skipped(self) -> bool:
        """Whether there was no pair to train on."""
        return self.pairs is not None and self.training is None
