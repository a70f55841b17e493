"""Starts the actors of a run, and waits until enough of each kind serve."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.util.placement_group import PlacementGroup, remove_placement_group

from flame_ray.cluster.capacity import draining_nodes
from flame_ray.cluster.event_loop import EventLoop, on_thread
from flame_ray.cluster.failures import cause_of
from flame_ray.cluster.pool import Limits, WorkerPool
from flame_ray.cluster.restarted import RestartedByRay
from flame_ray.cluster.waiting import Waiting, room_in_words
from flame_ray.config import ClusterConfig, Config, EngineWorkers, JudgeConfig, VerifierConfig, Workers
from flame_ray.controller.gpu_sharing import SHARE, in_room, reserve_shared
from flame_ray.engines.base import StoredModel
from flame_ray.engines.models import ModelRef, reference
from flame_ray.engines.vllm_engine import VllmOptions
from flame_ray.errors import EngineDied, EngineError, FlameError, PlacementError
from flame_ray.learner.actor import LearnerActor
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.learner.durable import DurableLearner
from flame_ray.learner.group import LearnerGroup, Timeouts
from flame_ray.rewards.base import Reward
from flame_ray.rewards.factuality.actor import FactualityActor
from flame_ray.rewards.factuality.names import travelling
from flame_ray.rewards.judge.actor import JudgeActor
from flame_ray.rewards.verifier.actor import VerifierActor
from flame_ray.rewards.verifier.client import About
from flame_ray.rollout.actor import RolloutActor
from flame_ray.rollout.pool import RolloutPool
from flame_ray.seeds import derived_seed
from flame_ray.storage.local_copy import Folder
from flame_ray.storage.shared_paths import path_for_actors

log = logging.getLogger(__name__)
FACTUALITY_BATCH, JUDGE_BATCH = 16, 16  # groups in a worker's batch
DRAIN_POLL_S = 5.0  # a spot node gives 30 to 120 seconds of notice
NO_GPU = {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""}  # Ray shows every GPU to an actor that asks for none
SHARING = ("rollout", "judge")  # beside the learner
STORED = 1  # the version of weights that a sampler reads from storage; 0 is the model that it starts with
FOREVER = -1  # Ray's value for any number of restarts


@dataclass(frozen=True)
class ActorClasses:
    """The class of each role's actors. Tests place doubles of them."""

    rollout: type = RolloutActor
    factuality: type = FactualityActor
    judge: type = JudgeActor
    verifier: type = VerifierActor
    learner: type = LearnerActor


ENGINES = ActorClasses()


@dataclass(frozen=True)
class RunPools:
    """Every actor of a run, as pools."""

    rollouts: RolloutPool
    judge: WorkerPool
    rewards: Mapping[type[Reward], WorkerPool]
    learner: DurableLearner


class Scope(ExitStack):
    """The actors of one command, as a context: all that was started in the block ends with it, on every way out.

    They have `cluster.start_timeout_s` to start, all together. `room` is that of those who share GPUs.
    """

    def __init__(self, config: Config, actors: ActorClasses = ENGINES):
        super().__init__()
        self.config, self.actors, self.event_loop = config, actors, EventLoop()
        self.room: PlacementGroup | None = None
        self.verifiers = RestartedByRay(())
        self.callback(self._free_room)  # comes after the end of all who are in it
        self.callback(self.event_loop.close)
        self._start_ends = time.monotonic() + config.cluster.start_timeout_s

    @property
    def left_s(self) -> float:
        """What is left of the time to start; a second when it is over, for what is ready already."""
        return max(self._start_ends - time.monotonic(), 1.0)

    def reserve_room(self) -> None:
        self.room = reserve_shared(self.config, self.left_s)

    def _free_room(self) -> None:
        if self.room is not None:
            remove_placement_group(self.room)


def start_workers(
    scope: Scope, policy: ModelRef, judge_model: ModelRef, checkpoints: Checkpoints, asks_judge: bool = True
) -> RunPools:
    """Start `min_workers` actors of every kind and wait for them, then start the rest.

    `asks_judge`: whether prompts are to be classified by the judge's model. Raises PlacementError if some do not serve in time.
    """
    config, actors = scope.config, scope.actors
    rollout_options = _engine_options(config, policy, config.rollout, receives_weights=True)
    scope.reserve_room()
    learner = _offloaded(_start_learner(scope, policy, checkpoints)) if config.pipeline.colocated else None
    verifiers = _start_needed_verifiers(scope, policy)
    refill = config.rollout.refill
    rollouts = _start_pool(scope, "rollout", config.rollout.batch, actors.rollout, rollout_options, refill=refill)
    factuality = _start_factuality_pool(scope, True, verifiers)
    judge = _start_judge_pool(scope, judge_model, asks_judge)
    learner = learner or _start_learner(scope, policy, checkpoints)
    _finish_start(scope, (rollouts, factuality, judge), learner)
    rewards = {JudgeActor: judge, FactualityActor: factuality}
    return RunPools(RolloutPool(rollouts), judge, rewards, learner)


def start_factuality(scope: Scope, corpus: bool = True) -> WorkerPool:
    """Start the factuality workers alone. Without `corpus` they read the corpus only when they first need passages."""
    pool = _start_factuality_pool(scope, corpus, _start_needed_verifiers(scope))
    _finish_start(scope, (pool,))
    return pool


def start_judge(scope: Scope, model: ModelRef) -> WorkerPool:
    """Start the judge's workers alone."""
    pool = _start_judge_pool(scope, model)
    _finish_start(scope, (pool,))
    return pool


def start_samplers(scope: Scope, model: ModelRef, stored: StoredModel | None = None) -> WorkerPool:
    """Start the samplers alone, which serve the model, or the stored weights over it. Each of their methods may be called."""
    options = _engine_options(scope.config, model, scope.config.rollout, receives_weights=stored is not None)
    pool = _start_pool(scope, "rollout", scope.config.rollout.batch, scope.actors.rollout, options)
    _finish_start(scope, (pool,))
    if stored is not None:
        pool.update(STORED, partial(_load_stored, stored))
    return pool


async def _load_stored(stored: StoredModel, sampler: Any) -> None:
    await sampler.load_weights.remote(stored, STORED)


def start_learner(scope: Scope, policy: ModelRef, checkpoints: Checkpoints) -> DurableLearner:
    """Start the learner alone."""
    learner = _start_learner(scope, policy, checkpoints)
    _finish_start(scope, (), learner)
    return learner


def _finish_start(scope: Scope, pools: tuple[WorkerPool, ...], *learner: DurableLearner) -> None:
    """Wait for every pool's `min_workers`, start the other workers, and leave nodes that are about to go from now on."""
    for pool in pools:
        pool.wait_ready(scope.left_s)
    for pool in pools:
        pool.grow()
    scope.event_loop.start(_leave_draining_nodes((*pools, *learner, scope.verifiers)))


async def _leave_draining_nodes(workers: tuple[WorkerPool | DurableLearner | RestartedByRay, ...]) -> None:
    while True:
        try:
            nodes = await on_thread(draining_nodes)
            for each in workers:
                await on_thread(each.leave, nodes)
        except RayError as error:
            log.warning("Ray does not say which nodes are about to go; asking again in %g s: %s", DRAIN_POLL_S, error)
        await asyncio.sleep(DRAIN_POLL_S)


def actor_options(name: str, role: Workers, shares_cores: bool = False) -> dict[str, Any]:
    """Ray's options for an actor: its name in the dashboard, what it takes of the cluster, how many threads it uses.

    An actor without threads of its own (`Workers.own_threads`) counts the cores where it starts; see `on_its_cores`. With
    `shares_cores`, other actors compute at the same time, so that waiting threads must not spin.
    """
    environment = {"TOKENIZERS_PARALLELISM": "false"}
    if role.own_threads:
        environment["OMP_NUM_THREADS"] = str(role.own_threads)
    if not role.gpus:
        environment |= NO_GPU
    if shares_cores or role.workers > 1:
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
    return {
        "name": name,
        "num_cpus": role.cpus,
        "num_gpus": role.gpus,
        "runtime_env": {"env_vars": environment},
        **({"label_selector": dict(role.node_labels)} if role.node_labels else {}),
    }


def on_its_cores(actor: type, role: Workers) -> type:
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


def _start_pool(scope: Scope, name: str, batch: int, actor: type, *args: Any, refill: int = 0) -> WorkerPool:
    config, room = scope.config, scope.room if name in SHARING else None
    role: Workers = getattr(config, name)
    remote: Any = ray.remote(on_its_cores(actor, role))
    shares_cores = _shares_cores(name, config)

    def spawn(slot: int, life: int) -> Any:
        options = actor_options(_label(f"{name}-{slot}", life), role, shares_cores)
        return remote.options(**in_room(options, room, slot)).remote(*args)

    limits = replace(_limits(role, batch, config.cluster), refill=refill)
    pool = WorkerPool(name, spawn, limits, scope.event_loop, actor.__name__)
    if config.pipeline.colocated:
        pool.wait_ready(scope.left_s)  # vLLM measures the free GPU memory when it starts, so engines start one after another
    return pool


def _limits(role: Workers, batch: int, waits: ClusterConfig) -> Limits:
    return Limits(role.workers, role.least, batch, waits.start_timeout_s, waits.result_timeout_s, waits.push_timeout_s)


def _shares_cores(name: str, config: Config) -> bool:
    """Whether workers of this kind compute while others do: the rewards score at the same time."""
    return config.pipeline.stream or name in ("factuality", "judge")


def _start_factuality_pool(scope: Scope, corpus: bool, verifiers: tuple[Any, ...]) -> WorkerPool:
    args = (travelling(scope.config.factuality), corpus, verifiers)
    return _start_pool(scope, "factuality", FACTUALITY_BATCH, scope.actors.factuality, *args)


def _start_judge_pool(scope: Scope, model: ModelRef, is_asked: bool = True) -> WorkerPool:
    config = scope.config
    options = _engine_options(config, model, config.judge, receives_weights=False)
    preferences = config.judge.preferences and path_for_actors(config.judge.preferences)
    judge = config.judge.model_copy(update={"preferences": preferences})
    return _start_pool(scope, "judge", JUDGE_BATCH, scope.actors.judge, options, judge, config.run.seed, is_asked)


def _label(name: str, life: int) -> str:
    """Each life of an actor has its own name: Ray frees a name only some time after the actor's death."""
    return f"{name}.{life}" if life else name


def _start_learner(scope: Scope, policy: ModelRef, checkpoints: Checkpoints) -> DurableLearner:
    """The first group has what is left of the time to start; a later one has the whole of it again."""
    waits = Timeouts.of(scope.config.cluster)

    def start(state: Folder | None, life: int) -> LearnerGroup:
        return _start_group(scope, policy, replace(waits, start=waits.start if life else scope.left_s), state, life)

    learner = DurableLearner(start, checkpoints)
    scope.callback(learner.stop)
    return learner


def _start_group(scope: Scope, policy: ModelRef, timeouts: Timeouts, state: Folder | None, life: int) -> LearnerGroup:
    config = scope.config
    options = actor_options(_label("learner", life), config.learner, config.pipeline.staleness > 0)
    return LearnerGroup.start(
        policy,
        config.learner,
        config.run.seed,
        options=options | ({"num_gpus": SHARE} if scope.room else {}),
        timeouts=timeouts,
        resume_from=state,
        chunk_bytes=config.weights.chunk_mib * 2**20,
        actor=scope.actors.learner,
        room=scope.room,
    )


def _offloaded(learner: DurableLearner) -> DurableLearner:
    """A colocated learner starts first, and leaves the GPUs' memory to the samplers, who measure what is free."""
    learner.group.offload()
    return learner


def _start_needed_verifiers(scope: Scope, policy: ModelRef | None = None) -> tuple[Any, ...]:
    """Start the verifiers and wait for all of them, if something asks one. They serve `policy` if no model is named."""
    config = scope.config
    if not config.factuality.asks_verifier:
        return ()
    named, role = config.factuality.verifier_model, config.verifier
    if named or policy is None:
        policy = reference(named or config.model.policy, config.model, "factuality.checker_model" if named else "model.policy")
    options = _engine_options(config, policy, role, receives_weights=False)
    verifiers = start_verifiers(
        on_its_cores(scope.actors.verifier, role),
        options,
        role.workers,
        lambda name: actor_options(name, role, config.pipeline.stream),
    )
    for verifier in verifiers:
        scope.callback(ray.kill, verifier)
    wait_for_verifiers(verifiers, scope.left_s)
    scope.verifiers = RestartedByRay(verifiers)
    return verifiers


def start_verifiers(actor: type, options: Any, workers: int, options_of: Callable[[str], dict[str, Any]]) -> tuple[Any, ...]:
    """Start so many actors, given `options`. Ray restarts them and repeats their calls for as long as the run lasts."""
    remote: Any = ray.remote(actor)
    settings = [options_of(f"verifier-{index}") for index in range(workers)]
    return tuple(remote.options(**each, max_restarts=FOREVER, max_task_retries=FOREVER).remote(options) for each in settings)


def wait_for_verifiers(verifiers: Sequence[Any], timeout_s: float) -> list[About]:
    """Wait until all serve. Raises PlacementError if some do not in time, and EngineError if one cannot start."""
    answers = [verifier.about.remote() for verifier in verifiers]
    if not Waiting(f"{len(verifiers)} verifiers", timeout_s, for_room=True).all_ready(answers):
        _, late = ray.wait(answers, num_returns=len(answers), timeout=0)
        raise PlacementError(
            f"{len(verifiers)} verifiers that serve within {timeout_s:.0f} s",
            f"not yet: {', '.join(f'verifier-{answers.index(each)}' for each in late)} ({room_in_words()})",
            "lower verifier.workers or what one asks for, raise cluster.start_timeout_s, or add nodes",
        )
    return [_started(index, answer) for index, answer in enumerate(answers)]


def _started(index: int, reference: Any) -> About:
    try:
        return ray.get(reference)
    except (RayActorError, RayTaskError) as error:
        cause = cause_of(error)
        if isinstance(cause, FlameError) and not isinstance(cause, EngineDied):
            raise cause from error
        fix = (
            "see its log in the Ray dashboard; the usual cause is a model that does not fit, or too large a verifier.max_length"
        )
        raise EngineError("a verifier that starts", f"verifier-{index}: {cause}", fix) from error


def _engine_options(config: Config, model: ModelRef, role: EngineWorkers, receives_weights: bool) -> VllmOptions:
    return VllmOptions(
        model=model,
        dtype=config.model.dtype,
        max_length=role.max_length if isinstance(role, VerifierConfig) else config.model.max_length,
        max_sequences=role.max_sequences,
        kv_cache_gib=role.kv_cache_gib,
        gpu_memory=role.gpu_memory,
        seed=derived_seed(config.run.seed, f"{type(role).__name__} engine", bits=32),  # NumPy takes no larger one
        receives_weights=receives_weights,
        adapter_rank=_adapter_rank(config) if receives_weights else None,
        tensor_parallel=role.tensor_parallel,
        backend=config.weights.backend,
        sleeps=config.pipeline.colocated,
        enforce_eager=role.enforce_eager,
        variables=_variables(config, role),
    )


def _variables(config: Config, role: EngineWorkers) -> dict[str, Any]:
    match role:
        case JudgeConfig():
            return config.judge_variables
        case VerifierConfig():
            return config.verifier_variables
    return config.model.chat_template_kwargs


def _adapter_rank(config: Config) -> int | None:
    """The rank of the adapters that samplers receive, or None if they receive whole weights."""
    lora = config.learner.lora
    return lora.r if config.weights.backend == "lora" and lora is not None else None
