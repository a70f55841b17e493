"""A seeded soak: a run whose workers and driver are killed in stages that a seed chooses learns what an undisturbed one does.

`SOAK_SEED=3 SOAK_FAULTS=10 SOAK_DTYPE=bfloat16 python -m pytest -m long -s tests/integration/chaos/test_soak.py`
"""

# ruff: noqa: T201
import os
import random
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch

from tests.integration.chaos.harness import ChaosRun, assert_same_run
from tests.integration.chaos.learning import Learned, differences, learned, pairs_of

SEED, FAULTS = int(os.environ.get("SOAK_SEED", "0")), int(os.environ.get("SOAK_FAULTS", "8"))
DTYPE = os.environ.get("SOAK_DTYPE", "float32")  # of the samplers
ROUNDS = 2
DRIVER = ("a kill of the driver", "a stop of the driver")
VICTIMS = {  # each stage of a round, in its order: the work at which a worker can be caught in it
    "sample": ("ray::RolloutActor.generate",),
    "score": ("ray::JudgeActor.score", "ray::FactualityActor.score"),
    "train": ("ray::LearnerActor.advance",),
    "sync": ("ray::RolloutActor.", "ray::LearnerActor."),
    "evaluate": ("ray::RolloutActor.generate",),
}
# In bfloat16, what else is in a batch may change a token, then a pair, then the update. (No bfloat16 soak has run yet.)
LEAST_COSINE = {"float32": 0.9999, "bfloat16": 0.5}[DTYPE]


@dataclass(frozen=True, order=True)
class Strike:
    round: int
    place: int  # of the stage in its round
    victim: str

    @property
    def stage(self) -> str:
        return f"{list(VICTIMS)[self.place]} {self.round}"


def plan(seed: int, faults: int) -> list[Strike]:
    """At most one fault in a stage of a round; each victim comes once, if there is room, before any comes twice."""
    hand = random.Random(seed)
    free = [(round, place) for round in range(1, ROUNDS + 1) for place in range(len(VICTIMS))]
    hand.shuffle(free)
    scored = ["ray::JudgeActor.score", "ray::FactualityActor.score"]  # they have the fewest places
    others = ["ray::LearnerActor.advance", "ray::RolloutActor.generate", *DRIVER]
    more = [*others, "ray::RolloutActor.", "ray::LearnerActor."]
    strikes: list[Strike] = []
    for victim in [*scored, *others, *hand.choices(more, k=10 * faults)]:
        fits = [slot for slot in free if victim in (*DRIVER, *list(VICTIMS.values())[slot[1]])]
        if fits and len(strikes) < faults:
            free.remove(fits[0])
            strikes.append(Strike(*fits[0], victim))
    return sorted(strikes)


def soak(run: ChaosRun, strikes: list[Strike]) -> None:
    run.start()
    for strike in strikes:
        strike_at(run, strike)
        print(f"{run.faults[-1].hits[-1].at_s - run.faults[0].hits[0].at_s:5.0f} s  {strike.stage}: {strike.victim}")
    assert run.finish() == 0, run.printed
    assert len(run.faults) == len(strikes)


def strike_at(run: ChaosRun, strike: Strike) -> None:
    def in_its_stage() -> bool:
        return strike.stage in run.under_way()

    if strike.victim not in DRIVER:
        run.kill(strike.victim, when=in_its_stage)
        return
    if strike.victim == "a kill of the driver":
        run.kill_driver(strike.stage, in_its_stage)
    else:
        run.tell_to_stop(strike.stage, in_its_stage)
        assert run.finish() == 75, run.printed
    run.start(resume=True)


@pytest.fixture
def undisturbed(request, tmp_path, model) -> ChaosRun:
    if DTYPE == "float32":
        return request.getfixturevalue("calm")
    run = ChaosRun(tmp_path, "undisturbed", {"model.dtype": DTYPE})
    run.start()
    assert run.finish() == 0, run.printed
    return run


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_soaked_run_learns_what_an_undisturbed_one_does(chaos, undisturbed, model):
    """The preferences are those on the undisturbed run's first pairs, on which both rounds have had time to act."""
    print(f"\nSOAK_SEED={SEED} SOAK_FAULTS={FAULTS} SOAK_DTYPE={DTYPE}")
    chaos.settings = {"model.dtype": DTYPE}
    soak(chaos, plan(SEED, FAULTS))
    if DTYPE == "float32":
        assert_same_run(chaos, undisturbed)
    what = partial(learned, pairs_D=pairs_of(undisturbed, 1), model=model)
    expected = what(undisturbed, ROUNDS)
    assert differences(what(chaos, ROUNDS), expected, LEAST_COSINE) == []
    assert_untrained_differs(expected)
    if DTYPE == "float32":
        one_round = differences(what(undisturbed, 1), expected, LEAST_COSINE)
        assert any("the update of the weights" in difference for difference in one_round), "its last round is missing"


def assert_untrained_differs(expected: Learned) -> None:
    """A comparison that the initial model passed would say nothing."""
    still = {name: torch.zeros_like(value) if "lora_B" in name else value for name, value in expected.adapter.items()}
    untrained = replace(expected, margins_D=(0.0,) * len(expected.margins_D), adapter=still)
    margin, update = differences(untrained, expected, least_cosine=0.1)
    assert "the margin is 0.000 nats" in margin and "a cosine of 0.0000" in update


def test_the_plan_of_a_seed_is_its_own_and_hits_everything():
    assert plan(3, 8) == plan(3, 8) != plan(4, 8)
    for seed in range(50):
        strikes = plan(seed, 8)
        assert len({(strike.round, strike.place) for strike in strikes}) == len(strikes) == 8
        assert {strike.victim for strike in strikes} >= {*DRIVER, *VICTIMS["score"], *VICTIMS["train"], *VICTIMS["sample"]}
