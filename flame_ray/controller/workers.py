"""Starts the actors of a run, and waits until enough of each kind serve."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError

from flame_ray.cluster.capacity import draining_nodes
from flame_ray.cluster.event_loop import EventLoop
from flame_ray.cluster.interrupt import POLL_S, raise_if_interrupted
from flame_ray.cluster.pool import Limits, WorkerPool
from flame_ray.config import Config, JudgeConfig, RolloutConfig, VerifierConfig
from flame_ray.config import Workers as Role
from flame_ray.engines.models import resolve_model
from flame_ray.engines.vllm_engine import VllmOptions
from flame_ray.errors import EngineError, PlacementError
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.learner.durable import DurableLearner
from flame_ray.learner.group import LearnerGroup
from flame_ray.rewards.base import Reward
from flame_ray.rewards.factuality.actor import FactualityActor
from flame_ray.rewards.judge.actor import JudgeActor
from flame_ray.rewards.verifier.actor import VerifierActor
from flame_ray.rewards.verifier.client import About
from flame_ray.rollout.actor import RolloutActor
from flame_ray.rollout.pool import RolloutPool
from flame_ray.seeds import derived_seed
from flame_ray.storage.local_copy import Folder

FACTUALITY_BATCH, JUDGE_BATCH = 16, 16  # groups in a worker's batch
DRAIN_POLL_S = 5.0  # a spot node gives 30 to 120 seconds of notice
FOREVER = -1  # Ray's value for any number of restarts


@dataclass(frozen=True)
class Workers:
    """Every actor of a run, as pools."""

    rollouts: RolloutPool
    judge: WorkerPool
    rewards: Mapping[type[Reward], WorkerPool]
    learner: DurableLearner
    event_loop: EventLoop

    def close(self) -> None:
        """Release every actor."""
        self.event_loop.close()
        self.learner.stop()


def start_workers(config: Config, policy: Path, judge_model: Path, checkpoints: Checkpoints) -> Workers:
    """Start `min_workers` actors of every kind and wait for them, then start the rest.

    Raises PlacementError if some do not serve in time. If it raises, nothing goes on in the background.
    """
    event_loop = EventLoop()
    try:
        return _start_on(event_loop, config, policy, judge_model, checkpoints)
    except BaseException:
        event_loop.close()
        raise


def _start_on(event_loop: EventLoop, config: Config, policy: Path, judge_model: Path, checkpoints: Checkpoints) -> Workers:
    rollout_options = _engine_options(config, policy, config.rollout, receives_weights=True)
    start_learner = partial(DurableLearner, partial(_start_learner, config, policy), checkpoints)
    learner = _offloaded(start_learner()) if config.pipeline.colocated else None
    verifiers = _start_needed_verifiers(config)
    rollouts = _start_pool("rollout", config, config.rollout.batch, event_loop, RolloutActor, rollout_options)
    factuality = _start_factuality_pool(config, event_loop, True, verifiers)
    judge = _start_judge_pool(config, judge_model, event_loop)
    learner = learner or start_learner()
    _finish_start((rollouts, factuality, judge), event_loop, learner)
    rewards = {JudgeActor: judge, FactualityActor: factuality}
    return Workers(RolloutPool(rollouts), judge, rewards, learner, event_loop)


def start_factuality(config: Config, event_loop: EventLoop, corpus: bool = True) -> WorkerPool:
    """Start the factuality workers alone. Without `corpus` they read the corpus only when they first need passages."""
    pool = _start_factuality_pool(config, event_loop, corpus, _start_needed_verifiers(config))
    _finish_start((pool,), event_loop)
    return pool


def start_judge(config: Config, model: Path, event_loop: EventLoop) -> WorkerPool:
    """Start the judge's workers alone."""
    pool = _start_judge_pool(config, model, event_loop)
    _finish_start((pool,), event_loop)
    return pool


def _finish_start(pools: tuple[WorkerPool, ...], event_loop: EventLoop, *learner: DurableLearner) -> None:
    """Wait for every pool's `min_workers`, start the other workers, and leave nodes that are about to go from now on."""
    for pool in pools:
        pool.wait_ready()
    for pool in pools:
        pool.grow()
    event_loop.start(_leave_draining_nodes((*pools, *learner)))


async def _leave_draining_nodes(workers: tuple[WorkerPool | DurableLearner, ...]) -> None:
    while True:
        nodes = await asyncio.to_thread(draining_nodes)
        for each in workers:
            each.leave(nodes)
        await asyncio.sleep(DRAIN_POLL_S)


def actor_options(name: str, role: Role, shares_cores: bool = False) -> dict[str, Any]:
    """Ray's options for an actor: its name in the dashboard, what it takes of the cluster, how many threads it uses.

    An actor without threads of its own (`Workers.own_threads`) counts the cores where it starts; see `on_its_cores`. With
    `shares_cores`, other actors compute at the same time, so that waiting threads must not spin.
    """
    environment = {"TOKENIZERS_PARALLELISM": "false"}
    if role.own_threads:
        environment["OMP_NUM_THREADS"] = str(role.own_threads)
    if shares_cores or role.workers > 1:
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
    return {
        "name": name,
        "num_cpus": role.cpus,
        "num_gpus": role.gpus,
        "runtime_env": {"env_vars": environment},
        **({"label_selector": dict(role.node_labels)} if role.node_labels else {}),
    }


def on_its_cores(actor: type, role: Role) -> type:
    """The class for Ray. An actor without threads of its own computes with as many as its node has cores for it.

    Ray would give it one. OpenMP reads the number when torch is loaded, which no module of an actor does when it is imported.
    """
    if role.own_threads:
        return actor

    class OnItsCores(actor):  # type: ignore[misc,valid-type]
        def __init__(self, *args: Any):
            os.environ["OMP_NUM_THREADS"] = str(len(os.sched_getaffinity(0)))
            super().__init__(*args)

    OnItsCores.__name__ = OnItsCores.__qualname__ = actor.__name__  # in Ray's dashboard
    return OnItsCores


def _start_pool(name: str, config: Config, batch: int, event_loop: EventLoop, actor: type, *args: Any) -> WorkerPool:
    role: Role = getattr(config, name)
    remote: Any = ray.remote(on_its_cores(actor, role))
    shares_cores = _shares_cores(name, config)

    def spawn(slot: int, life: int) -> Any:
        return remote.options(**actor_options(_label(f"{name}-{slot}", life), role, shares_cores)).remote(*args)

    refill = role.refill if isinstance(role, RolloutConfig) else 0
    limits = Limits(role.workers, role.least, batch, config.cluster.start_timeout_s, refill=refill)
    pool = WorkerPool(name, spawn, limits, event_loop)
    if config.pipeline.colocated:
        pool.wait_ready()  # vLLM measures the free GPU memory when it starts, so engines start one after another
    return pool


def _shares_cores(name: str, config: Config) -> bool:
    """Whether workers of this kind compute while others do: the rewards score at the same time."""
    return config.pipeline.stream or name in ("factuality", "judge")


def _start_factuality_pool(config: Config, event_loop: EventLoop, corpus: bool, verifiers: tuple[Any, ...]) -> WorkerPool:
    args = (config.factuality, corpus, verifiers)
    return _start_pool("factuality", config, FACTUALITY_BATCH, event_loop, FactualityActor, *args)


def _start_judge_pool(config: Config, model: Path, event_loop: EventLoop) -> WorkerPool:
    options = _engine_options(config, model, config.judge, receives_weights=False)
    return _start_pool("judge", config, JUDGE_BATCH, event_loop, JudgeActor, options, config.judge, config.run.seed)


def _label(name: str, life: int) -> str:
    """Each life of an actor has its own name: Ray frees a name only some time after the actor's death."""
    return f"{name}.{life}" if life else name


def _start_learner(config: Config, policy: Path, state: Folder | None, life: int) -> LearnerGroup:
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


def _offloaded(learner: DurableLearner) -> DurableLearner:
    """A colocated learner starts first, so that Ray gives it the GPUs, and leaves their memory to the samplers."""
    learner.group.offload()
    return learner


def _start_needed_verifiers(config: Config) -> tuple[Any, ...]:
    """Start the verifiers and wait for all of them, if a decomposer or checker asks one."""
    if not config.factuality.asks_verifier:
        return ()
    named, role = config.factuality.verifier_model, config.verifier
    model = resolve_model(named or config.model.policy, config.model, "factuality.checker_model" if named else "model.policy")
    options = _engine_options(config, model, role, receives_weights=False)
    verifiers = start_verifiers(
        on_its_cores(VerifierActor, role), options, role.workers, lambda name: actor_options(name, role, config.pipeline.stream)
    )
    wait_for_verifiers(verifiers, config.cluster.start_timeout_s)
    return verifiers


def start_verifiers(actor: type, options: Any, workers: int, options_of: Callable[[str], dict[str, Any]]) -> tuple[Any, ...]:
    """Start so many actors, given `options`. Ray restarts them and repeats their calls for as long as the run lasts."""
    remote: Any = ray.remote(actor)
    settings = [options_of(f"verifier-{index}") for index in range(workers)]
    return tuple(remote.options(**each, max_restarts=FOREVER, max_task_retries=FOREVER).remote(options) for each in settings)


def wait_for_verifiers(verifiers: Sequence[Any], timeout_s: float) -> list[About]:
    """Wait until all serve. Raises PlacementError if some do not in time, and EngineError if one cannot start."""
    answers = {verifier.about.remote(): index for index, verifier in enumerate(verifiers)}
    end, left = time.monotonic() + timeout_s, list(answers)
    while left and time.monotonic() < end:
        raise_if_interrupted()
        _, left = ray.wait(left, num_returns=len(left), timeout=POLL_S)
    if left:
        raise PlacementError(
            f"{len(verifiers)} verifiers that serve within {timeout_s:g} s",
            f"not yet: {', '.join(f'verifier-{answers[reference]}' for reference in left)}",
            "lower verifier.workers or what one asks for, raise cluster.start_timeout_s, or add nodes",
        )
    return [_started(index, reference) for reference, index in answers.items()]


def _started(index: int, reference: Any) -> About:
    try:
        return ray.get(reference)
    except RayActorError as error:
        fix = (
            "see its log in the Ray dashboard; the usual cause is a model that does not fit, or too large a verifier.max_length"
        )
        raise EngineError("a verifier that starts", f"verifier-{index}: {error}", fix) from error


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
        seed=derived_seed(config.run.seed, f"{type(role).__name__} engine", bits=32),  # NumPy takes no larger one
        trust_remote_code=config.model.trust_remote_code,
        receives_weights=receives_weights,
        adapter_rank=_adapter_rank(config) if receives_weights else None,
        tensor_parallel=role.tensor_parallel if isinstance(role, RolloutConfig) else 1,
        backend=config.weights.backend,
        sleeps=config.pipeline.colocated,
        enforce_eager=role.enforce_eager,
    )


def _adapter_rank(config: Config) -> int | None:
    """The rank of the adapters that samplers receive, or None if they receive whole weights."""
    lora = config.learner.lora
    return lora.r if config.weights.backend == "lora" and lora is not None else None
