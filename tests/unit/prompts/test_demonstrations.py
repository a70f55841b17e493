"""Demonstrations from files of each form, and what is said of a file of the wrong one."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flame_ray.config import DemonstrationSource
from flame_ray.errors import DataError
from flame_ray.prompts.demonstrations import load_demonstrations
from flame_ray.sft import seed_prompts

ROW = {"prompt": "Where is Lima?", "answer": "In Peru."}


@pytest.fixture
def file(tmp_path):
    """Writes rows to a JSONL file, and gives its path."""

    def write(*rows, name="seeds.jsonl") -> str:
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return str(tmp_path / name)

    return write


def load(path, **settings):
    return load_demonstrations([DemonstrationSource(source=path, **settings)])


def texts(found):
    return [(each.prompt.text, each.answer) for each in found.demonstrations]


def fault(path, **settings) -> str:
    with pytest.raises(DataError) as caught:
        load(path, **settings)
    return str(caught.value)


def chat(*turns, keys=("role", "content")):
    return {"messages": [dict(zip(keys, turn, strict=True)) for turn in turns]}


ASKED, ANSWERED = ("user", "Where is Lima?"), ("assistant", "In Peru.")


@pytest.mark.parametrize("name", ["seeds.jsonl", "seeds.jsonl.gz"])
def test_a_table_is_read_by_the_names_of_its_columns(file, name):
    path = file({"instruction": " Where is Lima? ", "output": "In Peru.\n", "facts": "yes"}, name=name)
    (found,) = load(path, prompt_column="instruction", answer_column="output", label_column="facts").demonstrations
    assert (found.prompt.text, found.answer, found.prompt.label) == ("Where is Lima?", "In Peru.", True)
    assert (found.source, found.weight, found.is_seed) == (path, 1.0, True)


def test_a_text_that_belongs_to_the_instruction_follows_it_and_an_empty_one_adds_nothing(file):
    rows = (
        {"instruction": "Translate.", "input": " Hola ", "output": "Hi"},
        {"instruction": "Greet.", "input": "", "output": "Hi"},
    )
    columns = {"prompt_column": "instruction", "answer_column": "output"}
    found = load(file(*rows), input_column="input", **columns)
    assert texts(found) == [("Translate.\n\nHola", "Hi"), ("Greet.", "Hi")]
    assert "set `input_column: input`" in fault(file(*rows), **columns)
    assert texts(load(file(*rows[1:]), **columns)) == [("Greet.", "Hi")]
    assert "a column `context`" in fault(file(*rows), input_column="context", **columns)


def test_each_instance_of_a_self_instruct_row_is_a_demonstration(file):
    instances = [{"input": "Hola", "output": "Hi"}, {"input": "Adios", "output": "Bye"}]
    path = file(
        {"id": "seed_task_0", "instruction": "Translate.", "instances": instances},
        {"id": "seed_task_1", "instruction": "Greet.", "instances": [{"input": "", "output": "Hello."}]},
    )
    columns = {"prompt_column": "instruction", "answer_column": "output"}
    found = load(path, input_column="input", **columns)
    assert texts(found) == [("Translate.\n\nHola", "Hi"), ("Translate.\n\nAdios", "Bye"), ("Greet.", "Hello.")]
    assert [each.prompt.id for each in found.demonstrations] == ["seed_task_0", "seed_task_0/2", "seed_task_1"]
    assert "seeds.jsonl:1, instance 1: 'Hola'" in fault(path, **columns)


@pytest.mark.parametrize("column", ["input", "context"])
def test_a_text_that_belongs_to_the_instruction_is_left_out_only_if_the_settings_say_so(file, column):
    rows = [{"prompt": "Translate.", column: "Hola", "answer": "Hi"}, {"prompt": "Greet.", column: None, "answer": "Hi"}]
    assert f"set `input_column: {column}`" in fault(file(*rows))
    assert texts(load(file(*rows), input_column=column)) == [("Translate.\n\nHola", "Hi"), ("Greet.", "Hi")]
    assert texts(load(file(*rows), input_column=False)) == [("Translate.", "Hi"), ("Greet.", "Hi")]


def test_a_table_may_hold_its_two_sides_as_chats_of_one_message(file):
    row = {
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is Lima?"}],
        "completion": [{"role": "assistant", "content": "In Peru."}],
    }
    found = load(file(row), answer_column="completion")
    assert (texts(found), found.left_out) == ([("Where is Lima?", "In Peru.")], {"system message": 1})


def test_what_a_table_says_beside_an_instruction_is_counted(file):
    rows = (ROW | {"system": "Be brief.", "history": [["Hi", "Hello."]]}, {"prompt": "Hi", "answer": "Hello.", "system": ""})
    assert load(file(*rows)).left_out == {"system message": 1, "earlier turns": 1}


def test_rows_without_an_answer_are_counted_and_the_others_are_read(file):
    said = [{"role": "assistant", "content": None}]
    rows = [ROW, *({"prompt": f"Name fish {number}.", "answer": blank} for number, blank in enumerate((None, "", " \n", said)))]
    found = load(file(*rows))
    assert (texts(found), found.left_out) == ([("Where is Lima?", "In Peru.")], {"without an answer": 4})
    found = load(file(chat(ASKED, ANSWERED), chat(("system", "Be brief."), ASKED, ("assistant", " "))), form="chat")
    assert (texts(found), found.left_out) == ([("Where is Lima?", "In Peru.")], {"without an answer": 1})


def test_the_reasons_of_a_source_without_demonstrations_are_its_own(file):
    good, bad = file(ROW | {"system": "Be brief."}, name="good.jsonl"), file(ROW | {"answer": ""}, name="bad.jsonl")
    with pytest.raises(DataError, match=r"demonstrations in .*bad\.jsonl; found 1 without an answer\. To fix"):
        load_demonstrations([DemonstrationSource(source=path) for path in (good, bad)])


def test_a_json_list_and_a_parquet_table_hold_the_same_rows(tmp_path):
    (tmp_path / "seeds.json").write_text(json.dumps([ROW]))
    pq.write_table(pa.Table.from_pylist([ROW]), tmp_path / "seeds.parquet")
    for name in ("seeds.json", "seeds.parquet"):
        assert texts(load(str(tmp_path / name))) == [("Where is Lima?", "In Peru.")]


@pytest.mark.parametrize("keys", [("role", "content"), ("from", "value")])
def test_of_a_chat_the_first_turn_counts_and_what_is_left_out_is_counted(file, keys):
    whole = chat(("system", "Be brief."), ASKED, ANSWERED, ("user", "Thanks"), keys=keys)
    found = load(file(whole, chat(("user", "Hi"), ("assistant", "Hello."))), form="chat")
    assert texts(found) == [("Where is Lima?", "In Peru."), ("Hi", "Hello.")]
    assert found.left_out == {"system message": 1, "turns after the first": 1}


def test_the_words_of_other_sets_for_the_two_sides_are_known(file):
    row = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}]}
    assert texts(load(file(row), form="chat", chat_column="conversations")) == [("Hi", "Hello.")]


def test_trees_give_their_best_answers_and_keep_their_ids(file):
    reply = {"text": "In Peru.", "role": "assistant", "lang": "en", "rank": 0}
    prompt = {"message_id": "t1", "text": "Where is Lima?", "role": "prompter", "lang": "en", "replies": [reply]}
    found = load(file({"message_tree_id": "t1", "prompt": prompt}), form="trees")
    assert (texts(found), found.demonstrations[0].prompt.id) == ([("Where is Lima?", "In Peru.")], "t1")


def test_a_source_says_how_many_it_gives_what_they_weigh_and_whether_they_are_seeds(file):
    path = file(ROW, {"prompt": "Hi", "answer": "Hello."}, {"prompt": "Bye", "answer": "Bye."})
    found = load(path, limit=2, weight=0.5, seed=False).demonstrations
    assert [(each.answer, each.weight, each.is_seed) for each in found] == [("In Peru.", 0.5, False), ("Hello.", 0.5, False)]


def test_an_instruction_may_have_several_answers_but_the_same_pair_counts_once(file):
    one, two = (
        file(ROW, ROW | {"answer": "In South America."}),
        file({"prompt": "where is  Lima?", "answer": "In Peru."}, name="b.jsonl"),
    )
    found = load_demonstrations([DemonstrationSource(source=one), DemonstrationSource(source=two)])
    assert [each.answer for each in found.demonstrations] == ["In Peru.", "In South America."]
    assert len({each.prompt.id for each in found.demonstrations}) == 1
    assert found.left_out == {"repeated": 1}


def test_sets_that_number_their_rows_alike_are_loaded_together_and_the_first_keeps_its_ids(file):
    one = file(ROW | {"id": 0}, {"prompt": "Hi", "answer": "Hello.", "id": 1}, name="one.jsonl")
    two = file({"prompt": "Bye", "answer": "Bye.", "id": 0}, {"prompt": "hi", "answer": "Hey.", "id": 1}, name="two.jsonl")
    found = load_demonstrations([DemonstrationSource(source=one), DemonstrationSource(source=two)]).demonstrations
    ids = [each.prompt.id for each in found]
    assert ids[:2] == ["0", "1"] and ids[2].startswith("two/") and ids[3] == "1"


def test_one_id_for_two_instructions_is_refused(file):
    path = file(ROW | {"id": "a"}, {"prompt": "Hi", "answer": "Hello.", "id": "a"})
    assert "an id for each instruction; found 'a' for two different ones" in fault(path)


@pytest.mark.parametrize(
    ("rows", "settings", "words"),
    [
        ([ROW, {"prompt": "Hi"}], {}, ("a column `answer`", "seeds.jsonl:2 with the columns prompt")),
        ([ROW, ROW | {"answer": 42}], {}, ("text in the column `answer`", "seeds.jsonl:2: 42")),
        ([ROW | {"answer": " "}], {}, ("demonstrations in", "found 1 without an answer")),
        ([chat(ASKED, ("assistant", ""))], {"form": "chat"}, ("demonstrations in", "found 1 without an answer")),
        (
            [{"prompt": chat(ASKED, ANSWERED, ("user", "Is it far?"))["messages"], "answer": "Yes"}],
            {},
            ("text in the column `prompt`, or one message of the user", "a chat of user, assistant, user", "`form: chat`"),
        ),
        ([ROW | {"answer": chat(ASKED)["messages"]}], {}, ("the column `answer`, or one message of the assistant",)),
        ([chat(ASKED, ANSWERED)], {}, ("a column `prompt`", "with the columns messages", "another `form`")),
        ([{"messages": "Hi"}], {"form": "chat"}, ("a list of messages in the column `messages`", "`form: table`")),
        ([ROW], {"form": "chat"}, ("a column `messages`", "with the columns prompt, answer")),
        ([chat(ANSWERED)], {"form": "chat"}, ("a user's message, then the assistant's answer", "seeds.jsonl:1: 'assistant'")),
        ([chat(ASKED)], {"form": "chat"}, ("a user's message, then the assistant's answer", "'user'")),
        ([chat()], {"form": "chat"}, ("a user's message, then", "'no message'")),
        ([chat(ASKED, ("narrator", "42"))], {"form": "chat"}, ("messages whose role is one of user", "'narrator'")),
        ([chat(ASKED, ("tool", "42"))], {"form": "chat"}, ("a user's message, then the assistant's answer", "'user, tool'")),
        ([chat(ASKED, ("assistant", ["In Peru."]))], {"form": "chat"}, ("messages with text in their content", '["In Peru."]')),
        ([{"messages": ["Hi", "Hello."]}], {"form": "chat"}, ("messages with role and content", "'Hi'")),
        ([ROW], {"form": "trees"}, ("missing: message_id", "in sft.sources, `form` may be table or chat")),
        ([ROW], {"label_column": "facts"}, ("a column `facts`", "with the columns prompt, answer")),
        ([ROW | {"facts": "perhaps"}], {"label_column": "facts"}, ("one of true, yes, 1", "seeds.jsonl:1: 'perhaps'")),
        ([], {}, ("demonstrations in", "no rows")),
    ],
)
def test_a_file_of_another_form_is_refused_by_its_line_and_the_message_says_what_to_set(file, rows, settings, words):
    message = fault(file(*rows), **settings)
    for each in words:
        assert each in message


def test_trees_without_any_answer_are_refused_with_the_reasons(file):
    prompt = {"message_id": "t1", "text": "Hola", "role": "prompter", "lang": "es", "replies": []}
    assert "found 1 tree of another language" in fault(file({"message_tree_id": "t1", "prompt": prompt}), form="trees")


@pytest.mark.parametrize("content", ["{}", "[1]", "[", '["Where is Lima?"]'])
def test_json_that_is_no_list_of_objects_is_refused(tmp_path, content):
    (tmp_path / "seeds.json").write_text(content)
    assert "a JSON file with one list of objects" in fault(str(tmp_path / "seeds.json"))


def test_a_compressed_file_that_is_cut_off_is_refused(file, tmp_path):
    path = file(*[{"prompt": f"Where is {number}?", "answer": "Here."} for number in range(500)], name="seeds.jsonl.gz")
    data = (tmp_path / "seeds.jsonl.gz").read_bytes()
    (tmp_path / "seeds.jsonl.gz").write_bytes(data[: len(data) // 2])
    assert "a file that can be read" in fault(path)


def test_no_source_and_no_file_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"sft.sources with a set of instructions and answers; found none"):
        load_demonstrations([])
    assert "correct the path in sft.sources" in fault(str(tmp_path / "none.jsonl"))


def test_an_instruction_in_two_sources_is_one_seed_with_the_answers_of_both(file):
    tree = {"message_id": "t0", "text": "Name a river.", "role": "prompter", "lang": "en"}
    reply = {"message_id": "a0", "text": "The Rhine.", "role": "assistant", "lang": "en", "rank": 0}
    trees = file({"message_tree_id": "t0", "prompt": {**tree, "replies": [reply]}}, name="trees.jsonl")
    chats = file({"messages": [{"role": "user", "content": "name  a river."}, {"role": "assistant", "content": "The Po."}]})
    sources = DemonstrationSource(source=trees, form="trees"), DemonstrationSource(source=chats, form="chat", weight=0.5)
    found = load_demonstrations(sources).demonstrations
    assert [(prompt.id, prompt.text) for prompt in seed_prompts(found)] == [("t0", "Name a river.")]
    assert [(each.answer, each.weight) for each in found] == [("The Rhine.", 1.0), ("The Po.", 0.5)]


def test_so_is_one_of_several_rows_with_ids_of_their_own(file):
    found = load(
        file(*({"id": str(at), "prompt": "Name a river.", "answer": f"River {at}."} for at in range(3)))
    ).demonstrations
    assert [prompt.id for prompt in seed_prompts(found)] == ["0"] and len(found) == 3


def test_of_two_sources_the_one_with_labels_gives_the_label(file):
    bare, labelled = file(ROW), file({**ROW, "answer": "There.", "facts": True}, name="labelled.jsonl")
    sources = DemonstrationSource(source=bare), DemonstrationSource(source=labelled, label_column="facts")
    assert [each.prompt.label for each in load_demonstrations(sources).demonstrations] == [True, True]


def test_copies_of_a_seed_with_other_labels_are_warned_of_and_the_first_label_counts(file, caplog):
    rows = [{"id": str(at), "prompt": "Name a river.", "answer": f"River {at}.", "facts": at == 0} for at in range(3)]
    found = load(file(*rows), label_column="facts").demonstrations
    assert [prompt.label for prompt in seed_prompts(found)] == [True]
    assert "2 seeds have another label" in caplog.text


def test_what_is_learned_as_it_is_stays_apart_from_a_seed_of_the_same_instruction(file):
    own = file({"id": "judged", **ROW, "answer": "In Peru, of course."}, name="judged.jsonl")
    sources = DemonstrationSource(source=file({"id": "seed", **ROW})), DemonstrationSource(source=own, seed=False)
    assert [each.prompt.id for each in load_demonstrations(sources).demonstrations] == ["seed", "judged"]
