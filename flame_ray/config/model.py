"""The policy's model, and how its weights reach the samplers."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from flame_ray.config.base import Positive, Settings, TemplateVariables

BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # as Linux names them, of x86 and of ARM


class ModelConfig(Settings):
    """The model that is trained."""

    policy: str = "smollm2-135m"
    """A built-in name, a local folder, the URL of a model that a run stored, or a hub id."""
    revision: str | None = None
    """The revision of the policy, if it is a hub id; any other hub id may end in `@` and a revision."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """What the samplers, the judge and the verifier compute in. auto: bfloat16; float32 where none of them has a GPU and
    the CPU only emulates bfloat16.
    """
    max_length: Positive = 512
    """The most tokens of a prompt with its response. A model with fewer positions reads no more than those."""
    trust_remote_code: bool = False
    """Run code that comes with a hub's model. Only for authors whom you trust."""
    chat_template: str | None = None
    """For a model that has no chat template, as before tuning: `plain`, or a file in Jinja. It is saved with what is
    trained.
    """
    chat_template_kwargs: TemplateVariables = Field(default_factory=dict)
    """Variables that every rendering of the policy's chat template is given, such as `enable_thinking: false` for Qwen3."""


class WeightsConfig(Settings):
    """How new weights travel from the learner to the samplers. A sampler that joins after a push loads the round's folder."""

    backend: Literal["object_store", "checkpoint", "lora", "nccl", "ipc"] = "object_store"
    """object_store: through Ray's object store, between any machines. checkpoint: through the folder of merged weights that
    each round writes. lora: only the adapter's folder, which samplers swap in over the initial weights. nccl and ipc: from GPU
    to GPU by vLLM's own engines (ipc where samplers and learner share GPUs).
    """
    chunk_mib: Annotated[int, Field(ge=1)] = 256
    """How many MiB of the model are gathered and sent at a time."""


def fast_dtype(gpus: float) -> Literal["bfloat16", "float32"]:
    """What `dtype: auto` means for actors with so many GPUs each: bfloat16, or float32 on a CPU that only emulates bfloat16."""
    return "bfloat16" if gpus else cpu_dtype()


@cache
def cpu_dtype(cpuinfo: Path = Path("/proc/cpuinfo")) -> Literal["bfloat16", "float32"]:
    """The dtype in which this machine's CPU computes fast.

    Without instructions for bfloat16 a matrix product in it takes six times as long as one in float32 (AMD EPYC, AVX2).
    """
    flags = cpuinfo.read_text(encoding="utf-8").split() if cpuinfo.is_file() else []
    return "float32" if BFLOAT16_FLAGS.isdisjoint(flags) else "bfloat16"
