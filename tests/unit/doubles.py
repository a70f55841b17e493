"""Doubles that several tests share."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from flame_ray.round import Stages
from flame_ray.types import (
    Audit,
    Evaluation,
    Fact,
    FactScore,
    Group,
    HeldOut,
    Interval,
    JudgeScore,
    Pair,
    PairKind,
    PairSet,
    Passage,
    Prompt,
    Response,
    ResponseId,
    ScoredGroup,
    ScoredResponse,
    Sentence,
    TrainingReport,
    Verdict,
    VerdictLabel,
)


class Remote:
    """A method of an actor: called by `.remote`, awaited."""

    def __init__(self, method):
        self._method = method

    async def remote(self, *args: Any) -> Any:
        return self._method(*args)


class FakeMetrics:
    """Notes what the gauges would show."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int, bool]] = []
        self.evaluations: list[Evaluation] = []

    def stage(self, name, round, running):
        self.stages.append((name, round, running))

    def evaluation(self, evaluation):
        self.evaluations.append(evaluation)


class FakeStages:
    """Stages that are quick and always do the same; each says `unit` of work by its name before it does it.

    `trained`: the rounds that the learner's state holds; as the learner, it does not train one of these again.
    """

    def __init__(self, work: Callable[[str], None] = lambda unit: None, trained: set[int] | None = None):
        self._work = work
        self.trained = set() if trained is None else trained

    def stages(self, **other) -> Stages:
        names = ("draw", "classify", "sample", "score", "pair", "train", "save", "sync", "evaluate")
        return Stages(**({name: getattr(self, name) for name in names} | other))

    def draw(self, prompts_P, round):
        return prompts_P

    def classify(self, prompts_P, round):
        self._work(f"classify {round}")
        return tuple(replace(prompt, fact_based=True) for prompt in prompts_P)

    def sample(self, prompts_P: Iterable[Prompt], round: int) -> Iterator[Group]:
        for prompt in prompts_P:
            self._work(f"sample {round} {prompt.id}")
            yield Group(prompt, self._responses(prompt, round, 2))

    def score(self, groups_P: Iterable[Group], round: int) -> Iterator[ScoredGroup]:
        for group in groups_P:
            self._work(f"score {round} {group.prompt.id}")
            yield ScoredGroup(group.prompt, tuple(self._scored(response) for response in group.responses_G))

    def pair(self, groups_P: Iterable[ScoredGroup], round: int) -> PairSet:
        groups = sorted(groups_P, key=lambda group: group.prompt.id)
        self._work(f"pair {round}")
        sides = [[scored.response for scored in group.scored_G] for group in groups]
        pairs = [Pair(PairKind.INSTRUCTION, chosen, rejected, 1.0, 0.0) for rejected, chosen in sides]
        return PairSet(tuple(pairs), {"factuality: tie": len(groups)})

    def train(self, pairs: PairSet, round: int) -> TrainingReport:
        if round not in self.trained:
            self._work(f"train {round}")
            self.trained.add(round)
        return TrainingReport(4, 0.5 / round, 0.75, 0.125, len(pairs.pairs_D), 9)

    def save(self, round: int) -> None:
        self._work(f"save {round}")

    def sync(self, round: int) -> int:
        self._work(f"sync {round}")
        return round

    def choose_canary(self, pairs: PairSet) -> None:
        assert pairs.pairs_D

    def evaluate(self, prompts_P, round: int) -> HeldOut:
        self._work(f"evaluate {round}")
        scored_P = tuple(self._scored(self._responses(prompt, round, 1)[0]) for prompt in prompts_P)
        interval = Interval(round / 8, 0.0, 1.0, len(prompts_P))
        return HeldOut(scored_P, Evaluation(*([interval] * 6), prompts=len(prompts_P), missing=0))

    def _responses(self, prompt: Prompt, round: int, samples: int) -> tuple[Response, ...]:
        ids = [ResponseId(round, prompt.id, index) for index in range(samples)]
        return tuple(Response(id, f"answer {id}", (1,), (2, 3), (-0.1, -0.2), "stop", round - 1) for id in ids)

    def _scored(self, response: Response) -> ScoredResponse:
        verdict = Verdict(Fact("a fact", 0), VerdictLabel.SUPPORTED, 1.0, "passage")
        judge = JudgeScore(response.id, float(response.id.index), (1.0,))
        passage, sentence = Passage("passage", "A title", "a text"), Sentence("A fact.", verifiable=True)
        return ScoredResponse(response, judge, Audit(FactScore(response.id, (verdict,)), (passage,), (sentence,)))
