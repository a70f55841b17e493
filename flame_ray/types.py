"""The frozen records that travel between stages.

A suffix of a name gives its shape: P prompts, G responses to a prompt, S sentences, F facts, K passages, D pairs, T tokens.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# The names of FLAME's two rewards, RM_IF and RM_fact. A kind of pair has the name of the reward that orders it.
INSTRUCTION, FACTUALITY = "instruction", "factuality"
WEIGHTED = "weighted"  # a kind of pair that the weighted sum of both orders
TERNARY = "ternary"  # what single responses are counted as that a loss without pairs trains on


class Split(StrEnum):
    """What a prompt is for: training, choosing the best round, or measuring what a run has reached."""

    TRAIN = "train"
    DEV = "dev"
    HELDOUT = "heldout"


class VerdictLabel(StrEnum):
    """What the evidence says about a fact. NOT_FOUND: nothing. SAYS_NOTHING: no evidence could. ERROR: the checker failed."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_FOUND = "not_found"
    SAYS_NOTHING = "says_nothing"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One instruction.

    >>> Prompt(id="peru/borders", text="Which countries border Peru?", label=True).fact_based is None
    True
    """

    id: str
    text: str
    split: Split = Split.TRAIN
    label: bool | None = None  # whether the prompt set says that it needs facts
    fact_based: bool | None = None  # whether the run decided that it needs facts


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The prompts of a round, in the order in which they were drawn."""

    prompts_P: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class ResponseId:
    """The unique name of one sample: its round, its prompt, and its index among the responses to that prompt."""

    round: int
    prompt_id: str
    index: int

    def __str__(self) -> str:
        return f"{self.round}/{self.prompt_id}/{self.index}"


@dataclass(frozen=True, slots=True)
class Response:
    """One sample of the policy. The token ids are the sampler's own; nothing renders or tokenizes the text again."""

    id: ResponseId
    text: str
    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    finish_reason: str  # "stop": the model ended the text; "length": the token limit cut it off
    weight_version: int

    @property
    def truncated(self) -> bool:
        return self.finish_reason != "stop"


@dataclass(frozen=True, slots=True)
class Group:
    """A prompt with its responses [G]. Rollout workers produce groups, rewards score them, and the journal stores them."""

    prompt: Prompt
    responses_G: tuple[Response, ...]


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the corpus that can serve as evidence."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement of a response that can be checked."""

    text: str
    sentence: int  # the index of the sentence that states it


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence or list item of a response. `verifiable` is False if it states nothing that evidence could decide.

    The decomposer tries to recognise what is not verifiable: greetings, questions, refusals, opinions, praise without content.
    A sentence that repeats an earlier one is verifiable, although it adds no fact.
    """

    text: str
    verifiable: bool


@dataclass(frozen=True, slots=True)
class Decomposition:
    """The sentences [S] of a response and the facts [F] that they state; `Fact.sentence` is an index into `sentences_S`.

    >>> hello, borders = Sentence("Hello!", verifiable=False), Sentence("Peru borders Chile.", verifiable=True)
    >>> Decomposition((hello, borders), (Fact("Peru borders Chile", 1),)).facts_F[0].sentence
    1
    """

    sentences_S: tuple[Sentence, ...]
    facts_F: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A fact and the passages [K] that serve as evidence for checking it."""

    fact: Fact
    passages_K: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class LabelledClaim:
    """A claim with its label."""

    claim: Claim
    supported: bool  # whether its evidence supports it, according to people or by construction
    group: str | None  # the data set that the claim belongs to


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a checker says about one fact."""

    fact: Fact
    label: VerdictLabel
    score: float  # in [0, 1]: how well the evidence supports the fact
    passage_id: str | None  # the passage that decided; None if no single one did
    relevant: bool = True  # whether the fact answers the instruction


@dataclass(frozen=True, slots=True)
class Score:
    """A reward of one response that is a single number in the reward's own unit.

    RM_IF is such a score: in points by a rubric, in nats a token by back-translation, in log-odds by preference, as a chance to
    win by comparison.
    """

    response_id: ResponseId
    value: float
    samples: tuple[float, ...] = ()  # the judgements that `value` is made of: their mean, or a weighted sum
    unread: int = 0  # further judgements of which no score could be read


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence of a response. `holds`: whether all of its facts that count are supported; None: none of them counts."""

    text: str
    holds: bool | None


@dataclass(frozen=True, slots=True)
class FactScore:
    """RM_fact of one response (FLAME, section 4.3): the share of its facts that the evidence supports.

    A response that states nothing checkable (a refusal, an opinion) abstains, and `precision` is None. A fact that says nothing
    and one on which the checker failed do not count. A fact that the evidence does not mention counts as unsupported, or not
    at all if `not_found_counts` is False.
    """

    response_id: ResponseId
    verdicts: tuple[Verdict, ...]
    not_found_counts: bool = True
    passages_K: tuple[Passage, ...] = ()  # the evidence
    sentences_S: tuple[Sentence, ...] = ()  # the whole response

    def count(self, label: VerdictLabel) -> int:
        return sum(verdict.label == label for verdict in self.verdicts)

    @property
    def supported(self) -> int:
        return self.count(VerdictLabel.SUPPORTED)

    @property
    def relevant_supported(self) -> int:
        """The number of supported facts that answer the instruction."""
        return sum(verdict.relevant and verdict.label is VerdictLabel.SUPPORTED for verdict in self.verdicts)

    @property
    def contradicted(self) -> int:
        return self.count(VerdictLabel.CONTRADICTED)

    @property
    def not_found(self) -> int:
        return self.count(VerdictLabel.NOT_FOUND)

    @property
    def unsupported(self) -> int:
        """The number of facts that the evidence contradicts and, if they count, of those that it does not mention."""
        return self.contradicted + (self.not_found if self.not_found_counts else 0)

    @property
    def counted(self) -> int:
        """The number of facts that enter the score."""
        return self.supported + self.unsupported

    @property
    def checked_S(self) -> tuple[CheckedSentence, ...]:
        """The sentences, with what follows from the verdicts on the facts that each one states."""
        wrong = {VerdictLabel.CONTRADICTED} | ({VerdictLabel.NOT_FOUND} if self.not_found_counts else set())
        holds: dict[int, bool] = {}  # of each sentence with a fact that counts
        for verdict in self.verdicts:
            if verdict.label is VerdictLabel.SUPPORTED or verdict.label in wrong:
                place = verdict.fact.sentence
                holds[place] = holds.get(place, True) and verdict.label not in wrong
        return tuple(CheckedSentence(each.text, holds.get(place)) for place, each in enumerate(self.sentences_S))

    @property
    def abstained(self) -> bool:
        return all(verdict.label is VerdictLabel.SAYS_NOTHING for verdict in self.verdicts)

    @property
    def precision(self) -> float | None:
        return self.supported / self.counted if self.counted else None


@dataclass(frozen=True, slots=True)
class Missing:
    """A reward that failed for one response. It is never counted as 0 and orders no pair; reports count it by its reason."""

    response_id: ResponseId
    reason: str
    passages_K: tuple[Passage, ...] = ()  # the evidence that was found before the reward failed
    unread: int = 0  # judgements of which no score could be read


RewardResult = Score | FactScore | Missing


@dataclass(frozen=True, slots=True)
class ScoredResponse:
    """A response with its rewards by name. A reward that does not apply to the prompt has no entry."""

    response: Response
    rewards: Mapping[str, RewardResult]


@dataclass(frozen=True, slots=True)
class ScoredGroup:
    """A prompt with its responses [G] and their rewards."""

    prompt: Prompt
    scored_G: tuple[ScoredResponse, ...]


@dataclass(frozen=True, slots=True)
class SideFacts:
    """What a checked side of a pair states. `factuality` is RM_fact as pairs are ranked by it; None: it states nothing."""

    factuality: float | None
    sentences_S: tuple[CheckedSentence, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """One preference: the reward named `kind` ranks `chosen` above `rejected`; the two scores are that reward's.

    `flipped`: turned round, because the side that the reward ranks lower is the more factual one (see `pairs.factual_first`).
    """

    kind: str
    chosen: Response
    rejected: Response
    chosen_score: float
    rejected_score: float
    chosen_facts: SideFacts | None = None  # None: not checked, or the check failed
    rejected_facts: SideFacts | None = None
    flipped: bool = False

    def __post_init__(self) -> None:
        a, b = self.chosen.id, self.rejected.id
        if (a.round, a.prompt_id) != (b.round, b.prompt_id) or a.index == b.index:
            raise ValueError(f"a pair joins two samples of one prompt in one round, not {a} and {b}")

    @property
    def prompt_id(self) -> str:
        return self.chosen.id.prompt_id

    @property
    def fact_gap(self) -> float | None:
        """By how much the chosen side is the more factual one; None if that is not known of both sides."""
        chosen, rejected = self.chosen_facts, self.rejected_facts
        if chosen is None or rejected is None or chosen.factuality is None or rejected.factuality is None:
            return None
        return chosen.factuality - rejected.factuality


@dataclass(frozen=True, slots=True)
class Graded:
    """One response with a reward, and by how many standard deviations that is above the mean of the responses to its prompt."""

    response: Response
    reward: float
    advantage: float

    @property
    def prompt_id(self) -> str:
        return self.response.id.prompt_id


@dataclass(frozen=True, slots=True)
class PairSet:
    """What a round trains on: its pairs or, for a loss that compares none, single responses `graded_D`.

    The other fields are those of its `PairCounts`.
    """

    pairs_D: tuple[Pair, ...]
    dropped: dict[str, int]
    responses: int = 0
    truncated: int = 0
    graded_D: tuple[Graded, ...] = ()

    @property
    def sides_D(self) -> tuple[tuple[Response, ...], ...]:
        """The responses of each pair, or of each single one."""
        pairs = ((pair.chosen, pair.rejected) for pair in self.pairs_D)
        return (*pairs, *((each.response,) for each in self.graded_D))

    @property
    def counts(self) -> "PairCounts":
        by_kind = Counter([pair.kind for pair in self.pairs_D] + [TERNARY] * len(self.graded_D))
        return PairCounts(dict(by_kind), self.dropped, self.responses, self.truncated)


@dataclass(frozen=True, slots=True)
class PairCounts:
    """How many pairs of each kind a round has (`ternary`: single responses), and how much was left out."""

    by_kind: dict[str, int]
    dropped: dict[str, int]  # by reason: `factuality: tie`, `response: empty`
    responses: int = 0
    truncated: int = 0  # of the responses: cut off by the token limit


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """One round of training. `loss` and `metrics` are weighted means over the examples; the metrics are the loss's, by name.

    `examples` (for a preference loss: pairs) counts each example once, `tokens` the response tokens of every epoch.
    `step_losses`: the mean loss of each step, before its update.
    `reference`: the weights that the loss compared with, such as `round 2`.
    """

    steps: int
    examples: int
    tokens: int
    loss: float
    metrics: dict[str, float]
    step_losses: tuple[float, ...] = ()
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean of `n` values with its 95 % bootstrap interval; `mean` is None when n is 0."""

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
    """The metrics of greedy answers to so many prompts; `missing` rewards failed."""

    prompts: int
    missing: int


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
    """The version of the weights that every sampler serves, and what the check of that found."""

    version: int
    check: str = ""


@dataclass(frozen=True, slots=True)
class RoundReport:
    """The results of one round. Round 0 is the model before training and has no pairs and no training.

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
