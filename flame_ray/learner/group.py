"""N ranks of the learner as one object, on Ray.

In: pairs. Out: reports, and references to weights in the object store. Knows where ranks are placed and how long to wait
for them; knows nothing of what they compute. Every call goes to all ranks, because under ZeRO all of them take part.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError

from flame_ray.config import LearnerConfig
from flame_ray.errors import EngineError, FlameError, PlacementError
from flame_ray.learner.actor import LearnerActor
from flame_ray.types import Pair, TrainingReport

OnStep = Callable[[int, int], None]  # (units done, units in all)


@dataclass(frozen=True, slots=True)
class LearnerGroup:
    """`actors[r]` is rank r. `timeout_s` bounds every single wait, none of which covers more than one unit of work."""

    actors: tuple[Any, ...]
    timeout_s: float

    @classmethod
    def start(
        cls,
        model_path: str,
        config: LearnerConfig,
        seed: int,
        options: dict[str, Any] | None = None,
        timeout_s: float = 1800,
        trust_remote_code: bool = False,
        resume_from: str | None = None,
    ) -> "LearnerGroup":
        """Place the ranks, let them meet, load the model. `options`: Ray's actor options; `name` is a prefix."""
        options = {"num_cpus": config.cpus, "num_gpus": config.gpus, **(options or {})}
        prefix = options.pop("name", "learner")
        remote = ray.remote(LearnerActor)
        actors: tuple[Any, ...] = tuple(
            remote.options(name=f"{prefix}-{rank}", **options).remote(
                model_path, config, rank, config.workers, seed, trust_remote_code, resume_from
            )
            for rank in range(config.workers)
        )
        group = cls(actors, timeout_s)
        addresses = group._placed(options)
        hosts = [address.rpartition(":")[0] for address in addresses]
        ranks_at = Counter(hosts)
        calls = [
            actor.connect.remote(f"tcp://{addresses[0]}", ranks_at[host]) for actor, host in zip(actors, hosts, strict=True)
        ]
        group._wait(calls, f"{config.workers} learner ranks to meet and load {model_path}")
        return group

    def train(self, pairs_D: Sequence[Pair], round: int, on_step: OnStep | None = None) -> TrainingReport:
        """One round: the reference pass, then `learner.epochs` over the pairs."""
        pairs = ray.put(tuple(pairs_D))
        units = self._all("begin", pairs, round, waited=f"the learner to begin round {round}")[0]
        for unit in range(units):
            self._all("advance", waited=f"learner unit {unit + 1} of {units} in round {round}")
            if on_step:
                on_step(unit + 1, units)
        return self._all("finish", waited=f"the learner's report on round {round}")[0]

    def export(self) -> ray.ObjectRef:
        """A reference to rank 0's `WeightArrays`, put once; whoever gets it on a node shares one copy there."""
        calls = self._call("export")
        ready, _ = ray.wait(calls, num_returns=len(calls), timeout=self.timeout_s, fetch_local=False)
        if len(ready) < len(calls):
            raise self._late("the learner's merged weights")
        self._wait(calls[1:], "the learner's merged weights")
        return calls[0]

    def canary(self, prompt_ids: Sequence[int], response_ids: Sequence[int]) -> list[float]:
        """Log-probabilities of the response's tokens under the weights as they are now."""
        return self._all("canary", prompt_ids, response_ids, waited="the learner's canary")[0]

    def save(self, folder: Path, merged: bool = False) -> None:
        """Written by rank 0, on its own node: `folder` must lie on storage that the driver shares."""
        self._all("save", folder, merged, waited=f"the learner to write {folder}")

    def stop(self) -> None:
        for actor in self.actors:
            ray.kill(actor)

    def _call(self, method: str, *args: Any) -> list[ray.ObjectRef]:
        return [getattr(actor, method).remote(*args) for actor in self.actors]

    def _all(self, method: str, *args: Any, waited: str) -> list[Any]:
        return self._wait(self._call(method, *args), waited)

    def _wait(self, calls: list[ray.ObjectRef], waited: str) -> list[Any]:
        try:
            return ray.get(calls, timeout=self.timeout_s)
        except GetTimeoutError as error:
            raise self._late(waited) from error
        except RayActorError as error:
            raise EngineError(
                waited, f"a learner rank died ({error})", "see that rank's log; resume the run once the cause is gone"
            ) from error
        except ray.exceptions.RayTaskError as error:
            raise _own(error) from error

    def _late(self, waited: str) -> EngineError:
        return EngineError(
            waited, f"nothing after {self.timeout_s:g} s", "look for a rank that is stuck or slow (`ray stack` on its node)"
        )

    def _placed(self, options: dict[str, Any]) -> list[str]:
        """Every rank's address; a wait here is a wait for room in the cluster."""
        try:
            return ray.get(self._call("address"), timeout=self.timeout_s)
        except GetTimeoutError as error:
            asked = f"{len(self.actors)} learner ranks of {options['num_cpus']} CPUs and {options['num_gpus']} GPUs each"
            have = {name: amount for name, amount in ray.cluster_resources().items() if name in ("CPU", "GPU")}
            raise PlacementError(
                f"room for {asked} within {self.timeout_s:g} s",
                f"a cluster of {have}",
                "lower learner.workers, cpus or gpus, or add nodes",
            ) from error


def _own(error: ray.exceptions.RayTaskError) -> Exception:
    """Our own error as a rank raised it; anything else stays as Ray wrapped it."""
    return error.cause if isinstance(error.cause, FlameError) else error
