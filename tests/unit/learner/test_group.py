"""What a group says of a rank that is gone; ranks themselves are real ones, in tests/integration/learner."""

import pytest
from ray.exceptions import ActorDiedError, NodeDiedError, OutOfMemoryError

from flame_ray.errors import LearnerDied
from flame_ray.learner.group import failure_of


@pytest.mark.parametrize(
    "error",
    [ActorDiedError(), NodeDiedError("its node is gone"), OutOfMemoryError("ended by Ray's memory monitor")],
    ids=lambda error: type(error).__name__,
)
def test_every_way_in_which_ray_loses_a_rank_is_a_death(error):
    found = failure_of(error, "a unit of work")
    assert isinstance(found, LearnerDied)
    assert "a unit of work; found a learner rank died" in str(found)
