"""Where a run happens and is written: the run, the cluster, the model, and how weights travel."""

from typing import Annotated, Literal

from pydantic import Field

from flame_ray.config.base import Name, Positive, Settings


class RunConfig(Settings):
    """Where the run is written and what makes its random streams; without an id, one is made from name and time.

    `root`: a folder that every node sees, or a URL that every node reaches (s3://, gs://, abfs://; its fsspec driver, such
    as s3fs, must be installed). `keep_checkpoints`: so many last rounds' (None: all).
    """

    name: Name = "run"
    id: Name | None = None
    root: str = "runs"
    seed: int = 0
    rounds: Positive = 3
    save_merged: Annotated[bool, Field(description="beside the adapter, write whole safetensors after each round")] = False
    keep_checkpoints: Positive | None = None


class ClusterConfig(Settings):
    """Which Ray: `local` starts one on this machine (loopback, token on); `auto` joins RAY_ADDRESS; else an address."""

    address: str = "auto"
    dashboard: bool = True
    object_store_gib: Annotated[float, Field(gt=0)] = 2.0
    start_timeout_s: Positive = 300


class ModelConfig(Settings):
    """A built-in name (`smollm2-135m`), a local folder, or a hub id."""

    policy: str = "smollm2-135m"
    revision: str | None = None
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    max_length: Positive = 512
    trust_remote_code: bool = False


class WeightsConfig(Settings):
    """How weights reach the samplers. `object_store`: through Ray, on any machine. `checkpoint`: through the merged folder
    that each round writes. `lora`: the adapter's folder alone, swapped in place over the initial weights. From GPU to GPU by
    vLLM's own engines: `nccl`, and `ipc` where samplers and learner share them; a sampler that joins later loads the folder.
    """

    backend: Literal["object_store", "checkpoint", "lora", "nccl", "ipc"] = "object_store"
    chunk_mib: Annotated[int, Field(ge=1, description="how much of the model is gathered and sent at a time")] = 256


class PipelineConfig(Settings):
    """What runs side by side. `staleness` 1: a round is sampled, by weights one version behind, while the last one trains.

    `stream`: a group is scored while others are sampled. Where samplers and judge share a few cores it only slows both.
    `colocated`: samplers, judge and learner share GPUs, and take turns on them.
    """

    stream: bool = True
    staleness: Annotated[int, Field(ge=0, le=1)] = 0
    colocated: bool = False
