"""What suites read: their own files, and errors that say which setting is missing and where the data is."""

import json

import pytest

from flame_ray.config import Config
from flame_ray.errors import ConfigError, DataError
from flame_ray.evaluation.suites import SUITES, make_suite
from flame_ray.evaluation.suites.data import make_prompts, read_lines, suite_rows

NEEDS_DATA = {
    "biography": "biography",
    "longfact": "longfact",
    "fava": "fava",
    "alpaca-fact": "alpaca",
    "alpaca-eval": "alpaca",
    "truthfulqa": "truthfulqa",
    "truthfulqa-mc": "truthfulqa",
    "mmlu": "mmlu",
    "gsm8k": "gsm8k",
}


def config(**suites) -> Config:
    return Config.model_validate({"suites": suites, "factuality": {"corpus": "factbook"}})


def test_every_suite_but_the_factbook_needs_data():
    assert set(SUITES) == {"factbook", *NEEDS_DATA}


@pytest.mark.parametrize(("suite", "setting"), NEEDS_DATA.items())
def test_a_suite_without_its_data_names_the_setting_and_where_the_data_is(suite, setting, tmp_path):
    with pytest.raises(ConfigError, match=rf"suites\.{setting} .*(github\.com|huggingface\.co)"):
        make_suite(suite, config())
    with pytest.raises(DataError, match=rf"suites\.{setting}.*nothing at .*nowhere.*(github\.com|huggingface\.co)"):
        make_suite(suite, config(**{setting: str(tmp_path / "nowhere")}))


@pytest.mark.parametrize("suite", ["longfact", "truthfulqa", "truthfulqa-mc", "mmlu", "gsm8k"])
def test_an_empty_folder_is_not_an_empty_suite(suite, tmp_path):
    with pytest.raises(DataError, match=rf"suites\.{NEEDS_DATA[suite]} names"):
        make_suite(suite, config(**{NEEDS_DATA[suite]: str(tmp_path)}))


def test_an_unknown_suite_is_refused_with_the_names_of_all():
    with pytest.raises(ConfigError, match=r"factbook, biography.*found 'bio'"):
        make_suite("bio", config())


def test_facts_of_other_suites_than_the_factbook_need_a_corpus_that_somebody_chose(tmp_path):
    (tmp_path / "names.txt").write_text("Ada Lovelace\n")
    named = {"suites": {"biography": str(tmp_path / "names.txt")}}
    with pytest.raises(ConfigError, match=r"factuality\.corpus to be named for the suite biography"):
        make_suite("biography", Config.model_validate(named))
    chosen = named | {"factuality": {"corpus": "mine.jsonl"}}
    assert make_suite("biography", Config.model_validate(chosen)).corpus == "mine.jsonl"


def test_the_factbook_is_checked_on_itself_and_asks_only_held_out_questions():
    suite = make_suite("factbook", Config.model_validate({"factuality": {"corpus": "mine.jsonl"}, "suites": {"limit": 5}}))
    assert suite.corpus == "factbook" and len(suite.prompts_P) == 5
    assert all(prompt.fact_based and prompt.id.startswith("factbook/") for prompt in suite.prompts_P)


def test_biographies_are_asked_for_in_factscores_words(tmp_path):
    (tmp_path / "names.txt").write_text("Ada Lovelace\n\n  Alan Turing \nAda Lovelace\n")
    suite = make_suite("biography", config(biography=str(tmp_path / "names.txt")))
    assert [prompt.text for prompt in suite.prompts_P] == ["Tell me a bio of Ada Lovelace.", "Tell me a bio of Alan Turing."]


def test_a_line_ends_at_a_line_feed_alone(tmp_path):
    (tmp_path / "names.txt").write_bytes("Ada\u2028Lovelace\r\n\n Alan Turing \n".encode())
    assert read_lines(tmp_path / "names.txt") == ["Ada\u2028Lovelace", "Alan Turing"]


@pytest.mark.parametrize("suite", ["biography", "fava"])
@pytest.mark.parametrize(
    "content", ['Ada\n{"name": "Ada"}\n', 'Ada\n[{"name": "Ada"}]', 'Ada\n[\n{"name": "Ada"},\n{"name": "Bo"}\n]']
)
def test_json_is_no_line_of_a_text(tmp_path, suite, content):
    (tmp_path / "names.txt").write_text(content)
    with pytest.raises(DataError, match=r"a text a line; found .*names\.txt:2: JSON, .*\.jsonl"):
        make_suite(suite, config(**{suite: str(tmp_path / "names.txt")}))


def test_longfact_reads_every_file_below_its_folder(tmp_path):
    for name, text in (("a/one.jsonl", "What is tax?"), ("b/two.jsonl", "What is rent?")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(json.dumps({"prompt": text, "canary": "x"}) + "\n")
    suite = make_suite("longfact", config(longfact=str(tmp_path)))
    assert [prompt.text for prompt in suite.prompts_P] == ["What is tax?", "What is rent?"] and suite.measure.as_safe
    (tmp_path / "b" / "two.jsonl").write_text('{"text": "no prompt"}\n')
    with pytest.raises(DataError, match=r"two\.jsonl:1"):
        make_suite("longfact", config(longfact=str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.txt", "What is tax?\n"),
        ("p.jsonl", '{"prompt": "What is tax?"}\n'),
        ("p.json", '[{"prompt": "What is tax?"}]'),
        ("p.json", '["What is tax?"]'),
    ],
)
def test_prompts_like_favas_come_from_a_text_or_from_json(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert [prompt.text for prompt in make_suite("fava", config(fava=str(tmp_path / name))).prompts_P] == ["What is tax?"]


def test_alpacas_references_are_the_outputs_of_the_same_instructions(tmp_path):
    rows = [{"instruction": "Say hello.", "output": "Hello."}, {"instruction": "What is tax?", "output": "Money."}]
    (tmp_path / "outputs.json").write_text(json.dumps(rows))
    suite = make_suite("alpaca-eval", config(alpaca=str(tmp_path / "outputs.json")))
    assert {prompt.text: suite.references[prompt.id] for prompt in suite.prompts_P} == {
        "Say hello.": "Hello.",
        "What is tax?": "Money.",
    }
    facts = make_suite("alpaca-fact", config(alpaca=str(tmp_path / "outputs.json")))
    assert facts.only_fact_based and not suite.only_fact_based


def test_without_any_reference_outputs_alpacas_answers_have_their_lengths_alone(tmp_path):
    (tmp_path / "questions.json").write_text(json.dumps([{"instruction": "Say hello.", "output": ""}]))
    suite = make_suite("alpaca-eval", config(alpaca=str(tmp_path / "questions.json")))
    assert suite.measure.needs == "answers" and suite.references is None
    assert suite.measure.figures([], config()) == {}


def test_the_text_that_an_instruction_is_about_is_a_part_of_the_prompt_in_every_suite_that_may_have_one(tmp_path):
    rows = [
        {"instruction": "Translate.", "input": " Hola ", "output": "Hi"},
        {"instruction": "Greet.", "input": "", "output": "Hi"},
    ]
    (tmp_path / "outputs.json").write_text(json.dumps(rows))
    suite = make_suite("alpaca-eval", config(alpaca=str(tmp_path / "outputs.json")))
    assert [prompt.text for prompt in suite.prompts_P] == ["Translate.\n\nHola", "Greet."]
    assert set(suite.references.values()) == {"Hi"}
    (tmp_path / "p.jsonl").write_text('{"prompt": "Translate.", "input": "Hola"}\n{"prompt": "Greet.", "input": null}\n')
    (tmp_path / "tasks.jsonl").write_text('{"prompt": "Translate.", "instances": [{"input": "Hola", "output": "Hi"}]}\n')
    nested = make_suite("fava", config(fava=str(tmp_path / "tasks.jsonl"))).prompts_P
    assert [prompt.text for prompt in nested] == ["Translate.\n\nHola"]
    for name in ("fava", "longfact"):
        prompts_P = make_suite(name, config(**{name: str(tmp_path / "p.jsonl")})).prompts_P
        assert [prompt.text for prompt in prompts_P] == ["Translate.\n\nHola", "Greet."]


def test_half_of_a_character_is_an_error_with_its_row(tmp_path):
    (tmp_path / "outputs.json").write_text('[{"instruction": "bad \\ud83d end", "output": ""}]')
    with pytest.raises(DataError, match=r"outputs\.json: item 1: .*half of a surrogate pair"):
        make_suite("alpaca-eval", config(alpaca=str(tmp_path / "outputs.json")))


@pytest.mark.parametrize("content", ["{", '{"a": 1}', "[1, 2]"])
def test_a_json_file_that_is_no_list_of_objects_is_named(tmp_path, content):
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(DataError, match=r"a JSON file with one list of objects.*p\.json"):
        list(suite_rows(tmp_path / "p.json"))


def test_a_larger_limit_adds_prompts_to_those_of_a_smaller_one_and_their_order_is_the_datas():
    texts = [f"What is {number}?" for number in range(20)]
    few, more = (make_prompts("mine", texts, limit) for limit in (5, 12))
    assert len(few) == 5 and set(few) < set(more) < set(make_prompts("mine", texts, None))
    places = [texts.index(prompt.text) for prompt in more]
    assert places == sorted(places)
    assert set(make_prompts("mine", reversed(texts), 5)) == set(few)


def test_a_set_without_prompts_is_an_error():
    with pytest.raises(DataError, match="none in its data"):
        make_prompts("mine", ["", "  "], None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"prompt": "Who?"}\n'),
        ("a.json", '[{"prompt": "Who?"}]'),
        ("a.csv", "prompt,best\nWho?,I\n"),
        ("a.txt", "Who?\n"),
    ],
)
def test_a_byte_order_mark_before_a_suites_data_is_no_part_of_it(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8-sig")
    rows = read_lines(tmp_path / name) if name == "a.txt" else [row.columns["prompt"] for row in suite_rows(tmp_path / name)]
    assert rows == ["Who?"]


def test_a_table_with_a_cell_that_never_ends_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text('prompt\n"' + "x" * 200_000)
    with pytest.raises(DataError, match=r"a CSV file with a heading; found .*a\.csv: field larger"):
        list(suite_rows(tmp_path / "a.csv"))
