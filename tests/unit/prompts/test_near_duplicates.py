"""Near-duplicates by ROUGE-L: hand-computed measures, and that the short cut finds what a comparison with every text finds."""

import random

import pytest
from rouge_score.rouge_scorer import RougeScorer

from flame_ray.prompts.near_duplicates import InstructionPool

SEA = "Write a poem about the sea."


def pool(*texts, limit=0.7):
    made = InstructionPool(limit)
    for text in texts:
        made.add(text)
    return made


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("write a POEM about the sea!", True),  # 6 of 6 words in order: 1
        ("Write a poem about the river.", True),  # 5 of 6: 0.833
        ("The sea: write a poem about.", False),  # `write a poem about` in order, of 6 and 6: 0.667
        ("Write a story about a sea.", False),  # `write a about sea` in order, of 6 and 6: 0.667
        ("Write a poem about the sea and about the wind that is over it.", False),  # 6 of 6 and 14: 0.6
        ("Name three rivers of France.", False),
    ],
)
def test_two_texts_are_alike_from_a_measure_of_seven_tenths_on(text, alike):
    assert (pool(SEA).near_duplicate_of(text) is not None) is alike


def test_the_limit_itself_is_alike():
    """4 words in order, of 5 and 5: 0.8."""
    assert pool("one two three four five", limit=0.8).near_duplicate_of("one two three four six") is not None
    assert pool("one two three four five", limit=0.81).near_duplicate_of("one two three four six") is None


def test_a_word_that_repeats_counts_as_often_as_it_is_there():
    assert pool("go go go go", limit=0.5).near_duplicate_of("go on and on then") is None  # 1 of 4 and 5: 0.22
    assert pool("go go go go", limit=0.5).near_duplicate_of("go go then on") is not None  # 2 of 4 and 4: 0.5


def test_the_text_that_shares_most_is_told():
    assert pool(SEA, "Write a poem about the seas of Mars.").near_duplicate_of("Write a poem about the seas of Earth") != SEA


def test_a_text_without_words_is_like_no_other():
    made = pool("", "Привет, как дела?", SEA)
    assert made.near_duplicate_of("") is None and made.near_duplicate_of("Привет, как дела?") is None
    assert made.words("Привет") == []


@pytest.mark.parametrize("limit", [0.3, 0.5, 0.7, 0.9, 1.0])
def test_the_short_cut_finds_what_a_comparison_with_every_text_finds(limit):
    draw, scorer = random.Random(5), RougeScorer(["rougeL"])
    words = [
        "write",
        "list",
        "explain",
        "a",
        "the",
        "of",
        "poem",
        "about",
        "river",
        "city",
        "how",
        "name",
        "three",
        "does",
        "work",
        "in",
        "and",
    ]
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 9))) for _ in range(160)]
    made, found, expected = InstructionPool(limit), [], []
    for number, text in enumerate(texts):
        others = texts[:number]
        expected.append(any(scorer.score(other, text)["rougeL"].fmeasure >= limit for other in others))
        found.append(made.near_duplicate_of(text) is not None)
        made.add(text)
    assert found == expected
    assert any(expected) and (limit == 0.3 or not all(expected))


def test_few_texts_are_compared_in_full():
    draw = random.Random(1)
    words = [f"word{number}" for number in range(200)]
    made = CountingPool(0.7)
    for _ in range(300):
        made.add(" ".join(draw.choices(words, k=10)))
    made.near_duplicate_of(" ".join(draw.choices(words, k=10)))
    assert made.measured == 0


class CountingPool(InstructionPool):
    measured = 0

    def _measure(self, first, second):
        self.measured += 1
        return super()._measure(first, second)
