"""What a perturbed statement says: one thing is changed, and never to what the passage supports."""

import random

import pytest

from flame_ray.reward_training.perturb import (
    Context,
    description,
    name,
    negation,
    number,
    opposite,
    other_number,
    perturb,
    sibling,
    swapped_names,
    wrong_side,
)


def draws(change, statement, passage="", names=(), descriptions=(), tries=300):
    """All that a change makes of a statement."""
    draw = random.Random(0)
    return {change(statement, Context(passage, names, descriptions), draw) for _ in range(tries)}


def test_a_name_is_exchanged_for_one_of_the_same_passage_or_of_another():
    assert draws(name, "It borders Chile", "It borders Chile. It borders Brazil.", ["Kenya", "Brazil"]) == {
        "It borders Brazil",
        "It borders Kenya",
    }
    assert draws(name, "It borders Chile", "It left Greater Chile.", ["Kenya"]) == {"It borders Kenya"}


def test_a_statement_without_a_name_or_without_another_name_has_no_such_twin():
    assert draws(name, "it rains", "It rains in Chile.", ["Kenya"]) == {None}
    assert draws(name, "It borders Chile", "It borders Chile.", []) == {None}


def test_names_change_parts_where_a_verb_stands_between_them_and_not_where_they_stand_side_by_side():
    assert draws(swapped_names, "Rome was sacked by Alaric") == {"Alaric was sacked by Rome"}
    assert draws(swapped_names, "Peru and Chile fought") == {None}
    assert draws(swapped_names, "it rained") == {None}


def test_a_figure_is_exchanged_for_another_one():
    found = draws(number, "It has 40 mines", "It has 40 mines and 55 lakes.")
    assert "It has 55 mines" in found and "It has 40 mines" not in found
    assert (
        draws(number, "It has mines")
        == draws(number, "It has more than 40 mines")
        == draws(number, "After 1900 it fell")
        == {None}
    )


@pytest.mark.parametrize("figure", ["0", "1", "7", "1,000", "2.5", "1867", "1.2.3", "1,2,3", "٣", "9" * 50, "0.0"])
def test_any_figure_has_another_form_or_none(figure):
    found = {other_number(figure, random.Random(seed)) for seed in range(50)}
    assert all(found) and found != {figure}


def test_a_year_stays_near():
    years = {int(other_number("1900", random.Random(seed))) for seed in range(200)}
    assert 1900 not in years and min(years) == 1800 and max(years) == 1950


def test_a_limit_lies_on_the_wrong_side():
    for twin in draws(wrong_side, "She left in 1891 for good"):
        words = twin.removeprefix("She left ").removesuffix(" for good").split()
        wrong = {"before": lambda year: year < 1891, "after": lambda year: year > 1891}
        assert wrong[words[0]](int(words[1])) if words[0] in wrong else words[2] != "1890s"
    for twin in draws(wrong_side, "It has 500 rooms"):
        words = twin.split()
        assert int(words[4]) > 500 if words[2] == "more" else int(words[4]) < 500
    assert draws(wrong_side, "It has rooms") == draws(wrong_side, "It has more than 500 rooms") == {None}


def test_an_opposite_and_another_of_the_same_kind():
    assert draws(opposite, "She was born in the north") == {"She died in the north", "She was born in the south"}
    assert draws(opposite, "She died in Peru") == {"She was born in Peru", None}
    assert draws(opposite, "She sang in northbound trains") == {None}
    assert "She was an engineer" in (found := draws(sibling, "She was a poet", "A poet and novelist."))
    assert not {"She was a poet", "She was a novelist"} & found
    assert draws(sibling, "She sang") == {None}


def test_a_denial_of_a_state_and_of_a_deed():
    assert draws(negation, "Lima is the capital") == {"Lima is not the capital", "Lima is never the capital"}
    assert "Lima refused to join a league" in (found := draws(negation, "Lima joined a league"))
    assert "Lima never joined a league" in found and "Lima joined a league" not in found
    assert draws(negation, "Lima is not the capital") == draws(negation, "Lima thrives") == {None}


def test_a_topic_is_called_what_another_one_is_unless_its_passage_says_so():
    descriptions = ["is a blood disorder", "is a large city"]
    assert draws(description, "Lima is a city in Peru", "Lima is a large city.", descriptions=descriptions) == {
        "Lima is a blood disorder"
    }
    assert draws(description, "Lima thrives", "", descriptions=["is a film"]) == {None}


def test_a_perturbed_statement_is_another_one_or_none():
    draw = random.Random(1)
    context = Context("Lima is the capital of Peru. Cuzco is older.", ["Kenya"], ["is a film"])
    made = {perturb("Lima is the capital of Peru", context, draw) for _ in range(100)}
    assert "Lima is the capital of Peru" not in made and None not in made and len(made) > 4
    assert perturb("it rains", Context("", (), ()), draw) is None
