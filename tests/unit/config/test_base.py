"""Which nodes a role asks for: only what Ray understands, and reads as it is meant."""

import pytest
from pydantic import ValidationError
from ray._private.label_utils import validate_label_selector

from flame_ray.config import Workers


@pytest.mark.parametrize("value", ["learner", "!learner", "in(learner,rollout)", "!in(learner,rollout)", "A100-80.GB_x"])
def test_labels_may_be_a_value_or_several_or_any_but_these(value):
    labels = {"flame-ray/role": value, "ray.io/market-type": value}
    assert Workers(node_labels=labels).node_labels == labels
    assert validate_label_selector(labels) is None


def test_a_blank_in_a_list_of_labels_is_refused_because_ray_takes_it_for_a_part_of_the_label():
    assert validate_label_selector({"role": "!in(learner, rollout)"}) is None
    with pytest.raises(ValidationError, match=r"without blanks \(given 'role': '!in\(learner, rollout\)'\)"):
        Workers(node_labels={"role": "!in(learner, rollout)"})


@pytest.mark.parametrize(
    ("key", "value"),
    [("role", "!in()"), ("role", "!in(a"), ("role", "not a"), ("role", "!!a"), ("role", "a,b"), ("a b", "c"), ("a/b/c", "d")],
)
def test_what_ray_would_refuse_when_an_actor_starts_is_refused_when_the_job_is_read(key, value):
    assert validate_label_selector({key: value}) is not None
    with pytest.raises(ValidationError, match="node_labels"):
        Workers(node_labels={key: value})
