"""How many tokens models of any family read, and how many attention heads they have."""

import json
from contextlib import suppress

import pytest

from flame_ray.config import ModelConfig
from flame_ray.engines.text_config import ANY, attention_heads, check_positions, longest, positions
from flame_ray.errors import ModelError


def settings(folder, **values):
    (folder / "config.json").write_text(json.dumps(values))
    return folder


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"model_type": "llama", "max_position_embeddings": 1024}, 1024),
        ({"model_type": "llama"}, 2048),
        ({"model_type": "gpt2", "n_positions": 1024, "n_ctx": 1024}, 1024),
        ({"model_type": "mpt", "max_seq_len": 4096}, 4096),
        ({"model_type": "cohere", "max_position_embeddings": 8192, "model_max_length": 131072}, 131072),
        ({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "max_position_embeddings": 8192}}, 8192),
        ({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}}, 131072),
        (
            {
                "model_type": "gemma3_text",
                "max_position_embeddings": 8192,
                "rope_scaling": {"rope_type": "linear", "factor": 8},
            },
            8192,
        ),
        ({"model_type": "llama", "max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}}, 16384),
        ({"model_type": "qwen2", "max_position_embeddings": 131072, "rope_scaling": {"type": "yarn", "factor": 4.0}}, 131072),
        ({"model_type": "bloom"}, ANY),
        ({"model_type": "nobody knows it", "seq_length": 8192}, 8192),
        ({"model_type": "nobody knows it", "text_config": {"n_positions": 512}}, 512),
        ({"model_type": "llama", "hidden_size": "damaged", "max_position_embeddings": 64}, 64),
        ({"max_position_embeddings": 64}, 64),
        ({}, ANY),
    ],
)
def test_positions_are_found_under_the_name_that_the_family_has_for_them(folder, values, expected):
    assert positions(settings(folder, **values)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"model_type": "gpt2", "n_head": 20}, 20),
        ({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "num_attention_heads": 4}}, 4),
        ({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}}, 8),
        ({"num_attention_heads": 9}, 9),
        ({}, None),
    ],
)
def test_so_are_attention_heads(folder, values, expected):
    assert attention_heads(settings(folder, **values)) == expected


def test_every_family_of_causal_models_that_transformers_knows_has_its_positions_found(folder):
    """Others know no positions, as state-space models, or their defaults cannot be saved."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    found = {}
    for family in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        with suppress(Exception):  # of families whose own defaults are refused
            values = AutoConfig.for_model(family).to_diff_dict() | {"model_type": family}
            found[family] = positions(settings(folder, **values))
    without = {family for family, number in found.items() if number == ANY}
    assert all(number > 0 for number in found.values()) and len(found) > 150
    assert without == {
        "bloom",
        "cpmant",
        "falcon_mamba",
        "gemma4_assistant",
        "gemma4_unified_assistant",
        "mamba",
        "mamba2",
        "recurrent_gemma",
        "xlnet",
        "xlstm",
    }


def test_a_model_reads_what_the_setting_asks_for_unless_it_has_fewer_positions(folder):
    settings(folder, model_type="gpt2", n_positions=1024)
    short, long = (
        longest(folder, ModelConfig(max_length=512)),
        longest(folder, ModelConfig(max_length=2048), "suites.max_length"),
    )
    assert (short.tokens, str(short), short.fix) == (512, "model.max_length 512", "raise model.max_length")
    assert long.tokens == 1024 and long.fix == "name a model with more positions"
    assert str(long) == "the model's 1024 positions, fewer than suites.max_length 2048"


def test_a_model_with_too_few_positions_for_its_work_is_refused(folder):
    settings(folder, model_type="gpt2", n_positions=1024)
    check_positions(folder, 1024, "judge.model")
    with pytest.raises(ModelError, match=r"at least 1025 positions at judge\.model; found 1024"):
        check_positions(folder, 1025, "judge.model")
