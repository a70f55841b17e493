"""Decides who may use the GPUs: the samplers and the judge, or the learner.

With GPUs of their own (`Dedicated`) they never wait for each other. On shared GPUs (`Colocated`, `pipeline.colocated`) no
KV cache is on a GPU while the learner is: samplers and judge sleep before the learner loads; after training the samplers
load the new weights, the learner leaves, and the KV caches come back. On a CPU vLLM cannot sleep, and the same calls do
nothing. Not yet tried on a GPU. A sampler that dies while the learner has the GPUs has no room to start again: the run
ends with vLLM's error, and continues with --resume.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import ray
from ray.exceptions import RayActorError

from flame_ray.cluster.pool import WorkerPool
from flame_ray.config import Config
from flame_ray.engines.base import Continuation
from flame_ray.errors import EngineDied, LearnerDied
from flame_ray.learner.durable import DurableLearner
from flame_ray.rollout.pool import RolloutPool
from flame_ray.weights import Agreement, Answer, Push, Sender

CALL_TIMEOUT_S = 600.0
KEEP_WEIGHTS, DROP_WEIGHTS = 1, 2  # vLLM's sleep levels: weights go to the machine's memory, or are dropped


class Actors:
    """Calls to several actors at once. Tests replace it."""

    def call(self, actors: Sequence[Any], method: str, *args: Any) -> dict[Any, Any]:
        """The answer of each actor. One that dies meanwhile is left out; its pool replaces it."""
        answers = {}
        for actor, pending in [(actor, getattr(actor, method).remote(*args)) for actor in actors]:
            with suppress(RayActorError):
                answers[actor] = ray.get(pending, timeout=CALL_TIMEOUT_S)
        return answers

    def kill(self, actor: Any) -> None:
        ray.kill(actor)


class GpuSharing(Protocol):
    @property
    def asleep(self) -> Mapping[Any, Answer] | None:
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
        actors: Actors = Actors(),  # noqa: B008  (it has no state)
    ):
        self._rollouts, self._judge, self._learner, self._actors = rollouts, judge, learner, actors
        self._sleep_level = KEEP_WEIGHTS if keeps_weights else DROP_WEIGHTS
        self._learner_has_gpus = False
        self.asleep: dict[Any, Answer] = {}

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
    return Colocated(rollouts, judge, learner, keeps_weights=config.weights.backend == "lora")
