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
from flame_ray.cluster.waiting import Waiting
from flame_ray.config import ClusterConfig, LearnerConfig
from flame_ray.engines.base import Continuation, Rendezvous
from flame_ray.engines.models import ModelRef
from flame_ray.errors import EngineError, FlameError, LearnerDied
from flame_ray.learner.actor import LearnerActor
from flame_ray.learner.data import Example
from flame_ray.learner.train_state import Progress
from flame_ray.storage.atomic import verify_manifest
from flame_ray.storage.local_copy import Folder
from flame_ray.types import TrainingReport

OnStep = Callable[[Progress], None]  # after each unit of work
OnCheckpoint = Callable[[int], Folder]  # optimizer steps done in the round -> the folder for its state
CHUNK_BYTES = 256 * 2**20
DEAD = (RayActorError, NodeDiedError, OutOfMemoryError)
POLL_S = 1.0  # an answer ends the wait at once; a signal, and the next reminder, may be noticed so much later
DEATH_S = 15.0  # surviving ranks may report a lost connection before Ray reports the death


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that one wait may take, by what is waited for. `step` is one unit of work, `push` a whole push of weights."""

    start: float = 900.0
    step: float = 1800.0
    save: float = 3600.0
    push: float = 1800.0

    @classmethod
    def of(cls, config: ClusterConfig) -> "Timeouts":
        return cls(config.start_timeout_s, config.step_timeout_s, config.save_timeout_s, config.push_timeout_s)


@dataclass(frozen=True, slots=True)
class LearnerGroup:
    """`actors[r]` is rank r. `chunk_bytes`: how much of the weights is gathered and exported at a time. `keeps_room`: the room
    outlives the group. `kind`: the class of the ranks, with which the names of their tasks begin.
    """

    actors: tuple[Any, ...]
    timeouts: Timeouts = Timeouts()
    checkpoint_steps: int | None = None
    room: PlacementGroup | None = None
    chunk_bytes: int = CHUNK_BYTES
    keeps_room: bool = False
    kind: str = ""

    @classmethod
    def start(
        cls,
        model: ModelRef,
        config: LearnerConfig,
        seed: int,
        options: dict[str, Any] | None = None,
        timeouts: Timeouts = Timeouts(),
        resume_from: Folder | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        actor: type = LearnerActor,
        room: PlacementGroup | None = None,
    ) -> "LearnerGroup":
        """Place the ranks, connect them, and load the model. `options` are Ray's actor options; their `name` is a prefix.

        `resume_from`: a folder that `save_state` wrote, with any number of ranks and ZeRO stage; every rank reads it. Raises
        StorageError before anything is placed if it is damaged, and Interrupted, with all resources freed, when the process
        is asked to stop. `room`: where the ranks are placed, rank r in bundle r; None: in a room that is freed with them.
        """
        if isinstance(resume_from, Path):
            verify_manifest(resume_from)
        ends = time.monotonic() + timeouts.start
        options = {"num_cpus": config.cpus or 0.01, "num_gpus": config.gpus, **(options or {})}
        prefix = options.pop("name", "learner")
        options.pop("label_selector", None)  # the room is on nodes of these labels already
        keeps_room, bundle = room is not None, {"CPU": options["num_cpus"], "GPU": options["num_gpus"]}
        room = room or reserve(config, bundle, timeouts.start)
        remote: Any = ray.remote(actor)
        actors: tuple[Any, ...] = tuple(
            remote.options(
                name=f"{prefix}-{rank}", scheduling_strategy=PlacementGroupSchedulingStrategy(room, rank), **options
            ).remote(model, config, rank, seed)
            for rank in range(config.workers)
        )
        group = cls(actors, timeouts, config.checkpoint_steps, room, chunk_bytes, keeps_room, actor.__name__)
        try:
            group._connect(resume_from, ends)
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
        """Train one round: the reference pass, then the steps that the settings ask for, without what a saved state has done.

        With `on_checkpoint`, the state is saved every `learner.checkpoint_steps` steps. A round that is finished in the
        state is not trained again: its report is returned. Raises EngineError if the state is inside another round.
        """
        examples = ray.put(tuple(examples_D))
        label = f"round {round} train"
        at: Progress = self._all("begin", examples, round, waited=f"the learner to begin round {round}", label=label)[0]
        while not at.ended:
            waited = f"the learner after {at.done} of {at.total} in round {round}"
            at = self._all("advance", waited=waited, until_done=True, label=label)[0]
            if on_step:
                on_step(at)
            if on_checkpoint and self.checkpoint_steps and at.step and at.step % self.checkpoint_steps == 0:
                self.save_state(on_checkpoint(at.step))
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
        if not Waiting(waited, self.timeouts.push).all_ready(calls):
            raise _late(waited, self.timeouts.push)
        alive = self.actors[0].__ray_ready__.remote()  # the weights are not fetched here, so they would not show a death
        self._wait([alive, *calls[1:]], waited, self.timeouts.push)
        return calls[0]

    def send(self, ranks: Mapping[Any, int], backend: str) -> None:
        """Send the merged weights from GPU to GPU to rollout workers, by `backend` (nccl or ipc). `ranks`: the GPUs of each.

        Raises EngineError (or LearnerDied, a kind of it) when a side died or is late: the others then wait for ever.
        """
        waited = f"the learner to send weights to {len(ranks)} rollout workers"
        (address,) = self._wait([self.actors[0].address.remote()], waited, self.timeouts.push)
        host, _, port = address.rpartition(":")
        rendezvous = Rendezvous(host.strip("[]"), int(port), tuple(ranks.values()))
        self._all("send", tuple(ranks), backend, rendezvous, self.chunk_bytes, waited=waited, limit_s=self.timeouts.push)

    def offload(self) -> None:
        """Free the ranks' GPUs: everything on them moves to the memory of their machines."""
        self._all("offload", waited="the learner to free its GPUs", limit_s=self.timeouts.push)

    def reload(self) -> None:
        """Undo `offload`; must come before any other call."""
        self._all("reload", waited="the learner to return to its GPUs", limit_s=self.timeouts.push)

    def canary(self, sequences: Sequence[Continuation], added: bool = False, initial: bool = False) -> list[list[float]]:
        """Log-probabilities of the sequences' tokens under the current weights, or under the `initial` ones (with LoRA).

        `added`: an adapter is added as samplers of the same dtype add it, and not merged in exactly.
        """
        return self._all("canary", tuple(sequences), added, initial, waited="the learner's canary")[0]

    def save(self, folder: Folder, merged: bool = False) -> None:
        """Rank 0 writes the adapter or the merged model on its own node: the path must be on storage that all nodes share."""
        self._all("save", folder, merged, waited=f"the learner to write {folder}", limit_s=self.timeouts.save)

    def save_state(self, folder: Folder) -> None:
        """Rank 0 writes, with a manifest, what `start` can resume from. The folder must be on storage that all nodes share."""
        waited = f"the learner to write its state to {folder}"
        self._all("save_state", folder, waited=waited, limit_s=self.timeouts.save, until_done=True)

    def load_state(self, folder: Folder) -> None:
        """Go on from what `save_state` wrote, in the same ranks. Raises StorageError if it is damaged."""
        self._all("load_state", folder, waited=f"the learner to read its state from {folder}", limit_s=self.timeouts.start)

    def stop(self) -> None:
        """Kill every rank, and free the room unless it is kept. Returns at once, also if ranks are dead already."""
        for actor in self.actors:
            with suppress(RayError):
                ray.kill(actor)
        if self.room is not None and not self.keeps_room:
            remove_placement_group(self.room)

    def _call(self, method: str, *args: Any, label: str = "") -> list[ray.ObjectRef]:
        if not (self.kind and label):
            return [getattr(actor, method).remote(*args) for actor in self.actors]
        names = [f"{self.kind}.{method} {label} rank {rank}" for rank in range(len(self.actors))]
        return [getattr(actor, method).options(name=name).remote(*args) for actor, name in zip(self.actors, names, strict=True)]

    def _all(
        self, method: str, *args: Any, waited: str, limit_s: float | None = None, until_done: bool = False, label: str = ""
    ) -> list[Any]:
        """`limit_s` None: that of one step. `label`: the round and the stage, for the tasks' names in Ray's dashboard."""
        limit_s = self.timeouts.step if limit_s is None else limit_s
        return self._wait(self._call(method, *args, label=label), waited, limit_s, until_done)

    def _wait(self, calls: list[ray.ObjectRef], waited: str, limit_s: float, until_done: bool = False) -> list[Any]:
        """The answers of all ranks. With `until_done` a signal does not end the wait: no step or state is left half done."""
        waiting = Waiting(waited, limit_s, until_done=until_done)
        try:
            while waiting.has_time():
                with suppress(GetTimeoutError):
                    return ray.get(calls, timeout=POLL_S)
            raise _late(waited, limit_s)
        except (*DEAD, RayTaskError) as error:
            raise failure_of(error, waited, calls) from error

    def _connect(self, resume_from: Folder | None, ends: float) -> None:
        """`ends`: when the start must be over, by `time.monotonic`."""

        def wait(calls: list[ray.ObjectRef], waited: str) -> list[Any]:
            return self._wait(calls, waited, max(1.0, ends - time.monotonic()))

        addresses = wait(self._call("address"), "the addresses of the learner ranks")
        wait(self._call("find_model"), "the model on every learner rank's node")
        hosts = [address.rpartition(":")[0] for address in addresses]
        ranks_at = Counter(hosts)
        calls = [
            actor.connect.remote(f"tcp://{addresses[0]}", ranks_at[host], resume_from)
            for actor, host in zip(self.actors, hosts, strict=True)
        ]
        wait(calls, f"{len(self.actors)} learner ranks to connect and load the model")


def _late(waited: str, limit_s: float) -> EngineError:
    """The setting is named by its kind: the limits are those of `cluster`."""
    fix = "look for a rank that is stuck or slow (`ray stack` on its node), or raise the limit: cluster.*_timeout_s"
    return EngineError(waited, f"nothing after {limit_s:.0f} s", fix)


def failure_of(error: RayError, waited: str, calls: Sequence[ray.ObjectRef] = ()) -> Exception:
    """What an error means that came while `calls` to all ranks were `waited` for: a rank's death, or the error itself."""
    if not isinstance(error, RayTaskError):
        return _died(waited, error)
    death = None if isinstance(error.cause, FlameError) else _death(list(calls))
    return _died(waited, death) if death else _own(error)


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
