"""A round of many prompts: the controller's memory does not grow with what passes through it."""

import pytest

from tests.benchmarks.pairing import SAMPLES, Load, measure_apart

SMALL = 1_000
BYTES = 700  # of the controller for each further response: its prompt, and where its group lies; a response has some 3,000


@pytest.mark.timeout(900)
@pytest.mark.parametrize("many", [6_000, pytest.param(20_000, marks=pytest.mark.long)])
def test_a_round_of_many_prompts_keeps_the_controllers_memory_flat_through_pairing(many):
    """Few of the prompts give a pair, since pairs are what has to stay."""
    small, large = (measure_apart(Load(prompts, tokens=10, paired=0.02)) for prompts in (SMALL, many))
    allowed = BYTES * SAMPLES * (many - SMALL) / 2**20
    assert large.grown - small.grown < allowed, f"{small} and {large}, and at most {allowed:.0f} MiB more"
