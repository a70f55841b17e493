"""Sentences that carry no factual knowledge: who decides, and what becomes of them."""

import json
import math

import pytest

from flame_ray.config.load import parse_config
from flame_ray.errors import ConfigError, DataError, ModelError
from flame_ray.prompts.embedding_classifier import check_sentence_labels
from flame_ray.rewards.factuality.decompose import make_decomposer
from flame_ray.rewards.factuality.decompose.fact_based import CARRIES_FACTS, SentenceClassifier, by_verifier
from flame_ray.rewards.factuality.decompose.llm import LlmDecomposer
from flame_ray.storage.cache import Cache
from tests.builders import make_response
from tests.doubles import FakeVerifier

ANSWERS = (CARRIES_FACTS.yes, CARRIES_FACTS.no)
PERU = "Peru is a lovely country. Peru borders Chile. It exports copper."


def verifier(*remarks, **other):
    """A model that calls these sentences remarks, and all other ones knowledge."""

    def says(text):
        sentence = text.rsplit(CARRIES_FACTS.words, 2)[-2].strip().rpartition("\n")[2]
        return (-3.0, 0.0) if sentence in remarks else (0.0, -3.0)

    return FakeVerifier(says=says, answers=ANSWERS, **other)


def classifier(model, known=None, threshold=0.5):
    return SentenceClassifier(by_verifier(model, known), threshold)


def decomposed(decomposer, *texts, question=""):
    return decomposer.decompose([question] * len(texts), [make_response(text, index=i) for i, text in enumerate(texts)])


def settings(**factuality):
    return parse_config({"factuality": {"sentences": "fact_based", "cache": False} | factuality}, "here").factuality


def facts(found):
    return [(fact.text, fact.sentence) for fact in found.facts_F]


def test_a_sentence_that_is_a_remark_has_no_facts_and_is_not_verifiable():
    (found,) = decomposed(make_decomposer(settings(), verifier("Peru borders Chile.")), PERU)
    assert facts(found) == [("Peru exports copper", 2)]  # and `it` still is Peru
    assert [sentence.verifiable for sentence in found.sentences_S] == [False, False, True]


def test_without_the_setting_nobody_is_asked():
    model = verifier("Peru borders Chile.")
    (found,) = decomposed(make_decomposer(settings(sentences="all"), model), PERU)
    assert [text for text, _ in facts(found)] == ["Peru borders Chile", "Peru exports copper"]
    assert model.asked == []


def test_a_fact_that_a_remark_also_states_is_kept_where_a_fact_based_sentence_states_it():
    text = "I heard that Peru borders Chile. Peru borders Chile."
    (found,) = decomposed(make_decomposer(settings(), verifier("I heard that Peru borders Chile.")), text)
    assert facts(found) == [("Peru borders Chile", 1)]


def test_a_language_model_is_not_asked_to_split_a_remark_but_still_sees_it():
    splitter = FakeVerifier(writes=lambda text: json.dumps({"facts": ["Peru exports copper"]}))
    skips = classifier(verifier("Peru borders Chile.", "Peru is a lovely country.")).skipped
    (found,) = decomposed(LlmDecomposer(splitter, skips), PERU)
    assert facts(found) == [("Peru exports copper", 2)]
    assert len(splitter.requests) == 1
    assert "Peru borders Chile." in splitter.text(splitter.requests[0].prompt_token_ids)


def test_a_short_answer_is_kept_because_it_says_something_only_with_its_question():
    model = verifier("Quito.")
    (found,) = decomposed(make_decomposer(settings(), model), "Quito.", question="What is the capital of Ecuador?")
    assert facts(found) == [("The capital of Ecuador is Quito", 0)]
    assert model.asked == []


def test_each_response_has_its_own_sentences():
    skipped = classifier(verifier("Hello.")).skipped([("Hello.", "Peru borders Chile."), (), ("It exports copper.",)])
    assert skipped == [frozenset({"Hello."}), frozenset(), frozenset()]


@pytest.mark.parametrize(("threshold", "skipped"), [(0.0, 0), (0.5, 1), (0.96, 2)])
def test_a_sentence_is_fact_based_from_the_threshold_on(threshold, skipped):
    """P(yes) is 0.953 for knowledge and 0.047 for a remark."""
    found = classifier(verifier("Peru is nice."), threshold=threshold).skipped([("Peru borders Chile.", "Peru is nice.")])
    assert len(found[0]) == skipped


def test_a_sentence_is_asked_about_once_and_later_runs_know_it(tmp_path):
    first, second = verifier(), verifier()
    for model in (first, second):
        classifier(model, Cache(tmp_path / "known")).probabilities(["Peru borders Chile.", "Peru borders Chile."])
    assert (len(first.asked), len(second.asked)) == (1, 0)


def test_a_sentence_too_long_to_ask_about_is_decomposed():
    model = verifier(max_length=len(verifier().render([CARRIES_FACTS.messages("Peru borders Chile.")])[0]) + 1)
    assert classifier(model).probabilities(["Peru borders Chile.", "Peru " * 50]) == [1 / (1 + math.exp(-3)), 1.0]
    assert len(model.asked) == 1


def test_a_model_for_which_both_answers_begin_alike_is_refused():
    model = verifier()
    model.encode = lambda text: (0,)
    with pytest.raises(ModelError, match="different first tokens for Knowledge and Remark"):
        classifier(model)


def test_labelled_sentences_take_the_place_of_the_verifier(tmp_path):
    """MiniLM's vectors of forty labelled sentences tell a remark from a statement that it has not seen."""
    path = tmp_path / "labels.jsonl"
    countries = ("Peru", "Chad", "Fiji", "Laos", "Mali", "Oman", "Togo", "Cuba", "Iran", "Niger")
    rows = [(f"{each} exports {crop}.", True) for each in countries for crop in ("copper", "rice")]
    rows += [(f"I hope that you {verb} {each}.", False) for each in countries for verb in ("like", "enjoy")]
    lines = [json.dumps({"sentence": text, "facts": label, "split": "train"}) for text, label in rows]
    path.write_text("\n".join(lines))
    labelled = settings(sentence_labels=[{"source": str(path), "column": "sentence", "label_column": "facts"}])
    assert not labelled.asks_verifier
    (found,) = decomposed(make_decomposer(labelled), "I hope that you love Kenya. Kenya borders Uganda.")
    assert facts(found) == [("Kenya borders Uganda", 1)]
    assert [sentence.verifiable for sentence in found.sentences_S] == [False, True]


def test_labels_of_sentences_that_nothing_would_read_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"factuality\.sentence_labels has no say unless factuality\.sentences is fact_based"):
        settings(sentences="all", sentence_labels=[{"source": "mine.jsonl"}])


def test_labels_of_sentences_are_read_before_a_run(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"sentence": "Peru exports gold.", "facts": true, "split": "train"}\n')
    named = {"source": str(path), "column": "sentence", "label_column": "facts"}
    with pytest.raises(DataError, match=r"both labels in factuality\.sentence_labels; found 1 with facts and 0 without"):
        check_sentence_labels(settings(sentence_labels=[named]))
    with pytest.raises(DataError, match=r"in factuality\.sentence_labels: column"):
        check_sentence_labels(settings(sentence_labels=[named | {"column": "text"}]))


def test_no_demonstration_has_words_beyond_the_two_answers():
    assert {answer for _, answer in CARRIES_FACTS.demonstrations} == set(ANSWERS)


def test_the_setting_starts_verifiers_and_a_whole_response_has_no_sentences():
    assert settings().asks_verifier and not settings(sentences="all").asks_verifier
    assert settings(checker="llm", checker_model="mine").verifier_model == "mine"
    with pytest.raises(ConfigError, match=r"factuality\.sentences fact_based needs a checker of facts"):
        settings(checker="whole")
