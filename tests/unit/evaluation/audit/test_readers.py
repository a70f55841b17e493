"""Agreement of readers: Cohen's kappa by hand, and on the facts that both labelled only."""

import pytest

from flame_ray.evaluation.audit.labels import Answer, Reader
from flame_ray.evaluation.audit.readers import agreements, kappa
from flame_ray.types import VerdictLabel

YES, NO, NONE = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND


def reader(name, *labels, **flags):
    return Reader(name, {str(i): Answer(label, **flags) for i, label in enumerate(labels) if label})


def by_column(*readers):
    return {each.column: (each.share, each.kappa, each.n) for each in agreements(readers)}


def test_kappa_by_hand():
    """Both say yes to 6 of 10 and no to 2; each says yes alone once. Chance is 0.7 * 0.7 + 0.3 * 0.3 = 0.58."""
    pairs = [(1, 1)] * 6 + [(0, 0)] * 2 + [(1, 0), (0, 1)]
    assert kappa(pairs) == pytest.approx((0.8 - 0.58) / (1 - 0.58))


def test_kappa_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    pairs = [(i % 3, (i * i) % 3) for i in range(40)]
    assert kappa(pairs) == pytest.approx(metrics.cohen_kappa_score(*zip(*pairs, strict=True)))


def test_kappa_below_chance_is_negative_and_without_variety_there_is_none():
    assert kappa([(1, 0), (0, 1)]) == -1
    assert kappa([(1, 1), (1, 1)]) is None
    assert kappa([]) is None


def test_readers_agree_more_on_supported_or_not_than_on_which_other_label():
    found = by_column(reader("anna", YES, YES, NO, NONE), reader("ben", YES, YES, NONE, NONE))
    assert found["label"][0] == 0.75 and found["supported"] == (1.0, 1.0, 4)


def test_only_facts_that_both_labelled_count():
    found = by_column(reader("anna", YES, None, NO), reader("ben", YES, YES, None))
    assert found["label"] == (1.0, None, 1)


def test_remarks_are_compared_where_both_made_them():
    found = by_column(reader("anna", YES, YES, faithful=True, relevant=True), reader("ben", YES, YES, faithful=False))
    assert found["faithful"][0] == 0.0 and found["faithful"][2] == 2
    assert "relevant" not in found and "says_nothing" not in found


def test_readers_of_different_facts_have_no_agreement():
    assert by_column(reader("anna", YES, None), reader("ben", None, NO)) == {"label": (None, None, 0)}


def test_three_readers_are_three_pairs_and_one_is_none():
    three = agreements([reader(name, YES, NO) for name in ("a", "b", "c")])
    assert [each.readers for each in three if each.column == "label"] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert agreements([reader("a", YES)]) == []
