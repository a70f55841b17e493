"""All ranks of the learner as one object, on Ray.

Every call goes to all ranks, because under ZeRO all of them take part. When a rank dies, the group is lost: calls raise
`LearnerDied`, and `start` makes a new group from a saved state.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, NodeDiedError, OutOfMemoryError, RayActorError, RayError, RayTaskError
from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from flame_ray.cluster.capacity import reserve
from flame_ray.cluster.interrupt import POLL_S, raise_if_interrupted
from flame_ray.config import LearnerConfig
from flame_ray.engines.base import Continuation, Rendezvous
from flame_ray.errors import EngineError, FlameError, LearnerDied
from flame_ray.learner.actor import LearnerActor
from flame_ray.learner.data import Example
from flame_ray.storage.atomic import verify_manifest
from flame_ray.storage.local_copy import Folder
from flame_ray.types import TrainingReport

OnStep = Callable[[int, int], None]  # (units done, units in all)
OnCheckpoint = Callable[[int], Folder]  # optimizer steps done in the round -> the folder for its state
CHUNK_BYTES = 256 * 2**20
DEAD = (RayActorError, NodeDiedError, OutOfMemoryError)
DEATH_S = 15.0  # surviving ranks may report a lost connection before Ray reports the death


@dataclass(frozen=True, slots=True)
class LearnerGroup:
    """`actors[r]` is rank r. `timeout_s` limits every single wait; no wait covers more than one unit of work.

    `chunk_bytes`: how much of the weights is gathered and exported at a time.
    """

    actors: tuple[Any, ...]
    timeout_s: float
    checkpoint_steps: int | None = None
    room: PlacementGroup | None = None
    chunk_bytes: int = CHUNK_BYTES

    @classmethod
    def start(
        cls,
        model_path: str,
        config: LearnerConfig,
        seed: int,
        options: dict[str, Any] | None = None,
        timeout_s: float = 1800,
        trust_remote_code: bool = False,
        resume_from: Folder | None = None,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> "LearnerGroup":
        """Place the ranks, connect them, and load the model. `options` are Ray's actor options; their `name` is a prefix.

        `resume_from`: a folder that `save_state` wrote, with any number of ranks and ZeRO stage; every rank reads it. Raises
        StorageError before anything is placed if it is damaged, and Interrupted, with all resources freed, when the process
        is asked to stop.
        """
        if isinstance(resume_from, Path):
            verify_manifest(resume_from)
        options = {"num_cpus": config.cpus or 0.01, "num_gpus": config.gpus, **(options or {})}
        prefix = options.pop("name", "learner")
        options.pop("label_selector", None)  # the room is on nodes of these labels already
        bundle = {"CPU": options["num_cpus"], "GPU": options["num_gpus"]}
        room = reserve("learner", config, bundle, config.placement, timeout_s)
        remote = ray.remote(LearnerActor)
        actors: tuple[Any, ...] = tuple(
            remote.options(
                name=f"{prefix}-{rank}", scheduling_strategy=PlacementGroupSchedulingStrategy(room, rank), **options
            ).remote(model_path, config, rank, seed, trust_remote_code)
            for rank in range(config.workers)
        )
        group = cls(actors, timeout_s, config.checkpoint_steps, room, chunk_bytes)
        try:
            group._connect(resume_from)
        except BaseException:
            group.stop()
            raise
        return group

    @property
    def nodes(self) -> frozenset[str]:
        """Ids of the nodes that have a rank."""
        table = placement_group_table(self.room) if self.room is not None else {}
        return frozenset(table.get("bundles_to_node_id", {}).values())

    def train(
        self,
        examples_D: Sequence[Example],
        round: int,
        on_step: OnStep | None = None,
        on_checkpoint: OnCheckpoint | None = None,
    ) -> TrainingReport:
        """Train one round: the reference pass, then `learner.epochs` over the examples, without what a saved state has done.

        With `on_checkpoint`, the state is saved every `learner.checkpoint_steps` steps. A round that is finished in the
        state is not trained again: its report is returned. Raises EngineError if the state is inside another round.
        """
        examples = ray.put(tuple(examples_D))
        units = self._all("begin", examples, round, waited=f"the learner to begin round {round}")[0]
        for unit in units:
            step = self._all("advance", waited=f"learner unit {unit + 1} of {units.stop} in round {round}")[0]
            if on_step:
                on_step(unit + 1, units.stop)
            if on_checkpoint and self.checkpoint_steps and step and step % self.checkpoint_steps == 0:
                self.save_state(on_checkpoint(step))
        return self._all("finish", waited=f"the learner's report on round {round}")[0]

    def export(self) -> tuple[ray.ObjectRef, ...]:
        """References to rank 0's `WeightArrays`, each of at most `chunk_bytes`; together they are the merged weights.

        A chunk is in the object store before the next one is gathered. All readers on a node share one copy. Ray frees the
        chunks when the last of these references is dropped.
        """
        chunks = self._all("begin_export", self.chunk_bytes, waited="the learner to count its weights")[0]
        return tuple(self._export_chunk(f"chunk {number} of {chunks} of the weights") for number in range(1, chunks + 1))

    def _export_chunk(self, waited: str) -> ray.ObjectRef:
        calls = self._call("export_chunk")
        ready, _ = ray.wait(calls, num_returns=len(calls), timeout=self.timeout_s, fetch_local=False)
        if len(ready) < len(calls):
            raise self._late(waited)
        alive = self.actors[0].__ray_ready__.remote()  # the weights are not fetched here, so they would not show a death
        self._wait([alive, *calls[1:]], waited)
        return calls[0]

    def send(self, ranks: Mapping[Any, int], backend: str) -> None:
        """Send the merged weights from GPU to GPU to rollout workers, by `backend` (nccl or ipc). `ranks`: the GPUs of each.

        Raises EngineError (or LearnerDied, a kind of it) when a side died or is late: the others then wait for ever.
        """
        waited = f"the learner to send weights to {len(ranks)} rollout workers"
        (address,) = self._wait([self.actors[0].address.remote()], waited)
        host, _, port = address.rpartition(":")
        rendezvous = Rendezvous(host.strip("[]"), int(port), tuple(ranks.values()))
        self._all("send", tuple(ranks), backend, rendezvous, self.chunk_bytes, waited=waited)

    def offload(self) -> None:
        """Free the ranks' GPUs: everything on them moves to the memory of their machines."""
        self._all("offload", waited="the learner to free its GPUs")

    def reload(self) -> None:
        """Undo `offload`; must come before any other call."""
        self._all("reload", waited="the learner to return to its GPUs")

    def canary(self, sequences: Sequence[Continuation], added: bool = False, initial: bool = False) -> list[list[float]]:
        """Log-probabilities of the sequences' tokens under the current weights, or under the `initial` ones (with LoRA).

        `added`: an adapter is added as samplers of the same dtype add it, and not merged in exactly.
        """
        return self._all("canary", tuple(sequences), added, initial, waited="the learner's canary")[0]

    def save(self, folder: Folder, merged: bool = False) -> None:
        """Rank 0 writes the adapter or the merged model on its own node: the path must be on storage that all nodes share."""
        self._all("save", folder, merged, waited=f"the learner to write {folder}")

    def save_state(self, folder: Folder) -> None:
        """Rank 0 writes, with a manifest, what `start` can resume from. The folder must be on storage that all nodes share."""
        self._all("save_state", folder, waited=f"the learner to write its state to {folder}")

    def stop(self) -> None:
        """Kill every rank, and free the placement group. Returns at once, also if ranks are dead already."""
        for actor in self.actors:
            with suppress(RayError):
                ray.kill(actor)
        if self.room is not None:
            remove_placement_group(self.room)

    def _call(self, method: str, *args: Any) -> list[ray.ObjectRef]:
        return [getattr(actor, method).remote(*args) for actor in self.actors]

    def _all(self, method: str, *args: Any, waited: str) -> list[Any]:
        return self._wait(self._call(method, *args), waited)

    def _wait(self, calls: list[ray.ObjectRef], waited: str, get: Callable[..., list[Any]] = ray.get) -> list[Any]:
        try:
            return get(calls, timeout=self.timeout_s)
        except GetTimeoutError as error:
            raise self._late(waited) from error
        except DEAD as error:
            raise _died(waited, error) from error
        except RayTaskError as error:
            death = None if isinstance(error.cause, FlameError) else _death(calls)
            raise (_died(waited, death) if death else _own(error)) from error

    def _late(self, waited: str) -> EngineError:
        return EngineError(
            waited, f"nothing after {self.timeout_s:g} s", "look for a rank that is stuck or slow (`ray stack` on its node)"
        )

    def _connect(self, resume_from: Folder | None) -> None:
        addresses = self._wait(self._call("address"), "the addresses of the learner ranks", _get_unless_stopped)
        hosts = [address.rpartition(":")[0] for address in addresses]
        ranks_at = Counter(hosts)
        calls = [
            actor.connect.remote(f"tcp://{addresses[0]}", ranks_at[host], resume_from)
            for actor, host in zip(self.actors, hosts, strict=True)
        ]
        self._wait(calls, f"{len(self.actors)} learner ranks to connect and load the model", _get_unless_stopped)


def _get_unless_stopped(calls: list[ray.ObjectRef], timeout: float) -> list[Any]:
    """Like ray.get, but raises Interrupted when the process is asked to stop."""
    deadline = time.monotonic() + timeout
    while True:
        raise_if_interrupted()
        try:
            return ray.get(calls, timeout=POLL_S)
        except GetTimeoutError:
            if time.monotonic() >= deadline:
                raise


def _died(waited: str, error: RayError) -> LearnerDied:
    return LearnerDied(waited, f"a learner rank died ({error})", "see that rank's log; resume the run when the cause is gone")


def _death(calls: list[ray.ObjectRef]) -> RayError | None:
    """The death of a rank among the calls, if Ray reports one."""
    ready, _ = ray.wait(calls, num_returns=len(calls), timeout=DEATH_S)
    for call in ready:
        try:
            ray.get(call)
        except DEAD as error:
            return error
        except RayTaskError:
            continue
    return None


def _own(error: RayTaskError) -> Exception:
    """Our own error as the rank raised it; any other error as Ray wrapped it."""
    return error.cause if isinstance(error.cause, FlameError) else error
