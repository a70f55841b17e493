"""The pairs that the judge is trained on beside people's: an answer to the prompt, and one to another prompt."""

from flame_ray.evaluation.labels import Preference
from flame_ray.reward_training.preference_training import with_off_topic
from flame_ray.types import Group, Prompt, Response, ResponseId


def preference(prompt, first, second, first_wins):
    responses = tuple(Response(ResponseId(0, "x", i), text, (), (), "stop", 0) for i, text in enumerate((first, second)))
    return Preference(Group(Prompt("x", prompt), responses), first_wins, None)


LABELLED = [
    preference("Where is Peru?", "In Peru.", "In South America.", 0.0),
    preference("Where is Peru?", "On the Pacific.", "In South America.", 0.5),
    preference("Name a fruit.", "An apple.", "A stone.", 1.0),
    preference("Name a colour.", "Red.", "Loud.", 1.0),
]
GOOD = {
    "Where is Peru?": {"In South America.", "On the Pacific."},
    "Name a fruit.": {"An apple."},
    "Name a colour.": {"Red."},
}


def test_an_answer_to_another_prompt_loses_to_one_that_readers_did_not_call_the_worse():
    pairs = with_off_topic(LABELLED, 20, seed=1)
    assert pairs[: len(LABELLED)] == LABELLED and len(pairs) == len(LABELLED) + 3 * 20
    for each in pairs[len(LABELLED) :]:
        prompt, (first, second) = each.pair.prompt.text, each.pair.responses_G
        others = set().union(*(texts for other, texts in GOOD.items() if other != prompt))
        assert each.first_wins == 1.0 and first.text in GOOD[prompt] and second.text in others
    assert {each.pair.responses_G[1].text for each in pairs[len(LABELLED) :]} == set().union(*GOOD.values())


def test_the_seed_draws_them_and_none_are_made_where_there_is_no_other_prompt():
    assert with_off_topic(LABELLED, 5, seed=1) == with_off_topic(LABELLED, 5, seed=1) != with_off_topic(LABELLED, 5, seed=2)
    assert with_off_topic(LABELLED[:2], 5, seed=1) == LABELLED[:2]
    assert with_off_topic(LABELLED, 0, seed=1) == LABELLED
