"""What the doctor reads of a model: in a folder, in the hub's cache, on a hub that does not answer."""

import json

import pytest

from flame_ray.config import ModelConfig
from flame_ray.doctor.checks import Check, Level
from flame_ray.doctor.models import SMOLLM2_SHAPE, check_model, find_model
from flame_ray.doctor.shape import ModelShape, model_shape
from tests.unit.doctor.samples import write_model


def look(name: str) -> tuple[Check, ModelShape | None]:
    return find_model(name, ModelConfig(), "model.policy")


def test_a_folder_is_read_for_its_shape_and_its_template(folder):
    write_model(folder, parameters=1234)
    check, shape = look(str(folder))
    assert (check.level, check.expected) == (Level.PROBLEM, "a chat template")
    assert shape == ModelShape(1234, 8, 2, 2, 2, 4, 16, 32)
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "x"}))
    assert look(str(folder))[0].level is Level.OK
    (folder / "tokenizer_config.json").unlink()
    (folder / "chat_template.jinja").write_text("x")
    assert look(str(folder))[0].level is Level.OK


def test_a_folder_without_weights_is_a_problem_whose_memory_is_still_worked_out(folder):
    write_model(folder)
    (folder / "model.safetensors").unlink()
    check, shape = look(str(folder))
    assert check.level is Level.PROBLEM and "safetensors" in check.expected
    assert shape is not None and shape.parameters == 2 * 32 * 8 + 2 * (4 * 8 * 8 + 3 * 8 * 16 + 2 * 8) + 8


def test_damaged_weights_are_counted_from_the_config(folder):
    write_model(folder)
    (folder / "model.safetensors").write_bytes(b"weights")
    shape = look(str(folder))[1]
    assert shape is not None and shape.parameters > 10


def test_a_config_of_another_kind_leaves_memory_open(folder):
    check, shape = look(str(folder))
    assert shape is None and check.name == "model.policy"
    (folder / "config.json").write_text("{")
    assert look(str(folder))[1] is None


@pytest.mark.parametrize("name", ["./nowhere", "no-such-name"])
def test_a_name_that_can_be_no_model_is_a_problem_by_its_setting(name):
    check, shape = look(name)
    assert (check.level, check.name, shape) == (Level.PROBLEM, "model.policy", None)
    assert name in check.found


@pytest.mark.timeout(60)
def test_a_hub_id_that_is_not_reached_is_a_problem_that_names_it():
    check, shape = look("flame-ray/there-is-no-such-model")
    assert (check.level, shape) == (Level.PROBLEM, None)
    assert "flame-ray/there-is-no-such-model" in check.expected
    assert "\n" not in check.found


def test_a_hub_id_in_the_cache_needs_no_network(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--owner--cached"
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    write_model(snapshot, parameters=77)
    (snapshot / "chat_template.jinja").write_text("x")
    check, shape = look("owner/cached")
    assert check.level is Level.OK
    assert shape is not None and shape.parameters == 77


@pytest.mark.parametrize(
    ("files", "tokenizer", "level"),
    [
        (["model.safetensors", "chat_template.jinja"], {}, Level.OK),
        (["model-00001-of-00002.safetensors"], {"chat_template": "x"}, Level.OK),
        (["model.safetensors"], {}, Level.PROBLEM),
        (["pytorch_model.bin", "chat_template.jinja"], {}, Level.PROBLEM),
    ],
)
def test_a_repository_is_judged_by_its_files(files, tokenizer, level):
    assert check_model("model.policy", "owner/name", files, tokenizer).level is level


def test_the_built_in_shape_is_that_of_the_model():
    config = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9}
    more = {"num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": True}
    assert model_shape(config | more) == SMOLLM2_SHAPE
