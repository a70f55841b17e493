"""What a paraphrase may say: the same or less, never more."""

import random

import pytest

from flame_ray.reward_training.paraphrase import (
    bound,
    hypernym,
    loose_year,
    loose_year_phrases,
    opening_moved,
    ordinal,
    paraphrase,
    replace_word,
    restate,
    round_to_two_digits,
    set_phrase,
    shorten,
    synonym,
    without_brackets,
    without_last_clause,
)
from flame_ray.reward_training.vocabulary import KINDS, OPPOSITES, SIBLINGS, SYNONYMS, families, pairs


def draws(change, statement, tries=300):
    draw = random.Random(0)
    return {change(statement, draw) for _ in range(tries)}


def test_words_of_the_same_meaning_and_of_a_kind_above():
    found = draws(synonym, "a movie of a nation")
    assert found == {"a film of a nation", "a movie of a country"} and draws(synonym, "Llamas graze") == {None}
    assert draws(hypernym, "She was a chemist") == {"She was a scientist"}
    assert draws(hypernym, "She was not a chemist") == draws(hypernym, "the first chemist") == {None}


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("It is located in Peru", "It can be found in Peru"),
        ("She was born in Warsaw", "She came from Warsaw"),
        ("She was born in 1867", None),
        ("She was born in November", None),
        ("It is part of Peru", "It is a part of Peru"),
        ("It is a part of Peru", None),
        ("Two of the five", None),
    ],
)
def test_phrases_that_say_as_much_or_less(statement, found):
    assert draws(set_phrase, statement) == {found}


def test_less_is_said():
    assert draws(without_last_clause, "Marie Curie was a physicist of note, who lived in Paris") == {
        "Marie Curie was a physicist of note"
    }
    assert draws(without_brackets, "Lima (1535) is old") == {"Lima is old"}
    assert draws(opening_moved, "In 1891, She moved to Paris for good") == {"She moved to Paris for good in 1891"}
    assert draws(without_last_clause, "Lima") == draws(without_brackets, "Lima") == draws(opening_moved, "Lima") == {None}


@pytest.mark.parametrize("year", [1001, 1500, 1867, 1900, 1999, 2000, 2001])
def test_a_loose_year_holds_the_year(year):
    for seed in range(50):
        decade, century, after, before = loose_year_phrases(year, random.Random(seed))
        start = int(decade.removeprefix("in the ").removesuffix("s"))
        assert start <= year < start + 10
        assert int(after.split()[1]) < year < int(before.split()[1])
        assert century == f"in the {ordinal(-(-year // 100))} century"


def test_a_year_of_a_span_stays():
    assert draws(loose_year, "It lasted in 1914–1918") == {None}
    assert all("in 1867" not in each for each in draws(loose_year, "Born in 1867"))


@pytest.mark.parametrize("count", ["12", "500", "1,234", "56,000,000"])
def test_a_bound_holds_the_count(count):
    value = int(count.replace(",", ""))
    for each in draws(bound, f"It has {count} rooms"):
        words = each.removeprefix("It has ").removesuffix(" rooms").split()
        limit = int(words[-1].replace(",", ""))
        assert limit < value if words[0] in ("more", "over", "at") else limit > value


def test_a_bound_is_not_set_on_a_bound_or_on_a_part_of_a_figure():
    assert (
        draws(bound, "It has more than 500 rooms")
        == draws(bound, "from 12-15 rooms")
        == draws(bound, "In 1867 alone")
        == {None}
    )


def test_a_paraphrase_keeps_a_statement_that_has_nothing_to_rewrite():
    assert {paraphrase("Llamas graze", random.Random(seed)) for seed in range(50)} == {"Llamas graze"}
    assert len({paraphrase("In 1867, The big film (a novel) had 500 rooms, and more", random.Random(s)) for s in range(99)}) > 9


def test_what_is_restated_says_as_much_and_what_is_shortened_is_left_as_it_was():
    statement = "In 1867, The big chemist (a man) had 500 rooms, and more"
    restatements = {restate(statement, random.Random(seed)) for seed in range(200)}
    assert all("500" in each and "1867" in each and "chemist (a man)" in each and ", and more" in each for each in restatements)
    assert len(restatements) > 3
    assert {shorten(statement, random.Random(seed)) for seed in range(50)} == {
        statement,
        "In 1867, The big chemist (a man) had 500 rooms",
        "In 1867, The big chemist had 500 rooms, and more",
    }


def test_an_article_goes_with_its_word():
    assert replace_word("He was an actor and an eel", {"actor": "singer"}, random.Random(0)) == "He was a singer and an eel"


def test_numbers_are_rounded_to_two_digits():
    assert [round_to_two_digits(value) for value in (7, 99.9, 1234, 56_700_000)] == [7, 99, 1200, 57_000_000]


def test_no_word_is_its_own_synonym_opposite_or_kind():
    assert all(a != b for table in (SYNONYMS, OPPOSITES, KINDS) for a, b in pairs(table))
    assert all(len(set(family)) == len(family) > 2 for family in families(SIBLINGS))
    assert not set(pairs(SYNONYMS)) & set(pairs(OPPOSITES))
