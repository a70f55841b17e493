"""Prompt sources, their faults, their limits, and the round's draw."""

import json
import logging
import subprocess
import sys
from collections import Counter

import pyarrow
import pyarrow.parquet
import pytest

from flame_ray.config import PromptsConfig, PromptSource
from flame_ray.errors import DataError
from flame_ray.prompts.load import draw, load_prompts
from flame_ray.types import Prompt, Split

BOTH = [{"prompt": "Name a fish.", "split": "train"}, {"prompt": "Name a bird.", "split": "heldout"}]


@pytest.fixture
def file(tmp_path):
    """Write lines (objects or raw text) to a JSONL file and return its path."""

    def write(*lines, name="mine.jsonl"):
        path = tmp_path / name
        path.write_text(
            "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n", encoding="utf-8"
        )
        return str(path)

    return write


def load(*sources, **settings):
    return load_prompts(PromptsConfig(sources=tuple(PromptSource(source=source, **settings) for source in sources))).prompts


def fault(*sources, **settings):
    with pytest.raises(DataError) as caught:
        load(*sources, **settings)
    return str(caught.value)


def test_the_built_in_sources_load_by_name():
    prompts = load_prompts(PromptsConfig()).prompts
    assert {prompt.label for prompt in prompts} == {True, False}
    assert Counter(prompt.split for prompt in prompts) == {Split.TRAIN: 976, Split.HELDOUT: 334}


def test_limits_apply_to_each_split_of_each_source():
    prompts = load("factbook", "open-ended", limit=30, heldout_limit=7)
    assert Counter((prompt.split, prompt.label) for prompt in prompts) == {
        (Split.TRAIN, True): 30,
        (Split.TRAIN, False): 30,
        (Split.HELDOUT, True): 7,
        (Split.HELDOUT, False): 7,
    }


def country(prompt: Prompt) -> str:
    return prompt.id.rpartition("/")[0]


def test_development_prompts_are_of_training_countries_that_are_then_not_trained_on():
    whole, divided = load("factbook"), load("factbook", dev_fraction=0.2)
    by_split = {split: {country(prompt) for prompt in divided if prompt.split is split} for split in Split}
    assert by_split[Split.DEV] and not by_split[Split.DEV] & (by_split[Split.TRAIN] | by_split[Split.HELDOUT])
    assert by_split[Split.HELDOUT] == {country(prompt) for prompt in whole if prompt.split is Split.HELDOUT}
    assert 0.1 < len(by_split[Split.DEV]) / len(by_split[Split.DEV] | by_split[Split.TRAIN]) < 0.3
    assert sum(prompt.split is Split.DEV for prompt in divided) == 6 * len(by_split[Split.DEV])


def test_a_limit_of_development_prompts_takes_one_of_each_country_first_and_gives_none_back_to_training():
    limited, whole = load("factbook", dev_fraction=0.2, dev_limit=12), load("factbook", dev_fraction=0.2)
    chosen = [prompt for prompt in limited if prompt.split is Split.DEV]
    assert len({country(prompt) for prompt in chosen}) == len(chosen) == 12
    assert len({prompt.id.rpartition("/")[2] for prompt in chosen}) >= 4  # aspects
    train_P, all_train_P = ([prompt for prompt in each if prompt.split is Split.TRAIN] for each in (limited, whole))
    assert train_P == all_train_P


def test_without_a_share_for_development_nothing_leaves_training():
    assert load("factbook", "open-ended") == load("factbook", "open-ended", dev_fraction=0.0, dev_limit=5)
    assert not any(prompt.split is Split.DEV for prompt in load("factbook", "open-ended"))


def test_a_file_s_development_prompts_follow_from_their_texts_or_from_its_column(file):
    rows = [{"prompt": f"Count to {number}."} for number in range(100)]
    forward, backward = ({p.text: p.split for p in load(file(*r), dev_fraction=0.3)} for r in (rows, rows[::-1]))
    assert forward == backward
    assert 10 <= sum(split is Split.DEV for split in forward.values()) <= 40
    named = load(file(*BOTH, {"prompt": "Name a tree.", "split": "dev"}))
    assert {prompt.text: prompt.split for prompt in named}["Name a tree."] is Split.DEV


def test_a_text_that_is_in_two_splits_is_kept_where_it_cannot_flatter_the_evaluation(file):
    rows = [{"prompt": "Name a tree.", "split": split} for split in ("heldout", "dev")]
    prompts = load(file(*BOTH, *rows))
    assert [prompt.split for prompt in prompts if prompt.text == "Name a tree."] == [Split.DEV]


def test_columns_are_named_by_the_settings(file):
    rows = [{"question": row["prompt"], "facts": True, "split": row["split"], "id": f"q{n}"} for n, row in enumerate(BOTH)]
    prompts = load(file(*rows), column="question", label_column="facts")
    assert prompts == (
        Prompt(id="q0", text="Name a fish.", split=Split.TRAIN, label=True),
        Prompt(id="q1", text="Name a bird.", split=Split.HELDOUT, label=True),
    )


@pytest.mark.parametrize(
    ("written", "label"),
    [
        (True, True),
        (1, True),
        ("1", True),
        ("Yes", True),
        ("TRUE", True),
        (False, False),
        (0, False),
        ("no", False),
        (" false ", False),
    ],
)
def test_labels_are_read_from_the_usual_words(file, written, label):
    prompts = load(file(*(row | {"fact": written} for row in BOTH)), label_column="fact")
    assert [prompt.label for prompt in prompts] == [label, label]


@pytest.mark.parametrize("written", ["maybe", "", None, 2, 1.0, [True]])
def test_another_word_for_a_label_is_an_error_with_its_line(file, written):
    message = fault(file(BOTH[0] | {"fact": 1}, BOTH[1] | {"fact": written}), label_column="fact")
    assert "mine.jsonl:2" in message and "true, yes, 1, false, no, 0" in message and "'fact'" in message


def test_without_a_label_column_labels_are_unknown(file):
    assert {prompt.label for prompt in load(file(*BOTH))} == {None}


def test_without_a_split_column_the_text_decides_wherever_it_stands(file):
    rows = [{"prompt": f"Count to {number}."} for number in range(50)]
    forward = {prompt.text: prompt.split for prompt in load(file(*rows), heldout_fraction=0.3)}
    backward = {prompt.text: prompt.split for prompt in load(file(*reversed(rows)), heldout_fraction=0.3)}
    assert forward == backward
    assert 5 <= sum(split == Split.HELDOUT for split in forward.values()) <= 25


def test_ids_without_an_id_column_stay_when_rows_move(file):
    rows = [{"prompt": f"Count to {number}."} for number in range(50)]
    assert {p.text: p.id for p in load(file(*rows))} == {p.text: p.id for p in load(file(*rows[::-1]))}


def test_another_word_for_a_split_is_an_error_with_its_line(file):
    message = fault(file(*BOTH, {"prompt": "Name a tree.", "split": "test"}))
    assert "mine.jsonl:3: 'test'" in message and "train, dev, heldout" in message


def test_a_missing_file_is_named_with_the_setting(tmp_path):
    message = fault(str(tmp_path / "none.jsonl"))
    assert "nothing at" in message and "none.jsonl" in message and "prompts.sources" in message


def test_a_file_of_another_format_is_an_error(file):
    assert "a .jsonl or .parquet file" in fault(file("prompt", name="mine.csv"))


def test_a_missing_column_is_an_error_that_names_those_that_exist(file):
    message = fault(file({"question": "Name a fish.", "topic": "animals"}))
    assert "a column `prompt`" in message and "question, topic" in message and "mine.jsonl:1" in message


def test_a_missing_label_column_names_its_setting(file):
    assert "prompts.sources: label_column" in fault(file(*BOTH), label_column="fact")


@pytest.mark.parametrize("line", ['{"prompt": "Name', "[1, 2]", '"Name a fish."', "nonsense"])
def test_a_malformed_row_is_an_error_with_its_line(file, line):
    message = fault(file(BOTH[0], "", line))
    assert "mine.jsonl:3" in message and "one JSON object a line" in message


def test_bytes_that_are_not_utf8_are_an_error_with_their_line(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(b'{"prompt": "Name a caf\xe9."}\n')
    assert "latin.jsonl:1" in fault(str(path))


@pytest.mark.parametrize("text", ["", "  \t", None, 7, {"text": "Name a fish."}])
def test_a_prompt_that_is_blank_or_no_text_is_an_error_with_its_line(file, text):
    message = fault(file(*BOTH, {"prompt": text, "split": "train"}))
    assert "mine.jsonl:3" in message and "text in column 'prompt', or a list of messages" in message


def test_a_line_separator_inside_a_text_does_not_end_its_line(file):
    rows = [json.dumps(row | {"prompt": row["prompt"] + "\u2028Twice."}, ensure_ascii=False) for row in BOTH]
    assert len(load(file(*rows))) == 2


def test_an_empty_file_is_an_error(file):
    assert "no rows" in fault(file(""))


def test_a_set_without_training_prompts_is_an_error(file):
    assert "at least one training prompt" in fault(file(BOTH[1]))


def test_a_set_without_heldout_prompts_is_an_error(file):
    message = fault(file(BOTH[0]))
    assert "at least one held-out prompt" in message and "1 training and 0 held-out" in message


def test_ids_used_twice_are_an_error(file):
    assert "'a'" in fault(file(*(row | {"id": "a"} for row in BOTH)))


def test_sets_that_number_their_rows_alike_are_loaded_together_and_the_first_keeps_its_ids(file):
    birds = [{"id": number, "prompt": f"Name bird {number}."} for number in range(20)]
    fishes = [{"id": number, "prompt": f"Name fish {number}."} for number in range(20)] + birds[:1]
    paths = file(*birds, name="birds.jsonl"), file(*fishes, name="fishes.jsonl")
    loaded = load_prompts(PromptsConfig(sources=tuple(PromptSource(source=path) for path in paths)))
    by_text = {prompt.text: prompt.id for prompt in loaded.prompts}
    assert {text: id for text, id in by_text.items() if "bird" in text} == {row["prompt"]: str(row["id"]) for row in birds}
    assert len(set(by_text.values())) == 40 and all(by_text[row["prompt"]].startswith("fishes/") for row in fishes[:20])
    assert loaded.places[by_text["Name fish 7."]] == f"{paths[1]}:8"


def test_repeated_texts_are_dropped_and_counted(file, caplog):
    with caplog.at_level(logging.WARNING):
        prompts = load(file(*BOTH, {"prompt": " name a  FISH. ", "split": "train"}))
    assert [prompt.text for prompt in prompts] == ["Name a fish.", "Name a bird."]
    assert "dropped 1 repeated prompts, 0 of them copies of prompts of another split" in caplog.text


def test_a_prompt_in_both_splits_is_removed_from_the_heldout_ones_and_counted(file, caplog):
    first = file(
        {"prompt": "Name a bird.", "split": "train"}, {"prompt": "Name a tree.", "split": "heldout"}, name="first.jsonl"
    )
    with caplog.at_level(logging.WARNING):
        prompts = load(file(*BOTH), first)
    assert {prompt.text: prompt.split for prompt in prompts}["Name a bird."] == Split.TRAIN
    assert len(prompts) == 3
    assert "1 of them copies of prompts of another split" in caplog.text


def test_parquet_reads_like_jsonl(tmp_path):
    path = tmp_path / "mine.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row | {"fact": True} for row in BOTH]), path)
    prompts = load(str(path), label_column="fact")
    assert [(prompt.text, prompt.split, prompt.label) for prompt in prompts] == [
        ("Name a fish.", Split.TRAIN, True),
        ("Name a bird.", Split.HELDOUT, True),
    ]


def test_a_fault_in_parquet_is_an_error_with_its_row(tmp_path):
    path = tmp_path / "mine.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"prompt": ["Name a fish.", None]}), path)
    assert "mine.parquet: row 2: null" in fault(str(path))


def test_a_broken_parquet_file_is_an_error(tmp_path):
    (tmp_path / "mine.parquet").write_bytes(b"not parquet")
    assert "a readable Parquet file" in fault(str(tmp_path / "mine.parquet"))


def test_a_folder_of_files_loads_as_a_data_set(file, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, BOTH)), encoding="utf-8")
    assert [prompt.text for prompt in load(str(folder))] == ["Name a fish.", "Name a bird."]


def test_a_folder_with_a_file_that_is_cut_off_is_an_error_that_names_it(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"prompt": "Name a fi', encoding="utf-8")
    assert f"a data set '{folder}' with a split `train`" in fault(str(folder))


def test_a_data_set_that_cannot_be_loaded_is_an_error(tmp_path):
    message = fault(str(tmp_path / "no-such-set"))
    assert "no-such-set" in message and "factbook, open-ended" in message


def pool(facts, others):
    return tuple(
        Prompt(id=f"{kind}/{n}", text=f"{kind} {n}", label=kind == "f")
        for kind, size in (("f", facts), ("o", others))
        for n in range(size)
    )


def test_a_draw_keeps_the_pools_proportion_of_fact_based_prompts():
    drawn = draw(pool(90, 30), 40, seed=0, round=1)
    assert Counter(prompt.label for prompt in drawn) == {True: 30, False: 10}


def test_a_proportion_that_does_not_divide_is_rounded_to_the_nearest():
    assert Counter(prompt.label for prompt in draw(pool(70, 30), 9, seed=0, round=1)) == {True: 6, False: 3}


def test_what_was_decided_counts_before_the_label():
    decided = tuple(Prompt(id=str(n), text=str(n), label=True, fact_based=n < 10) for n in range(20))
    assert sum(prompt.fact_based for prompt in draw(decided, 10, seed=0, round=1)) == 5


def test_a_draw_is_without_replacement_and_differs_by_round_and_seed():
    drawn = [draw(pool(60, 60), 20, seed, round) for seed, round in ((0, 1), (0, 2), (1, 1))]
    assert all(len({prompt.id for prompt in each}) == 20 for each in drawn)
    assert len({tuple(prompt.id for prompt in each) for each in drawn}) == 3


def test_a_draw_does_not_depend_on_the_order_of_the_pool():
    assert draw(pool(30, 30), 20, 0, 1) == draw(pool(30, 30)[::-1], 20, 0, 1)


def test_a_draw_takes_training_prompts_only():
    mixed = (*pool(5, 5), Prompt(id="h", text="held out", split=Split.HELDOUT, label=True))
    assert all(prompt.split == Split.TRAIN for prompt in draw(mixed, 11, 0, 1))


def test_a_pool_smaller_than_the_round_is_taken_whole():
    assert len(draw(pool(3, 2), 96, 0, 1)) == 5


def test_an_empty_pool_gives_nothing():
    assert draw((), 5, 0, 1) == ()


@pytest.mark.parametrize("hash_seed", ["0", "1234"])
def test_a_draw_is_the_same_in_every_process(hash_seed):
    program = (
        "from flame_ray.config import PromptsConfig; from flame_ray.prompts.load import draw, load_prompts;"
        "print(ascii([prompt.id for prompt in draw(load_prompts(PromptsConfig()).prompts, 24, 3, 2)]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == ascii([prompt.id for prompt in draw(load_prompts(PromptsConfig()).prompts, 24, 3, 2)])


def test_a_byte_order_mark_before_the_first_prompt_is_no_part_of_it(tmp_path):
    for name, content in (("a.jsonl", '{"prompt": "Name a fish."}\n'), ("a.json", '[{"prompt": "Name a fish."}]')):
        (tmp_path / name).write_text(content, encoding="utf-8-sig")
        assert read_chats(str(tmp_path / name))[0] == {"Name a fish."}


@pytest.mark.parametrize(("name", "place"), [("bad.jsonl", "bad.jsonl:2"), ("bad.json", "bad.json: item 2")])
def test_half_of_a_character_is_an_error_with_its_place(tmp_path, name, place):
    rows = ['{"prompt": "good"}', '{"prompt": "bad \\ud83d end"}']
    (tmp_path / name).write_text("\n".join(rows) if name.endswith("l") else f"[{', '.join(rows)}]")
    message = fault(str(tmp_path / name))
    assert place in message and "half of a surrogate pair" in message


USER, ANSWER, SYSTEM = ("user", "Name a fish."), ("assistant", "Cod."), ("system", "Be brief.")


def chat(*turns, keys=("role", "content")):
    return [dict(zip(keys, turn, strict=True)) for turn in turns]


def read_chats(path, **settings):
    """The texts of the prompts, and what was left out of their rows."""
    source = PromptSource(source=path, heldout_fraction=0.5, **settings)
    loaded = load_prompts(PromptsConfig(sources=(source, PromptSource(source="open-ended"))))
    return {prompt.text for prompt in loaded.prompts if prompt.id in loaded.places}, loaded.left_out


@pytest.mark.parametrize("column", ["prompt", "messages", "conversations", "conversation"])
@pytest.mark.parametrize(("keys", "user"), [(("role", "content"), "user"), (("from", "value"), "human")])
@pytest.mark.parametrize("written", [lambda messages: messages, json.dumps])
def test_a_chat_is_read_by_its_first_request_in_any_usual_column(file, column, keys, user, written):
    path = file({column: written(chat((user, " Name a fish. "), keys=keys))})
    assert read_chats(path) == ({"Name a fish."}, {})


def test_a_chat_is_read_from_parquet_as_from_jsonl(tmp_path):
    rows = [{"prompt": chat(USER, ANSWER)}, {"prompt": chat(("user", "Name a bird."))}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "mine.parquet")
    assert read_chats(str(tmp_path / "mine.parquet")) == ({"Name a fish.", "Name a bird."}, {})


def test_a_chat_of_two_lists_and_one_of_parts_of_text_are_read(file):
    lists = {"messages": {"role": ["user", "assistant"], "content": ["Name a fish.", "Cod."]}}
    parts = {"messages": chat(("user", [{"type": "text", "text": "Name a bird."}]))}
    assert read_chats(file(lists, parts)) == ({"Name a fish.", "Name a bird."}, {})


def test_what_a_chat_loses_is_counted_and_said(file, caplog):
    later = ("user", "Another one.")
    rows = [
        chat(SYSTEM, USER, ANSWER, later),
        chat(("developer", "Hi"), ("user", "Name a bird.")),
        chat(("user", "Hi"), ANSWER),
    ]
    path = file(*({"messages": row} for row in rows))
    expected = {"system message": 2, "turns after the first": 1}
    assert read_chats(path) == ({"Name a fish.", "Name a bird.", "Hi"}, expected)
    assert "2 of 3 prompts without their system message" in caplog.text
    assert "1 of 3 prompts without their turns after the first" in caplog.text


def test_later_turns_may_call_tools_or_show_pictures(file):
    rows = chat(USER, ("assistant", None), ("tool", "42"), ("user", [{"type": "image_url"}]))
    assert read_chats(file({"messages": rows}))[0] == {"Name a fish."}


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "a chat that a user's message begins, in `messages`; found {}: 'no message'"),
        (chat(SYSTEM), "begins, in `messages`; found {}: 'system'"),
        (chat(ANSWER, USER), "begins, in `messages`; found {}: 'assistant, user'"),
        (chat(("narrator", "Hi")), "messages whose role is one of user, human"),
        (chat(("user", " ")), "messages with text in their content; found {}: ' '"),
        (chat(("user", [{"type": "image_url"}])), "messages with text in their content; found {}"),
        (["Name a fish."], "messages with role and content; found {}: 'Name a fish.'"),
        ([{"text": "Name a fish."}], "messages whose role is one of"),
    ],
)
def test_a_chat_without_a_request_is_refused_by_its_line(file, messages, words):
    path = file({"messages": chat(USER)}, {"messages": messages})
    assert words.format(f"{path}:2") in fault(path)


def test_a_named_column_may_hold_texts_and_chats_but_no_other_column_stands_in_for_it(file):
    path = file({"q": "Name a fish."}, {"q": chat(("user", "Name a bird."))})
    assert read_chats(path, column="q")[0] == {"Name a fish.", "Name a bird."}
    assert "a column `prompt`" in fault(file({"messages": "Name a fish."}))
    assert "a column `q`" in fault(file({"messages": chat(USER)}), column="q")


def test_a_text_that_only_begins_like_json_stays_a_text(file):
    texts = {'[{"role": "user"', "[1, 2] Add these.", "[]", '[{"name": "fish"}]'}
    assert read_chats(file(*({"prompt": text} for text in texts)))[0] == texts


@pytest.mark.parametrize(
    "column", ["input", "inputs", "context", "document", "passage", "article", "paragraph", "story", "background"]
)
def test_a_text_that_belongs_to_the_instruction_is_kept_or_refused_and_left_out_only_on_request(file, column):
    alpaca = [{"instruction": "Translate.", column: " Hola "}, {"instruction": "Greet.", column: ""}]
    path = file(*alpaca)
    message = fault(path, column="instruction")
    assert f"no text in the column `{column}`" in message and f"{path}:1" in message
    assert f"set `input_column: {column}` for {path} in prompts.sources" in message
    assert read_chats(path, column="instruction", input_column=column) == ({"Translate.\n\nHola", "Greet."}, {})
    assert read_chats(path, column="instruction", input_column=False) == ({"Translate.", "Greet."}, {})
    assert read_chats(file(*alpaca[1:]), column="instruction")[0] == {"Greet."}


def test_two_rows_that_differ_only_in_what_they_are_about_are_two_prompts(file):
    path = file(*({"instruction": "Translate.", "input": word} for word in ("Hola", "Adios")))
    assert len(read_chats(path, column="instruction", input_column="input")[0]) == 2


@pytest.mark.parametrize("names", [{}, {"id": "task_1"}])
def test_each_instance_of_a_self_instruct_row_is_a_prompt_with_its_input(file, names):
    instances = [{"input": "Hola", "output": "Hi"}, {"input": "Adios", "output": "Bye"}]
    path = file(
        {"instruction": "Translate.", "instances": instances} | names,
        {"instruction": "Greet.", "instances": [{"input": "", "output": "Hi"}]},
    )
    message = fault(path, column="instruction")
    assert "mine.jsonl:1, instance 1: 'Hola'" in message and "set `input_column: input`" in message
    assert read_chats(path, column="instruction", input_column=False) == ({"Translate.", "Greet."}, {})
    found, left_out = read_chats(path, column="instruction", input_column="input")
    assert (found, left_out) == ({"Translate.\n\nHola", "Translate.\n\nAdios", "Greet."}, {})


def test_a_prompt_may_stand_in_the_column_input_itself(file):
    assert read_chats(file({"input": "Name a fish."}), column="input") == ({"Name a fish."}, {})


def test_a_named_column_of_texts_must_be_there(file):
    message = fault(file({"prompt": "Translate."}), input_column="input")
    assert "a column `input`" in message and "`input_column` for" in message and "in prompts.sources" in message


def test_what_a_table_says_beside_a_prompt_is_counted(file):
    rows = [{"prompt": "Hi", "system": "Be brief."}, {"prompt": "Ho", "system_prompt": "Be brief.", "history": [["a", "b"]]}]
    assert read_chats(file(*rows))[1] == {"system message": 2, "earlier turns": 1}


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_byte_order_mark_before_prompts_is_no_part_of_them(tmp_path, name):
    text = "\n".join(map(json.dumps, BOTH)) if name == "a.jsonl" else json.dumps(BOTH)
    (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert [prompt.text for prompt in load(str(tmp_path / name))] == ["Name a fish.", "Name a bird."]


def test_a_folder_in_place_of_a_file_is_called_one(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    assert f"found a folder at {tmp_path}/a.jsonl" in fault(str(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("content", ["[" * 100_000, "{}", "3", '["a", 1]', "[null]", ""])
def test_json_that_is_no_list_of_objects_is_refused_without_pythons_words(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    message = fault(str(tmp_path / "a.json"))
    assert "one list of objects or of texts; found" in message and not any(
        word in message for word in ("NoneType", "int", "dict", "char ")
    )


@pytest.mark.parametrize("settings", [{}, {"column": "question"}])
def test_a_json_list_of_texts_is_one_of_prompts(tmp_path, settings):
    (tmp_path / "a.json").write_text(json.dumps(["Can you tell me about GLaDOS?", 'Say "gif".', "Why is water wet?"]))
    source = PromptSource(source=str(tmp_path / "a.json"), **settings)
    loaded = load_prompts(PromptsConfig(sources=(source, PromptSource(source="open-ended"))))
    found = {loaded.places[prompt.id].rpartition("/")[2]: prompt.text for prompt in loaded.prompts if prompt.source == "a"}
    assert found == {
        "a.json: item 1": "Can you tell me about GLaDOS?",
        "a.json: item 2": 'Say "gif".',
        "a.json: item 3": "Why is water wet?",
    }


@pytest.mark.parametrize("texts", [["Name a fish.", " "], ["half of \ud83d a pair"]])
def test_a_blank_or_broken_text_of_a_json_list_is_refused_by_its_place(tmp_path, texts):
    (tmp_path / "a.json").write_text(json.dumps(texts))
    assert f"a.json: item {len(texts)}" in fault(str(tmp_path / "a.json"))


def test_a_prompt_knows_the_set_that_it_is_from_by_its_name_without_folders(tmp_path):
    (tmp_path / "mine.jsonl").write_text(json.dumps({"prompt": "Which?"}) + "\n")
    sources = PromptSource(source=str(tmp_path / "mine.jsonl")), PromptSource(source="open-ended")
    assert {prompt.source for prompt in load_prompts(PromptsConfig(sources=sources)).prompts} == {"mine", "open-ended"}
