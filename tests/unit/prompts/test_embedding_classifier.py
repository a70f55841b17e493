"""The light classifier: what it learns from, and what its figures may be measured on."""

import json

import pytest

from flame_ray.config.load import parse_config
from flame_ray.errors import ConfigError, DataError, ModelError
from flame_ray.prompts.embedding_classifier import EmbeddingClassifier, check_classifier, labelled_prompts
from flame_ray.types import Prompt
from tests.doubles import FakeEmbedder


def classify(*labels, **settings):
    return parse_config({"classify": {"by": "embedding", "labels": list(labels)} | settings}, "here").classify


def labelled(*rows):
    return [Prompt(f"p{number}", text, label=label) for number, (text, label) in enumerate(rows)]


def test_of_two_opposite_instructions_each_has_the_probability_that_the_equation_gives():
    """The weight w along their axis solves w = 2 C / (1 + e^w) with C = 10: w = 2.1277, and P = 1 / (1 + e^-w) = 0.8936."""
    classifier = EmbeddingClassifier(FakeEmbedder(), labelled(("which 0", True), ("write 180", False)))
    facts, between, poem = classifier.probabilities(["what 0", "hm 90", "sing 180"])
    assert [facts, between, poem] == pytest.approx([0.8936, 0.5, 0.1064], abs=1e-4)


def test_training_again_gives_the_same_probabilities():
    rows = labelled(("a 0", True), ("b 20", True), ("c 100", False), ("d 350", True), ("e 170", False))
    texts = [f"x {angle}" for angle in range(0, 360, 30)]
    first, second = (EmbeddingClassifier(FakeEmbedder(), rows).probabilities(texts) for _ in range(2))
    assert first == second


def test_no_text_has_no_probability_and_trains_nothing():
    assert EmbeddingClassifier(FakeEmbedder(), []).probabilities([]) == []


def test_it_knows_what_it_was_trained_on_whatever_the_case_and_the_blanks():
    classifier = EmbeddingClassifier(FakeEmbedder(), labelled(("Which  Fish 0", True)))
    assert classifier.was_trained_on("which fish 0") and not classifier.was_trained_on("Which fish 1")


def test_only_training_prompts_are_learned(tmp_path):
    path = tmp_path / "labels.jsonl"
    rows = [("Which?", "yes", "train"), ("Write.", "no", "train"), ("Where?", "yes", "heldout"), ("When?", "yes", "dev")]
    path.write_text("".join(json.dumps({"prompt": p, "facts": f, "split": s}) + "\n" for p, f, s in rows))
    found = labelled_prompts(classify({"source": str(path), "label_column": "facts"}).labels)
    assert [(prompt.text, prompt.label) for prompt in found] == [("Which?", True), ("Write.", False)]


def test_the_built_in_prompts_have_labels_of_both_kinds():
    found = labelled_prompts(classify({"source": "factbook", "limit": 30}, {"source": "open-ended", "limit": 20}).labels)
    assert [prompt.label for prompt in found] == [True] * 30 + [False] * 20


def test_labels_of_one_kind_are_refused_before_anything_starts():
    with pytest.raises(DataError, match=r"texts of both labels in classify.labels; found 0 with facts and 100"):
        check_classifier(classify({"source": "open-ended"}))


def test_a_set_without_labels_is_refused_and_the_setting_is_named(tmp_path):
    path = tmp_path / "bare.jsonl"
    path.write_text('{"prompt": "Which?", "split": "train"}\n')
    with pytest.raises(DataError, match=r"1 of 1 without one, such as 'bare/.*set label_column in classify.labels"):
        check_classifier(classify({"source": str(path)}))


def test_labels_that_are_not_there_are_named_by_their_setting(tmp_path):
    with pytest.raises(DataError, match=r"correct the path in classify\.labels"):
        check_classifier(classify({"source": str(tmp_path / "none.jsonl"), "label_column": "facts"}))


def test_an_embedder_that_is_not_there_is_named_by_its_setting(tmp_path):
    sources = ({"source": "factbook", "limit": 5}, {"source": "open-ended"})
    with pytest.raises(ModelError, match=r"classify\.embedder"):
        check_classifier(classify(*sources, embedder=str(tmp_path / "none")))


def test_a_classifier_by_embedding_needs_labels():
    with pytest.raises(ConfigError, match=r"classify\.by embedding needs classify\.labels"):
        classify()


def test_other_ways_to_classify_need_nothing():
    check_classifier(parse_config({}, "here").classify)
