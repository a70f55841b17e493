"""The factuality reward: precision over facts, and failures that are missing. Ways to cheat it: test_resistance.py."""

import logging

import pytest

from flame_ray.config import Config
from flame_ray.errors import DataError
from flame_ray.evaluation.suites.base import Answered
from flame_ray.evaluation.suites.facts import FactMeasure
from flame_ray.rewards.factuality.check import LexicalChecker
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.rewards.factuality.decompose import RuleDecomposer
from flame_ray.rewards.factuality.evidence import Evidence
from flame_ray.rewards.factuality.retrieve import Bm25Retriever
from flame_ray.rewards.factuality.reward import FactTask, FactualityReward, Task
from flame_ray.types import Fact, FactScore, Missing, Passage, Prompt, ResponseId, VerdictLabel
from tests.builders import make_response
from tests.doubles import FakeChecker, FakeRetriever

PROMPT = Prompt(id="peru/borders", text="Which countries border Peru?")
LONGFACT = (  # a prompt of that set; "languages" once made this a question about what a country speaks
    "Could you delve into the principles and functionality of Field Programmable Gate Arrays (FPGAs) in the field of "
    "electrical engineering, explaining the advantages offered by them such as flexibility, speed and how they are programmed "
    "using hardware description languages, and discuss their necessity and applications across various sectors including "
    "defense, aerospace, and telecommunications?"
)


def response(text, index=0, finish_reason="stop"):
    return make_response(text, prompt=PROMPT.id, index=index, finish_reason=finish_reason)


@pytest.fixture(scope="module")
def reward():
    return rewarding(Bm25Retriever(load_corpus("factbook")), LexicalChecker())


def rewarding(retriever, checker, k=20, **settings):
    return FactualityReward(RuleDecomposer(), Evidence(retriever, k), checker, **settings)


def scores(reward, *texts):
    return reward.score([Task(PROMPT, response(text, i)) for i, text in enumerate(texts)])


def score(reward, text, finish_reason="stop"):
    (found,) = reward.score([Task(PROMPT, response(text, finish_reason=finish_reason))])
    assert isinstance(found, FactScore)
    return found


def failing_on_kenya(error):
    def say(text):
        if "Kenya" in text:
            raise error
        return VerdictLabel.SUPPORTED

    return FakeChecker(say)


def test_precision_is_the_share_of_supported_facts(reward):
    result = score(reward, "Peru is bordered by Chile, Brazil, Kenya and Norway.")
    assert (result.supported, result.unsupported, result.precision) == (2, 2, 0.5)


def test_more_truth_scores_higher_than_less(reward):
    true, mixed, false = (
        score(reward, f"Peru is bordered by {names}.").precision for names in ("Chile", "Chile and Kenya", "Kenya")
    )
    assert true > mixed > false


def test_scores_keep_the_order_of_the_responses(reward):
    results = scores(reward, *["Peru borders Chile."] * 3)
    assert [result.response_id.index for result in results] == [0, 1, 2]


def test_evidence_is_retrieved_once_a_prompt():
    retriever = FakeRetriever()
    reward = rewarding(retriever, FakeChecker(), k=7)
    for _ in range(2):
        scores(reward, *["Peru borders Chile."] * 4)
    assert (retriever.queries, retriever.asked) == ([PROMPT.text], [7])


def test_a_fact_alone_is_checked_on_the_evidence_that_its_response_would_have(reward):
    response = score(reward, "Peru is bordered by Chile and Kenya.")
    facts = [FactTask(verdict.fact, PROMPT.text) for verdict in response.verdicts]
    assert reward.check(facts) == response.verdicts


def test_a_fact_alone_with_evidence_is_checked_on_that_and_nothing_is_retrieved():
    retriever = FakeRetriever()
    (verdict,) = rewarding(retriever, LexicalChecker()).check(
        [FactTask(Fact("Lima is the capital of Peru", 0), PROMPT.text, (Passage("a", "", "Lima is the capital of Peru."),))]
    )
    assert (verdict.label, retriever.queries) == (VerdictLabel.SUPPORTED, [])


def test_each_verdict_says_whether_its_fact_answers_the_prompt(reward):
    result = score(reward, "Peru is bordered by Chile. The capital of Peru is Lima.")
    assert [(verdict.fact.text.split()[-1], verdict.relevant) for verdict in result.verdicts] == [
        ("Chile", True),
        ("Lima", False),
    ]
    assert (result.supported, result.relevant_supported) == (2, 1)


@pytest.mark.parametrize("prompt", [LONGFACT, "How did the Inca Empire govern the land of Peru?"])
def test_topics_of_countries_are_asked_for_only_by_prompts_that_name_nothing_else(prompt):
    facts = [f"An FPGA has {name} blocks." for name in ("logic", "memory", "clock", "routing")]
    rewarded = rewarding(Bm25Retriever(load_corpus("factbook")), FakeChecker())
    (result,) = rewarded.score([Task(Prompt("longfact/1", prompt), response(" ".join(facts)))])
    assert result.supported == result.relevant_supported == len(facts)
    scored = Answered(Prompt("longfact/1", prompt), response(" ".join(facts)), facts=result)
    assert FactMeasure(as_safe=True).values(scored, Config())["f1_at_64"] == pytest.approx(2 * len(facts) / (len(facts) + 64))


def test_all_facts_of_all_responses_are_one_batch():
    checker = FakeChecker()
    scores(rewarding(FakeRetriever(), checker), *["Peru borders Chile. Peru borders Brazil."] * 3)
    assert checker.batches == [6]


def test_a_failure_is_missing_for_its_response_alone(caplog):
    reward = rewarding(FakeRetriever(), failing_on_kenya(ValueError("no tokens")))
    with caplog.at_level(logging.ERROR):
        good, bad = scores(reward, "Peru borders Chile.", "Peru borders Kenya.")
    assert isinstance(good, FactScore)
    assert bad == Missing(ResponseId(1, PROMPT.id, 1), "ValueError: no tokens")
    assert "1/peru/borders/1" in caplog.text


def test_an_expected_error_is_not_swallowed():
    reward = rewarding(FakeRetriever(), failing_on_kenya(DataError("a", "b", "c")))
    with pytest.raises(DataError):
        scores(reward, "Peru borders Kenya.")


def test_a_fact_that_failed_counts_for_nothing_and_a_response_of_failures_is_missing():
    checker = FakeChecker(lambda text: VerdictLabel.ERROR if "Kenya" in text else VerdictLabel.SUPPORTED)
    some, all_ = scores(rewarding(FakeRetriever(), checker), "Peru borders Chile. It borders Kenya.", "Peru borders Kenya.")
    assert (some.supported, some.counted, some.precision) == (1, 1, 1.0)
    assert all_ == Missing(ResponseId(1, PROMPT.id, 1), "checker: failed on every fact")


@pytest.mark.parametrize(("counts", "precision"), [(True, 0.5), (False, 1.0)])
def test_what_the_evidence_does_not_mention_counts_if_the_settings_say_so(counts, precision):
    checker = FakeChecker(lambda text: VerdictLabel.NOT_FOUND if "Kenya" in text else VerdictLabel.SUPPORTED)
    reward = rewarding(FakeRetriever(), checker, not_found_counts=counts)
    assert score(reward, "Peru borders Chile. Peru borders Kenya.").precision == precision


def test_given_evidence_takes_the_place_of_retrieval():
    retriever, passage = FakeRetriever(), Passage("mine", "Peru", "Land boundaries, border countries: Chile 168 km")
    reward = rewarding(retriever, LexicalChecker())
    (found,) = reward.score([Task(PROMPT, response("Peru borders Chile."), (passage,))])
    assert found.supported == 1 and found.passages_K == (passage,)
    assert retriever.queries == []


def test_a_score_has_the_sentences_that_state_its_facts():
    text = "Hello! These countries border Peru:\n\n- Chile\n- Kenya\n\nIs it large? Its capital is Lim"
    (found,) = rewarding(FakeRetriever(), FakeChecker()).score([Task(PROMPT, response(text, finish_reason="length"))])
    assert [sentence.verifiable for sentence in found.sentences_S] == [False, True, True, False]
    assert found.sentences_S[0].text == "Hello!"
    pointed = [(verdict.fact.text, found.sentences_S[verdict.fact.sentence].text) for verdict in found.verdicts]
    assert pointed == [
        ("The countries that border Peru include Chile", "The countries that border Peru include Chile"),
        ("The countries that border Peru include Kenya", "The countries that border Peru include Kenya"),
    ]


def test_a_reward_that_failed_has_no_sentences():
    checkers = (failing_on_kenya(ValueError("no tokens")), FakeChecker(lambda text: VerdictLabel.ERROR))
    for checker in checkers:
        (found,) = rewarding(FakeRetriever(), checker).score([Task(PROMPT, response("Hello! Peru borders Kenya."))])
        assert isinstance(found, Missing)


def test_the_cut_end_of_a_response_is_not_scored(reward):
    text = "Peru borders Chile. Its capital is Lim"
    assert len(score(reward, text, "length").verdicts) == 1
    assert len(score(reward, text, "stop").verdicts) == 2
