"""The policy's model, and how its weights reach the samplers."""

from typing import Annotated, Literal

from pydantic import Field

from flame_ray.config.base import Positive, Settings


class ModelConfig(Settings):
    """The model that is trained."""

    policy: str = "smollm2-135m"  # a built-in name, a local folder, or a hub id
    revision: str | None = None
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    max_length: Positive = 512
    trust_remote_code: bool = False


class WeightsConfig(Settings):
    """How new weights travel from the learner to the samplers.

    `object_store`: through Ray's object store, between any machines. `checkpoint`: through the folder of merged weights that
    each round writes. `lora`: only the adapter's folder, which samplers swap in over the initial weights. `nccl` and `ipc`:
    from GPU to GPU by vLLM's own engines (`ipc` where samplers and learner share GPUs); a sampler that joins later loads
    the merged folder.
    """

    backend: Literal["object_store", "checkpoint", "lora", "nccl", "ipc"] = "object_store"
    chunk_mib: Annotated[int, Field(ge=1)] = 256  # how much of the model is gathered and sent at a time
