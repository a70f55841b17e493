"""Finds nodes that do not see a folder which they need, as that of a run, before work is spent on them."""

import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, TaskUnschedulableError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from flame_ray.cluster.waiting import Waiting
from flame_ray.errors import NotShared
from flame_ray.learner.durable import DurableLearner
from flame_ray.rollout.pool import RolloutPool
from flame_ray.storage.filesystem import Storage

GONE = (RayActorError, WorkerCrashedError, TaskUnschedulableError)  # what comes in its place finds the folder, or fails
LOOK_S = 60.0  # how long a node may take to read one line
Ask = Callable[[str, str], list[ray.ObjectRef]]  # the file to look for and its text -> a call of `_look` for each node


def check_shared(storage: Storage, learner: DurableLearner, rollouts: RolloutPool | None = None) -> None:
    """Raises NotShared if a node that needs the run's folder sees another one, or none, at its path.

    The node of the learner's rank 0 writes there; those of the other ranks read its states, and those of samplers that join
    later the weights. On one node, and for a URL, nothing is asked.
    """
    if storage.local is None or sum(node["Alive"] for node in ray.nodes()) < 2:
        return
    samplers = rollouts.pool.actors if rollouts else []
    writer, *readers = (*learner.group.actors, *samplers)
    if unseen := find_unseen(storage, writer, readers):
        raise NotShared(
            f"{storage.url} to be the same folder on every node that needs it",
            "; ".join(sorted(set(unseen))),
            "set run.root to a filesystem that every node mounts, or to a URL such as s3://bucket/runs",
        )


def check_every_node(folder: Path, setting: str) -> None:
    """Raises NotShared if a node of the cluster sees another folder or none at this path. Only those that are up are asked."""
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    if len(nodes) < 2:
        return
    look = ray.remote(num_cpus=0)(_look)
    strategies = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]

    def ask(marker: str, text: str) -> list[ray.ObjectRef]:
        return [look.options(scheduling_strategy=each).remote(None, marker, text, True) for each in strategies]

    if unseen := _unseen(Storage(folder), ask, setting):
        raise NotShared(
            f"{folder} ({setting}) to be the same folder on every node of the cluster",
            "; ".join(sorted(set(unseen))),
            f"set {setting} to a folder on a filesystem that every node mounts at the same path",
        )


def find_unseen(storage: Storage, writer: Any, readers: Sequence[Any]) -> list[str]:
    """`node: reason` of each actor that does not find in the folder what this process writes there. It is removed again."""

    def ask(marker: str, text: str) -> list[ray.ObjectRef]:
        return [actor.__ray_call__.remote(_look, marker, text, actor is writer) for actor in (writer, *readers)]

    return _unseen(storage, ask)


def _unseen(storage: Storage, ask: Ask, setting: str = "run.root") -> list[str]:
    with storage.trial(setting) as folder:
        marker, text = Path(folder) / "marker", uuid.uuid4().hex
        marker.write_text(text)
        calls = ask(str(marker), text)
        Waiting(f"an answer of each node that needs the folder of {setting}", LOOK_S).all_ready(calls)
        answers = [_answer(call) for call in calls]
    return [answer for answer in answers if answer]


def _look(_: Any, marker: str, text: str, writes: bool) -> str:
    """On a node: `node: reason`, or "" if it sees the marker, and can write beside it if it has to."""
    try:
        found = Path(marker).read_text()
        if found == text and writes:
            Path(marker).with_name("answer").write_text(text)
        reason = "" if found == text else "a folder of its own there"
    except OSError as error:
        reason = f"{error.strerror} at {error.filename}"
    return f"node {ray.util.get_node_ip_address()}: {reason}" if reason else ""


def _answer(call: ray.ObjectRef) -> str:
    with suppress(*GONE):
        try:
            answer: str = ray.get(call, timeout=0)
            return answer
        except GetTimeoutError:
            return f"a node that did not answer within {LOOK_S:g} s"
    return ""
