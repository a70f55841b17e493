"""What people's labels say about each round: precision, the verdicts corrected by it, the checker, and the change."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flame_ray.evaluation import ppi
from flame_ray.evaluation.audit.draw import HeldOutFact
from flame_ray.evaluation.audit.labels import Answer
from flame_ray.evaluation.clusters import ClusterBootstrap, ratio
from flame_ray.evaluation.metrics import SHARE, difference
from flame_ray.types import Interval, VerdictLabel


@dataclass(frozen=True, slots=True)
class ReadFact:
    """A fact with the answers of everyone who read it."""

    fact: HeldOutFact
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class RoundAudit:
    """The findings of one round, each with its 95 % interval over prompts and its number of facts.

    Precisions are means over prompts, as the run's own is. `n` counts facts; of changes and of facts a response, prompts.
    """

    round: int
    facts: int  # that were labelled
    prompts: int  # that they answer
    verdicts: Interval  # the precision of all facts, by the checker
    supported: Interval  # the share of the labelled facts that people call supported
    precision: Interval  # of the labelled facts, by people
    debiased: Interval  # of all facts, by the verdicts and the labels together
    power: float  # the weight of the verdicts in `debiased`
    sensitivity: Interval  # the share of the facts which people call supported that the checker finds
    specificity: Interval  # the share of the other facts that the checker does not call supported
    says_nothing: Interval
    unfaithful: Interval
    sound: Interval  # the share of facts that are supported, say something, and are faithful to the response
    relevant: Interval
    relevant_correct: Interval  # supported facts a response that answer the instruction
    change: Interval | None  # of `precision` from the first round, over the prompts that both have; None for that round
    debiased_change: Interval | None
    relevant_correct_change: Interval | None


def audit_rounds(
    facts: Sequence[HeldOutFact], read: Sequence[ReadFact], answered: Mapping[int, int], bootstrap: ClusterBootstrap
) -> list[RoundAudit]:
    """The findings of each round that was read. `facts`: all of these rounds; `answered`: scored answers by round.

    Where readers differ about a fact, it counts by the share of them: half, if one of two calls it supported.
    """
    prompts = sorted({fact.prompt_id for fact in facts})
    rounds = sorted({each.fact.round for each in read})
    made = [_Round(round, prompts, facts, read, answered[round]) for round in rounds]
    return [_audit(each, None if each is made[0] else made[0], bootstrap) for each in made]


def _audit(this: "_Round", first: "_Round | None", bootstrap: ClusterBootstrap) -> RoundAudit:
    """The findings of a round, and its changes from the first one, if it is another."""
    people, relevant = this.by_prompt(_supported), this.a_response(_relevant_correct)
    before = first or this
    rise, both = _difference(people, before.by_prompt(_supported)), np.hstack([this.debiased, before.debiased])
    return RoundAudit(
        round=this.round,
        facts=this.n(_supported),
        prompts=int(this.prompts.labelled.sum()),
        verdicts=bootstrap.share(np.stack([this.prompts.all, this.prompts.scored], axis=1), this.total),
        supported=bootstrap.share(this.sums(_supported), this.n(_supported)),
        precision=bootstrap.share(people, this.n(_supported)),
        debiased=bootstrap.interval(ppi.debiased, this.debiased, this.total, SHARE),
        power=this.power,
        sensitivity=bootstrap.share(this.checked(True), this.called(True)),
        specificity=bootstrap.share(this.checked(False), this.called(False)),
        says_nothing=bootstrap.share(this.sums(_says_nothing), this.n(_says_nothing)),
        unfaithful=bootstrap.share(this.sums(_unfaithful), this.n(_unfaithful)),
        sound=bootstrap.share(this.sums(_sound), this.n(_sound)),
        relevant=bootstrap.share(this.sums(_relevant), this.n(_relevant)),
        relevant_correct=bootstrap.interval(ratio, relevant),
        change=bootstrap.interval(ratio, rise, bounds=difference(SHARE)) if first else None,
        debiased_change=bootstrap.interval(_debiased_change, both, bounds=difference(SHARE)) if first else None,
        relevant_correct_change=(
            bootstrap.interval(ratio, _difference(relevant, before.a_response(_relevant_correct))) if first else None
        ),
    )


def _difference(this_P2: np.ndarray, first_P2: np.ndarray) -> np.ndarray:
    """The difference of each prompt's value, and 1 for a prompt that has both [P, 2]."""
    both = (this_P2[:, 1] > 0) & (first_P2[:, 1] > 0)
    return np.stack([both * (this_P2[:, 0] - first_P2[:, 0]), both], axis=1).astype(float)


def _debiased_change(sums: np.ndarray) -> np.ndarray:
    return ppi.debiased(sums[..., :4]) - ppi.debiased(sums[..., 4:])


class _Round:
    """The facts of one round by prompt [P], and what people say about those that they read."""

    def __init__(self, round: int, names: Sequence[str], facts: Sequence[HeldOutFact], read: Sequence[ReadFact], answered: int):
        self.round, self._names = round, names
        self._read: dict[str, list[ReadFact]] = defaultdict(list)
        for each in read:
            if each.fact.round == round:
                self._read[each.fact.prompt_id].append(each)
        verdicts: dict[str, list[float]] = defaultdict(list)
        for fact in facts:
            if fact.round == round:
                verdicts[fact.prompt_id].append(_found(fact))
        self._counts = {prompt: len(values) for prompt, values in verdicts.items()}
        self.total = sum(self._counts.values())
        self._stating = len(self._counts) / answered  # the share of answers that state facts
        people = self.by_prompt(_supported)
        same = self._means({prompt: self._verdicts(prompt) for prompt in self._read})
        self.prompts = ppi.Prompts(people[:, 1], people[:, 0], same[:, 0], *self._means(verdicts)[:, ::-1].T)
        self.power = ppi.power(self.prompts)

    @property
    def debiased(self) -> np.ndarray:
        return ppi.columns(self.prompts, self.power)

    def n(self, value: "Value") -> int:
        return sum(len(values) for values in self._values(value).values())

    def by_prompt(self, value: "Value") -> np.ndarray:
        """The mean over each prompt's facts, and 1 for a prompt that has one [P, 2]."""
        return self._means(self._values(value))

    def sums(self, value: "Value") -> np.ndarray:
        """The sum over each prompt's facts, and their number [P, 2]."""
        values = self._values(value)
        return np.array([(sum(values.get(p, ())), len(values.get(p, ()))) for p in self._names], dtype=float)

    def a_response(self, value: "Value") -> np.ndarray:
        """The sum over all facts of each prompt's answer, from the share among those read. Answers without facts count 0."""
        means = self.by_prompt(value)
        means[:, 0] *= [self._counts.get(prompt, 0) * self._stating for prompt in self._names]
        return means

    def checked(self, supported: bool) -> np.ndarray:
        """By prompt: how many facts of this kind, as people see it, the checker decides in the same way; and all [P, 2]."""
        found = np.zeros((len(self._names), 2))
        for row, prompt in enumerate(self._names):
            for each in self._read.get(prompt, ()):
                if (people := _supported_of(each)) is not None:
                    weight = people if supported else 1 - people
                    found[row] += weight * (_found(each.fact) == supported), weight
        return found

    def called(self, supported: bool) -> int:
        """The facts that at least one reader calls supported, or not supported."""
        people = self._values(_supported)
        return sum((value if supported else 1 - value) > 0 for values in people.values() for value in values)

    def _verdicts(self, prompt: str) -> list[float]:
        """Those of the facts that have a label."""
        return [_found(each.fact) for each in self._read[prompt] if _supported_of(each) is not None]

    def _values(self, value: "Value") -> dict[str, list[float]]:
        """The value of each fact by prompt, as the mean over the readers who gave one."""
        known = {p: [mean for e in each if (mean := _mean(e, value)) is not None] for p, each in self._read.items()}
        return {prompt: values for prompt, values in known.items() if values}

    def _means(self, values: Mapping[str, Sequence[float]]) -> np.ndarray:
        return np.array([(np.mean(values[p]), 1.0) if values.get(p) else (0.0, 0.0) for p in self._names], dtype=float)


Value = Callable[[Answer], bool | None]  # of one answer; None if the reader left open what it needs


def _supported(answer: Answer) -> bool | None:
    return answer.supported


def _says_nothing(answer: Answer) -> bool | None:
    return answer.says_nothing


def _relevant(answer: Answer) -> bool | None:
    return answer.relevant


def _unfaithful(answer: Answer) -> bool | None:
    return None if answer.faithful is None else not answer.faithful


def _sound(answer: Answer) -> bool | None:
    if answer.supported is None or answer.says_nothing is None or answer.faithful is None:
        return None
    return answer.supported and answer.faithful and not answer.says_nothing


def _relevant_correct(answer: Answer) -> bool | None:
    """A fact that says nothing, or that its response does not state, is not correct."""
    if answer.supported is None or answer.relevant is None:
        return None
    return answer.supported and answer.relevant and answer.faithful is not False and not answer.says_nothing


def _mean(read: ReadFact, value: Value) -> float | None:
    known = [found for answer in read.answers if (found := value(answer)) is not None]
    return sum(known) / len(known) if known else None


def _supported_of(read: ReadFact) -> float | None:
    return _mean(read, _supported)


def _found(fact: HeldOutFact) -> bool:
    return fact.verdict is VerdictLabel.SUPPORTED
