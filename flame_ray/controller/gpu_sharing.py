"""Decides who may use the GPUs: the samplers and the judge, or the learner.

With GPUs of their own (`Dedicated`) they never wait for each other. On shared GPUs (`Colocated`, `pipeline.colocated`) no
KV cache is on a GPU while the learner is: samplers and judge sleep before the learner loads; after training the samplers
load the new weights, the learner leaves, and the KV caches come back. On a CPU vLLM cannot sleep, and the same calls do
nothing. Not yet tried on a GPU.

One room is reserved for all of them, with a place for each GPU: its sampler, its judge and its rank of the learner, and
whoever replaces one of these, start there. When a node dies, Ray moves its places to another one; those who leave a node
that is about to go wait until then. A sampler that dies while the learner has the GPUs has no memory to start again: the
run ends with vLLM's error, and continues with --resume.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import ray
from ray.exceptions import RayActorError
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from flame_ray.cluster.capacity import reserve, shared_bundle
from flame_ray.cluster.pool import WorkerPool
from flame_ray.cluster.waiting import Waiting
from flame_ray.config import Config
from flame_ray.engines.base import Continuation
from flame_ray.errors import EngineDied, EngineError, LearnerDied
from flame_ray.learner.durable import DurableLearner
from flame_ray.rollout.pool import RolloutPool
from flame_ray.weights import Agreement, CanaryLogps, Push, Sender

SHARE = 0.33  # of a GPU, for Ray's accounts: three fit, and a fourth waits until the one that it replaces is gone
KEEP_WEIGHTS, DROP_WEIGHTS = 1, 2  # vLLM's sleep levels: weights go to the machine's memory, or are dropped


def reserve_shared(config: Config, within_s: float) -> PlacementGroup | None:
    """The room of those who share GPUs, a bundle for each GPU; None if each has its own. Raises as `reserve` does."""
    if not config.shares_gpus:
        return None
    return reserve(config.learner, shared_bundle(config), within_s)


def in_room(options: Mapping[str, Any], room: PlacementGroup | None, slot: int) -> dict[str, Any]:
    """Ray's options for the worker `slot` of a role: with a room, it is in the bundle of that number."""
    if room is None:
        return dict(options)
    pinned = {"num_gpus": SHARE, "scheduling_strategy": PlacementGroupSchedulingStrategy(room, slot)}
    return {key: value for key, value in options.items() if key != "label_selector"} | pinned


class Actors:
    """Calls to several actors at once, which must answer within `limit_s`. Tests replace it."""

    def __init__(self, limit_s: float = 1800.0):
        self._limit_s = limit_s

    def call(self, actors: Sequence[Any], method: str, *args: Any) -> dict[Any, Any]:
        """The answer of each actor. One that dies meanwhile is left out; its pool replaces it.

        Raises EngineError if one has not answered after `limit_s`.
        """
        calls = {actor: getattr(actor, method).remote(*args) for actor in actors}
        waited = f"an answer of {len(calls)} workers to {method}"
        if not Waiting(waited, self._limit_s).all_ready(list(calls.values())):
            fix = "look for a worker that is stuck (`ray stack` on its node), or raise cluster.push_timeout_s"
            raise EngineError(waited, f"nothing of some after {self._limit_s:g} s", fix)
        answers = {}
        for actor, call in calls.items():
            with suppress(RayActorError):
                answers[actor] = ray.get(call)
        return answers

    def kill(self, actor: Any) -> None:
        ray.kill(actor)


class GpuSharing(Protocol):
    @property
    def asleep(self) -> Mapping[Any, CanaryLogps] | None:
        """What each sleeping worker answered to the canary before it slept. None if workers never sleep."""
        ...

    def give_to_learner(self, canary: Sequence[Continuation]) -> None:
        """Put the samplers and the judge to sleep and load the learner. Samplers answer `canary`, if any, before they sleep."""
        ...

    def push(self, push: Push) -> Agreement | None:
        """Send weights to the samplers, who have the GPUs from then on. Returns the canary's worst answer."""
        ...


class Dedicated:
    """Each role has its own GPUs, or all of them compute on a CPU."""

    asleep = None

    def __init__(self, rollouts: RolloutPool):
        self._rollouts = rollouts

    def give_to_learner(self, canary: Sequence[Continuation]) -> None:
        """Nothing to do: the learner has its own GPUs."""

    def push(self, push: Push) -> Agreement | None:
        return self._rollouts.push(push)


class Colocated:
    """The samplers have the GPUs first: `start_workers` offloads the learner before it starts them.

    `keeps_weights`: samplers keep their weights while they sleep, because they will receive only an adapter.
    """

    def __init__(
        self,
        rollouts: RolloutPool,
        judge: WorkerPool,
        learner: DurableLearner,
        keeps_weights: bool,
        actors: Actors,
    ):
        self._rollouts, self._judge, self._learner, self._actors = rollouts, judge, learner, actors
        self._sleep_level = KEEP_WEIGHTS if keeps_weights else DROP_WEIGHTS
        self._learner_has_gpus = False
        self.asleep: dict[Any, CanaryLogps] = {}

    def give_to_learner(self, canary: Sequence[Continuation]) -> None:
        if self._learner_has_gpus:
            return
        samplers = self._rollouts.pool.actors
        self.asleep = self._actors.call(samplers, "canary", canary) if canary else {}
        self._actors.call(samplers, "sleep", self._sleep_level)
        self._actors.call(self._judge.actors, "sleep", KEEP_WEIGHTS)
        with suppress(LearnerDied):  # a dead learner holds no GPU; its next call starts it on them
            self._learner.group.reload()
        self._learner_has_gpus = True

    def push(self, push: Push) -> Agreement | None:
        if isinstance(push.weights, Sender):
            self._send(push.weights)
        with suppress(LearnerDied):
            self._learner.group.offload()
        self._learner_has_gpus = False
        agreement = self._rollouts.push(push)
        for part in ("weights", "kv_cache"):
            self._actors.call(self._judge.actors, "wake", part)
        return agreement

    def _send(self, weights: Sender) -> None:
        """Send from GPU to GPU, which must happen before the learner leaves."""
        samplers = list(self._actors.call(self._rollouts.pool.actors, "wake", "weights"))
        try:
            weights.send(samplers)
        except EngineDied:
            for sampler in samplers:
                self._actors.kill(sampler)  # the pool replaces it, and the new one loads the folder


def share_gpus(config: Config, rollouts: RolloutPool, judge: WorkerPool, learner: DurableLearner) -> GpuSharing:
    if not config.pipeline.colocated:
        return Dedicated(rollouts)
    actors = Actors(config.cluster.push_timeout_s)
    return Colocated(rollouts, judge, learner, config.weights.backend == "lora", actors)
