"""What the doctor reads of a model: in a folder, in the hub's cache, on a hub that does not answer."""

import json

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from flame_ray.config import ModelConfig
from flame_ray.doctor.checks import Check, Level
from flame_ray.doctor.models import SMOLLM2_SHAPE, ModelShape, check_model, find_model, model_shape
from tests.unit.doctor.samples import LLAMA_70B, SMOLLM2, write_model


def look(name: str) -> tuple[Check, ModelShape | None]:
    return find_model(name, ModelConfig(), "model.policy")


def test_a_folder_is_read_for_its_shape_and_its_template(folder):
    write_model(folder)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(folder)
    check, shape = look(str(folder))
    assert (check.level, check.expected) == (Level.PROBLEM, "a chat template")
    assert find_model(str(folder), ModelConfig(chat_template="plain"), "model.policy")[0].level is Level.OK
    layer = 4 * 8 * 8 + 3 * 8 * 16 + 2 * 8
    adapter = 2 * (4 * 16 + 3 * 24)
    assert shape == ModelShape(2 * 32 * 8 + 2 * layer + 8, 8, 2, 2, 2, 4, 16, 32, adapter, 2048)
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "x"}))
    assert look(str(folder))[0].level is Level.OK
    (folder / "tokenizer_config.json").unlink()
    (folder / "chat_template.jinja").write_text("x")
    assert look(str(folder))[0].level is Level.OK


def test_a_folder_without_weights_is_a_problem_whose_memory_is_still_estimated(folder):
    write_model(folder)
    (folder / "model.safetensors").unlink()
    check, shape = look(str(folder))
    assert check.level is Level.PROBLEM and "safetensors" in check.expected
    assert shape is not None


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
    write_model(snapshot)
    (snapshot / "chat_template.jinja").write_text("x")
    check, shape = look("owner/cached")
    assert check.level is Level.OK
    assert shape is not None


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
    assert model_shape({**SMOLLM2, "max_position_embeddings": 8192}) == SMOLLM2_SHAPE


def test_a_count_is_the_published_one():
    assert model_shape(LLAMA_70B).parameters == 68_976_648_192
    assert model_shape({"model_type": "gpt2"}).parameters == 124_439_808
    assert model_shape({"model_type": "mixtral"}).parameters == 46_702_792_704


SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "vocab_size": 64, "pad_token_id": 0}
GROUPED = SMALL | {"num_key_value_heads": 2, "intermediate_size": 48}
ARCHITECTURES = {
    "llama": GROUPED,
    "llama with a tied head": {"model_type": "llama", "tie_word_embeddings": True} | GROUPED,
    "gpt2": {"n_layer": 2, "n_embd": 32, "n_head": 4, "vocab_size": 64},
    "qwen3": GROUPED | {"head_dim": 16},
    "gemma2": GROUPED | {"head_dim": 16},
    "opt": SMALL | {"ffn_dim": 48, "word_embed_proj_dim": 32, "pad_token_id": 1},
    "mixtral": GROUPED | {"num_local_experts": 4, "num_experts_per_tok": 3},
    "qwen3_moe": GROUPED | {"num_experts": 4, "num_experts_per_tok": 3, "moe_intermediate_size": 24},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameters_and_adapters_are_those_of_the_real_model_whatever_its_architecture(name):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = {"model_type": name} | ARCHITECTURES[name]
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**settings))
    shape = model_shape(settings)
    assert shape.parameters == sum(each.numel() for each in model.parameters())
    adapted = get_peft_model(model, LoraConfig(r=3, target_modules="all-linear"))
    assert 3 * shape.adapter == sum(each.numel() for each in adapted.parameters() if each.requires_grad)


@pytest.mark.parametrize(
    ("name", "kv_heads", "head_size", "intermediate"),
    [("gpt2", 4, 8, 128), ("qwen3", 2, 16, 48), ("opt", 4, 8, 48), ("mixtral", 2, 8, 3 * 48), ("qwen3_moe", 2, 8, 3 * 24)],
)
def test_heads_and_width_are_read_whatever_the_architecture_calls_them(name, kv_heads, head_size, intermediate):
    shape = model_shape({"model_type": name} | ARCHITECTURES[name])
    assert (shape.hidden, shape.layers, shape.heads, shape.vocabulary) == (32, 2, 4, 64)
    assert (shape.kv_heads, shape.head_size, shape.intermediate) == (kv_heads, head_size, intermediate)


def test_an_inner_config_is_read_for_a_model_of_text_and_images():
    shape = model_shape({"model_type": "gemma3", "text_config": GROUPED | {"head_dim": 16}})
    assert (shape.hidden, shape.layers, shape.intermediate, shape.vocabulary) == (32, 2, 48, 64)


@pytest.mark.parametrize("settings", [{}, {"model_type": "no-such-architecture"}, {"model_type": "t5"}, {"hidden_size": 8}])
def test_an_architecture_that_is_not_known_has_no_shape(settings):
    assert model_shape(settings) is None


def test_no_code_of_the_models_own_is_run():
    own = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}}
    assert model_shape(own) is None
