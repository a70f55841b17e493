"""What the doctor's tests share: places, shapes, jobs, and a model's folder that costs nothing."""

import json
from collections.abc import Iterable
from pathlib import Path

from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.doctor.capacity import PlanOf
from flame_ray.doctor.checks import GIB, Check, Site
from flame_ray.doctor.estimate import estimate
from flame_ray.doctor.models import SMOLLM2_SHAPE, ModelShape
from tests.builders import make_weights

HERE = Site("this machine", {"CPU": 4.0, "GPU": 0.0}, (32 * GIB,), free=32 * GIB)
SEVEN_B = ModelShape(6_738_415_616, 4096, 32, 32, 32, 128, 11008, 32000, 2_498_560)
TINY = ModelShape(
    parameters=1000, hidden=8, layers=2, heads=4, kv_heads=2, head_size=2, intermediate=16, vocabulary=100, adapter=256
)
SMOLLM2 = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}
LLAMA_70B = {
    "model_type": "llama",
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
}


def job(**sections) -> Config:
    return parse_config(sections, "here")


def plans(shape: ModelShape = SMOLLM2_SHAPE) -> PlanOf:
    return lambda config: estimate(config, shape, shape)


def levels(checks: Iterable[Check]) -> dict[str, str]:
    return {check.name: str(check.level) for check in checks}


def write_model(folder: Path) -> None:
    """A folder as a small Llama's: its config.json, and a file that is named as weights are."""
    settings = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 32}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"} | settings))
    (folder / "model.safetensors").write_bytes(make_weights())
