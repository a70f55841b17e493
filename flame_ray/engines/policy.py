"""Loads the policy with transformers and PEFT, and writes it to folders that `from_pretrained` and vLLM can load."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import save_torch_state_dict
from peft import LoraConfig as PeftLoraConfig
from peft import PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from flame_ray.config import LearnerConfig, LoraConfig
from flame_ray.engines.base import EAGER_COLUMNS
from flame_ray.engines.batch import PAD
from flame_ray.engines.lora_linear import add_adapters_in_place
from flame_ray.engines.merging import ADAPTER, Gather, base_model
from flame_ray.engines.model_files import disk_errors
from flame_ray.engines.models import KnownModel, ModelRef, resolve
from flame_ray.engines.short_attention import kernel_for_short_rows
from flame_ray.errors import ConfigError, ModelError

SHORT_COLUMNS = {"bfloat16": 640, "float32": 384}  # of rows for which products of our own are faster than SDPA on a CPU


def load_policy(ref: ModelRef, config: LearnerConfig) -> nn.Module:
    """The module to train: the model's own parameters, or a new adapter over them."""
    model: Any = load_model(ref, config.dtype)
    if config.lora is not None:
        model = _adapted(model, config.lora)
        if config.zero_stage < 3:
            add_adapters_in_place(model)
    return _checkpointing(model, config)


def load_model(ref: ModelRef, dtype: str) -> PreTrainedModel:
    """A causal language model. Only safetensors are read, never pickled weights. Raises ModelError if it cannot be loaded."""
    model = _read(resolve(ref), ref, dtype=getattr(torch, dtype))
    model.get_output_embeddings().register_forward_pre_hook(_contiguous)
    return _without_dropout(model)


def check_loads(model: KnownModel) -> None:
    """Raise ModelError for a folder that `load_model` would refuse. Loads no weights; those of the hub may not be here yet."""
    if model.ref.path is not None:
        _read(model.folder, model.ref, device_map="meta")


def _read(path: Path, ref: ModelRef, **how: Any) -> Any:
    """The model as transformers makes it of these files. Raises ModelError, also where it would make weights up."""
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path,
            use_safetensors=True,
            attn_implementation="sdpa",
            trust_remote_code=ref.trust_remote_code,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            output_loading_info=True,
            **how,
        )
    except OSError as error:
        raise ModelError(
            f"a causal model in safetensors at {ref.setting}", f"{path}: {error}", "name a folder or hub id with safetensors"
        ) from error
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # an unknown architecture, one without SDPA, and each architecture refuses settings its own way
        expected = f"a causal model at {ref.setting} that transformers can load with its SDPA attention"
        found = f"{path}: {error if isinstance(error, ValueError) else f'{type(error).__name__}: {error}'}"
        raise ModelError(expected, found, "name a model of another architecture, or correct its config.json") from error
    model, told = loaded
    _check_all_given(told, path)
    return model


def _check_all_given(told: Mapping[str, Any], path: Path) -> None:
    """transformers fills tensors that are not in the files, or have another shape there, with random numbers."""
    lacking = {*told["missing_keys"], *(name for name, *_ in told["mismatched_keys"])}
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise ModelError(
            "weights of every tensor that config.json asks for, in its shape",
            f"none of {min(lacking)}{more} in {path}",
            "save the model again, with its own config.json",
        )


def adapter_weights(model: PeftModel, gather: Gather) -> dict[str, Tensor]:
    """The adapter's tensors under the names that `PeftModel.from_pretrained` expects. `gather`: as in `MergedWeights`."""
    factors = {name: value for name, value in model.named_parameters() if ".lora_" in name}
    with gather(list(factors.values())), torch.no_grad():
        whole = {name: value.detach().clone().cpu().contiguous() for name, value in factors.items()}
    return get_peft_model_state_dict(model, state_dict=whole, save_embedding_layers=False)


def write_adapter(model: PeftModel, weights: dict[str, Tensor], folder: Path, base: ModelRef) -> None:
    """The configuration names the base model as other people find it, not by its path on this node."""
    with disk_errors():
        save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = model.peft_config[ADAPTER]
    config.base_model_name_or_path, config.revision = base.public_name, base.revision
    training, config.inference_mode = config.inference_mode, True  # a saved adapter is loaded for inference
    config.save_pretrained(str(folder))
    config.inference_mode = training
    if base.chat_template is not None:  # the base model may have none
        write_tokenizer(folder, base)


def write_model(model: nn.Module, weights: dict[str, Tensor], folder: Path, ref: ModelRef) -> None:
    """`weights` must be on the CPU, and none of them a view of a shared tensor."""
    base = base_model(model)
    with disk_errors():
        save_torch_state_dict(weights, folder)
    base.config.save_pretrained(folder)
    if base.generation_config is not None:
        base.generation_config.save_pretrained(folder)
    write_tokenizer(folder, ref)


def write_tokenizer(folder: Path, ref: ModelRef) -> None:
    """The model's tokenizer, with the chat template that it was trained with."""
    tokenizer = AutoTokenizer.from_pretrained(resolve(ref), trust_remote_code=ref.trust_remote_code)
    tokenizer.chat_template = tokenizer.chat_template or ref.chat_template
    tokenizer.save_pretrained(folder)


def read_model(folder: Path) -> Callable[[str], Tensor]:
    """A function from a name to the tensor that `write_model` wrote; the files stay open as long as it lives."""
    files = [safe_open(file, framework="pt") for file in sorted(folder.glob("*.safetensors"))]
    holders = {name: file for file in files for name in file.keys()}  # noqa: SIM118  (a file, not a dictionary)
    return lambda name: holders[name].get_tensor(name)


def pass_over_head(model: nn.Module) -> nn.Parameter | None:
    """Let the model return, in place of logits, the hidden states that its output layer would read. Returns that layer's
    weight [V, C], for `head_logps`.

    Changes nothing and returns None where the layer learns or has a bias, and for models that scale or cap their logits.
    """
    base = base_model(model)
    head = base.get_output_embeddings()
    if type(head) is not nn.Linear or head.bias is not None or head.weight.requires_grad:
        return None
    mark = torch.empty(0, dtype=head.weight.dtype)
    head.forward = lambda hidden: mark  # in the instance, before the class's own
    with torch.no_grad():
        is_bare = base(input_ids=torch.tensor([[PAD]], device=head.weight.device), use_cache=False).logits is mark
    del head.forward
    if not is_bare:
        return None
    head.forward = lambda hidden: hidden
    return head.weight


def suit_attention(model: nn.Module, columns: int) -> None:
    """Choose the attention kernel for a CPU: matrix products for short rows, and SDPA for longer ones.

    For longer rows products are no faster, and need memory for columns x columns scores.
    """
    base = base_model(model)
    short = kernel_for_short_rows(type(base))
    limit = EAGER_COLUMNS if short == "eager" else SHORT_COLUMNS[str(base.dtype).removeprefix("torch.")]
    wanted = short if columns <= limit else "sdpa"
    if base.config._attn_implementation != wanted:
        base.set_attn_implementation(wanted)


def additive(mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """A mask of rows and columns [U, 1, T, T] as what attention adds to its scores; any other mask as it is."""
    if mask is None or mask.dim() < 4:
        return mask
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)


def has_window(model: nn.Module) -> bool:
    """Whether some layers see only so many tokens back: a mask of our own would take the place of that one."""
    return getattr(base_model(model).config.get_text_config(), "sliding_window", None) is not None


def _without_dropout(model: PreTrainedModel) -> PreTrainedModel:
    """Turn off what GPT-2, OPT and others drop of themselves in training.

    Policy and reference would differ by it before the first step, and margins would be noise. Models keep a rate in
    `nn.Dropout`, or in an attribute of a module, such as `attention_dropout` or `layerdrop`; their settings stay as they are
    saved. An adapter's dropout is made later, and stays (`learner.lora.dropout`).
    """
    for module in model.modules():
        names = [name for name, value in vars(module).items() if "drop" in name and isinstance(value, float)]
        for name in [*names, *(["p"] if isinstance(module, nn.Dropout) else [])]:
            setattr(module, name, 0.0)
    return model


def _contiguous(head: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The response columns are a strided slice, which torch would multiply row by row, copying the output layer each time."""
    return tuple(value.contiguous() for value in inputs)


def _adapted(model: PreTrainedModel, lora: LoraConfig) -> nn.Module:
    try:
        return get_peft_model(model, _peft_config(lora))
    except ValueError as error:
        raise ConfigError(
            "layers of the model in learner.lora.target_modules", str(error), "name layers that the model has, or `all-linear`"
        ) from error


def _peft_config(lora: LoraConfig) -> PeftLoraConfig:
    targets = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    return PeftLoraConfig(
        r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets, task_type="CAUSAL_LM"
    )


def _checkpointing(model: Any, config: LearnerConfig) -> nn.Module:
    """Recompute activations in the backward pass. ZeRO-3 frees parameters in between, so it needs the re-entrant kind."""
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": config.zero_stage == 3})
        model.enable_input_require_grads()
    return model
