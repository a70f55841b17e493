"""The rewards of a response."""

from collections.abc import Mapping
from dataclasses import dataclass

from flame_ray.types.facts import Passage, Sentence, Verdict, VerdictLabel
from flame_ray.types.responses import Prompt, Response, ResponseId

# The names of FLAME's two rewards, RM_IF and RM_fact. A kind of pair has the name of the reward that orders it.
INSTRUCTION, FACTUALITY = "instruction", "factuality"
WEIGHTED = "weighted"  # a kind of pair that the weighted sum of both orders
TERNARY = "ternary"  # the kind of single responses with advantages, which TruthRL's reward grades


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
    def failed(self) -> int:
        """The number of facts on which the checker failed: they might be in any other count."""
        return self.count(VerdictLabel.ERROR)

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
