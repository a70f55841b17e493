"""Places the actors of a run, and waits until each is ready or says which is not.

In: settings and model folders. Out: `Workers`, the pools that the stages use. Knows nothing of rounds.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from flame_ray.config import Config, JudgeConfig, RolloutConfig
from flame_ray.config import Workers as Role
from flame_ray.engines.vllm_engine import VllmOptions
from flame_ray.learner.group import LearnerGroup
from flame_ray.rewards.actor import FactualityActor
from flame_ray.rewards.judge_actor import JudgeActor
from flame_ray.rollout.actor import RolloutActor
from flame_ray.rollout.pool import RolloutPool
from flame_ray.runtime.pool import ActorPool, get


@dataclass(frozen=True)
class Workers:
    """Every actor of a run, as pools."""

    rollouts: RolloutPool
    factuality: ActorPool
    judge: ActorPool
    learner: LearnerGroup


def start_workers(config: Config, policy: Path, judge_model: Path) -> Workers:
    """Start all actors at once and wait for all; raises EngineError naming the kind that did not come up in time."""
    rollout_options = _engine_options(config, policy, config.rollout, receives_weights=True)
    judge_options = _engine_options(config, judge_model, config.judge, receives_weights=False)
    rollouts = _start("rollout", RolloutActor, config.rollout, rollout_options)
    factuality = _start("factuality", FactualityActor, config.factuality, config.factuality)
    judge = _start("judge", JudgeActor, config.judge, judge_options, config.judge, config.run.seed)
    learner = LearnerGroup.start(
        str(policy),
        config.learner,
        config.run.seed,
        options=actor_options("learner", config.learner),
        timeout_s=config.cluster.start_timeout_s,
        trust_remote_code=config.model.trust_remote_code,
    )
    for pool in (rollouts, factuality, judge):
        get(
            [actor.ready.remote() for actor in pool.actors],
            config.cluster.start_timeout_s,
            f"{len(pool.actors)} {pool.name} actor(s) ready",
        )
    return Workers(RolloutPool(rollouts, config.rollout.batch_sequences), factuality, judge, learner)


def actor_options(name: str, role: Role) -> dict[str, Any]:
    """What an actor is called in the dashboard, what it takes of the cluster, and how many threads it computes with."""
    threads = role.threads or os.cpu_count() or 1
    environment = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    if role.workers > 1:  # threads that spin while they wait would take the cores from the others of their kind
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
    return {
        "name": name,
        "num_cpus": role.cpus,
        "num_gpus": role.gpus,
        "runtime_env": {"env_vars": environment},
    }


def _start(name: str, actor: type, role: Role, *args: Any) -> ActorPool:
    remote: Any = ray.remote(actor)
    return ActorPool(
        name, [remote.options(**actor_options(f"{name}-{index}", role)).remote(*args) for index in range(role.workers)]
    )


def _engine_options(config: Config, model: Path, role: RolloutConfig | JudgeConfig, receives_weights: bool) -> VllmOptions:
    return VllmOptions(
        model_path=str(model),
        dtype=config.model.dtype,
        max_length=config.model.max_length,
        max_sequences=role.max_sequences,
        kv_cache_gib=role.kv_cache_gib,
        gpu_memory=role.gpu_memory,
        seed=config.run.seed,
        trust_remote_code=config.model.trust_remote_code,
        receives_weights=receives_weights,
    )
