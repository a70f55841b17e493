"""First turns of OpenAssistant's trees, in both of the forms in which they are published."""

from collections import Counter

import pytest

from flame_ray.errors import DataError
from flame_ray.prompts.trees import FirstTurn, RankedAnswers, first_turns, ranked_answers
from flame_ray.storage.jsonl import Row


def message(text, role="assistant", lang="en", rank=None, **others):
    return {"text": text, "role": role, "lang": lang, "rank": rank, **others}


def whole(id, *replies, lang="en", text="Where is Lima?", **others):
    prompt = message(text, "prompter", lang, message_id=id, replies=list(replies), **others)
    return {"message_tree_id": id, "prompt": prompt}


def flat(id, parent, text, role, rank=None, lang="en", **others):
    return {"message_id": id, "parent_id": parent, **message(text, role, lang, rank, **others)}


def turns(*rows, language="en"):
    left_out: Counter[str] = Counter()
    placed = (Row(f"trees.jsonl:{number}", number, row) for number, row in enumerate(rows, start=1))
    return list(first_turns(placed, language, left_out)), dict(left_out)


def test_the_answer_is_the_one_that_people_rank_best_wherever_it_stands():
    tree = whole("a", message("In Chile.", rank=2), message(" In Peru. ", rank=0), message("South.", rank=1), message("No."))
    assert turns(tree)[0] == [FirstTurn("a", "Where is Lima?", "In Peru.", "trees.jsonl:1")]


def test_a_message_a_row_gives_the_same_trees_though_replies_come_before_and_after():
    rows = [
        flat("a1", "a", "In Chile.", "assistant", rank=1),
        flat("a", None, "Where is Lima?", "prompter"),
        flat("b", None, "Hi", "prompter"),
        flat("a2", "a", "In Peru.", "assistant", rank=0.0),
        flat("a3", "a2", "Thanks", "prompter"),
        flat("b1", "b", "Hello.", "assistant", rank=float("nan")),
    ]
    expected = [FirstTurn("a", "Where is Lima?", "In Peru.", "trees.jsonl:2"), FirstTurn("b", "Hi", "Hello.", "trees.jsonl:3")]
    assert turns(*rows)[0] == expected


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (whole("a", message("En Peru.", lang="es", rank=0), lang="es"), "tree of another language"),
        (whole("a", message("En Peru.", lang="es", rank=0)), "tree without an answer"),
        (whole("a"), "tree without an answer"),
        (whole("a", message("  ", rank=0)), "tree without an answer"),
        (whole("a", message("In Peru.", rank=0, deleted=True)), "tree without an answer"),
        (whole("a", message("In Peru.", "prompter", rank=0)), "tree without an answer"),
        (whole("a", message("In Peru.", rank=0), deleted=True), "tree without an instruction"),
        (whole("a", message("In Peru.", rank=0), text=" "), "tree without an instruction"),
        (whole("a", message("In Peru."), message("In Chile.")), "tree whose answers have no rank"),
    ],
)
def test_a_tree_that_has_no_first_turn_is_counted_by_its_reason(tree, reason):
    assert turns(tree) == ([], {reason: 1})


def test_the_only_answer_needs_no_rank_and_the_language_is_a_choice():
    assert turns(whole("a", message("In Peru.")))[0][0].answer == "In Peru."
    assert turns(whole("a", message("En Peru.", lang="es"), lang="es"), language="es")[0][0].answer == "En Peru."


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([whole("a", message("In Peru.")), flat("b", None, "Hi", "prompter")], "trees.jsonl:2: the columns message_id"),
        ([flat("b", None, "Hi", "prompter"), whole("a", message("In Peru."))], r"trees.jsonl:2: the columns message_tree_id"),
        ([{"prompt": "Where?", "answer": "Here."}], r"missing: message_id, parent_id, text, role, lang.*`form` may be"),
        ([{"message_tree_id": "a", "prompt": "Where?"}], "trees.jsonl:1: the columns"),
        (
            [{"message_tree_id": "a", "prompt": message("Where?", "prompter")}],
            r"in prompt.replies.*trees.jsonl:1: null",
        ),
        ([{"message_tree_id": "a", "prompt": message("Yes.", replies=[])}], "first message whose role is prompter"),
        ([whole("a", message("In Peru.", rank="best"))], "a whole number, or nothing, in `rank`.*trees.jsonl:1: 'best'"),
        ([whole("a", message(["In", "Peru"]))], r"text in `text` of each message.*trees.jsonl:1: \[\"In\""),
        ([whole("a", {"text": "In Peru.", "role": "assistant"})], "text in `lang` of each message.*trees.jsonl:1: null"),
    ],
)
def test_rows_that_are_no_trees_or_of_both_forms_are_refused_by_their_place(rows, words):
    with pytest.raises(DataError, match=words):
        turns(*rows)


def test_the_answers_of_a_tree_are_given_from_the_best_to_the_worst_if_two_or_more_have_a_rank():
    left_out: Counter[str] = Counter()
    trees = [
        whole("a", message("In Chile.", rank=2), message("In Peru.", rank=0), message("South.", rank=1), message("No.")),
        whole("b", message("In Peru.", rank=0), message("No.")),
        whole("c", lang="es"),
    ]
    rows = (Row(f"trees.jsonl:{number}", number, row) for number, row in enumerate(trees, start=1))
    found = list(ranked_answers(rows, "en", left_out))
    assert found == [RankedAnswers("a", "Where is Lima?", ("In Peru.", "South.", "In Chile."))]
    assert left_out == {"tree with fewer than two ranked answers": 1, "tree of another language": 1}
