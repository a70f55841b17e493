"""The frozen records that travel between stages; no stage knows another stage's insides.

Shapes in names, everywhere: P prompts, G responses a prompt, S sentences, F facts, K passages, D pairs, T tokens.
"""

from dataclasses import dataclass
from enum import StrEnum


class Split(StrEnum):
    TRAIN = "train"
    HELDOUT = "heldout"


class PairKind(StrEnum):
    """Which reward ordered a pair (FLAME, section 4.3)."""

    INSTRUCTION = "instruction"
    FACTUALITY = "factuality"


class VerdictLabel(StrEnum):
    """What the evidence says of a fact. NOT_FOUND: it neither supports nor contradicts. ERROR: the checker failed."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_FOUND = "not_found"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One instruction. `label` is what the prompt set says about needing facts; `fact_based` is what the run decided.

    >>> Prompt(id="peru/borders", text="Which countries border Peru?", label=True).fact_based is None
    True
    """

    id: str
    text: str
    split: Split = Split.TRAIN
    label: bool | None = None
    fact_based: bool | None = None


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The prompts of a round, in the order in which they were drawn."""

    prompts_P: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class ResponseId:
    """Names one sample for ever: (round, prompt, index). A pair may join only responses of one round and prompt."""

    round: int
    prompt_id: str
    index: int

    def __str__(self) -> str:
        return f"{self.round}/{self.prompt_id}/{self.index}"


@dataclass(frozen=True, slots=True)
class Response:
    """One sample of the policy, with the sampler's own token ids: they are never rendered or tokenized again.

    `logprobs` [T]: natural log-probability of each sampled token under the policy at temperature 1.
    `finish_reason`: "stop" when the model ended the text, "length" when the limit cut it.
    """

    id: ResponseId
    text: str
    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: str
    weight_version: int


@dataclass(frozen=True, slots=True)
class Group:
    """A prompt with its responses [G]: the unit that travels from rollout to rewards, and that is durable."""

    prompt: Prompt
    responses_G: tuple[Response, ...]


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the corpus that can serve as evidence.

    >>> Passage(id="pe/geography/0", title="Peru", text="Land boundaries: Bolivia 1,212 km").title
    'Peru'
    """

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One checkable statement of a response; `sentence` is the index of the sentence that it came from."""

    text: str
    sentence: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence or list item of a response; `verifiable` is False where it states nothing that evidence could decide.

    A greeting, a question, a refusal, an opinion and praise without content are not verifiable, as far as the decomposer can
    tell. What was said before is, though it is no new fact.
    """

    text: str
    verifiable: bool


@dataclass(frozen=True, slots=True)
class Decomposition:
    """A response as its sentences [S] and the facts [F] in them; the `sentence` of a fact is an index into `sentences_S`.

    >>> hello, borders = Sentence("Hello!", verifiable=False), Sentence("Peru borders Chile.", verifiable=True)
    >>> Decomposition((hello, borders), (Fact("Peru borders Chile", 1),)).facts_F[0].sentence
    1
    """

    sentences_S: tuple[Sentence, ...]
    facts_F: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A fact and the evidence [K] that it is checked on."""

    fact: Fact
    passages_K: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class LabelledClaim:
    """A claim, and whether its evidence supports it, as people say or as it was made; `group` names the set."""

    claim: Claim
    supported: bool
    group: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a checker says of one fact. `score` in [0, 1]: how well the evidence supports it.

    `passage_id` names the passage that decided, None when no passage did.
    """

    fact: Fact
    label: VerdictLabel
    score: float
    passage_id: str | None


@dataclass(frozen=True, slots=True)
class FactScore:
    """RM_fact of one response (FLAME, section 4.3): the share of its facts that the evidence supports.

    A response that states nothing checkable (a refusal, an opinion) has no verdicts; it abstains and `precision` is None.
    A fact on which the checker failed counts for nothing; one that the evidence does not mention counts as unsupported,
    unless `not_found_counts` is False: then it counts for nothing too.
    """

    response_id: ResponseId
    verdicts: tuple[Verdict, ...]
    not_found_counts: bool = True

    def count(self, label: VerdictLabel) -> int:
        return sum(verdict.label == label for verdict in self.verdicts)

    @property
    def supported(self) -> int:
        return self.count(VerdictLabel.SUPPORTED)

    @property
    def contradicted(self) -> int:
        return self.count(VerdictLabel.CONTRADICTED)

    @property
    def not_found(self) -> int:
        return self.count(VerdictLabel.NOT_FOUND)

    @property
    def unsupported(self) -> int:
        """Facts that the evidence contradicts and, if they count, those that it does not mention."""
        return self.contradicted + (self.not_found if self.not_found_counts else 0)

    @property
    def counted(self) -> int:
        """Facts that enter the score."""
        return self.supported + self.unsupported

    @property
    def abstained(self) -> bool:
        return not self.verdicts

    @property
    def precision(self) -> float | None:
        return self.supported / self.counted if self.counted else None


@dataclass(frozen=True, slots=True)
class JudgeScore:
    """RM_IF of one response. `value` is the mean of `samples`; its unit is the backend's (points, or nats a token)."""

    response_id: ResponseId
    value: float
    samples: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A reward that failed. It is missing, never 0: no pair is ordered by it, and it is counted under its reason."""

    response_id: ResponseId
    reason: str


@dataclass(frozen=True, slots=True)
class Audit:
    """A factuality score with the passages that it rests on, and the sentences that its facts are of: for a person to check.

    A reward that failed has no sentences, as it has no facts.
    """

    score: FactScore | Missing
    passages_K: tuple[Passage, ...] = ()
    sentences_S: tuple[Sentence, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoredResponse:
    """A response with both rewards, each of which may be missing; `audit` is None when the prompt needs no facts."""

    response: Response
    judge: JudgeScore | Missing
    audit: Audit | None

    @property
    def fact(self) -> FactScore | Missing | None:
        return self.audit.score if self.audit else None


@dataclass(frozen=True, slots=True)
class ScoredGroup:
    """A prompt with its responses [G] and their rewards."""

    prompt: Prompt
    scored_G: tuple[ScoredResponse, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """One preference: `chosen` over `rejected`, by the reward that `kind` names, with the two scores that decided."""

    kind: PairKind
    chosen: Response
    rejected: Response
    chosen_score: float
    rejected_score: float

    def __post_init__(self) -> None:
        a, b = self.chosen.id, self.rejected.id
        if (a.round, a.prompt_id) != (b.round, b.prompt_id) or a.index == b.index:
            raise ValueError(f"a pair joins two samples of one prompt in one round, not {a} and {b}")

    @property
    def prompt_id(self) -> str:
        return self.chosen.id.prompt_id


@dataclass(frozen=True, slots=True)
class PairSet:
    """The pairs of a round, and what was left out, counted by reason (`factuality: tie`, `response: truncated`)."""

    pairs_D: tuple[Pair, ...]
    dropped: dict[str, int]

    def count(self, kind: PairKind) -> int:
        return sum(pair.kind == kind for pair in self.pairs_D)


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """One round of DPO: means over its pairs. `accuracy`: share of pairs whose chosen side has the higher implicit reward."""

    steps: int
    loss: float
    accuracy: float
    margin: float
    pairs: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean of `n` values with its 95 % bootstrap interval; `mean` is None when n is 0."""

    mean: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The held-out prompts, answered greedily. Facts are counted a response, over fact-based prompts only."""

    factual_precision: Interval
    correct_facts: Interval
    erroneous_facts: Interval
    abstention_rate: Interval
    instruction_score: Interval
    response_tokens: Interval
    prompts: int
    missing: int


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The held-out answers of a round, scored [P], and what they add up to."""

    scored_P: tuple[ScoredResponse, ...]
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class RoundReport:
    """What one round leaves behind; round 0 is the model before training, with an evaluation and nothing else."""

    round: int
    evaluation: Evaluation
    pairs: PairSet | None = None
    training: TrainingReport | None = None
    weight_version: int = 0
