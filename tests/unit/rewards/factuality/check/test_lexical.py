"""The lexical checker: true statements of the Factbook are supported, their edited twins are not."""

import os
import subprocess
import sys

import pytest

from flame_ray.rewards.factuality.check import LexicalChecker
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.rewards.factuality.retrieve import Bm25Retriever
from flame_ray.types import Claim, Fact, Passage, VerdictLabel

SUPPORTED, CONTRADICTED, NOT_FOUND = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND


@pytest.fixture(scope="module")
def factbook():
    return Bm25Retriever(load_corpus("factbook"))


def verdict(text, *passages):
    return check((text,), passages)[0]


def check(texts, passages, checker=None):
    return (checker or LexicalChecker()).check([Claim(Fact(text, index), tuple(passages)) for index, text in enumerate(texts)])


@pytest.mark.parametrize(
    ("prompt", "true", "false"),
    [
        ("Which countries border Peru?", "Peru borders Chile", "Peru borders Kenya"),
        ("Which countries border Peru?", "Peru is bordered by Brazil", "Peru is bordered by Argentina"),
        ("Which countries border Mongolia?", "Mongolia is bordered by Russia", "Mongolia is bordered by North Korea"),
        ("Describe the government of Peru", "The capital of Peru is Lima", "The capital of Peru is Cuzco"),
        ("Describe the government of Peru", "Lima is the capital of Peru", "Cuzco is the capital of Peru"),
        ("Describe the geography of Mongolia", "Mongolia is landlocked", "Mongolia has a coastline of 2,414 km"),
        ("Describe the geography of Peru", "Peru has a coastline of 2,414 km", "Peru is landlocked"),
        (
            "Describe the people of Peru",
            "Peru has a population of about 32 million",
            "Peru has a population of about 45 million",
        ),
        (
            "Which countries border Peru?",
            "Peru's border with Chile is 168 km long",
            "Peru's border with Chile is 2,659 km long",
        ),
        ("Which countries border Peru?", "Peru borders Chile", "Peru does not border Chile"),
        ("Describe the government of Kenya", "Kenya is a presidential republic", "Kenya is a constitutional monarchy"),
        ("Describe the economy of Peru", "Peru exports copper", "Peru exports bananas"),
        (
            "When did Peru become independent?",
            "Peru declared its independence in 1821",
            "Peru declared its independence in 1830",
        ),
    ],
)
def test_a_true_statement_is_supported_and_its_twin_is_not(factbook, prompt, true, false):
    first, second = check((true, false), factbook.retrieve([prompt], 20)[0])
    assert first.label == SUPPORTED
    assert second.label != SUPPORTED


def test_the_passage_that_decides_is_named():
    result = verdict(
        "The capital of Peru is Lima", Passage("a", "Peru", "Climate: dry"), Passage("b", "Peru", "Capital, name: Lima")
    )
    assert (result.label, result.passage_id) == (SUPPORTED, "b")


def test_another_name_or_number_in_the_same_place_contradicts():
    assert verdict("The capital of Peru is Cuzco", Passage("a", "Peru", "Capital, name: Lima")).label == CONTRADICTED
    assert verdict("Peru has 24 regions", Passage("a", "Peru", "Regions: Peru has 26 regions.")).label == CONTRADICTED


def test_what_the_evidence_does_not_mention_is_not_found():
    result = verdict("Peru hosted a chess tournament", Passage("a", "Peru", "Capital, name: Lima"))
    assert (result.label, result.passage_id) == (NOT_FOUND, None)


def test_no_evidence_supports_nothing():
    assert verdict("The capital of Peru is Lima").label == NOT_FOUND
    assert LexicalChecker().check(()) == ()


@pytest.mark.parametrize("said", ["33 million", "32.8 million", "32,768,614", "32,800,000"])
def test_a_figure_may_be_rounded(said):
    evidence = Passage("a", "Peru", "Population, total: 32,768,614 (2025 est.)")
    assert verdict(f"The total population of Peru is {said}", evidence).label == SUPPORTED


@pytest.mark.parametrize("said", ["23 million", "32,768", "36 million", "3.2 billion"])
def test_a_figure_may_not_be_another(said):
    evidence = Passage("a", "Peru", "Population, total: 32,768,614 (2025 est.)")
    assert verdict(f"The total population of Peru is {said}", evidence).label != SUPPORTED


def test_a_number_belongs_to_its_own_clause():
    evidence = Passage(
        "a", "Peru", "Peru declared its independence in 1821, and remaining Spanish forces were defeated in 1824."
    )
    true, false = (verdict(f"Peru declared its independence in {year}", evidence) for year in (1821, 1824))
    assert true.score > false.score


def test_the_subject_of_a_claim_is_one_name_and_the_rest_of_a_list_is_looked_for():
    evidence = Passage("pe", "Peru", "Land boundaries, border countries: Bolivia 1,212 km; Brazil 2,659 km; Chile 168 km")
    for names in ("Chile, Norway and Kenya", "Chile and Norway", "Chile, Norway"):
        assert verdict(f"{names} border on Peru", evidence).label == VerdictLabel.CONTRADICTED


def test_the_title_alone_supports_nothing(factbook):
    evidence = factbook.retrieve(["Tell me about Peru."], 20)[0]
    for text in ("Peru is Peru", "Republic of Peru", "Peruvian Peru"):
        assert check((text,), evidence)[0].label != SUPPORTED


def test_the_threshold_can_be_set():
    evidence = Passage("a", "Peru", "Capital, name: Lima")
    assert check(("The capital of Peru is Lima",), (evidence,), LexicalChecker(threshold=1.0))[0].label != SUPPORTED
    assert LexicalChecker(threshold=0.9).threshold == 0.9


def test_scores_are_shares():
    evidence = Passage("a", "Peru", "Capital, name: Lima")
    for text in ("", "?", "Lima", "not", "12", "The capital of Peru is Lima " * 2000):
        assert 0 <= verdict(text, evidence).score <= 1


def test_evidence_in_any_script_is_read():
    assert verdict("秘鲁的首都是利马", Passage("a", "秘鲁", "首都: 利马\n\x00\n")).label in VerdictLabel


def test_the_verdicts_keep_the_order_of_the_facts(factbook):
    texts = [f"Peru borders {country}" for country in ("Kenya", "Chile", "Brazil", "Norway")]
    assert [v.fact.text for v in check(texts, factbook.retrieve(["Which countries border Peru?"], 20)[0])] == texts


def test_a_score_is_the_same_to_the_last_bit_in_every_process():
    """Words are held in sets, whose order changes from process to process; a resumed run must not see that."""
    code = """
from flame_ray.rewards.factuality.check import LexicalChecker
from flame_ray.types import Claim, Fact, Passage
words = ("Estonia services industry electronics wood transport food economy harbour island river climate forest language "
         "currency export timber textile energy tourism railway parliament president coast border population").split()
facts = [Fact(" ".join(["Estonia has", *words[k : k + 11]]), 0) for k in range(1, 15)]
evidence = (Passage("a", "Estonia", "Estonia: " + ", ".join(words[::3]) + "."),)
print([verdict.score for verdict in LexicalChecker().check([Claim(fact, evidence) for fact in facts])])
"""
    scores = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3", "4", "5", "6")
    }
    assert len(scores) == 1
