"""Which round is the best, and which one is rolled back, from development answers alone."""

from collections.abc import Sequence

import pytest

from flame_ray.config import EvaluationConfig, RunConfig
from flame_ray.evaluation.metrics import evaluate_responses
from flame_ray.evaluation.selection import select
from flame_ray.types import HeldOut, Prompt, Selection, VerdictLabel
from tests.builders import make_response, make_scored

S, C = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED
EVALUATION = EvaluationConfig(bootstrap=200, recall_at=4)
PROMPTS = 20


def developed(*supported: int, facts: int = 4, abstain: int = 0, failed: int = 0) -> HeldOut:
    """A round: so many of an answer's facts are supported, prompt by prompt; the last `abstain` answers state none."""
    counts = [supported[place % len(supported)] for place in range(PROMPTS)]
    answers: list = [[S] * count + [C] * (facts - count) for count in counts]
    answers[PROMPTS - abstain :] = [[]] * abstain
    answers[:failed] = ["checker failed"] * failed
    scored_P = [make_scored(make_response("", prompt=f"p{place}"), facts=each) for place, each in enumerate(answers)]
    prompts_P = [Prompt(f"p{place}", "?") for place in range(PROMPTS)]
    return HeldOut(tuple(scored_P), evaluate_responses(prompts_P, scored_P, EVALUATION, 0))


def selections(*rounds: HeldOut, **settings) -> list[Selection]:
    """The decision after each round, as the loop makes them."""
    made: list[Selection] = []
    for count in range(1, len(rounds) + 1):
        developed_so_far = dict(enumerate(rounds[:count]))
        made.append(select(developed_so_far, made[-1] if made else None, RunConfig(select="best", **settings), EVALUATION))
    return made


def path(made: Sequence[Selection]) -> list[tuple[int, int]]:
    """Of each round: the best so far, and where the next one starts."""
    return [(each.best, each.restart) for each in made]


def test_the_first_round_is_the_best_and_the_start_of_the_next():
    (first,) = selections(developed(1))
    assert (first.round, first.best, first.restart, first.change, first.value.n) == (0, 0, 0, None, PROMPTS)


def test_a_round_that_rises_is_the_best_and_a_round_that_falls_beyond_its_interval_is_rolled_back():
    made = selections(developed(1), developed(2), developed(1), developed(3))
    assert path(made) == [(0, 0), (1, 1), (1, 1), (3, 3)]
    assert [each.rolled_back for each in made] == [False, False, True, False]
    assert made[2].change.high < 0 < made[3].change.low  # both from round 1


def test_two_prompts_that_fall_alike_roll_nothing_back():
    def two(supported):
        answers = [make_scored(make_response("", prompt=name), facts=[S] * supported + [C]) for name in ("a", "b")]
        return HeldOut(tuple(answers), evaluate_responses([Prompt(name, "?") for name in ("a", "b")], answers, EVALUATION, 0))

    for metric in ("f_at_k", "factual_precision", "correct_facts"):
        made = selections(two(2), two(1), select_by=metric)
        assert made[1].change.mean < 0 and not made[1].rolled_back and made[1].best == 0, metric


def test_a_fall_within_its_interval_is_neither_the_best_nor_rolled_back():
    made = selections(developed(2), developed(2, 2, 2, 3, 1, 1))
    assert made[1].change.mean < 0 < made[1].change.high
    assert path(made) == [(0, 0), (0, 1)]


def test_rounds_are_compared_with_the_best_one_and_not_with_the_one_before():
    """Two falls that are too small to tell add up to one that is not."""
    one_fell, both_fell = developed(*[3] * 18, 2, 2), developed(*[3] * 16, 2, 2, 2, 2)
    assert path(selections(one_fell, both_fell))[-1] == (0, 1)
    assert path(selections(developed(3), one_fell, both_fell)) == [(0, 0), (0, 1), (0, 0)]


def test_equal_rounds_leave_the_earlier_one_as_the_best():
    assert path(selections(developed(2), developed(2))) == [(0, 0), (0, 1)]


def test_to_say_less_does_not_win_although_it_is_more_precise():
    """3 of 4 facts supported, then 1 of 1."""
    terse = developed(1, facts=1)
    assert path(selections(developed(3), terse))[-1] == (0, 0)
    assert path(selections(developed(3), terse, select_by="factual_precision"))[-1] == (1, 1)


@pytest.mark.parametrize(("abstain", "best"), [(2, 1), (3, 0)])
def test_a_round_that_abstains_above_the_limit_is_not_the_best_and_is_rolled_back(abstain, best):
    made = selections(developed(1), developed(4, abstain=abstain))
    assert path(made)[-1] == (best, best)
    assert made[-1].abstains_too_often is (best == 0)
    assert made[-1].change.mean > 0


def test_where_the_start_abstains_too_often_the_first_round_within_the_limit_is_the_best():
    made = selections(developed(4, abstain=9), developed(4, abstain=8), developed(1))
    assert path(made) == [(0, 0), (0, 1), (2, 2)]


def test_answers_whose_checks_failed_decide_nothing():
    made = selections(developed(2), developed(0, failed=PROMPTS), developed(3, failed=5))
    assert path(made) == [(0, 0), (0, 1), (2, 2)]
    assert (made[1].value.n, made[1].change.n, made[2].change.n) == (0, 0, PROMPTS - 5)


def test_the_decision_after_a_round_is_the_same_whoever_makes_it_again():
    rounds = [developed(1), developed(2), developed(1), developed(2, 3)]
    assert selections(*rounds) == selections(*rounds)
    assert selections(*rounds)[:3] == selections(*rounds[:3])
