"""The factuality reward: precision over facts, failures that are missing, and the ways to cheat that do not pay."""

import logging

import pytest

from flame_ray.errors import DataError
from flame_ray.rewards.check import LexicalChecker
from flame_ray.rewards.corpus import load_corpus
from flame_ray.rewards.factuality import FactualityReward
from flame_ray.rewards.retrieve import Bm25Retriever
from flame_ray.types import FactScore, Missing, Prompt, Response, ResponseId, Verdict, VerdictLabel

PROMPT = Prompt(id="peru/borders", text="Which countries border Peru?")


def response(text, index=0, finish_reason="stop"):
    return Response(ResponseId(1, PROMPT.id, index), text, (1,), (2,), (-0.5,), finish_reason, 0)


@pytest.fixture(scope="module")
def reward():
    return FactualityReward(Bm25Retriever(load_corpus("factbook")), LexicalChecker(), retrieve_k=20, decompose_mode="rule")


def score(reward, text, finish_reason="stop"):
    (result,) = reward.score(PROMPT, [response(text, finish_reason=finish_reason)])
    assert isinstance(result, FactScore)
    return result


class CountingRetriever:
    def __init__(self):
        self.queries = []

    def retrieve(self, query, k):
        self.queries.append((query, k))
        return ()


class AgreeableChecker:
    threshold = 0.5

    def check(self, facts_F, passages_K):
        return tuple(Verdict(fact, VerdictLabel.SUPPORTED, 1.0, None) for fact in facts_F)


class FailingChecker:
    threshold = 0.5

    def __init__(self, error):
        self.error = error

    def check(self, facts_F, passages_K):
        if "Kenya" in facts_F[0].text:
            raise self.error
        return AgreeableChecker().check(facts_F, passages_K)


def test_precision_is_the_share_of_supported_facts(reward):
    result = score(reward, "Peru is bordered by Chile, Brazil, Kenya and Norway.")
    assert (result.supported, result.unsupported, result.precision) == (2, 2, 0.5)


def test_more_truth_scores_higher_than_less(reward):
    true, mixed, false = (
        score(reward, f"Peru is bordered by {names}.").precision for names in ("Chile", "Chile and Kenya", "Kenya")
    )
    assert true > mixed > false


def test_scores_keep_the_order_of_the_responses(reward):
    results = reward.score(PROMPT, [response("Peru borders Chile.", i) for i in range(3)])
    assert [result.response_id.index for result in results] == [0, 1, 2]


def test_evidence_is_retrieved_once_a_prompt():
    retriever = CountingRetriever()
    reward = FactualityReward(retriever, AgreeableChecker(), retrieve_k=7, decompose_mode="rule")
    for _ in range(2):
        reward.score(PROMPT, [response("Peru borders Chile.", i) for i in range(4)])
    assert retriever.queries == [(PROMPT.text, 7)]


def test_a_failure_is_missing_for_its_response_alone(caplog):
    reward = FactualityReward(CountingRetriever(), FailingChecker(ValueError("no tokens")), 7, "rule")
    with caplog.at_level(logging.ERROR):
        good, bad = reward.score(PROMPT, [response("Peru borders Chile.", 0), response("Peru borders Kenya.", 1)])
    assert isinstance(good, FactScore)
    assert bad == Missing(ResponseId(1, PROMPT.id, 1), "ValueError: no tokens")
    assert "1/peru/borders/1" in caplog.text


def test_an_expected_error_is_not_swallowed():
    reward = FactualityReward(CountingRetriever(), FailingChecker(DataError("a", "b", "c")), 7, "rule")
    with pytest.raises(DataError):
        reward.score(PROMPT, [response("Peru borders Kenya.")])


def test_the_cut_end_of_a_response_is_not_scored(reward):
    text = "Peru borders Chile. Its capital is Lim"
    assert len(score(reward, text, "length").verdicts) == 1
    assert len(score(reward, text, "stop").verdicts) == 2


# --- ways to cheat --------------------------------------------------------------------------------------------------


def test_repeating_one_true_fact_gains_nothing(reward):
    once = score(reward, "Peru borders Chile. Peru borders Kenya.")
    often = score(reward, "Peru borders Chile. " * 30 + "Peru is bordered by Chile. Chile borders Peru. Peru borders Kenya.")
    assert once.precision == often.precision == 0.5
    assert often.supported == 1


@pytest.mark.parametrize(
    "text", ["", "I cannot answer that.", "Peru has a rich cultural heritage and a vibrant economy.", "What is Peru?"]
)
def test_refusal_and_fluff_abstain_and_have_no_precision(reward, text):
    result = score(reward, text)
    assert result.abstained and result.precision is None


def test_naming_only_the_topic_supports_nothing(reward):
    assert score(reward, "Peru is a country. Peru is Peru. Peru, Peru and Peru.").supported == 0


def test_a_salad_of_names_gains_little(reward):
    names = "Norway, Japan, Kenya, Chad, Mali, Cuba, Chile, Fiji, Iran, Iraq, Oman, Qatar"
    assert score(reward, f"Peru is bordered by {names} and Nepal.").precision <= 0.2


@pytest.mark.parametrize(
    "text", ["秘鲁的首都是利马。秘鲁与智利接壤。", "Перу граничит с Кенией.", "Le Pérou est un pays très agréable."]
)
def test_another_language_is_never_supported(reward, text):
    assert score(reward, text).supported == 0


def test_ten_thousand_tokens_are_scored(reward):
    result = score(reward, " ".join(f"Peru exports ware{i} to Place{i}." for i in range(1500)))
    assert result.precision == 0.0
