"""Whose turn it is on the GPUs: samplers and judge, or the learner.

In: pools and a learner. Out: calls that the stages make before the learner is used and when weights go to the samplers.
Where everyone has GPUs of its own, `Apart`, they cost nothing. Where they share (`pipeline.colocated`), nobody is awake with
a KV cache while the learner is on the GPU: samplers and judge sleep, the learner comes; the samplers' weights wake, the new
ones arrive, the learner leaves, the KV caches wake. On a CPU, where vLLM cannot sleep, the same calls are made and the
engines do nothing. Untried on a GPU. A sampler that dies in the learner's turn finds no room to start again before its own:
the run then ends with what vLLM said, and goes on with --resume.
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
from flame_ray.weights import Push

CALL_S = 600.0
KEEP, FORGET = 1, 2  # vLLM's levels of sleep: with the weights in the machine's memory, or without


class Actors:
    """Calls to many of them at once; a double of it stands in for Ray in tests."""

    def call(self, actors: Sequence[Any], method: str, *args: Any) -> dict[Any, Any]:
        """Each living actor's answer; one that dies meanwhile has none, and its pool knows."""
        answers = {}
        for actor, pending in [(actor, getattr(actor, method).remote(*args)) for actor in actors]:
            with suppress(RayActorError):
                answers[actor] = ray.get(pending, timeout=CALL_S)
        return answers

    def kill(self, actor: Any) -> None:
        ray.kill(actor)


class Turns(Protocol):
    @property
    def asleep(self) -> Mapping[Any, Sequence[float]] | None:
        """The canary's answers of workers that sleep; None where nobody ever does."""
        ...

    def learner(self, canary: Continuation | None) -> None:
        """From now on it is the learner's turn; nothing if it is already. Samplers answer `canary` before they sleep."""
        ...

    def push(self, push: Push) -> float:
        """Weights to the samplers, whose turn it is from then on; returns the largest canary gap."""
        ...


class Apart:
    """No turns: everyone has GPUs of its own, or all compute on a CPU."""

    asleep = None

    def __init__(self, rollouts: RolloutPool):
        self._rollouts = rollouts

    def learner(self, canary: Continuation | None) -> None:
        """Nobody is in its way."""

    def push(self, push: Push) -> float:
        gap = self._rollouts.push(push)
        push.close()
        return gap


class Colocated:
    """The samplers' turn comes first: `start_workers` lets the learner leave before it starts them.

    `keeps_weights`: samplers are sent adapters, and go on from the weights that they have.
    """

    def __init__(
        self,
        rollouts: RolloutPool,
        judge: WorkerPool,
        learner: DurableLearner,
        keeps_weights: bool,
        actors: Actors = Actors(),  # noqa: B008  (it holds nothing)
    ):
        self._rollouts, self._judge, self._learner, self._actors = rollouts, judge, learner, actors
        self._level = KEEP if keeps_weights else FORGET
        self._is_learners = False
        self.asleep: dict[Any, Sequence[float]] = {}

    def learner(self, canary: Continuation | None) -> None:
        if self._is_learners:
            return
        samplers = self._rollouts.pool.actors
        self.asleep = self._actors.call(samplers, "canary", canary) if canary else {}
        self._actors.call(samplers, "sleep", self._level)
        self._actors.call(self._judge.actors, "sleep", KEEP)
        with suppress(LearnerDied):  # it holds no GPU then, and starts again on it at its next call
            self._learner.group.reload()
        self._is_learners = True

    def push(self, push: Push) -> float:
        if callable(push.weights):
            self._send(push)
        with suppress(LearnerDied):
            self._learner.group.offload()
        self._is_learners = False
        gap = self._rollouts.push(push)
        for part in ("weights", "kv_cache"):
            self._actors.call(self._judge.actors, "wake", part)
        return gap

    def _send(self, push: Push) -> None:
        """From GPU to GPU, so while the learner is still there."""
        assert callable(push.weights)
        for sampler in self._actors.call(self._rollouts.pool.actors, "wake", "weights"):
            try:
                push.weights(sampler)
            except (EngineDied, RayActorError):
                self._actors.kill(sampler)  # the pool fills its place, and the next one loads the folder
        push.close()


def turns_of(config: Config, rollouts: RolloutPool, judge: WorkerPool, learner: DurableLearner) -> Turns:
    if not config.pipeline.colocated:
        return Apart(rollouts)
    return Colocated(rollouts, judge, learner, keeps_weights=config.weights.backend == "lora")
