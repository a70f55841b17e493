"""Statements and their twins: as many as asked, of both labels, with the evidence that tells, and the same for a seed."""

import os
import random
import re
import subprocess
import sys

import pytest

from flame_ray.errors import DataError
from flame_ray.reward_training.synthetic import GROUP, _from_first_sentence, _narrowed, _without, synthetic_claims
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
from flame_ray.reward_training.synthetic import synthetic_claims
from flame_ray.types import Passage
for each in synthetic_claims([Passage(*row) for row in {rows!r}], 30, 7):
    print(each.supported, each.claim.fact.text, each.claim.passages_K[0].text)
"""


def test_as_many_claims_as_asked_of_both_labels_in_one_group():
    made = synthetic_claims(CORPUS, 60, seed=1)
    assert len(made) == 60 and {each.group for each in made} == {GROUP}
    assert 15 <= sum(each.supported for each in made) <= 45
    assert all(each.claim.fact.text.endswith(".") and not each.claim.fact.text.endswith("..") for each in made)


def test_no_claims_are_made_of_nothing_and_for_nothing():
    assert synthetic_claims(CORPUS, 0, seed=1) == synthetic_claims((), 0, seed=1) == []


def test_the_same_seed_gives_the_same_claims_and_another_one_others():
    assert synthetic_claims(CORPUS, 30, seed=1) == synthetic_claims(CORPUS, 30, seed=1) != synthetic_claims(CORPUS, 30, seed=2)


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
        synthetic_claims([Passage(str(place), "", text) for place, text in enumerate(texts)], 5, seed=1)


def test_a_claim_stands_beside_its_passage_or_a_part_of_it():
    for each in synthetic_claims(CORPUS, 80, seed=3):
        (passage,) = each.claim.passages_K
        whole = next(known for known in CORPUS if known.id == passage.id)
        assert passage.title == whole.title and passage.text
        assert all(line in whole.text for line in passage.text.split(". "))


def test_the_sentences_that_say_it_are_taken_away():
    assert _without(PERU, "Peru is bordered by Chile").text == "The largest city of Peru is Lima with 10,092,000 people."
    assert _without(Passage("x", "", "Peru borders Chile."), "Peru borders Chile") is None
    assert _without(PERU, "Llamas graze quietly") is None
    assert _without(PERU, "") is None


def test_the_sentence_that_says_it_stays_where_evidence_is_cut_short():
    found = {_narrowed(CURIE, "Marie Curie moved to Paris in 1891", random.Random(seed)).text for seed in range(20)}
    assert all("She moved to Paris in 1891" in text for text in found) and len(found) == 4
    assert _narrowed(Passage("x", "", ""), "Anything", random.Random(0)).text == ""


NOVELIST = Passage("x", "Hall", "Ada Hall was a novelist of 500 novels, who lived in Rome (with a view).")


def test_a_false_twin_stays_false_whatever_else_is_said_of_it():
    made = {each.claim.fact.text: each.supported for each in synthetic_claims([NOVELIST], 400, seed=1)}
    assert len(made) > 30
    assert made == {claim: _true_of_novelist(claim) for claim in made}


def _true_of_novelist(claim):
    """By a reading of its own: a denial, another name, trade or place is false; a figure may be said in several ways."""
    wrong = r"never|not|unable|failed|refused|Ada (?!Hall)|^(?!Ada|Hall)|was an? (?!novelist|writer)|in (?!Rome)"
    if re.search(wrong, claim):
        return False
    for limit, figure in re.findall(r"(\w+(?: than| least)?) ([\d,]+) novels", claim):
        value = int(figure.replace(",", ""))
        if limit in ("more than", "over", "at least", "no fewer than"):
            return value < 500
        return value > 500 if limit in ("fewer than", "less than", "under") else value == 500
    return True


def test_a_first_sentence_says_what_its_title_is_and_when_somebody_lived():
    ada = Passage(
        "ada", "Ada Lovelace", "Ada Lovelace (10 December 1815 – 27 November 1852) was an English mathematician and writer."
    )
    found = {each for seed in range(300) for each in _from_first_sentence(ada, random.Random(seed))}
    assert {
        "Ada Lovelace was an English mathematician",
        "Ada Lovelace was a mathematician",
        "Ada Lovelace was born in December",
        "Ada Lovelace was born in 1815",
        "Ada Lovelace died in November",
        "Ada Lovelace died in the 1850s",
        "Ada Lovelace lived to be under 50",
    } <= found
    assert not list(_from_first_sentence(Passage("x", "X", "Of no use"), random.Random(0)))
