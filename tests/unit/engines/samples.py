"""A tiny Llama, its merged weights, and a double that keeps count of what is gathered."""

from contextlib import contextmanager

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from flame_ray.engines.merging import MergedWeights

SHAPE = {
    "vocab_size": 100,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
EMBEDDINGS = 4 * 100 * 8  # bytes
LIMIT = 600  # less than the embeddings, more than any other tensor


class Gathering:
    """Remembers what was whole at a time."""

    def __init__(self):
        self.gathered: list[list[str]] = []
        self.before = lambda: None
        self.names: dict[int, str] = {}

    @contextmanager
    def __call__(self, parameters):
        self.before()
        self.gathered.append([self.names[id(parameter)] for parameter in parameters])
        yield


def build(tied: bool = True, lora: bool = True):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(initializer_range=0.2, tie_word_embeddings=tied, **SHAPE))
    plain = {name: value.clone() for name, value in model.state_dict().items()}
    if lora:
        model = get_peft_model(model, LoraConfig(r=2, lora_alpha=6, target_modules="all-linear"))
        for name, value in model.named_parameters():
            if ".lora_B." in name:
                torch.nn.init.normal_(value)
    gathering = Gathering()
    gathering.names = {id(value): name for name, value in model.named_parameters()}
    return model, MergedWeights(model, gathering), gathering, plain
