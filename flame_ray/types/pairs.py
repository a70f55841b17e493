"""What a round trains on: preference pairs, or single responses."""

from collections import Counter
from dataclasses import dataclass

from flame_ray.types.responses import Response
from flame_ray.types.scores import TERNARY, CheckedSentence


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
    """One response with the reward named `kind`, and by how many standard deviations that is above the mean of the responses
    to its prompt. `advantage` None: it is the best of them.
    """

    response: Response
    reward: float
    advantage: float | None = None
    kind: str = TERNARY

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
        by_kind = Counter([pair.kind for pair in self.pairs_D] + [each.kind for each in self.graded_D])
        return PairCounts(dict(by_kind), self.dropped, self.responses, self.truncated)


@dataclass(frozen=True, slots=True)
class PairCounts:
    """How many pairs or single responses of each kind a round has, and how much was left out."""

    by_kind: dict[str, int]
    dropped: dict[str, int]  # by reason: `factuality: tie`, `response: empty`
    responses: int = 0
    truncated: int = 0  # of the responses: cut off by the token limit
