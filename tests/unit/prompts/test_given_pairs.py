"""Preference files as people publish them: each form is read, each defect is counted or refused by its row."""

import json

import pytest

from flame_ray.errors import DataError
from flame_ray.prompts.given_pairs import GivenPair, read_given_pairs

ASKED = {"role": "user", "content": "Where is Lima?"}
SYSTEM = {"role": "system", "content": "Be brief."}
PAIR = GivenPair("Where is Lima?", "In Peru.", "In Chile.")


def answer(text: str) -> dict:
    return {"role": "assistant", "content": text}


def row(prompt="Where is Lima?", chosen="In Peru.", rejected="In Chile.", **more) -> dict:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected} | more


@pytest.fixture
def read(tmp_path):
    def of(*rows: dict, **asked):
        path = tmp_path / "pairs.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in rows))
        return read_given_pairs(str(path), **asked)

    return of


@pytest.mark.parametrize(
    "columns",
    [
        row(),
        row([ASKED], [answer("In Peru.")], [answer("In Chile.")]),
        row("Where is Lima?", [ASKED, answer("In Peru.")], [ASKED, answer("In Chile.")]),  # as ultrafeedback_binarized
        {"chosen": [ASKED, answer("In Peru.")], "rejected": [ASKED, answer("In Chile.")]},
        row([{"from": "human", "value": "Where is Lima?"}], [{"from": "gpt", "value": " In Peru. "}]),
        row([ASKED], json.dumps([answer("In Peru.")]), "In Chile.", source="elsewhere", score=None),
    ],
    ids=["texts", "chats", "chats that repeat the prompt", "no column `prompt`", "from and value", "chats in JSON"],
)
def test_texts_and_chats_are_the_same_pair(read, columns):
    found = read(columns)
    assert (found.pairs_D, found.left_out) == ((PAIR,), {})


def test_what_a_row_says_of_its_sides_is_kept(read):
    said = {"kind": "factuality", "chosen_score": 1, "rejected_score": 0.25}
    known = {"chosen_factuality": 0.5, "rejected_factuality": None}
    (pair,) = read(row(**said, **known, chosen_truncated=None, rejected_truncated=True)).pairs_D
    assert (pair.kind, pair.scores, pair.factuality) == ("factuality", (1.0, 0.25), (0.5, None))
    assert pair.truncated == (False, True)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (row(rejected=None), "without a side"),
        (row(chosen=" "), "without a side"),
        (row(chosen=[]), "without a side"),
        (row(rejected=[answer("")]), "without a side"),
        (row(rejected="In Peru. "), "a tie"),
        (row(chosen=[{"role": "user", "content": "And Quito?"}, answer("In Peru.")]), "with sides of different prompts"),
        ({"chosen": [ASKED, answer("In Peru.")], "rejected": "In Chile."}, "with sides of different prompts"),
        (row([ASKED, answer("In Peru."), ASKED]), "of several turns"),
        (row("where is LIMA?"), "repeated"),
    ],
)
def test_a_row_that_is_no_preference_is_counted_by_its_reason(read, columns, reason):
    found = read(row(), columns)
    assert (found.pairs_D, found.left_out) == ((PAIR,), {reason: 1})


def test_a_system_message_is_left_out_and_counted(read):
    found = read(row([SYSTEM, ASKED]))
    assert (found.pairs_D, found.left_out) == ((PAIR,), {"system message": 1})


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"prompt": "a", "chosen": "b"}, r"a column `rejected`; found .*:2 with the columns prompt, chosen.*pairs\.file rows"),
        ({"prompt": "a", "completion": "b", "label": True}, r"a column `chosen`.*an answer with a label is no pair"),
        ({"chosen": "In Peru.", "rejected": "In Chile."}, r"an instruction in the column `prompt`, or before .*:2: null"),
        (row(""), r"an instruction in the column `prompt`.*:2: ''"),
        (row(chosen=7), r"text or a list of messages in the column `chosen`; found .*:2: 7"),
        (row(chosen=[ASKED]), r"an answer of the assistant at the end of `chosen`; found .*:2: 'user'"),
        (row(chosen=[{"role": "judge", "content": "b"}]), r"messages whose role is one of .*:2: 'judge'"),
        (row(chosen=[answer(7)]), r"messages with text in their content; found .*:2: 7"),
        (row(chosen_score="high"), r"a number or null in the column `chosen_score`; found .*:2: 'high'"),
        (row(chosen_factuality=7, rejected_factuality=0), r"from 0 to 1, or null, in the column `chosen_factuality`.*:2: 7"),
        (row(rejected_truncated="yes"), r"true, false or null in the column `rejected_truncated`; found .*:2: 'yes'"),
        (row(rejected_factuality=-0.1), r"from 0 to 1, or null, in the column `rejected_factuality`; found .*:2: -0\.1"),
        (row(kind=7), r"text in the column `kind`; found .*:2: 7"),
    ],
)
def test_a_row_of_another_form_is_refused_by_its_line(read, columns, told):
    with pytest.raises(DataError, match=told):
        read(row(), columns)


@pytest.mark.parametrize("known", [{}, {"chosen_factuality": 0.5}, {"chosen_factuality": 0.5, "rejected_factuality": None}])
def test_pairs_that_do_not_say_how_factual_their_sides_are_are_no_data_for_a_loss_that_compares_it(read, known):
    assert len(read(row(**known)).pairs_D) == 1
    with pytest.raises(DataError, match=r"`chosen_factuality` and `rejected_factuality`, .* fdpo.*; found none in 1 pairs of"):
        read(row(**known), by_factuality=True)
    both = {"chosen_factuality": 0.5, "rejected_factuality": 0}
    assert len(read(row(**known), row("And Quito?", **both), by_factuality=True).pairs_D) == 2


def test_a_file_without_a_pair_is_refused_with_what_was_left_out(read):
    with pytest.raises(DataError, match=r"at least one pair in .*; found 2 without a side\..*pairs\.file"):
        read(row(chosen=None), row(rejected=""))
    with pytest.raises(DataError, match="found no rows"):
        read()
