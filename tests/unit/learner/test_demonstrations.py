"""What the learner gets of demonstrations."""

import pytest

from flame_ray.engines.base import Continuation
from flame_ray.engines.text_config import Longest
from flame_ray.errors import DataError
from flame_ray.learner.demonstrations import demonstration_examples
from flame_ray.types import Demonstration
from tests.builders import make_prompt

NINE = Longest("model.max_length", 9, 2048)


class Letters:
    """A `Chat` of one token a letter; 0 opens and ends a turn."""

    def prompt(self, text):
        return (0, *map(ord, text))

    def answer(self, text):
        return (*map(ord, text), 0)


def make_demonstration(prompt, answer, source="seeds", weight=1.0):
    return Demonstration(make_prompt(prompt, prompt), answer, source, weight)


def test_an_example_has_one_sequence_and_weighs_the_tokens_of_its_answer_times_the_weight_of_its_source():
    found = demonstration_examples(
        [make_demonstration("a", "bc"), make_demonstration("d", "e", "judging", 0.5)], Letters(), NINE, 0
    )
    assert [each.sequences for each in found.examples_D] == [
        (Continuation((0, 97), (98, 99, 0)),),
        (Continuation((0, 100), (101, 0)),),
    ]
    assert [(each.index, each.weight) for each in found.examples_D] == [(0, 3.0), (1, 1.0)]
    assert (found.by_source, found.tokens_by_source) == ({"seeds": 1, "judging": 1}, {"seeds": 3, "judging": 2})
    assert found.too_long == 0


def test_one_that_is_too_long_is_left_out_and_counted_and_the_others_are_numbered_without_it():
    demonstrations = [make_demonstration("a", "bcdefgh"), make_demonstration("a", "bcdefg")]
    found = demonstration_examples(demonstrations, Letters(), NINE, max_dropped=0.5)
    assert [each.index for each in found.examples_D] == [0]
    assert (len(found.examples_D[0].sequences[0].token_ids), found.too_long) == (7, 1)


def test_too_many_that_are_too_long_are_an_error_with_their_number():
    demonstrations = [make_demonstration("a", "bcdefgh"), *[make_demonstration("a", "b")] * 3]
    with pytest.raises(
        DataError, match=r"at most 24% .* longer than 9 tokens \(model\.max_length 9\); found 1 of 4.*raise model"
    ):
        demonstration_examples(demonstrations, Letters(), NINE, max_dropped=0.24)


def test_one_that_is_longer_than_the_models_positions_is_left_out_too_and_no_setting_is_blamed():
    demonstrations = [make_demonstration("a", "bcdefgh"), make_demonstration("a", "b")]
    found = demonstration_examples(demonstrations, Letters(), Longest("model.max_length", 2048, 9), max_dropped=0.5)
    assert (len(found.examples_D), found.too_long) == (1, 1)
    with pytest.raises(DataError, match=r"the model's 9 positions, fewer than model\.max_length 2048.*name a model with more"):
        demonstration_examples(demonstrations, Letters(), Longest("model.max_length", 2048, 9), max_dropped=0)
