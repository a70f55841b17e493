"""Accuracy, precision and recall of a classifier, against figures worked out by hand."""

import pytest

from flame_ray.evaluation.classification import ClassifiedText, classification_agreement


def texts(*rows, group=None):
    return [ClassifiedText(label, probability, group) for label, probability in rows]


MIXED = texts((True, 0.9), (True, 0.6), (True, 0.4), (False, 0.7), (False, 0.1), (False, 0.2), (False, 0.3), (False, 0.3))


def test_each_share_has_its_own_n():
    found = classification_agreement(MIXED, 0.5)  # calls three fact-based, two of them rightly
    assert (found["n"], found["fact_based"]) == (8, 3)
    assert (found["accuracy"]["share"], found["accuracy"]["n"]) == (6 / 8, 8)
    assert (found["precision"]["share"], found["precision"]["n"]) == (2 / 3, 3)
    assert (found["recall"]["share"], found["recall"]["n"]) == (2 / 3, 3)
    assert found["majority"] == 5 / 8


def test_the_intervals_are_wilsons():
    found = classification_agreement(MIXED, 0.5)["precision"]["ci95"]
    # z = 1.959964, p = 2/3, n = 3: (p + z^2/6 -+ z sqrt(p(1-p)/3 + z^2/36)) / (1 + z^2/3)
    assert found == pytest.approx([0.2077, 0.9385], abs=5e-5)


def test_auc_does_not_depend_on_the_threshold():
    """Of the 15 pairs of a fact-based and another text, 13 are in order: 0.6 and 0.4 are below 0.7."""
    for threshold in (0.1, 0.5, 0.95):
        assert classification_agreement(MIXED, threshold)["auc"] == pytest.approx(13 / 15)


def test_a_share_of_nothing_does_not_exist():
    found = classification_agreement(texts((True, 0.2), (True, 0.3)), 0.5)
    assert found["precision"] == {"share": None, "ci95": None, "n": 0}
    assert found["recall"]["share"] == 0.0 and found["auc"] is None and found["majority"] == 1.0


def test_groups_are_reported_apart():
    found = classification_agreement(texts((True, 0.9), group="a") + texts((False, 0.9), (False, 0.1), group="b"), 0.5)
    assert found["n"] == 3 and found["accuracy"]["share"] == pytest.approx(2 / 3)
    assert [found["groups"][name]["accuracy"]["share"] for name in ("a", "b")] == [1.0, 0.5]
    assert "groups" not in classification_agreement(MIXED, 0.5)
