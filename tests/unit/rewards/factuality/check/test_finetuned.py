"""The small checker: what its model is asked, and what its logits add up to."""

import math

import numpy as np
import pytest

from flame_ray.rewards.factuality.check.finetuned import EVIDENCE_WORDS, SmallChecker, question, words_logit
from flame_ray.rewards.factuality.check.lexical import LexicalChecker
from flame_ray.types import Claim, Fact, Passage, VerdictLabel

PERU = Passage("pe", "Peru", "Lima is the capital of Peru. It lies on the coast.")
KENYA = Passage("ke", "Kenya", "Nairobi lies in Kenya.")


class Scores:
    """`says` gives the logit of (claim, evidence)."""

    labels = ("supported",)

    def __init__(self, says, words=0.0):
        self.says, self.words, self.asked = says, words, []

    def logits(self, pairs):
        self.asked.append(list(pairs))
        return np.array([self.says(*pair) for pair in pairs], np.float32)[:, None]


def claim(text, *passages):
    return Claim(Fact(text, 0), passages)


def check(logit, *passages, threshold=None):
    return SmallChecker(Scores(lambda *_: logit), "model", threshold).check([claim("Lima is the capital", *passages)])[0]


@pytest.mark.parametrize(
    ("logit", "label", "score"),
    [
        (math.log(3), VerdictLabel.SUPPORTED, 0.75),
        (-math.log(3), VerdictLabel.NOT_FOUND, 0.25),
        (0, VerdictLabel.SUPPORTED, 0.5),
    ],
)
def test_a_logit_is_a_probability_that_reaches_the_threshold_or_not(logit, label, score):
    verdict = check(logit, PERU)
    passage = "pe" if label is VerdictLabel.SUPPORTED else None
    assert (verdict.label, verdict.score, verdict.passage_id) == (label, pytest.approx(score), passage)


def test_another_threshold_decides_and_is_in_the_identity():
    assert check(0.4, PERU, threshold=0.9).label is VerdictLabel.NOT_FOUND
    scores = Scores(lambda *_: 0)
    assert len({SmallChecker(scores, model, t).identity for model in "ab" for t in (None, 0.5, 0.9)}) == 4


def test_of_several_passages_the_one_whose_words_bear_it_out_is_named_or_none():
    assert check(1, KENYA, PERU).passage_id == "pe"
    others = (KENYA, Passage("no", "Norway", "Oslo lies in Norway."))
    assert check(9, *others).label is VerdictLabel.SUPPORTED and check(9, *others).passage_id is None
    assert check(9, KENYA).passage_id == "ke"


def test_the_lexical_logit_is_added_by_its_weight():
    (lexical,) = LexicalChecker().check([claim("Lima is the capital", PERU)])
    for logit, weight in ((0.5, 0.25), (-2.0, 1.0)):
        (verdict,) = SmallChecker(Scores(lambda *_, logit=logit: logit, weight), "m").check(
            [lexical_claim := claim("Lima is the capital", PERU)]
        )
        assert verdict.fact == lexical_claim.fact
        assert verdict.score == pytest.approx(1 / (1 + math.exp(-(logit + weight * words_logit(lexical)))))


def test_on_a_record_words_decide_alone_and_the_model_is_not_asked():
    record = Passage("re", "Peru", "Capital, name: Lima\nCurrency: sol")
    scores = Scores(lambda *_: -9)
    found = SmallChecker(scores, "m").check([claim("The capital of Peru is Lima", record), claim("Lima is the capital", PERU)])
    assert [verdict.label for verdict in found] == [VerdictLabel.SUPPORTED, VerdictLabel.NOT_FOUND]
    assert [text for asked in scores.asked for text, _ in asked] == ["Lima is the capital"]
    assert found[:1] == LexicalChecker().check([claim("The capital of Peru is Lima", record)])


def test_what_is_not_supported_is_contradicted_where_the_words_say_so():
    claims = [claim("The capital of Peru is Cuzco", PERU), claim("Llamas graze", PERU)]
    found = SmallChecker(Scores(lambda *_: -9), "m").check(claims)
    assert [verdict.label for verdict in found] == [VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND]
    assert [verdict.passage_id for verdict in found] == ["pe", None]


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_no_number_is_an_error_and_costs_the_others_nothing(logit):
    scores = Scores(lambda text, _: logit if text == "b" else 1)
    found = SmallChecker(scores, "model").check([claim(text, PERU) for text in "abc"])
    assert [verdict.label.value for verdict in found] == ["supported", "error", "supported"]
    assert found[1].score == 0


def test_claims_without_evidence_are_not_found_not_asked_and_do_not_shift_the_others():
    blank = Passage("x", "Peru", " \n ")
    scores = Scores(lambda text, _: float(text))
    claims = [claim("9"), claim("1", PERU), claim("9", blank), claim("-1", KENYA), claim("9", Passage("y", "", ""))]
    found = SmallChecker(scores, "model").check(claims)
    assert [verdict.fact.text for verdict in found] == ["9", "1", "9", "-1", "9"]
    assert [verdict.score for verdict in found] == pytest.approx([0, 1 / (1 + math.exp(-1)), 0, 1 / (1 + math.exp(1)), 0])
    assert [text for text, _ in scores.asked[0]] == ["1", "-1"]


def test_nothing_to_ask_asks_nothing():
    checker = SmallChecker(Scores(lambda *_: 1 / 0), "model")
    assert checker.check([]) == ()
    assert checker.check([claim("a")])[0].label is VerdictLabel.NOT_FOUND


def test_a_line_stands_under_its_title_unless_it_names_it():
    assert question(claim("The capital is Lima", PERU)) == (
        "The capital is Lima",
        "Lima is the capital of Peru. Peru: It lies on the coast.",
    )


def test_given_evidence_without_a_title_is_read_as_it_is_line_by_line():
    assert question(claim("Rain", Passage("g", "", "It rains.\n\nRarely so. ")))[1] == "It rains. Rarely so."


def test_long_evidence_is_cut_to_the_lines_that_matter():
    filler = " ".join(f"Sentence {number} tells of nothing that matters." for number in range(500))
    read = question(claim("Llamas graze in Peru", Passage("x", "", f"{filler} Llamas graze in Peru. {filler}")))[1]
    assert "Llamas graze in Peru." in read and len(read.split()) <= EVIDENCE_WORDS


@pytest.mark.parametrize("text", ["日本は島国です。🦙", "word " * 10_000, "\x00", "a" * 100_000])
def test_any_evidence_is_a_question(text):
    assert question(claim("Peru", Passage("x", "T", text)))[1]
