"""The fine-tuned checker: what its model reads, and what the two logits add up to."""

import math

import pytest

from flame_ray.rewards.factuality.check.finetuned import (
    EVIDENCE_WORDS,
    FinetunedChecker,
    lexical_logit,
    model_input,
    select_sentences,
)
from flame_ray.rewards.factuality.check.lexical import LexicalChecker
from flame_ray.types import Claim, Fact, Passage, VerdictLabel
from tests.doubles import FakeReader, FakeScorer

PERU = Passage("pe", "Peru", "Lima is the capital of Peru. It lies on the coast.")
KENYA = Passage("ke", "Kenya", "Nairobi lies in Kenya.")


def scores(says, lexical_weight=0.0):
    """`says` gives the logit of (claim, evidence)."""
    return FakeScorer(lambda *pair: (says(*pair),), lexical_weight=lexical_weight)


def claim(text, *passages):
    return Claim(Fact(text, 0), passages)


def check(logit, *passages, threshold=None):
    return FinetunedChecker(scores(lambda *_: logit), "model", threshold).check([claim("Lima is the capital", *passages)])[0]


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
    scorer = scores(lambda *_: 0)
    assert len({FinetunedChecker(scorer, model, t).identity for model in "ab" for t in (None, 0.5, 0.9)}) == 4


def test_of_several_passages_the_one_whose_words_bear_it_out_is_named_or_none():
    assert check(1, KENYA, PERU).passage_id == "pe"
    others = (KENYA, Passage("no", "Norway", "Oslo lies in Norway."))
    assert check(9, *others).label is VerdictLabel.SUPPORTED and check(9, *others).passage_id is None
    assert check(9, KENYA).passage_id == "ke"


def test_the_lexical_logit_is_added_by_its_weight():
    (lexical,) = LexicalChecker().check([claim("Lima is the capital", PERU)])
    for logit, weight in ((0.5, 0.25), (-2.0, 1.0)):
        (verdict,) = FinetunedChecker(scores(lambda *_, logit=logit: logit, weight), "m").check(
            [lexical_claim := claim("Lima is the capital", PERU)]
        )
        assert verdict.fact == lexical_claim.fact
        assert verdict.score == pytest.approx(1 / (1 + math.exp(-(logit + weight * lexical_logit(lexical)))))


def test_on_a_record_words_decide_alone_and_the_model_is_not_asked():
    record = Passage("re", "Peru", "Capital, name: Lima\nCurrency: sol")
    scorer = scores(lambda *_: -9)
    found = FinetunedChecker(scorer, "m").check(
        [claim("The capital of Peru is Lima", record), claim("Lima is the capital", PERU)]
    )
    assert [verdict.label for verdict in found] == [VerdictLabel.SUPPORTED, VerdictLabel.NOT_FOUND]
    assert [text for asked in scorer.calls for text, _ in asked] == ["Lima is the capital"]
    assert found[:1] == LexicalChecker().check([claim("The capital of Peru is Lima", record)])


def test_what_is_not_supported_is_contradicted_where_the_words_say_so():
    claims = [claim("The capital of Peru is Cuzco", PERU), claim("Llamas graze", PERU)]
    found = FinetunedChecker(scores(lambda *_: -9), "m").check(claims)
    assert [verdict.label for verdict in found] == [VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND]
    assert [verdict.passage_id for verdict in found] == ["pe", None]


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_no_number_is_an_error_and_costs_the_others_nothing(logit):
    scorer = scores(lambda text, _: logit if text == "b" else 1)
    found = FinetunedChecker(scorer, "model").check([claim(text, PERU) for text in "abc"])
    assert [verdict.label.value for verdict in found] == ["supported", "error", "supported"]
    assert found[1].score == 0


def test_claims_without_evidence_are_not_found_not_asked_and_do_not_shift_the_others():
    blank = Passage("x", "Peru", " \n ")
    scorer = scores(lambda text, _: float(text))
    claims = [claim("9"), claim("1", PERU), claim("9", blank), claim("-1", KENYA), claim("9", Passage("y", "", ""))]
    found = FinetunedChecker(scorer, "model").check(claims)
    assert [verdict.fact.text for verdict in found] == ["9", "1", "9", "-1", "9"]
    assert [verdict.score for verdict in found] == pytest.approx([0, 1 / (1 + math.exp(-1)), 0, 1 / (1 + math.exp(1)), 0])
    assert [text for text, _ in scorer.calls[0]] == ["1", "-1"]


def test_nothing_to_ask_asks_nothing():
    checker = FinetunedChecker(scores(lambda *_: 1 / 0), "model")
    assert checker.check([]) == ()
    assert checker.check([claim("a")])[0].label is VerdictLabel.NOT_FOUND


def test_a_line_stands_under_its_title_unless_it_names_it():
    assert model_input(claim("The capital is Lima", PERU)) == (
        "The capital is Lima",
        "Lima is the capital of Peru. Peru: It lies on the coast.",
    )


def test_given_evidence_without_a_title_is_read_as_it_is_line_by_line():
    assert model_input(claim("Rain", Passage("g", "", "It rains.\n\nRarely so. ")))[1] == "It rains. Rarely so."


def test_long_evidence_is_cut_to_the_lines_that_matter():
    filler = " ".join(f"Sentence {number} tells of nothing that matters." for number in range(500))
    read = model_input(claim("Llamas graze in Peru", Passage("x", "", f"{filler} Llamas graze in Peru. {filler}")))[1]
    assert "Llamas graze in Peru." in read and len(read.split()) <= EVIDENCE_WORDS


@pytest.mark.parametrize("text", ["日本は島国です。🦙", "word " * 10_000, "\x00", "a" * 100_000])
def test_any_evidence_is_a_model_input(text):
    assert model_input(claim("Peru", Passage("x", "T", text)))[1]


# --- sentence selection ---------------------------------------------------------------------------------------------

LINES = ["Lima is the capital.", "Peru exports copper and gold.", "It rains.", "Copper is a metal."]


def test_the_lines_that_share_most_are_kept_in_the_order_of_the_evidence():
    assert select_sentences("Peru exports copper.", LINES, words=10) == "Peru exports copper and gold. Copper is a metal."


def test_all_lines_are_kept_where_they_fit():
    assert select_sentences("Peru exports copper.", LINES, words=100) == " ".join(LINES)


def test_a_rare_word_counts_more_than_a_common_one():
    lines = ["Chile mines.", "Bolivia mines.", "Ecuador mines.", "Llamas graze."]
    assert select_sentences("The mines have llamas.", lines, words=2) == "Llamas graze."


def test_a_line_gains_from_its_neighbour_which_may_hold_its_name():
    lines = ["Snow fell.", "Alpacas graze.", "She died.", "Ada Lovelace wrote programs."]
    assert select_sentences("Ada Lovelace drank tea.", lines, words=6) == "She died. Ada Lovelace wrote programs."


def test_of_two_lines_that_share_the_same_the_shorter_one_is_kept():
    lines = ["Peru, of which much else could be said at length here, mines.", "Peru mines."]
    assert select_sentences("Peru mines.", lines, words=5) == "Peru mines."


def test_what_shares_nothing_gives_the_first_lines():
    assert select_sentences("Quantum chess", LINES, words=5) == "Lima is the capital."


def test_a_line_too_long_is_still_read_where_it_matches_best_and_nothing_beside_it():
    long = "Peru exports copper " + "and gold " * 50
    assert select_sentences("Peru exports copper.", ["It rains.", long], words=10) == long


@pytest.mark.parametrize("claim", ["", "Peru", "日本は島国です", "🦙", "a" * 100_000, "of the"])
def test_any_claim_has_a_line_if_there_is_one_and_nothing_otherwise(claim):
    assert select_sentences(claim, [], words=10) == ""
    assert select_sentences(claim, ["日本は島国です。"], words=10) == "日本は島国です。"


def test_a_line_said_twice_is_two_lines():
    assert select_sentences("Peru", ["Peru mines.", "Peru mines."], words=4) == "Peru mines. Peru mines."


RECORD = Passage(
    "pe/0", "Peru", "Peru (Peruvian), Geography:\nLocation: South America\nCoastline: 2,414 km\nCapital, name: Lima"
)


def test_records_are_read_once_for_all_their_facts_and_prose_by_the_other_model():
    reader = FakeReader(lambda statement: (2, -2, -2) if "Lima" in statement else (-2, 2 if "Cuzco" in statement else -2, -2))
    facts = [
        claim("Lima is the capital", RECORD),
        claim("Lima is the capital", PERU),
        claim("Cuzco is the capital", RECORD),
        claim("Peru sings", RECORD),
    ]
    verdicts = FinetunedChecker(scores(lambda *_: 3), "model", reader=reader).check(facts)
    supported, contradicted, not_found = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND
    assert [verdict.label for verdict in verdicts] == [supported, supported, contradicted, not_found]
    assert [verdict.passage_id for verdict in verdicts] == ["pe/0", "pe", "pe/0", None]
    [(record, statements)] = reader.asked
    assert record.splitlines()[0] == "Peru (Peruvian)" and statements[1] == "Statement: Cuzco is the capital."


def test_a_record_whose_logits_are_no_numbers_is_an_error():
    verdict = FinetunedChecker(scores(lambda *_: 3), "model", reader=FakeReader(lambda _: (math.nan, 0, -2))).check(
        [claim("Lima is the capital", RECORD)]
    )[0]
    assert (verdict.label, verdict.score) == (VerdictLabel.ERROR, 0.0)


@pytest.mark.parametrize("supported", [-2, 2])
def test_a_fact_that_says_nothing_is_neither_supported_nor_refused(supported):
    reader = FakeReader(lambda _: (supported, -2, 1))
    (verdict,) = FinetunedChecker(scores(lambda *_: 3), "model", reader=reader).check(
        [claim("Peru is a land of lands", RECORD)]
    )
    assert (verdict.label, verdict.passage_id) == (VerdictLabel.SAYS_NOTHING, None)


@pytest.mark.parametrize("threshold", [0.01, 0.5, 0.9])
@pytest.mark.parametrize("supported", [-9, -2, 2, 9])
@pytest.mark.parametrize("says_nothing", [-1, 1])
def test_what_a_field_of_a_record_decides_no_reader_overrules_and_the_score_lies_on_its_side(
    threshold, supported, says_nothing
):
    reader = FakeReader(lambda _: (supported, -2, says_nothing))
    facts = [
        claim(text, RECORD)
        for text in ("Peru has a coastline", "Peru is landlocked and has no coastline", "Peru is located in Peru")
    ]
    true, false, nothing = FinetunedChecker(scores(lambda *_: 3), "model", threshold, reader).check(facts)
    assert (true.label, true.passage_id) == (VerdictLabel.SUPPORTED, "pe/0")
    assert (false.label, false.passage_id) == (VerdictLabel.CONTRADICTED, "pe/0")
    assert (nothing.label, nothing.passage_id) == (VerdictLabel.SAYS_NOTHING, None)
    read = 1 / (1 + math.exp(-supported))
    assert 0 < false.score <= min(read, threshold) and false.score < threshold <= max(read, threshold) <= true.score < 1
