"""A job of its own: a pool of one to three workers on nodes that come, go while the learner would train, come again, and drain.

It is submitted to a cluster that scales, and prints what it saw as JSON after the word FOUND.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import ray

from flame_ray.cluster.event_loop import EventLoop
from flame_ray.cluster.notices import Notice
from flame_ray.cluster.pool import Limits, WorkerPool
from flame_ray.commands.leave_node import NodeToLeave, leave_node
from flame_ray.controller.idle_pools import IdlePools
from flame_ray.controller.workers import _leave_draining_nodes

PATIENCE_S = 900.0  # a node needs minutes where others compute
LEAST, MOST, ITEMS = 1, 3, 30


class Sampler:
    """Says where it does an item, and from what version of the weights. An item is a folder, and how many nodes must have left
    their names there before it is done.
    """

    def __init__(self) -> None:
        self.version = 0

    def ready(self) -> int:
        return self.version

    def load(self, version: int) -> None:
        self.version = version

    def sample(self, items):
        for position, (folder, enough) in enumerate(items):
            Path(folder, _node()).touch()
            wait_for(lambda names=Path(folder), least=enough: len(list(names.iterdir())) >= least)
            yield position, (_node(), self.version)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nodes: {nodes()}")
        time.sleep(0.1)


def nodes() -> set[str]:
    """Those that are there, but for the head, which has no CPU."""
    return {node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")}


def sampled(pool: WorkerPool, folder: Path, workers: int) -> tuple[set[str], set[int]]:
    """On which nodes items are done, and from which versions of the weights, once so many workers have one at the same time."""
    folder.mkdir()
    answers = [pool.submit("sample", (folder, workers)) for _ in range(ITEMS)]
    places, versions = zip(*(answer.result(PATIENCE_S) for answer in answers), strict=True)
    return set(places), set(versions)


def main(folder: Path) -> None:
    ray.init(log_to_driver=False)
    found: dict[str, object] = {"nodes before": len(nodes())}
    event_loop, remote = EventLoop(), ray.remote(num_cpus=1)(Sampler)
    limits = Limits(MOST, LEAST, 1, start_timeout_s=PATIENCE_S)
    pool = WorkerPool("rollout", lambda slot, life: remote.remote(), limits, event_loop)
    event_loop.start(_leave_draining_nodes((pool,)))

    pool.wait_ready()
    found["nodes at first"] = len(sampled(pool, folder / "first", LEAST)[0])
    pool.grow()
    wait_for(lambda: len(pool.actors) == MOST)
    found["nodes that sample"] = len(sampled(pool, folder / "grown", MOST)[0])

    idle = IdlePools([pool])
    idle.release()
    wait_for(lambda: not nodes())
    found["nodes while the learner trains"] = len(nodes())

    async def load(actor) -> None:
        await actor.load.remote(1)

    idle.take_back()
    pool.update(1, load)
    idle.grow()
    wait_for(lambda: len(pool.actors) == MOST)
    places, versions = sampled(pool, folder / "back", MOST)
    found |= {"nodes after": len(places), "versions after": sorted(versions)}

    held_by = folder / "held"
    held_by.mkdir()
    held = pool.submit("sample", (held_by, 2))  # its worker cannot finish it alone
    wait_for(lambda: list(held_by.iterdir()))
    (doomed,) = (each.name for each in held_by.iterdir())
    others = [pool.submit("sample", (folder / "back", 1)) for _ in range(ITEMS)]
    leave_node(Notice("a test", PATIENCE_S), NodeToLeave(doomed))
    wait_for(lambda: pool.moves)
    answers = [answer.result(PATIENCE_S) for answer in (held, *others)]
    wait_for(lambda: doomed not in nodes() and len(pool.actors) == MOST)
    found |= {"answers under the drain": len(answers), "versions under the drain": sorted({each for _, each in answers})}
    places, _ = sampled(pool, folder / "drained", MOST)
    found |= {"drained node samples": doomed in places, "moves": pool.moves, "deaths": pool.deaths}
    sys.stdout.write(f"FOUND {json.dumps(found)}\n")
    pool.close()
    event_loop.close()


def _node() -> str:
    return ray.get_runtime_context().get_node_id()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
