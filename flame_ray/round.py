"""The algorithm: one round of online, factuality-aware DPO, and the loop over rounds.

`Stages` are the calls that do the work: `controller/stages.py` makes them from pools of actors, and the journal records each.
`sample` and `score` are streams: a group is scored as soon as it is sampled, and paired as soon as it is scored.
Held-out prompts only measure; development prompts choose the best round, if the settings ask for it.
A round without pairs is skipped: the weights, and what was measured of them, stay, and the next round samples anew.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from flame_ray.cluster.streams import prefetch
from flame_ray.types import (
    Group,
    HeldOut,
    MetricIntervals,
    PairSet,
    Prompt,
    RoundReport,
    ScoredGroup,
    Selection,
    Synced,
    TrainingReport,
)

Prompts = Sequence[Prompt]


@dataclass(frozen=True)
class Stages:
    """The stages of a round, in the order in which data flows. Rounds count from 1; round 0 is before training."""

    draw: Callable[[Prompts, int], Prompts]
    classify: Callable[[Prompts, int], Prompts]
    sample: Callable[[Prompts, int], Iterable[Group]]
    score: Callable[[Iterable[Group], int], Iterable[ScoredGroup]]
    pair: Callable[[Iterable[ScoredGroup], int], PairSet]
    skip: Callable[[PairSet, int], None]
    train: Callable[[PairSet, int], TrainingReport]
    save: Callable[[int], None]
    sync: Callable[[int], Synced]
    evaluate: Callable[[Prompts, int], HeldOut]
    compare: Callable[[HeldOut, HeldOut], MetricIntervals]
    develop: Callable[[Prompts, int], HeldOut]
    select: Callable[[Mapping[int, HeldOut], Selection | None], Selection | None]
    deliver: Callable[[Selection | None], None]


def collect(stages: Stages, train_P: Prompts, round: int) -> PairSet:
    """Sample responses to the round's prompts, score them, and build pairs."""
    prompts_P = stages.classify(stages.draw(train_P, round), round)
    groups_P = stages.sample(prompts_P, round)
    scored_P = stages.score(groups_P, round)
    return stages.pair(scored_P, round)


def on_given_pairs(stages: Stages, pairs: PairSet) -> Stages:
    """The same stages for a round that draws no prompts, and so samples nothing, and trains on these pairs."""
    return replace(stages, draw=lambda train_P, round: (), pair=lambda scored_P, round: pairs)


def run_rounds(
    stages: Stages, train_P: Prompts, heldout_P: Prompts, rounds: int, staleness: int = 0, dev_P: Prompts = ()
) -> Iterator[RoundReport]:
    """Yields the evaluation before training (round 0), then the report of each of `rounds` rounds.

    With `staleness` 1 the pairs of the next round are collected while this one trains, from weights one version behind.
    """
    decided_P = stages.classify((*heldout_P, *dev_P), 0)
    heldout_P, dev_P = decided_P[: len(heldout_P)], decided_P[len(heldout_P) :]
    start, developed = stages.evaluate(heldout_P, 0), {0: stages.develop(dev_P, 0)}
    stages.deliver(selection := stages.select(developed, None))
    reports = {0: RoundReport(0, start.evaluation, development=developed[0].evaluation, selection=selection)}
    yield reports[0]
    for round, pairs in prefetch(partial(collect, stages, train_P), range(1, rounds + 1), ahead=staleness):
        if not pairs.sides_D:
            stages.skip(pairs, round)
            now = selection.restart if selection else max(reports)  # the round whose weights the learner has
            yield replace(reports[now], round=round, pairs=pairs.counts, training=None)
            continue
        training, counts = stages.train(pairs, round), pairs.counts
        del pairs  # the next round's are made before this name has them
        stages.save(round)
        version = stages.sync(round).version
        heldout = stages.evaluate(heldout_P, round)
        best = selection.best if selection else 0
        developed = {best: developed[best], round: stages.develop(dev_P, round)}  # all that a choice compares
        stages.deliver(selection := stages.select(developed, selection))
        change, development = stages.compare(start, heldout), developed[round].evaluation
        reports[round] = RoundReport(round, heldout.evaluation, counts, training, version, change, development, selection)
        yield reports[round]
