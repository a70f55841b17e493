"""What `flame-ray settings` prints, on wide and narrow screens and for programs."""

import io
import json

import pytest

from flame_ray.commands.settings import list_settings
from flame_ray.config import Config
from flame_ray.config.describe import sections
from flame_ray.errors import ConfigError
from flame_ray.report.console import PlainConsole


def printed(name: str | None, width: int = 160, as_json: bool = False) -> str:
    file = io.StringIO()
    list_settings(name, as_json, PlainConsole(file=file, width=width))
    return file.getvalue()


def paths(name: str | None) -> list[str]:
    return [each["path"] for each in json.loads(printed(name, as_json=True))]


def test_a_section_is_a_table_of_its_settings_and_of_the_sections_inside_it():
    text = printed("learner")
    assert text.startswith("learner: Training on DeepSpeed")
    (line,) = [line for line in text.splitlines() if line.split()[:1] == ["learner.lr"]]
    assert line.split("  ")[0].strip() == "learner.lr"
    assert all(part in line for part in ("a number above 0", "0.0001", "stays", "The learning rate"))
    assert "learner.lora: The adapter" in text and "learner.lora.r " in text and "rollout" not in text.split("setting")[1]


@pytest.mark.parametrize("width", [80, 60, 120, 160])
@pytest.mark.parametrize("name", ["learner", "prompts", None])
def test_no_line_is_wider_than_the_screen(name, width):
    assert max(map(len, printed(name, width).splitlines())) <= width


def test_a_narrow_screen_has_a_list_in_place_of_the_table():
    assert [line.rstrip() for line in printed("learner.lr", 80).splitlines()[2:]] == [
        "",
        "  learner.lr",
        "  a number above 0; default 0.0001; stays with --resume",
        "  The learning rate with which a round starts.",
        "",
    ]


def test_one_setting_is_shown_alone():
    assert paths("learner.lr") == ["learner.lr"]
    assert paths("run.root") == ["run.root"]


@pytest.mark.parametrize("name", ["prompts.sources[].limit", "prompts.sources.limit", "prompts.sources.0.limit"])
def test_a_setting_of_each_item_of_a_list_is_found_however_it_is_written(name):
    assert paths(name) == ["prompts.sources[].limit"]


def test_the_name_of_a_section_that_may_be_null_or_a_list_shows_it_and_what_is_inside():
    assert paths("learner.lora")[:2] == ["learner.lora", "learner.lora.r"]
    assert paths("prompts.sources")[:2] == ["prompts.sources", "prompts.sources[].source"]


def test_without_a_name_every_setting_is_listed():
    assert paths(None) == [setting.path for section in sections(Config) for setting in section.settings]


def test_a_program_gets_the_limits_the_default_and_the_meaning():
    (found,) = json.loads(printed("rollout.samples", as_json=True))
    assert found == {
        "path": "rollout.samples",
        "may_be": "a whole number of at least 2",
        "default": "4",
        "meaning": "Responses a prompt.",
        "changeable": False,
    }


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("lerner", "did you mean learner?"),
        ("learner.lrr", "did you mean learner.lr?"),
        ("rolout.samples", "did you mean rollout.samples"),
        ("lr", "did you mean learner.lr"),
        ("xyzzy", "found xyzzy."),
        ("", "found "),
    ],
)
def test_a_name_that_is_none_is_refused_with_the_nearest(name, near):
    with pytest.raises(ConfigError, match="the name of a section or a setting") as caught:
        printed(name)
    assert near in str(caught.value)
