"""THE ALGORITHM. One round of online, factuality-aware DPO, and the loop over rounds.

In: `Stages`, the plain calls that do the work (runtime/stages.py makes them from Ray actors; the journal wraps each from
outside). Out: one `RoundReport` a round. Knows no actor, no file and no screen.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from flame_ray.types import HeldOut, PairSet, Prompt, Response, RoundReport, ScoredResponse, TrainingReport

Prompts = Sequence[Prompt]


@dataclass(frozen=True)
class Stages:
    """What a round is made of, in the order of the data's flow. `round` numbers from 1; 0 is before training."""

    draw: Callable[[Prompts, int], Prompts]
    classify: Callable[[Prompts], Prompts]
    sample: Callable[[Prompts, int], Sequence[Response]]
    score: Callable[[Prompts, Sequence[Response]], Sequence[ScoredResponse]]
    pair: Callable[[Prompts, Sequence[ScoredResponse]], PairSet]
    train: Callable[[PairSet, int], TrainingReport]
    sync: Callable[[PairSet, int], int]
    save: Callable[[int], None]
    evaluate: Callable[[Prompts, int], HeldOut]


def run_round(stages: Stages, train_P: Prompts, heldout_P: Prompts, round: int) -> RoundReport:
    """Sample from the current policy, score, pair, train, push the weights back, evaluate."""
    prompts_P = stages.classify(stages.draw(train_P, round))
    responses_PG = stages.sample(prompts_P, round)
    scored_PG = stages.score(prompts_P, responses_PG)
    pairs = stages.pair(prompts_P, scored_PG)
    training = stages.train(pairs, round)
    version = stages.sync(pairs, round)
    stages.save(round)
    heldout = stages.evaluate(heldout_P, round)
    return RoundReport(round, heldout.evaluation, pairs, training, version)


def run_rounds(stages: Stages, train_P: Prompts, heldout_P: Prompts, rounds: int) -> Iterator[RoundReport]:
    """Round 0 is the model before training; then `rounds` rounds, each on prompts drawn anew."""
    heldout_P = stages.classify(heldout_P)
    yield RoundReport(0, stages.evaluate(heldout_P, 0).evaluation)
    for round in range(1, rounds + 1):
        yield run_round(stages, train_P, heldout_P, round)
