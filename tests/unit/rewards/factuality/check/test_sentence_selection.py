"""The sentences that a claim is about: what is kept, in which order, and when it does not fit."""

import pytest

from flame_ray.rewards.factuality.check.sentence_selection import focus

LINES = ["Lima is the capital.", "Peru exports copper and gold.", "It rains.", "Copper is a metal."]


def test_the_lines_that_share_most_are_kept_in_the_order_of_the_evidence():
    assert focus("Peru exports copper.", LINES, words=10) == "Peru exports copper and gold. Copper is a metal."


def test_all_lines_are_kept_where_they_fit():
    assert focus("Peru exports copper.", LINES, words=100) == " ".join(LINES)


def test_a_rare_word_counts_more_than_a_common_one():
    lines = ["Chile mines.", "Bolivia mines.", "Ecuador mines.", "Llamas graze."]
    assert focus("The mines have llamas.", lines, words=2) == "Llamas graze."


def test_a_line_gains_from_its_neighbour_which_may_hold_its_name():
    lines = ["Snow fell.", "Alpacas graze.", "She died.", "Ada Lovelace wrote programs."]
    assert focus("Ada Lovelace drank tea.", lines, words=6) == "She died. Ada Lovelace wrote programs."


def test_of_two_lines_that_share_the_same_the_shorter_one_is_kept():
    lines = ["Peru, of which much else could be said at length here, mines.", "Peru mines."]
    assert focus("Peru mines.", lines, words=5) == "Peru mines."


def test_what_shares_nothing_gives_the_first_lines():
    assert focus("Quantum chess", LINES, words=5) == "Lima is the capital."


def test_a_line_too_long_is_still_read_where_it_matches_best_and_nothing_beside_it():
    long = "Peru exports copper " + "and gold " * 50
    assert focus("Peru exports copper.", ["It rains.", long], words=10) == long


@pytest.mark.parametrize("claim", ["", "Peru", "日本は島国です", "🦙", "a" * 100_000, "of the"])
def test_any_claim_has_a_line_if_there_is_one_and_nothing_otherwise(claim):
    assert focus(claim, [], words=10) == ""
    assert focus(claim, ["日本は島国です。"], words=10) == "日本は島国です。"


def test_a_line_said_twice_is_two_lines():
    assert focus("Peru", ["Peru mines.", "Peru mines."], words=4) == "Peru mines. Peru mines."
