"""The question that sorts instructions, and what becomes of its answer."""

import pytest

from flame_ray.errors import DataError
from flame_ray.prompts.built_in import factbook_prompts, open_ended_prompts
from flame_ray.prompts.classify import (
    DEMONSTRATIONS,
    NO,
    YES,
    Accuracy,
    Question,
    accuracy,
    classification_cache,
    classification_messages,
    classify,
    decide,
    decide_by_label,
    probabilities,
)
from flame_ray.storage.cache import Cache
from flame_ray.types import Prompt

FISH = Prompt(id="fish", text="What do herons eat?", label=True)
POEM = Prompt(id="poem", text="Write a poem.", label=False)


def test_the_messages_end_with_the_instruction_so_that_the_next_token_is_the_answer():
    messages = classification_messages("What do herons eat?")
    assert messages[-1]["role"] == "user" and "What do herons eat?" in messages[-1]["content"]
    assert {message["content"] for message in messages if message["role"] == "assistant"} == {YES, NO}


def test_all_instructions_share_the_same_prefix():
    assert classification_messages("one")[:-1] == classification_messages("two")[:-1]


def test_an_instruction_with_braces_or_percent_signs_is_kept_as_it_is():
    assert "{x} 100 %s" in classification_messages("{x} 100 %s")[-1]["content"]


def test_no_demonstration_is_one_of_the_built_in_prompts():
    texts = {prompt.text for prompt in factbook_prompts() + open_ended_prompts()}
    assert not texts & {instruction for instruction, _ in DEMONSTRATIONS}


class Model:
    """Chooses the first word by so much; `asked` are the chats so far."""

    def __init__(self, *margins: float):
        self.margins, self.asked = iter(margins), []

    def choose(self, chats, words):
        assert words == (YES, NO)
        new = list(chats)
        self.asked += new
        return [(next(self.margins), 0.0) for _ in new]


def test_a_model_decides_by_its_choice_between_the_two_answers(tmp_path):
    model = Model(2.0, -2.0)
    decided = classify([FISH, POEM], model, Cache(tmp_path / "known.jsonl"), 0.5)
    assert [prompt.fact_based for prompt in decided] == [True, False]
    assert model.asked == [classification_messages(FISH.text), classification_messages(POEM.text)]


def test_a_text_is_asked_about_once_even_in_later_runs(tmp_path):
    classify([FISH], Model(2.0), Cache(tmp_path / "known.jsonl"), 0.5)
    again = Model()
    (decided,) = classify([FISH], again, Cache(tmp_path / "known.jsonl"), 0.5)
    assert decided.fact_based and again.asked == []
    (stricter,) = classify([FISH], again, Cache(tmp_path / "known.jsonl"), 0.9)
    assert stricter.fact_based is False  # the cache has the probability 0.88, not the decision


def test_a_text_that_comes_twice_is_asked_about_once_also_without_a_cache():
    model = Model(0.0, 700.0)
    question = Question("Is it?", YES, NO, (("One.", YES), ("Two.", NO)))
    assert probabilities(["a", "b", "a"], question, model, None) == [0.5, 1.0, 0.5]
    assert [[turn["content"] for turn in chat] for chat in model.asked] == [
        ["One.\n\nIs it?", YES, "Two.\n\nIs it?", NO, f"{text}\n\nIs it?"] for text in ("a", "b")
    ]


def test_another_model_and_another_question_have_caches_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAME_RAY_CACHE", str(tmp_path))
    classification_cache("one").add({"text": 0.5})
    assert "text" in classification_cache("one")
    assert "text" not in classification_cache("two")
    assert "text" not in classification_cache("one", Question("Is it?", YES, NO, ()))


def test_a_prompt_needs_facts_when_its_probability_reaches_the_threshold():
    assert [prompt.fact_based for prompt in decide([FISH, POEM, POEM], [0.5, 0.49, 0.9], 0.5)] == [True, False, True]


def test_deciding_keeps_everything_else_of_a_prompt():
    (decided,) = decide([FISH], [0.9], 0.5)
    assert (decided.id, decided.text, decided.label) == (FISH.id, FISH.text, FISH.label)


def test_a_probability_for_every_prompt_is_required():
    with pytest.raises(ValueError):
        decide([FISH, POEM], [0.5], 0.5)


def test_labels_decide_when_they_are_trusted():
    assert [prompt.fact_based for prompt in decide_by_label([FISH, POEM])] == [True, False]


def test_a_prompt_without_a_label_cannot_be_decided_by_it():
    with pytest.raises(DataError, match="1 of 2 without one, such as 'bare'"):
        decide_by_label([FISH, Prompt(id="bare", text="Hm?")])


def test_accuracy_counts_prompts_that_have_a_label_and_a_decision():
    decided = decide([FISH, FISH, FISH, POEM], [0.9, 0.9, 0.1, 0.9], 0.5)
    found = accuracy([*decided, Prompt(id="bare", text="Hm?", fact_based=True), POEM])
    assert found == Accuracy(correct=2, labelled=4, right_yes=2, said_yes=3, labelled_yes=3)
    assert accuracy([]) == Accuracy(0, 0, 0, 0, 0)
