"""Sequences as left-padded rows."""

import pytest

from flame_ray.engines.base import Continuation
from flame_ray.engines.batch import PAD, left_padded
from flame_ray.errors import DataError


def test_every_sequence_ends_in_the_last_column_and_only_response_tokens_are_scored():
    batch = left_padded([Continuation((5, 6, 7), (8, 9)), Continuation((5,), (4, 3, 2))])
    assert batch.token_ids.tolist() == [[5, 6, 7, 8, 9], [0, 5, 4, 3, 2]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1], [0, 1, 1, 1, 1]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 4], [0, 0, 1, 2, 3]]
    assert batch.response_mask.tolist() == [[False, True, True], [True, True, True]]
    assert batch.counted_NR.equal(batch.response_mask)
    assert batch.response_ids.tolist() == [[7, 8, 9], [4, 3, 2]]


def test_a_token_of_a_text_that_is_also_the_padding_counts_as_any_other():
    """As where the end of a text is the padding too: what is padding follows from lengths, never from ids."""
    batch = left_padded([Continuation((PAD, 6), (PAD, 9, PAD)), Continuation((5,), (PAD,))])
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1], [0, 0, 0, 1, 1]]
    assert batch.response_mask.tolist() == [[True, True, True], [False, False, True]]


@pytest.mark.parametrize("empty", [Continuation((1,), ()), Continuation((), (1,))])
def test_an_empty_prompt_or_response_is_refused(empty):
    with pytest.raises(DataError, match="empty"):
        left_padded([empty])
