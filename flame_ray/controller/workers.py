"""Places the actors of a run, and waits until enough of each kind serve, or says which do not.

In: settings and model folders. Out: `Workers`, the pools that the stages use. Knows nothing of rounds.
"""

import asyncio
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray

from flame_ray.cluster.capacity import draining_nodes
from flame_ray.cluster.event_loop import EventLoop
from flame_ray.cluster.pool import Limits, WorkerPool
from flame_ray.config import Config, JudgeConfig, RolloutConfig, VerifierConfig
from flame_ray.config import Workers as Role
from flame_ray.controller.verifiers import start_verifiers, wait_for
from flame_ray.engines.models import resolve_model
from flame_ray.engines.vllm_engine import VllmOptions
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.learner.durable import DurableLearner
from flame_ray.learner.group import LearnerGroup
from flame_ray.rewards.factuality.actor import FactualityActor
from flame_ray.rewards.judge.actor import JudgeActor
from flame_ray.rewards.verifier.actor import VerifierActor
from flame_ray.rollout.actor import RolloutActor
from flame_ray.rollout.pool import RolloutPool
from flame_ray.storage.local_copy import Folder

FACTUALITY_BATCH, JUDGE_BATCH = 16, 16  # groups that a worker is given at a time
DRAIN_POLL_S = 5.0  # a spot node gives 30 to 120 seconds of notice


@dataclass(frozen=True)
class Workers:
    """Every actor of a run, as pools."""

    rollouts: RolloutPool
    factuality: WorkerPool
    judge: WorkerPool
    learner: DurableLearner
    event_loop: EventLoop

    def close(self) -> None:
        """Let go of every actor."""
        self.event_loop.close()
        self.learner.stop()


def start_workers(config: Config, policy: Path, judge_model: Path, checkpoints: Checkpoints) -> Workers:
    """Start enough actors of every kind, wait for them, then let more join. Raises PlacementError naming what is missing."""
    rollout_options = _engine_options(config, policy, config.rollout, receives_weights=True)
    judge_options = _engine_options(config, judge_model, config.judge, receives_weights=False)
    event_loop = EventLoop()
    start_learner = partial(DurableLearner, partial(_learner, config, policy), checkpoints)
    learner = _leaving(start_learner()) if config.pipeline.colocated else None
    verifiers = _verifiers(config)
    rollouts = _pool("rollout", config, config.rollout.batch_sequences, event_loop, RolloutActor, rollout_options)
    factuality = _pool("factuality", config, FACTUALITY_BATCH, event_loop, FactualityActor, config.factuality, True, verifiers)
    judge = _pool("judge", config, JUDGE_BATCH, event_loop, JudgeActor, judge_options, config.judge, config.run.seed)
    learner = learner or start_learner()
    pools = (rollouts, factuality, judge)
    for pool in pools:
        pool.wait_ready()
    for pool in pools:
        pool.grow()
    event_loop.start(_leave_draining_nodes((*pools, learner)))
    return Workers(RolloutPool(rollouts), factuality, judge, learner, event_loop)


def start_factuality(config: Config, event_loop: EventLoop, corpus: bool = True) -> WorkerPool:
    """The factuality workers alone. Without a `corpus` they read it only when something asks them for passages."""
    asked = (config.factuality, corpus, _verifiers(config))
    pool = _pool("factuality", config, FACTUALITY_BATCH, event_loop, FactualityActor, *asked)
    pool.wait_ready()
    pool.grow()
    event_loop.start(_leave_draining_nodes((pool,)))
    return pool


async def _leave_draining_nodes(workers: tuple[WorkerPool | DurableLearner, ...]) -> None:
    while True:
        nodes = await asyncio.to_thread(draining_nodes)
        for each in workers:
            each.leave(nodes)
        await asyncio.sleep(DRAIN_POLL_S)


def actor_options(name: str, role: Role, shares_cores: bool = False) -> dict[str, Any]:
    """What an actor is called in the dashboard, what it takes of the cluster, and how many threads it computes with.

    `shares_cores`: others compute at the same time; threads that spin while they wait would take the cores from them.
    """
    threads = role.threads or os.cpu_count() or 1
    environment = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    if shares_cores or role.workers > 1:
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
    return {
        "name": name,
        "num_cpus": role.cpus,
        "num_gpus": role.gpus,
        "runtime_env": {"env_vars": environment},
        **({"label_selector": dict(role.node_labels)} if role.node_labels else {}),
    }


def _pool(name: str, config: Config, batch: int, event_loop: EventLoop, actor: type, *args: Any) -> WorkerPool:
    role: Role = getattr(config, name)
    remote: Any = ray.remote(actor)

    def spawn(index: int, life: int) -> Any:
        return remote.options(**actor_options(_label(f"{name}-{index}", life), role, config.pipeline.stream)).remote(*args)

    pool = WorkerPool(name, spawn, Limits(role.workers, role.least, batch, config.cluster.start_timeout_s), event_loop)
    if config.pipeline.colocated:
        pool.wait_ready()  # an engine measures how much of its GPU is free when it starts: one after another
    return pool


def _verifiers(config: Config) -> tuple[Any, ...]:
    """The language models that factuality workers ask, where any stage does; all of them serve."""
    if not config.factuality.asks_verifier:
        return ()
    named, role = config.factuality.verifier_model, config.verifier
    model = resolve_model(named or config.model.policy, config.model, "factuality.checker_model" if named else "model.policy")
    options = _engine_options(config, model, role, receives_weights=False)
    actors = start_verifiers(
        VerifierActor, options, role.workers, lambda name: actor_options(name, role, config.pipeline.stream)
    )
    wait_for(actors, config.cluster.start_timeout_s)
    return actors


def _leaving(learner: DurableLearner) -> DurableLearner:
    """It comes first, so that it has its ranks' GPUs, and leaves them until its turn."""
    learner.group.offload()
    return learner


def _label(name: str, life: int) -> str:
    """A name is free again only a while after its actor has died: the next one has its own."""
    return f"{name}.{life}" if life else name


def _learner(config: Config, policy: Path, state: Folder | None, life: int) -> LearnerGroup:
    return LearnerGroup.start(
        str(policy),
        config.learner,
        config.run.seed,
        options=actor_options(_label("learner", life), config.learner, config.pipeline.staleness > 0),
        timeout_s=config.cluster.start_timeout_s,
        trust_remote_code=config.model.trust_remote_code,
        resume_from=state,
        chunk_bytes=config.weights.chunk_mib * 2**20,
    )


def _engine_options(
    config: Config, model: Path, role: RolloutConfig | JudgeConfig | VerifierConfig, receives_weights: bool
) -> VllmOptions:
    return VllmOptions(
        model_path=str(model),
        dtype=config.model.dtype,
        max_length=role.max_length if isinstance(role, VerifierConfig) else config.model.max_length,
        max_sequences=role.max_sequences,
        kv_cache_gib=role.kv_cache_gib,
        gpu_memory=role.gpu_memory,
        seed=config.run.seed,
        trust_remote_code=config.model.trust_remote_code,
        receives_weights=receives_weights,
        adapter_rank=_adapter_rank(config) if receives_weights else None,
        tensor_parallel=role.tensor_parallel if isinstance(role, RolloutConfig) else 1,
        backend=config.weights.backend,
        sleeps=config.pipeline.colocated,
    )


def _adapter_rank(config: Config) -> int | None:
    """The rank of the adapters that samplers will be sent; None when they are sent whole weights."""
    lora = config.learner.lora
    return lora.r if config.weights.backend == "lora" and lora is not None else None
