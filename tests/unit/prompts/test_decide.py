"""Who decides which instructions need facts: labels, a light classifier, or a language model, as the settings say."""

import pytest

from flame_ray.config.load import parse_config
from flame_ray.errors import DataError
from flame_ray.prompts.decide import InstructionClassifier
from tests.builders import make_prompt

WHICH, STORY = make_prompt("a", "Which?", label=False), make_prompt("b", "Write a story.", label=True)
LABELS = [{"source": "factbook"}, {"source": "open-ended"}]


class Shortness:
    """Finds one over the number of words."""

    def probabilities(self, texts):
        return [1 / len(text.split()) for text in texts]


def nobody(prompts_P):
    raise AssertionError("a language model is asked")


def no_embedder(config):
    raise AssertionError("a classifier is trained")


def decided(classifier, *prompts) -> list[bool | None]:
    return [prompt.fact_based for prompt in classifier.classify(prompts)]


def settings(**classify):
    return parse_config({"classify": classify}, "here").classify


def test_a_light_classifier_is_trained_once_and_asks_nobody():
    opened = []
    how = settings(by="embedding", labels=LABELS, threshold=0.4)
    classifier = InstructionClassifier(how, nobody, lambda config: opened.append(config) or Shortness())
    assert opened == []
    assert decided(classifier, WHICH, STORY) == decided(classifier, WHICH, STORY) == [True, False]
    assert opened == [how]


def test_labels_decide_alone_and_a_prompt_without_one_is_refused():
    classifier = InstructionClassifier(settings(by="label"), nobody, no_embedder)
    assert decided(classifier, WHICH, STORY) == [False, True]
    with pytest.raises(DataError, match="a label on every prompt"):
        classifier.classify([make_prompt("c")])


def test_a_language_model_is_asked_by_default():
    classifier = InstructionClassifier(settings(), lambda prompts_P: [make_prompt("x", fact_based=True)], no_embedder)
    assert decided(classifier, WHICH) == [True]
