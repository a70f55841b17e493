"""The module that is trained."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from flame_ray.config import LearnerConfig, LoraConfig
from flame_ray.engines.models import reference
from flame_ray.engines.policy import load_model, load_policy

SMALL = {
    "gpt2": {"vocab_size": 60, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32},
    "opt": {
        "vocab_size": 60,
        "hidden_size": 16,
        "word_embed_proj_dim": 16,
        "ffn_dim": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        "layerdrop": 0.2,
    },
    "gpt_neox": {
        "vocab_size": 60,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        "attention_dropout": 0.2,
        "hidden_dropout": 0.2,
    },
    "llama": {
        "vocab_size": 60,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "attention_dropout": 0.2,
    },
}
IDS = torch.arange(1, 25).view(2, 12)


@pytest.fixture(params=SMALL)
def saved(request, tmp_path):
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(request.param, **SMALL[request.param])).save_pretrained(tmp_path)
    return str(tmp_path)


def test_a_model_drops_nothing_of_itself_in_training(saved):
    """GPT-2, OPT and others drop a tenth of their activations: the loss of the first step would not be ln 2."""
    model = load_model(reference(saved), "float32")
    evaluated = model.eval()(IDS).logits
    for seed in range(3):
        torch.manual_seed(seed)
        assert model.train()(IDS).logits.equal(evaluated)


def test_an_adapter_drops_what_the_settings_say(saved):
    module = load_policy(reference(saved), LearnerConfig(lora=LoraConfig(dropout=0.5), dtype="float32"))
    for name, value in module.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value)
    evaluated = module.eval()(IDS).logits
    assert not module.train()(IDS).logits.equal(evaluated)
