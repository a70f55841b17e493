"""What labels show of each round, by hand: two rounds, three prompts, five facts that were read in each."""

import numpy as np
import pytest

from flame_ray.evaluation.audit.draw import HeldOutFact
from flame_ray.evaluation.audit.estimate import ReadFact, audit_rounds
from flame_ray.evaluation.audit.labels import Answer
from flame_ray.evaluation.clusters import ClusterBootstrap
from flame_ray.types import VerdictLabel
from tests.builders import make_held_out_fact

YES, NO, NONE = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND
BOOTSTRAP = ClusterBootstrap(resamples=200, seed=0)

# prompt -> the (verdict, label) of each fact of its answer; a label of None: nobody read it
FIRST = {
    "a": [(YES, YES), (NO, YES), (NONE, None), (NONE, None)],
    "b": [(NO, NO), (NO, NONE)],
    "c": [(YES, NO), (YES, None)],
}
LAST = {"a": [(YES, YES), (YES, YES)], "b": [(YES, NO), (NO, YES)], "d": [(NO, NO)]}


def facts_of(round, table) -> list[tuple[HeldOutFact, VerdictLabel | None]]:
    return [
        (make_held_out_fact(f"{prompt}{place}", verdict, round=round, prompt=prompt, place=place), label)
        for prompt, rows in table.items()
        for place, (verdict, label) in enumerate(rows)
    ]


def audit(tables, answer=Answer, answered=None, bootstrap=BOOTSTRAP):
    """`answer` makes the answer of a label."""
    facts = [each for round, table in tables.items() for each in facts_of(round, table)]
    read = [ReadFact(fact, (answer(label),)) for fact, label in facts if label]
    counts = {round: len(table) for round, table in tables.items()}
    return audit_rounds([fact for fact, _ in facts], read, answered or counts, bootstrap)


@pytest.fixture(scope="module")
def both():
    return audit({0: FIRST, 2: LAST})


def test_the_counts_are_of_facts_with_a_label_and_of_their_prompts(both):
    assert [(each.round, each.facts, each.prompts) for each in both] == [(0, 5, 3), (2, 5, 3)]


def test_precision_is_a_mean_over_prompts_of_what_people_found(both):
    """Round 0: 2 of 2, 0 of 2, 0 of 1. The plain share of facts is 2 of 5."""
    assert (both[0].supported.mean, both[0].supported.n) == (2 / 5, 5)
    assert both[0].precision.mean == pytest.approx(1 / 3) and both[0].precision.n == 5
    assert both[1].precision.mean == pytest.approx((1 + 0.5 + 0) / 3)


def test_the_verdicts_are_those_of_all_facts_also_of_those_that_nobody_read(both):
    assert both[0].verdicts.mean == pytest.approx((1 / 4 + 0 + 1) / 3) and both[0].verdicts.n == 8


def test_the_debiased_precision_adds_the_verdicts_of_all_facts_less_those_of_the_facts_that_were_read(both):
    """On the facts that were read, verdicts say 1/2, 0 and 1, on all facts 1/4, 0 and 1; people say 1, 0 and 0."""
    weight = both[0].power
    assert 0 <= weight <= 1
    assert both[0].debiased.mean == pytest.approx(1 / 3 + weight * ((1 / 4 + 0 + 1) / 3 - (1 / 2 + 0 + 1) / 3))
    assert both[0].debiased.n == 8


def test_sensitivity_is_the_share_of_true_facts_that_the_checker_finds_and_specificity_that_of_the_others(both):
    """Round 0: it finds 1 of the 2 true facts, and refuses 2 of the 3 others. Round 2: 2 of 3, and 1 of 2."""
    assert [(each.sensitivity.mean, each.sensitivity.n) for each in both] == [(1 / 2, 2), (pytest.approx(2 / 3), 3)]
    assert [(each.specificity.mean, each.specificity.n) for each in both] == [(pytest.approx(2 / 3), 3), (1 / 2, 2)]


def test_the_change_is_that_of_the_prompts_that_both_rounds_have(both):
    """Prompt a: 1 - 1, prompt b: 1/2 - 0; c and d are in one round only."""
    assert both[1].change.mean == pytest.approx(1 / 4) and both[1].change.n == 2
    assert (both[1].change.low, both[1].change.high) == (0, 0.5)  # resamples: a twice, one of each, b twice
    assert both[1].debiased_change.mean == pytest.approx(both[1].debiased.mean - both[0].debiased.mean)


def test_the_first_round_has_no_change(both):
    assert both[0].change is both[0].debiased_change is both[0].relevant_correct_change is None


def test_a_paired_change_of_all_prompts_alike_is_as_sure_as_so_many_prompts_make_it():
    """Every prompt gains a half, though prompts differ: resampling pairs gives a half each time."""
    none, half, all = [(NO, NO), (NO, NO)], [(NO, YES), (NO, NO)], [(NO, YES), (NO, YES)]
    last = audit({0: {"a": none, "b": half, "c": none}, 1: {"a": half, "b": all, "c": half}})[1]
    others = 3.8415 / (3 + 3.8415)  # Wilson's bound for none of three, and a change lies between -1 and 1
    assert (last.change.mean, last.change.low) == (0.5, pytest.approx(0.5 - 1.5 * others, abs=1e-4))
    assert last.change.high == pytest.approx(0.5 + 0.5 * others, abs=1e-4)
    assert last.precision.high > last.precision.low


def test_facts_that_say_nothing_or_distort_are_shares_of_all_facts_and_are_not_sound():
    def remarks(label):
        return Answer(label, says_nothing=label is NONE, faithful=label is not NO)

    (first,) = audit({0: FIRST}, remarks)
    assert (first.says_nothing.mean, first.unfaithful.mean, first.sound.mean) == (1 / 5, 2 / 5, 2 / 5)
    assert (first.says_nothing.n, first.unfaithful.n, first.sound.n) == (5, 5, 5)


@pytest.mark.parametrize("flags", [{"says_nothing": True, "faithful": True}, {"says_nothing": False, "faithful": False}])
def test_a_supported_fact_that_says_nothing_or_distorts_its_sentence_is_not_sound(flags):
    (first,) = audit({0: FIRST}, lambda label: Answer(label, **flags))
    assert first.sound.mean == 0 and first.precision.mean == pytest.approx(1 / 3)


def test_columns_that_nobody_filled_have_no_figure(both):
    assert both[0].says_nothing.mean is both[0].unfaithful.mean is both[0].sound.mean is None
    assert both[0].relevant.mean is both[0].relevant_correct.mean is None


def test_relevant_correct_facts_are_counted_a_response_from_the_share_among_those_read():
    """Prompt a: both that were read, of 4 facts, so 4; b and c: none; a fourth answer states no fact."""
    (first,) = audit({0: FIRST}, lambda label: Answer(label, relevant=True), answered={0: 4})
    assert first.relevant.mean == 1
    assert first.relevant_correct.mean == pytest.approx(4 / 4)


def test_relevant_correct_facts_are_supported_and_relevant_and_state_what_the_answer_does():
    cases = {(True, None, None): 4 / 3, (False, None, None): 0, (True, True, None): 0, (True, None, False): 0}
    for (relevant, empty, faithful), expected in cases.items():
        (first,) = audit({0: FIRST}, lambda label, r=relevant, e=empty, f=faithful: Answer(label, e, f, r))
        assert first.relevant_correct.mean == pytest.approx(expected)


def test_a_fact_on_which_readers_differ_counts_half():
    fact = make_held_out_fact("a0", YES)
    (found,) = audit_rounds([fact], [ReadFact(fact, (Answer(YES), Answer(NO)))], {0: 1}, BOOTSTRAP)
    assert (found.facts, found.precision.mean, found.sensitivity.mean, found.specificity.mean) == (1, 0.5, 1, 0)


def test_a_remark_without_a_label_counts_among_the_remarks_only():
    facts = [make_held_out_fact(text, YES, place=place) for place, text in enumerate("ab")]
    read = [ReadFact(facts[0], (Answer(YES, True, True),)), ReadFact(facts[1], (Answer(None, False, True),))]
    (found,) = audit_rounds(facts, read, {0: 1}, BOOTSTRAP)
    assert (found.facts, found.precision.mean, found.says_nothing.mean, found.says_nothing.n) == (1, 1, 0.5, 2)


def test_the_interval_of_the_precision_is_about_prompts_not_about_facts():
    """Forty prompts whose facts are all true or all false: as wide as for 40 values, although 400 facts were read."""
    table = {f"p{i:02d}": [(NO, YES if i % 2 else NO)] * 10 for i in range(40)}
    (found,) = audit({0: table}, bootstrap=ClusterBootstrap(2000, 0))
    assert found.precision.n == 400
    assert found.precision.high - found.precision.low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 40), rel=0.1)
