"""The built-in set that needs no facts."""

import json
from collections import Counter
from importlib.resources import files

from flame_ray.prompts.built_in import open_ended_prompts
from flame_ray.types import Split

PROMPTS = open_ended_prompts()


def kind_of(prompt):
    return prompt.id.split("/")[1]


def test_there_are_a_hundred_for_training_and_forty_held_out_none_of_which_needs_facts():
    assert Counter(prompt.split for prompt in PROMPTS) == {Split.TRAIN: 100, Split.HELDOUT: 40}
    assert all(prompt.label is False for prompt in PROMPTS)


def test_ids_and_texts_are_unique():
    assert len({prompt.id for prompt in PROMPTS}) == len({prompt.text.casefold() for prompt in PROMPTS}) == len(PROMPTS)


def test_the_first_ten_of_each_split_are_of_ten_kinds():
    for split in (Split.TRAIN, Split.HELDOUT):
        assert len({kind_of(prompt) for prompt in PROMPTS if prompt.split == split}) == 10
        assert len({kind_of(prompt) for prompt in [p for p in PROMPTS if p.split == split][:10]}) == 10


def test_each_line_of_the_file_has_an_id_a_prompt_a_kind_and_a_split():
    lines = files("flame_ray.prompts").joinpath("open_ended.jsonl").read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, lines):
        assert list(row) == ["id", "prompt", "kind", "split"]
        assert row["prompt"] == row["prompt"].strip()
        assert row["id"].split("/")[1] == row["kind"]
