"""Statements and their false twins: what is changed, what stays, and the same for a seed in any process."""

import os
import random
import subprocess
import sys

import pytest

from flame_ray.errors import DataError
from flame_ray.rewards.check.twins import (
    EXCHANGED,
    GROUP,
    OPPOSITES,
    _denial,
    _exchange,
    _name,
    _number,
    _other_number,
    _varied,
    _without,
    twins,
)
from flame_ray.types import Passage

CURIE = Passage(
    "curie",
    "Marie Curie",
    "Marie Curie was a physicist who was born in Warsaw in 1867. She moved to Paris in 1891, where she met Pierre Curie. "
    "She won the Nobel Prize in 1903 with Henri Becquerel. Her daughter Irene won the prize in 1935.",
)
PERU = Passage("peru", "Peru", "Peru is bordered by Chile and Brazil. The largest city of Peru is Lima with 10,092,000 people.")
LAKE = Passage(
    "lake", "Titicaca", "Lake Titicaca is a lake in the Andes. It lies on the border of Bolivia and Peru at 3,812 metres."
)
CORPUS = (CURIE, PERU, LAKE)
SCRIPT = """
import sys
from flame_ray.rewards.check.twins import twins
from flame_ray.types import Passage
for each in twins([Passage(*row) for row in {rows!r}], 30, 7):
    print(each.supported, each.claim.fact.text, each.claim.passages_K[0].text)
"""


def draws(change, statement, evidence="", names=(), tries=200):
    """All that a change makes of a statement."""
    draw = random.Random(0)
    return {change(statement, evidence, names, draw) for _ in range(tries)}


def test_as_many_claims_as_asked_of_both_labels_in_the_group_of_twins():
    made = twins(CORPUS, 60, seed=1)
    assert len(made) == 60 and {each.group for each in made} == {GROUP}
    assert 15 <= sum(each.supported for each in made) <= 45
    assert all(each.claim.fact.text.endswith(".") and not each.claim.fact.text.endswith("..") for each in made)


def test_no_claims_are_made_of_nothing_and_for_nothing():
    assert twins(CORPUS, 0, seed=1) == twins((), 0, seed=1) == []


def test_the_same_seed_gives_the_same_claims_and_another_one_others():
    assert twins(CORPUS, 30, seed=1) == twins(CORPUS, 30, seed=1) != twins(CORPUS, 30, seed=2)


def test_the_claims_do_not_depend_on_the_hashes_of_the_process():
    code = SCRIPT.format(rows=[(each.id, each.title, each.text) for each in CORPUS])
    out = [
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert out[0] == out[1] and len(out[0].splitlines()) == 30


@pytest.mark.parametrize("texts", [(), ("",), ("日本は島国です。", "?"), ("Yes.", "What is it?", "x " * 500)])
def test_a_corpus_that_states_nothing_is_refused_and_not_read_for_ever(texts):
    with pytest.raises(DataError, match=f"0 claims of 5 in {len(texts)} passages"):
        twins([Passage(str(place), "", text) for place, text in enumerate(texts)], 5, seed=1)


def test_a_true_claim_has_its_passage_whole_and_one_with_evidence_taken_away_lacks_its_words():
    for each in twins(CORPUS, 80, seed=3):
        (passage,) = each.claim.passages_K
        whole = next(known for known in CORPUS if known.id == passage.id)
        assert not each.supported or passage == whole
        assert passage == whole or len(passage.text) < len(whole.text)


def test_the_sentences_that_say_it_are_taken_away():
    assert _without(PERU, "Peru is bordered by Chile").text == "The largest city of Peru is Lima with 10,092,000 people."
    assert _without(Passage("x", "", "Peru borders Chile."), "Peru borders Chile") is None
    assert _without(PERU, "Llamas graze quietly") is None
    assert _without(PERU, "") is None


def test_a_name_is_exchanged_for_one_of_the_same_passage_or_of_another():
    evidence = "It borders Chile. It borders Brazil."
    found = draws(_name, "It borders Chile", evidence, ["Kenya", "Brazil"])
    assert found == {"It borders Brazil", "It borders Kenya"}
    assert draws(_name, "It borders Chile", "It left Greater Chile.", ["Kenya"]) == {"It borders Kenya"}


def test_a_statement_without_a_name_or_without_another_name_has_no_such_twin():
    assert draws(_name, "it rains", "It rains in Chile.", ["Kenya"]) == {None}
    assert draws(_name, "It borders Chile", "It borders Chile.", []) == {None}


def test_a_figure_is_exchanged_for_another_one():
    found = draws(_number, "It has 40 mines", "It has 40 mines and 55 lakes.")
    assert "It has 55 mines" in found and "It has 40 mines" not in found
    assert draws(_number, "It has mines") == {None}


@pytest.mark.parametrize("number", ["0", "1", "7", "1,000", "2.5", "1867", "1.2.3", "1,2,3", "٣", "9" * 50, "0.0"])
def test_any_figure_has_another_form_or_none(number):
    found = {_other_number(number, random.Random(seed)) for seed in range(50)}
    assert all(found) and found != {number}


def test_a_year_stays_near():
    years = {int(_other_number("1900", random.Random(seed))) for seed in range(200)}
    assert 1900 not in years and min(years) == 1800 and max(years) == 1950


def test_every_opposite_has_its_own():
    assert len(EXCHANGED) == 2 * len(OPPOSITES.split())
    assert all(EXCHANGED[EXCHANGED[word]] == word for word in EXCHANGED)


def test_an_opposite_and_a_denial():
    assert draws(_exchange, "She was born in the north") == {"She was died in the north", "She was born in the south"}
    assert draws(_exchange, "She sang in northbound trains") == {None}
    assert draws(_denial, "Lima is the capital") == {"Lima is not the capital"}
    assert draws(_denial, "Lima thrives") == {None}


def test_less_is_said_and_nothing_else():
    statement = "Marie Curie was a physicist born in 1867 (or so), who lived in Paris"
    assert {_varied(statement, random.Random(seed)) for seed in range(100)} == {
        statement,
        "Marie Curie was a physicist born in 1867 (or so)",
        "Marie Curie was a physicist born in the 1860s (or so), who lived in Paris",
        "Marie Curie was a physicist born in 1867, who lived in Paris",
    }
