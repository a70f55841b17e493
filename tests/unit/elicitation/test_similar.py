"""Which demonstrations are shown with an instruction."""

import numpy as np
import pytest

from flame_ray.elicitation.similar import by_meaning, by_words, distinct, nearest
from flame_ray.types import Demonstration
from tests.builders import make_prompt
from tests.doubles import FakeEmbedder

LIMA, QUITO = "What is the capital of Peru?", "What is the capital of Ecuador?"
CAKE, POEM = "How do I bake a chocolate cake?", "Write a poem about a cake."


def make_pool(*instructions):
    return [Demonstration(make_prompt(f"p{n}", text), f"answer {n}", "seeds") for n, text in enumerate(instructions)]


def chosen(instruction, pool, scores, k=5):
    return [each.prompt.text for each in nearest(instruction, pool, scores, k)]


def test_those_that_share_rare_words_come_first():
    pool = make_pool(POEM, LIMA, CAKE)
    scores = by_words([each.prompt.text for each in pool])
    assert chosen("Bake me cakes", pool, scores) == [CAKE, POEM, LIMA]
    assert chosen("Name the capital of Chile", pool, scores, k=1) == [LIMA]


def test_scores_by_words_are_those_worked_out_by_hand():
    """Two texts of two words and one of four; `lima` is in one of the three: idf = ln(1 + 2.5 / 1.5). k1 1.5, b 0.75."""
    scores = by_words(["lima peru", "quito ecuador", "river mountain desert ocean"])("lima")
    length = 2 / ((2 + 2 + 4) / 3)
    assert scores == pytest.approx([np.log(1 + 2.5 / 1.5) / (1 + 1.5 * (0.25 + 0.75 * length)), 0, 0], rel=1e-5)


@pytest.mark.parametrize("copy", [LIMA, "what is the capital of  PERU", "What is the capital of 'Peru'?!"])
def test_an_instruction_is_never_shown_itself_nor_a_copy_of_it(copy):
    pool = make_pool(QUITO, copy, CAKE)
    assert chosen(LIMA, pool, by_words([each.prompt.text for each in pool]), k=3) == [QUITO, CAKE]


def test_each_demonstration_is_shown_once_with_its_first_answer():
    pool = distinct(make_pool(CAKE, QUITO, "what is the capital of ecuador", LIMA, QUITO))
    assert [each.answer for each in pool] == ["answer 0", "answer 1", "answer 3"]
    shown = chosen("Name a capital", pool, by_words([each.prompt.text for each in pool]))
    assert sorted(shown) == sorted([CAKE, QUITO, LIMA])


def test_as_many_as_asked_are_shown_though_the_instruction_itself_would_be_among_them():
    pool = make_pool(LIMA, QUITO, CAKE, POEM)
    assert len(nearest(LIMA, pool, by_words([each.prompt.text for each in pool]), 3)) == 3


def test_those_without_a_word_in_common_keep_their_order():
    pool = make_pool(LIMA, CAKE)
    assert chosen("Xyzzy?", pool, by_words([each.prompt.text for each in pool])) == [LIMA, CAKE]
    assert chosen("the", make_pool("the", "of a", "a"), by_words(["the", "of a", "a"])) == ["of a", "a"]


def test_by_meaning_the_nearest_vectors_come_first():
    pool = make_pool("north 90", "east 0", "northeast 45")
    scores = by_meaning([each.prompt.text for each in pool], FakeEmbedder())
    assert chosen("a bit north of east 10", pool, scores) == ["east 0", "northeast 45", "north 90"]
