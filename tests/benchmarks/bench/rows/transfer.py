"""How long new weights take from the learner to a sampler."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.bench.channel import Channel, mebibytes, seconds, serve
from tests.benchmarks.bench.samples import Goal, Row, Side, Turn
from tests.benchmarks.bench.work import KV_CACHE_GIB, LORA_ALPHA, LORA_RANK, MAX_LENGTH, MAX_SEQUENCES, SEED, Work

if TYPE_CHECKING:
    from flame_ray.engines.base import Weights
    from flame_ray.learner.group import LearnerGroup

ADAPTER = "adapter"


def row(work: Work) -> Row:
    dtypes = tuple(dict.fromkeys((work.dtype, "float32")))
    return Row(
        "transfer",
        "weights from the learner to a sampler, SmolLM2-135M",
        "whole weights, merged with an adapter: gathered, put into Ray's object store, and loaded by the engine. The "
        "adapter: written to a folder, and swapped in. Until the sampler has computed a token with them. One learner and one "
        "sampler on one machine; without the canary that follows in a run.",
        (*(Side(dtype, __name__, (dtype,)) for dtype in dtypes), Side(ADAPTER, __name__, (ADAPTER,))),
        (
            Goal("float32: push", limit=0.7, at_most=True),
            Goal(f"{ADAPTER}: push", limit=0.1, at_most=True),
        ),
        apart=True,
    )


def main() -> None:
    channel, work, kind = Channel(), Work.given(), sys.argv[2]
    import ray

    from flame_ray.config import LearnerConfig, LoraConfig
    from flame_ray.engines.models import SMOLLM2, reference
    from flame_ray.learner.group import LearnerGroup

    dtype = work.dtype if kind == ADAPTER else kind
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=2**30, log_to_driver=False)
    threads = {"runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(work.threads)}}, "num_cpus": 0.5}
    config = LearnerConfig(dtype=dtype, lora=LoraConfig(r=LORA_RANK, alpha=LORA_ALPHA), threads=work.threads)
    learner = LearnerGroup.start(reference(SMOLLM2), config, SEED, options={"name": "learner", **threads})
    sampler = _sampler(dtype, kind, threads)
    push = _adapter if kind == ADAPTER else _whole
    push(learner, sampler, Path(work.folder) / "warm", 1)
    serve(channel, lambda number: push(learner, sampler, Path(work.folder) / f"{kind}-{number}", number + 2))
    ray.shutdown()


def _sampler(dtype: str, kind: str, options: dict[str, Any]) -> Any:
    import ray

    from flame_ray.engines.models import SMOLLM2, reference
    from flame_ray.engines.vllm_engine import VllmOptions
    from flame_ray.rollout.actor import RolloutActor

    is_adapter = kind == ADAPTER
    engine = VllmOptions(
        reference(SMOLLM2),
        dtype,
        MAX_LENGTH,
        MAX_SEQUENCES,
        KV_CACHE_GIB,
        0.8,
        SEED,
        receives_weights=True,
        adapter_rank=LORA_RANK if is_adapter else None,
        backend="lora" if is_adapter else "object_store",
    )
    actor: Any = ray.remote(RolloutActor)
    sampler = actor.options(**options).remote(engine)
    ray.get(sampler.ready.remote())
    return sampler


def _whole(learner: "LearnerGroup", sampler: Any, folder: Path, version: int) -> Turn:
    import ray

    from flame_ray.engines.base import Chunks

    start = time.perf_counter()
    weights = Chunks(learner.export())
    ray.wait(list(weights.references), num_returns=len(weights.references), fetch_local=False)
    exported = time.perf_counter()
    _loaded(sampler, weights, version)
    end = time.perf_counter()
    size = sum(array.nbytes for chunk in ray.get(list(weights.references)) for array in chunk.arrays.values())
    return {
        "push": seconds(end - start),
        "gather and store": seconds(exported - start),
        "load": seconds(end - exported),
        "size": mebibytes(size),
    }


def _adapter(learner: "LearnerGroup", sampler: Any, folder: Path, version: int) -> Turn:
    from flame_ray.engines.base import AdapterFolder

    start = time.perf_counter()
    learner.save(folder)
    saved = time.perf_counter()
    _loaded(sampler, AdapterFolder(str(folder)), version)
    end = time.perf_counter()
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return {
        "push": seconds(end - start),
        "write": seconds(saved - start),
        "load": seconds(end - saved),
        "size": mebibytes(size),
    }


def _loaded(sampler: Any, weights: "Weights", version: int) -> None:
    """Until a token is computed with them: vLLM reads an adapter when it is first used."""
    import ray

    from flame_ray.engines.base import Continuation

    ray.get(sampler.load_weights.remote(weights, version))
    ray.get(sampler.canary.remote((Continuation((1, 2), (3,)),)))


if __name__ == "__main__":
    main()
