"""Agreement with people: hand-computed figures, slow references, and what is left out rather than taken for 0."""

import itertools
import json
import math

import numpy as np
import pytest

from flame_ray.evaluation.agreement import ComparedClaim, ComparedResponse, auc, claim_agreement, response_agreement, tau_b


def claims(*said: tuple[bool, bool, float | None], group=None):
    return [ComparedClaim(supported, verdict, score, group) for supported, verdict, score in said]


# 3 of 4 supported claims told right, 1 of 2 others: (0.75 + 0.5) / 2.
SUPPORTED = ((True, True, 0.9), (True, True, 0.8), (True, True, 0.7), (True, False, 0.2))
SOME = claims(*SUPPORTED, (False, False, 0.1), (False, True, 0.6))


def slow_auc(labels, scores):
    pairs = [(a, b) for a, la in zip(scores, labels, strict=True) if la for b, lb in zip(scores, labels, strict=True) if not lb]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


def slow_tau_b(x, y):
    """Over all pairs: (concordant - discordant) / sqrt(pairs not tied in x * pairs not tied in y)."""
    signs = [(np.sign(a - b), np.sign(c - d)) for (a, c), (b, d) in itertools.combinations(list(zip(x, y, strict=True)), 2)]
    agree = sum(p * q for p, q in signs)
    untied_x, untied_y = (sum(1 for pair in signs if pair[i]) for i in (0, 1))
    return agree / math.sqrt(untied_x * untied_y) if untied_x and untied_y else None


def test_balanced_accuracy_and_auc_are_as_by_hand():
    found = claim_agreement(SOME)
    assert found["balanced_accuracy"] == 0.625
    assert found["auc"] == 7 / 8  # of the 8 pairs, only 0.2 against 0.6 is the wrong way round
    assert (found["n"], found["supported"], found["missing"]) == (6, 4, 0)


def test_sensitivity_and_specificity_are_shares_of_their_label_with_wilsons_interval():
    found = claim_agreement(SOME)
    assert (found["sensitivity"], found["specificity"]) == (0.75, 0.5)
    assert found["sensitivity_ci95"] == pytest.approx([0.3006, 0.9544], abs=1e-4)  # 3 of 4
    assert found["specificity_ci95"] == pytest.approx([0.0945, 0.9055], abs=1e-4)  # 1 of 2


def test_the_checkers_own_decision_counts_and_not_a_threshold_chosen_here():
    """Scores that would separate both labels perfectly at 0.3, from a checker that says no to all."""
    found = claim_agreement(claims((True, False, 0.4), (False, False, 0.2)))
    assert (found["balanced_accuracy"], found["auc"]) == (0.5, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_that_of_all_pairs_ties_and_all(seed):
    draw = np.random.default_rng(seed)
    labels, scores = draw.random(60) < 0.3, np.round(draw.random(60), 1)
    assert auc(labels, scores) == pytest.approx(slow_auc(labels, scores))


@pytest.mark.parametrize("seed", range(5))
def test_tau_b_is_that_of_all_pairs_ties_and_all(seed):
    draw = np.random.default_rng(seed)
    x, y = draw.integers(0, 6, 40), draw.integers(0, 4, 40)
    assert tau_b(x, y) == pytest.approx(slow_tau_b(x, y))


@pytest.mark.parametrize(("x", "y"), [([], []), ([1], [2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [5, 5, 5])])
def test_a_tau_that_does_not_exist_is_none(x, y):
    assert tau_b(np.array(x), np.array(y)) is None


def test_a_claim_on_which_the_checker_failed_is_left_out_and_counted():
    found = claim_agreement([*SOME, *claims((True, False, None), (False, False, None))])
    assert found["missing"] == 2
    assert {key: found[key] for key in ("balanced_accuracy", "auc", "n")} == {
        key: claim_agreement(SOME)[key] for key in ("balanced_accuracy", "auc", "n")
    }


def test_groups_have_their_own_figures_and_the_mean_is_over_groups_and_not_over_claims():
    small = claims((True, True, 1.0), (False, False, 0.0), group="small")
    large = claims(*[(True, False, 0.0), (False, True, 1.0)] * 10, group="large")
    found = claim_agreement([*small, *large])
    assert {name: of["balanced_accuracy"] for name, of in found["groups"].items()} == {"small": 1.0, "large": 0.0}
    assert found["mean_over_groups"]["balanced_accuracy"] == found["mean_over_groups"]["sensitivity"] == 0.5
    assert [of["specificity"] for of in found["groups"].values()] == [0.0, 1.0]
    assert found["balanced_accuracy"] == pytest.approx(1 / 11)


def test_a_group_with_one_label_has_only_the_share_of_that_label_and_is_not_in_the_mean():
    one, two = claims((True, True, 0.9), group="one"), claims((True, True, 1.0), (False, False, 0.0), group="two")
    found = claim_agreement([*one, *two])
    one = found["groups"]["one"]
    assert (one["n"], one["supported"], one["sensitivity"]) == (1, 1, 1.0)
    none = ("balanced_accuracy", "ci95", "auc", "specificity", "specificity_ci95")
    assert [one[name] for name in none] == [None] * len(none)
    assert found["mean_over_groups"]["groups"] == 1


def test_without_groups_there_is_no_mean_over_them():
    assert "groups" not in claim_agreement(SOME) and "mean_over_groups" not in claim_agreement(SOME)


def test_the_interval_is_that_of_a_bootstrap_which_redraws_claims_within_their_label():
    draw = np.random.default_rng(1)
    labels = draw.random(300) < 0.4
    right = draw.random(300) < np.where(labels, 0.8, 0.6)
    some = [ComparedClaim(bool(l), bool(l == r), 0.5) for l, r in zip(labels, right, strict=True)]  # noqa: E741
    sides = [right[labels], right[~labels]]
    slow = [np.mean([draw.choice(side, len(side)).mean() for side in sides]) for _ in range(4000)]
    low, high = claim_agreement(some, resamples=4000)["ci95"]
    assert (low, high) == pytest.approx(np.percentile(slow, [2.5, 97.5]), abs=0.008)


def test_a_checker_that_is_always_right_has_the_mean_of_wilsons_intervals_and_a_mean_over_groups_has_none():
    right = [ComparedClaim(label, label, float(label), "one") for label in (True, True, True, False)]
    found = claim_agreement(right)
    sides = zip(found["sensitivity_ci95"], found["specificity_ci95"], strict=True)
    assert found["balanced_accuracy"] == 1.0 and found["ci95"] == [sum(each) / 2 for each in sides]
    assert 0.2 < found["ci95"][0] < 0.5 and found["ci95"][1] == 1.0
    assert found["mean_over_groups"]["ci95"] is None


def test_a_tau_that_every_resample_has_has_no_interval():
    assert response_agreement(PERFECT, resamples=50)["tau_fraction"]["pooled_ci95"] is None


def test_the_same_seed_gives_the_same_interval():
    assert claim_agreement(SOME, seed=3) == claim_agreement(SOME, seed=3)


# --- responses ------------------------------------------------------------------------------------------------------


def response(prompt, human, ours, system="a", words=10, missing=False):
    """`human` and `ours`: (supported, unsupported)."""
    precision = ours[0] / sum(ours) if sum(ours) else None
    return ComparedResponse(prompt, system, words, *human, precision, ours[1], missing)


PERFECT = [response(str(i), (10 - i, i), (10 - i, i), words=100 - i) for i in range(8)]


def test_a_reward_that_counts_as_people_do_agrees_perfectly_by_every_sign():
    found = response_agreement(PERFECT, resamples=50)
    for name in ("tau_fraction", "tau_errors", "tau_precision_errors"):
        assert (found[name]["within_system"], found[name]["pooled"]) == pytest.approx((1.0, 1.0))
    assert found["n"] == 8


def test_the_control_is_positive_where_longer_responses_have_more_errors():
    longer = [response(str(i), (5, i), (5, 7 - i), words=10 * i) for i in range(8)]
    found = response_agreement(longer, resamples=50)
    controls = ("tau_length_control", "tau_length_control_fraction")
    assert [found[name]["pooled"] for name in controls] == pytest.approx([1.0, 1.0])
    assert [found[name]["pooled"] for name in ("tau_errors", "tau_fraction")] == pytest.approx([-1.0, -1.0])
    assert response_agreement(PERFECT, resamples=50)["tau_length_control"]["pooled"] == pytest.approx(-1.0)


def test_within_a_system_means_that_what_differs_between_systems_does_not_count():
    """Each system is ordered wrongly inside; the better system has the better scores, so that pooling flatters."""
    good = [response(f"g{i}", (19, i), (18, 2 - i), "good") for i in range(3)]
    bad = [response(f"b{i}", (1, 16 + i), (1, 18 - i), "bad") for i in range(3)]
    found = response_agreement([*good, *bad], resamples=50)
    assert found["tau_errors"]["within_system"] == pytest.approx(-1.0)
    assert found["tau_errors"]["pooled"] == pytest.approx((9 - 6) / 15)
    assert found["systems"] == 2


def test_systems_weigh_by_their_responses_and_one_without_a_tau_weighs_nothing():
    right = [response(f"r{i}", (5, i), (5, i), "right") for i in range(4)]
    wrong = [response(f"w{i}", (5, i), (5, 2 - i), "wrong") for i in range(2)]
    alone = [response("alone", (5, 1), (5, 1), "alone")]
    found = response_agreement([*right, *wrong, *alone], resamples=50)
    assert found["tau_errors"]["within_system"] == pytest.approx((4 * 1 + 2 * -1) / 6)


def test_what_is_missing_abstains_or_has_no_human_facts_is_left_out_of_every_figure_and_counted():
    left_out = [
        response("m", (1, 9), (9, 0), missing=True),
        response("a", (1, 9), (0, 0)),
        response("n", (0, 0), (9, 0)),
    ]
    found = response_agreement([*PERFECT, *left_out], resamples=50)
    assert (found["n"], found["missing"], found["abstained"], found["no_human_facts"]) == (8, 1, 1, 1)
    assert found["tau_fraction"] == response_agreement(PERFECT, resamples=50)["tau_fraction"]


def test_no_response_at_all_has_no_figure_and_is_no_error():
    found = response_agreement([])
    assert found["n"] == 0
    assert found["tau_errors"] == {"within_system": None, "within_system_ci95": None, "pooled": None, "pooled_ci95": None}


def test_the_interval_redraws_prompts_with_all_their_responses():
    """Two prompts: a redraw holds either both of them or one twice, whose three responses agree perfectly or not at all."""
    first = [response("p", (5, i), (5, i)) for i in range(3)]
    second = [response("q", (5, i), (5, 2 - i)) for i in range(3)]
    found = response_agreement([*first, *second], resamples=200)
    assert found["tau_errors"]["pooled_ci95"] == [pytest.approx(-1.0), pytest.approx(1.0)]


def test_the_figures_can_be_written_as_json():
    for found in (claim_agreement(SOME), response_agreement(PERFECT, resamples=20), response_agreement([])):
        assert json.loads(json.dumps(found, allow_nan=False)) == found
