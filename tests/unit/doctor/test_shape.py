"""Parameters counted from a config, against published counts."""

import pytest

from flame_ray.doctor.shape import ModelShape, count_from_headers, model_shape
from tests.unit.doctor.samples import LLAMA_70B, SMOLLM2

LLAMA_7B = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32000,
}


@pytest.mark.parametrize(("config", "count"), [(SMOLLM2, 134_515_008), (LLAMA_7B, 6_738_415_616), (LLAMA_70B, 68_976_648_192)])
def test_parameters_counted_from_a_config_are_those_that_are_published(config, count):
    assert model_shape(config).parameters == count


def test_a_count_from_the_weights_comes_before_the_arithmetic_and_an_inner_config_is_read():
    shape = model_shape({"text_config": LLAMA_70B | {"num_experts": 8}}, parameters=5)
    assert shape == ModelShape(5, 8192, 80, 64, 8, 128, 28672, 32000)


def test_headers_are_counted_without_their_metadata():
    one = {"__metadata__": {"format": "pt"}, "a": {"shape": [2, 3]}, "scalar": {"shape": []}}
    assert count_from_headers([one, {"b": {"shape": [10]}}]) == 6 + 1 + 10


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({}, "hidden_size, num_hidden_layers"),
        (SMOLLM2 | {"vocab_size": None}, "vocab_size"),
        (SMOLLM2 | {"num_experts": 8}, "experts"),
    ],
)
def test_a_config_of_another_kind_is_refused_by_name(config, named):
    with pytest.raises(ValueError, match=named):
        model_shape(config)
