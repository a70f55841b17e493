"""Which nodes a role asks for: only what Ray understands, and reads as it is meant."""

import pytest
from pydantic import ValidationError
from ray._private.label_utils import validate_label_selector

from flame_ray.config import Workers
from flame_ray.config.load import parse_config
from flame_ray.errors import ConfigError


@pytest.mark.parametrize("value", ["learner", "!learner", "in(learner,rollout)", "!in(learner,rollout)", "A100-80.GB_x"])
def test_labels_may_be_a_value_or_several_or_any_but_these(value):
    labels = {"flame-ray/role": value, "ray.io/market-type": value}
    assert Workers(node_labels=labels).node_labels == labels
    assert validate_label_selector(labels) is None


def test_a_blank_in_a_list_of_labels_is_refused_because_ray_takes_it_for_a_part_of_the_label():
    assert validate_label_selector({"role": "!in(learner, rollout)"}) is None
    with pytest.raises(ValidationError, match=r"without blanks \(given 'role': '!in\(learner, rollout\)'\)"):
        Workers(node_labels={"role": "!in(learner, rollout)"})


@pytest.mark.parametrize(
    ("key", "value"),
    [("role", "!in()"), ("role", "!in(a"), ("role", "not a"), ("role", "!!a"), ("role", "a,b"), ("a b", "c"), ("a/b/c", "d")],
)
def test_what_ray_would_refuse_when_an_actor_starts_is_refused_when_the_job_is_read(key, value):
    assert validate_label_selector({key: value}) is not None
    with pytest.raises(ValidationError, match="node_labels"):
        Workers(node_labels={key: value})


@pytest.mark.parametrize(
    "name", ["a\0b", "a" * 256, f"runs/{'b' * 300}/c", "ü" * 128, "a\udcffb"], ids=["null", "long", "part", "bytes", "half"]
)
@pytest.mark.parametrize(
    "section", [{"run": {"root": None}}, {"model": {"policy": None}}, {"prompts": {"sources": [{"source": None}]}}]
)
def test_a_setting_that_no_file_could_be_called_is_refused_when_the_job_is_read(section, name):
    def filled(tree):
        if isinstance(tree, dict):
            return {key: filled(value) for key, value in tree.items()}
        return [filled(each) for each in tree] if isinstance(tree, list) else name

    with pytest.raises(ConfigError, match="of at most 255 bytes") as caught:
        parse_config(filled(section), "mine.yaml")
    assert not {"\0", "\udcff"} & set(str(caught.value))


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "../x",
        "/etc",
        "a/b",
        "a\\b",
        "a\0b",
        "a" * 64,
        "-rf",
        ".hidden",
        "a b",
        "a\n",
        "\ud800",
        "\u202ea",
        "~",
        "$HOME",
        "a\x1b[2J",
        "ä",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("setting", ["name", "id"])
def test_the_name_of_a_run_leads_nowhere_else_and_steers_nothing(setting, name):
    with pytest.raises(ConfigError, match=f"run.{setting}") as caught:
        parse_config({"run": {setting: name}}, "mine.yaml")
    assert not {"\x1b", "\u202e", "\ud800", "\0"} & set(str(caught.value))
