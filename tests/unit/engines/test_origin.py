"""The license and the lineage of a base model, by the files beside its weights."""

import json
from dataclasses import asdict

import pytest

from flame_ray.engines.models import SMOLLM2, UPSTREAM, KnownModel, ModelRef
from flame_ray.engines.origin import ancestors_of, license_of, origin_of
from flame_ray.types import Ancestor, BaseModel, Lineage, Origin, TrainedOn, Where

TRAINED = Lineage(
    "sft",
    1,
    "nll",
    TrainedOn.DEMONSTRATIONS,
    "e" * 64,
    "flame-ray sft job.yaml",
    BaseModel("owner/name", Where.HUB),
    ancestors=(Ancestor("older", 3, "f" * 64),),
)


@pytest.mark.parametrize(
    ("ref", "base"),
    [
        (ModelRef(SMOLLM2), BaseModel(UPSTREAM, Where.BUILT_IN, None, "apache-2.0")),
        (ModelRef("owner/name", None, "a" * 40), BaseModel("owner/name", Where.HUB, "a" * 40, "llama2")),
        (ModelRef("./mine", "/home/me/mine"), BaseModel("./mine", Where.FOLDER, None, "llama2")),
    ],
)
def test_a_base_model_is_named_as_others_find_it_with_the_license_of_its_card(tmp_path, ref, base):
    (tmp_path / "README.md").write_text("---\nlicense: llama2\n---\n")
    assert origin_of(KnownModel(ref, tmp_path, {})) == Origin(base)


@pytest.mark.parametrize(
    "card",
    [
        "no block",
        "---\nlicense: [mit\n---\n",
        "---\nlicense: [mit]\n---\n",
        '---\nlicense: "mit\\n# x"\n---\n',
        "---\n- a\n---\n",
        f"---\na: {'[' * 9999}\n---\n",
        "\udcff",
    ],
)
def test_a_license_that_cannot_be_read_is_not_known(tmp_path, card):
    assert license_of(tmp_path) is None
    (tmp_path / "README.md").write_bytes(card.encode("utf-8", "surrogateescape"))
    assert license_of(tmp_path) is None


def test_a_model_that_was_trained_here_brings_its_own_lineage(tmp_path):
    (tmp_path / "lineage.json").write_text(json.dumps(asdict(TRAINED)))
    assert ancestors_of(tmp_path) == (Ancestor("sft", 1, "e" * 64, "owner/name"), Ancestor("older", 3, "f" * 64))


def test_a_folder_below_is_no_model_that_others_find(tmp_path):
    tree = asdict(TRAINED) | {"base": asdict(BaseModel("/home/me/model", Where.FOLDER))}
    (tmp_path / "lineage.json").write_text(json.dumps(tree))
    assert [each.base for each in ancestors_of(tmp_path)] == [None, None]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"base": 3}',
        '{"base": {"name": "a", "where": "hub"}, "ancestors": [3], "run": "a", "round": 1}',
        "[" * 9999,
    ],
)
def test_a_file_that_is_no_lineage_counts_as_none(tmp_path, text):
    assert ancestors_of(tmp_path) == ()
    (tmp_path / "lineage.json").write_text(text)
    assert ancestors_of(tmp_path) == ()


def test_the_lineage_of_a_stranger_is_short_and_names_no_base_that_is_no_hub_id(tmp_path):
    each = {"run": "x" * 9999, "round": 1, "base": "owner/name\n---"}
    tree = {"base": {"name": "../../x", "where": "hub"}, "ancestors": [each] * 999, "run": "a", "round": 1}
    (tmp_path / "lineage.json").write_text(json.dumps(tree))
    found = ancestors_of(tmp_path)
    assert len(found) == 20 and {each.base for each in found} == {None} and max(len(each.run) for each in found) == 200
