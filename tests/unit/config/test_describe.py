"""Each setting is described: what it may be, its default, and what it means."""

import re
from typing import Annotated, Literal

import pytest
from pydantic import Field

from flame_ray.config import Config, JudgeConfig
from flame_ray.config.base import Fraction, Name, Positive
from flame_ray.config.describe import may_be, nearest, sections
from flame_ray.config.faults import known_paths
from flame_ray.config.load import changeable_paths, load_config

SECTIONS = list(sections(Config))
SETTINGS = [setting for section in SECTIONS for setting in section.settings]
BY_PATH = {setting.path: setting for setting in SETTINGS}
PYTHONS_WORDS = re.compile(r"\b(None|True|False|str|int|float|dict|tuple|kwargs)\b")


def test_every_section_of_a_job_is_listed_with_those_inside_it():
    paths = [section.path for section in SECTIONS]
    assert [path for path in paths if "." not in path] == list(Config.model_fields)
    assert {"learner.lora", "prompts.sources[]", "sft.elicit", "train_checker.records"} <= set(paths)


def test_every_section_and_setting_says_what_it_means():
    assert [each.path for each in (*SECTIONS, *SETTINGS) if not re.search(r"\w{3}.*[.)]$", each.meaning)] == []


def test_no_description_has_pythons_words():
    told = {each.path: f"{each.may_be} {each.default or ''} {each.meaning}" for each in SETTINGS}
    assert {path: text for path, text in told.items() if PYTHONS_WORDS.search(text)} == {}


@pytest.mark.parametrize("path", [path for path, setting in BY_PATH.items() if "[]" not in path])
def test_a_default_that_is_typed_as_it_is_shown_changes_nothing(path):
    assert load_config(None, (f"{path}={BY_PATH[path].default}",)) == Config()


def test_what_must_be_given_has_no_default():
    without = {path for path, setting in BY_PATH.items() if setting.default is None}
    lists = ("prompts.sources", "classify.labels", "factuality.sentence_labels", "sft.sources", "self_instruct.seeds")
    assert without == {f"{each}[].source" for each in lists}


def test_a_setting_may_change_when_it_or_its_section_is_marked():
    marked = set(changeable_paths())
    for path, setting in BY_PATH.items():
        plain = path.replace("[]", "")
        above = {plain[:at] for at in range(len(plain) + 1) if plain[at : at + 1] in (".", "")}
        assert setting.changeable is bool(above & marked), path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Positive, "a whole number of at least 1"),
        (Positive | None, "a whole number of at least 1, or null"),
        (Fraction, "a number from 0 to 1"),
        (Annotated[float | None, Field(gt=0)], "a number above 0, or null"),
        (Annotated[float, Field(gt=0, le=1)], "a number above 0 and at most 1"),
        (Annotated[float, Field(ge=0, lt=0.5)], "a number of at least 0 and below 0.5"),
        (bool, "true or false"),
        (str | Literal[False] | None, "text or false, or null"),
        (str | tuple[str, ...], "text or a list of text"),
        (Literal["a", "b"], "a or b"),
        (Literal["a", "b", "c"], "one of a, b or c"),
        (Annotated[tuple[Literal["a", "b", "c"], ...], Field(min_length=1)], "a list of a, b or c, at least one"),
        (tuple[JudgeConfig, ...], "a list of sections"),
        (JudgeConfig | None, "a section, or null"),
        (dict[str, Annotated[int, Field(ge=0)]], "names, each with a whole number of at least 0"),
        (Name, "a name of at most 63 letters, digits, `.`, `_` and `-` that begins with a letter or digit"),
    ],
)
def test_a_type_is_said_in_words(kind, words):
    assert may_be(kind) == words


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("lerner", ["learner"]),
        ("rollouts", ["rollout"]),
        ("rollout.sampels", ["rollout.samples"]),
        ("learner.batch_size", ["learner.batch_pairs"]),
        ("learner.lora.rr", ["learner.lora.r"]),
        ("prompts.sources[].colum", ["prompts.sources[].column"]),
        ("lr", ["learner.lr", "train_checker.lr", "train_checker.records.lr"]),
        ("micro_batch", ["learner.micro_batch_pairs"]),
        ("rolout.samples", ["rollout.samples"]),
        ("run.top_p", ["rollout.top_p"]),
        ("nothing_like_it", []),
    ],
)
def test_a_mistyped_name_is_near_the_one_that_was_meant(typed, meant):
    assert nearest(typed, known_paths(Config))[: len(meant) or None] == meant
