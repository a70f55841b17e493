"""Passages and words on disk: the same as in memory, by number and in order."""

import pytest

from flame_ray.rewards.factuality.retrieve.arrow_files import BATCH, Passages, Words, write_passages, write_words
from flame_ray.types import Passage

WRITTEN = [Passage(f"id/{i}", f"Título {i}", "" if i == 3 else f"text {i}\n\x00 日本語 🦙") for i in range(2 * BATCH + 5)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("passages")
    write_passages(iter(WRITTEN), folder)
    return Passages(folder)


def test_all_passages_come_back_in_order(stored):
    assert len(stored) == len(WRITTEN)
    assert list(stored) == WRITTEN


@pytest.mark.parametrize("index", [0, 3, BATCH - 1, BATCH, 2 * BATCH + 4, -1, -len(WRITTEN)])
def test_any_passage_is_found_by_its_number(stored, index):
    assert stored[index] == WRITTEN[index]


@pytest.mark.parametrize("cut", [slice(0, 2), slice(BATCH - 1, BATCH + 2), slice(-2, None), slice(5, 5), slice(0, None, 5000)])
def test_a_slice_is_a_tuple_of_passages(stored, cut):
    assert stored[cut] == tuple(WRITTEN[cut])


@pytest.mark.parametrize("index", [len(WRITTEN), -len(WRITTEN) - 1])
def test_a_number_beyond_the_end_is_an_error(stored, index):
    with pytest.raises(IndexError):
        stored[index]


def test_words_are_found_by_their_place(tmp_path):
    words = sorted(["", "zebra", "Zebra", "été", "日本", "🦙", "a b", *(f"w{i}" for i in range(1000))])
    write_words(words, tmp_path / "words.arrow")
    found = Words(tmp_path / "words.arrow")
    assert [found.find(word) for word in words] == list(range(len(words)))
    assert [found.find(word) for word in ("w1000", "zz", "\U0010ffff", "A")] == [None] * 4


def test_no_words_at_all_find_nothing(tmp_path):
    write_words([], tmp_path / "words.arrow")
    assert Words(tmp_path / "words.arrow").find("a") is None
