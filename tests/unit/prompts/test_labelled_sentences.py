"""The built-in sentences, of which some carry facts."""

from flame_ray.config import PromptSource
from flame_ray.prompts.built_in import labelled_sentences
from flame_ray.prompts.embedding_classifier import SENTENCE_LABELS, labelled_prompts
from flame_ray.prompts.load import normal


def test_all_of_them_are_learned_about_as_many_with_facts_as_without_and_none_twice():
    learned = labelled_prompts([PromptSource(source="sentences")], SENTENCE_LABELS)
    assert [each.text for each in learned] == [each.text for each in labelled_sentences()]
    assert [sum(each.label is label for each in learned) for label in (True, False)] == [125, 128]
    assert len({normal(each.text) for each in learned}) == len({each.id for each in learned}) == 253
