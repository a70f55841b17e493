"""Finds settings that cannot go together: how weights travel, and which stages share a GPU."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flame_ray.config.describe import typed
from flame_ray.config.learner import COMPARING

if TYPE_CHECKING:
    from flame_ray.config import Config


def problems(config: "Config") -> Iterator[str]:
    """What the settings need instead, in words, with their paths and the values given."""
    yield from _dtype_problems(config)
    yield from _loss_problems(config)
    yield from _file_problems(config)
    yield from _folder_problems(config)
    yield from _transfer_problems(config)
    if config.pipeline.release_idle:
        yield from _releasing_problems(config)
    if config.pipeline.colocated:
        yield from _colocation_problems(config)
        yield from _sharing_problems(config)


def _dtype_problems(config: "Config") -> Iterator[str]:
    model, learner = config.model.dtype, config.learner.dtype
    if learner == "float32" and model != "float32":
        yield (
            f"learner.dtype float32 needs model.dtype float32 (given {model}): samplers would round away most of what a low "
            "rate changes; learner.dtype bfloat16 rounds so that it is kept"
        )


def _loss_problems(config: "Config") -> Iterator[str]:
    if config.learner.loss_kind.is_on_policy and config.pipeline.staleness:
        yield (
            f"learner.loss {config.learner.loss} needs pipeline.staleness 0: its reference, the start of the round, is the "
            "policy that sampled"
        )


def _file_problems(config: "Config") -> Iterator[str]:
    """A file has no verdicts on sentences, and no samples of the policy."""
    if config.pairs.file is None:
        return
    if config.run.rounds > 1:
        yield f"pairs.file needs run.rounds 1, as no round samples new pairs (given {config.run.rounds}); see learner.epochs"
    if (loss := config.learner.loss) not in COMPARING:
        yield f"pairs.file needs learner.loss to be one of {', '.join(COMPARING)}, which compare two answers (given {loss})"


def _folder_problems(config: "Config") -> Iterator[str]:
    backend, root, adapter = config.weights.backend, config.run.root, config.learner.lora is not None
    if backend == "lora" and not adapter:
        yield "weights.backend lora needs learner.lora (given null)"
    if backend in ("checkpoint", "nccl", "ipc") and adapter and not config.run.save_merged:
        yield f"weights.backend {backend} needs run.save_merged true, which writes the folder that samplers load"
    if "://" in root and not root.startswith("file://") and backend != "object_store":
        yield (
            f"weights.backend {backend} needs run.root on a filesystem that every node mounts (given {root}); "
            "weights.backend object_store does not"
        )


def _transfer_problems(config: "Config") -> Iterator[str]:
    backend, rollout, learner = config.weights.backend, config.rollout.gpus, config.learner.gpus
    if backend in ("nccl", "ipc") and not (rollout and learner):
        yield f"weights.backend {backend} needs rollout.gpus and learner.gpus above 0 (given {rollout:g} and {learner:g})"
    if backend == "ipc" and not config.pipeline.colocated:
        yield "weights.backend ipc needs pipeline.colocated true: it only reaches samplers on the learner's own GPUs"
    if backend == "nccl" and config.pipeline.colocated:
        yield "weights.backend nccl needs pipeline.colocated false: NCCL cannot join two processes on one GPU; use ipc"


def _releasing_problems(config: "Config") -> Iterator[str]:
    if config.pipeline.staleness:
        yield "pipeline.release_idle needs pipeline.staleness 0: with 1 the samplers work while the learner trains"
    if config.pipeline.colocated:
        yield "pipeline.release_idle needs pipeline.colocated false: samplers keep their places on the learner's own GPUs"
    if config.weights.backend == "nccl":
        yield "pipeline.release_idle needs a weights.backend other than nccl: samplers that start again load from storage"


def _colocation_problems(config: "Config") -> Iterator[str]:
    learner, pools = config.learner, (config.rollout, config.judge)
    if config.pipeline.staleness:
        yield "pipeline.colocated needs pipeline.staleness 0: samplers sleep while the learner trains"
    if any(role.least < role.workers for role in pools):
        yield "pipeline.colocated needs all workers from the start: leave rollout.min_workers and judge.min_workers out"
    if learner.zero_stage == 0 or (learner.zero_stage == 3 and learner.offload == "none"):
        yield (
            "pipeline.colocated needs learner.zero_stage 1 or 2, or 3 with learner.offload: "
            f"DeepSpeed cannot move other states off a GPU (given {learner.zero_stage} and {learner.offload})"
        )


def _sharing_problems(config: "Config") -> Iterator[str]:
    """Without GPUs the stages take the same turns, and nothing is moved."""
    rollout, judge, learner = roles = config.rollout, config.judge, config.learner
    if not any(role.gpus for role in roles):
        return
    if any(role.gpus != 1 for role in roles):
        yield (
            "pipeline.colocated needs gpus 1 for each of rollout, judge and learner, who take turns on it, or 0 for all "
            f"(given {rollout.gpus:g}, {judge.gpus:g} and {learner.gpus:g})"
        )
    if not rollout.workers == judge.workers == learner.workers:
        yield (
            "pipeline.colocated needs as many rollout.workers and judge.workers as learner.workers, one of each for a GPU "
            f"(given {rollout.workers}, {judge.workers} and {learner.workers})"
        )
    if not rollout.node_labels == judge.node_labels == learner.node_labels:
        yield (
            "pipeline.colocated needs the same node_labels for rollout, judge and learner, who share nodes "
            f"(given {typed(rollout.node_labels)}, {typed(judge.node_labels)} and {typed(learner.node_labels)})"
        )
    for name, role in (("rollout", rollout), ("judge", judge)):
        if role.tensor_parallel > 1:
            yield f"pipeline.colocated needs {name}.tensor_parallel 1: each engine is on the GPU of one learner rank"
    if rollout.gpu_memory + judge.gpu_memory > 1:
        yield (
            "pipeline.colocated needs rollout.gpu_memory and judge.gpu_memory of at most 1 together, "
            f"because both are awake at the same time (given {rollout.gpu_memory:g} and {judge.gpu_memory:g})"
        )
