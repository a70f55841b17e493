"""What is said of wrong settings: in the user's words, whatever the setting and the value."""

import datetime
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from flame_ray.config import Config
from flame_ray.config.describe import Setting, sections
from flame_ray.config.faults import did_you_mean, faults
from flame_ray.config.load import parse_config
from flame_ray.errors import ConfigError

OF_PYTHON = re.compile(
    r"Input should|NoneType|\bdict|\blist\[|tuple|validation error|Traceback|pydantic|instance of|unable to|parsing|"
    r"(?<!\.)\b(?:None|True|False|nan|inf|str|int|float|bool)\b|Value error|_type|datetime"
)
SETTINGS = [setting for section in sections(Config) for setting in section.settings]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 10**30, -0.5, 2.5, math.nan, math.inf, datetime.date(2026, 1, 1)),
    *("", " ", "a word", "3", [], [None], [True], [-1.5], ["a word"], [[]], [{}], [{"a": 1}]),
    *({}, {"a": None}, {"a": True}, {"a": "a word"}, {"a": [1]}, {"a": {"b": 1}}, {1: 2}),
]


def tree(path: str, value: Any) -> dict[str, Any]:
    """Settings with one value; of a section that is an item of a list, the first item."""
    first, _, rest = path.partition(".")
    if not rest:
        return {first: value}
    inner = tree(rest, value)
    return {first.removesuffix("[]"): [{"source": "factbook"} | inner] if first.endswith("[]") else inner}


def told(settings: dict[str, Any]) -> dict[str, str]:
    try:
        Config.model_validate(settings)
    except ValidationError as error:
        return faults(error, Config)
    return {}


def told_of(setting: Setting) -> Iterator[tuple[Any, dict[str, str]]]:
    for value in VALUES:
        if found := told(tree(setting.path, value)):
            yield value, found


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.path)
def test_whatever_is_wrong_with_a_setting_is_said_with_its_path_and_without_pythons_words(setting):
    refused = list(told_of(setting))
    assert refused
    for value, found in refused:
        for path, message in found.items():
            here = setting.path.replace("[]", ".0")
            assert f"{path}.".startswith(f"{here}.") or here.startswith(path), (value, found)
            assert not OF_PYTHON.search(message), (value, found)
            assert "\n" not in message


@pytest.mark.parametrize("section", [section.path for section in sections(Config) if "[]" not in section.path])
def test_whatever_stands_in_place_of_a_section_is_said_without_pythons_words(section):
    for value in VALUES:
        for message in told(tree(section, value)).values():
            assert not OF_PYTHON.search(message), (value, message)


@pytest.mark.parametrize("value", [True, False, math.inf, -math.inf, math.nan], ids=str)
def test_no_number_is_true_false_or_without_end(value):
    numbers = [each for each in SETTINGS if "number" in each.may_be]
    assert len(numbers) > 100
    assert [each.path for each in numbers if not told(tree(each.path, value))] == []


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"rollout": {"samples": "four"}}, "rollout.samples", "must be a whole number of at least 2 (given four)"),
        ({"rollout": None}, "rollout", "is empty: put its settings below it, indented, or leave it out"),
        ({"rollout": 4}, "rollout", "must be a section, such as {workers: ...} (given 4)"),
        (
            {"prompts": {"sources": "factbook"}},
            "prompts.sources",
            "must be a list of sections, at least one, such as [{source: factbook}, {source: open-ended}] (given factbook)",
        ),
        (
            {"prompts": {"sources": ["factbook"]}},
            "prompts.sources.0",
            "must be a section, such as {source: ...} (given factbook)",
        ),
        ({"prompts": {"sources": [{"limit": 1}]}}, "prompts.sources.0.source", "must be given (only {limit: 1} is)"),
        ({"sft": {"sources": 3}}, "sft.sources", "must be a list of sections, such as [{source: ...}] (given 3)"),
        (
            {"train_judge": {"labels": "a.jsonl"}},
            "train_judge.labels",
            "must be a list of text, such as [a, b] (given a.jsonl)",
        ),
        (
            {"rollout": {"node_labels": "a"}},
            "rollout.node_labels",
            "must be names, each with text, such as {name: ...} (given a)",
        ),
        ({"model": {"policy": 7}}, "model.policy", "must be text (given 7; in quotes it is text)"),
        (
            {"model": {"policy": False}},
            "model.policy",
            "must be text (given false; YAML also reads yes, no, on and off so: in quotes they are text)",
        ),
        (
            {"model": {"revision": 20260102}},
            "model.revision",
            "must be text, or null (given 20260102; in quotes it is text)",
        ),
        (
            {"learner": {"lora": {"target_modules": [1]}}},
            "learner.lora.target_modules",
            "must be text or a list of text (given [1])",
        ),
        ({"rolout": {}}, "rolout", "there is no such setting (did you mean rollout?)"),
        (
            {"prompts": {"sources": [{"colum": 1}]}},
            "prompts.sources.0.colum",
            "there is no such setting (did you mean prompts.sources[].column?)",
        ),
        (
            {"lr": 1},
            "lr",
            "there is no such setting (did you mean learner.lr, train_checker.lr or train_checker.records.lr?)",
        ),
        ({"run": {True: 1}}, "run.true", "there is no such setting"),
    ],
)
def test_a_fault_says_what_the_setting_may_be_and_what_was_given(settings, path, message):
    assert told(settings)[path] == message


@pytest.mark.parametrize("section", ["learner", "trainer_of_mine"])
def test_a_name_that_is_like_none_is_looked_for_in_the_meanings(section):
    assert did_you_mean(f"{section}.learning_rate", Config).startswith(" (did you mean learner.lr, ")
    assert did_you_mean(f"{section}.xyzzy_plugh", Config) == "" == did_you_mean(f"{section}.zzz", Config)


def test_a_fault_in_an_item_is_not_told_again_of_its_list():
    assert list(told({"prompts": {"sources": [{"source": 1}]}})) == ["prompts.sources.0.source"]


def test_the_message_names_the_command_that_lists_the_settings():
    for tree, command in (({"rollout": {"samples": 1}}, "`flame-ray settings rollout`"), ({"zz": 1}, "`flame-ray settings`")):
        with pytest.raises(ConfigError, match=command):
            parse_config(tree, "here")


def test_a_password_is_hidden_before_a_value_is_cut():
    long = f"s3://me:{'x' * 100}@host/runs"
    assert told({"run": {"seed": long}}) == {"run.seed": "must be a whole number (given s3://me:***@host/runs)"}
