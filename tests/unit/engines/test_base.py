"""The probability of one answer out of two."""

import math

import pytest

from flame_ray.engines.base import probability_of_yes


@pytest.mark.parametrize(
    ("yes", "no", "p"), [(math.log(0.3), math.log(0.1), 0.75), (-5.0, -5.0, 0.5), (-1.0, -2000.0, 1.0), (-2000.0, -1.0, 0.0)]
)
def test_the_probability_of_yes_is_among_the_two_answers_only(yes, no, p):
    assert probability_of_yes(yes, no) == pytest.approx(p)


def test_an_answer_outside_the_vocabulary_decides_for_the_other():
    assert probability_of_yes(-math.inf, -1.0) == 0.0
    assert probability_of_yes(-1.0, -math.inf) == 1.0


def test_log_probabilities_that_cannot_be_compared_are_an_error():
    with pytest.raises(ValueError, match="can be compared"):
        probability_of_yes(-math.inf, -math.inf)
    with pytest.raises(ValueError, match="can be compared"):
        probability_of_yes(math.nan, -1.0)
