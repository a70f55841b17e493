"""Actors of one kind as one object that outlives each of them.

In: items of work, from any thread. Out: a future each. A worker takes a share of what waits and gives back each result as
soon as it has it; when it dies, the rest goes to others and a new worker takes its place. A worker serves only once it has
been brought to the pool's weight version (quarantine). Knows nothing of prompts, rewards or weights: an actor's method
takes (items, *context) and yields (position, result).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import ray

from flame_ray.cluster.event_loop import Background
from flame_ray.cluster.failures import Drained, cause_of, is_death
from flame_ray.cluster.interrupt import result_of
from flame_ray.cluster.task_queue import Task, TaskQueue
from flame_ray.errors import EngineError, PlacementError, WorkLost

log = logging.getLogger(__name__)
Bring = Callable[[Any], Awaitable[None]]  # takes an actor to the pool's weights
Spawn = Callable[[int, int], Any]  # (place, how often it was filled before) -> an actor with a method `ready`


@dataclass(frozen=True, slots=True)
class Limits:
    """`workers` are wanted, `min_workers` are enough to begin. `attempts`: how many workers one item may bring down."""

    workers: int
    min_workers: int
    batch: int
    start_timeout_s: float = 300.0
    call_timeout_s: float = 1800.0
    attempts: int = 5


class WorkerPool:
    """`limits.min_workers` places, `limits.workers` after `grow`; each is filled again when its worker is gone."""

    def __init__(self, name: str, spawn: Spawn, limits: Limits, background: Background):
        self.name, self.limits, self.deaths = name, limits, 0
        self._spawn, self._background = spawn, background
        self._tasks = TaskQueue()
        self._serving: dict[int, Any] = {}
        self._at: dict[int, int] = {}  # place -> weight version that it was brought to
        self._nodes: dict[int, tuple[str, asyncio.Task]] = {}  # place -> its node, and what it does there
        self._version = 0
        self._bring: Bring | None = None
        self._given_back = 0
        self._failure: BaseException | None = None
        self._changed = asyncio.Condition()
        self._places = [background.start(self._place(index)) for index in range(limits.min_workers)]

    @property
    def actors(self) -> list[Any]:
        """Those that serve now, in the order of their places."""
        return [actor for _, actor in sorted(self._serving.items())]

    def submit(self, method: str, item: Any, *context: Any, weight: int = 1, urgent: bool = False) -> Future:
        """Queue one item; those of the same method and context go to a worker together, up to a weight of `limits.batch`."""
        task = Task(method, item, context, weight, urgent)
        self._background.soon(self._put, task)
        return task.future

    def wait_ready(self) -> None:
        """Until `min_workers` serve. Raises PlacementError saying how many do not."""
        self._wait(lambda: len(self._serving) >= self.limits.min_workers, self.limits.start_timeout_s, self._unplaced)

    def grow(self) -> None:
        """Take the other places too, as the cluster has room: only once every other role has what it begins with."""
        self._places += [self._background.start(self._place(index)) for index in range(len(self._places), self.limits.workers)]

    def bring_to(self, version: int, bring: Bring) -> None:
        """Every worker runs `bring` before its next item, now or when it joins; waits for those that serve now."""
        self._background.start(self._set_version(version, bring)).result()
        self._wait(
            lambda: (
                len(self._serving) >= self.limits.min_workers
                and all(self._at.get(index, 0) == version for index in self._serving)
            ),
            self.limits.call_timeout_s + self.limits.start_timeout_s,
            lambda: self._behind(version),
        )

    def leave(self, nodes: set[str]) -> None:
        """Nodes that are about to go: their workers are given up at once, and what they had is done elsewhere."""
        self._background.soon(self._leave, nodes)

    def close(self) -> None:
        for place in self._places:
            place.cancel()

    def _put(self, task: Task) -> None:
        if self._failure is not None:
            task.refuse(self._failure)
        else:
            self._tasks.put(task)

    async def _place(self, index: int) -> None:
        """Fill one place, serve, and fill it again when the worker is gone."""
        barren = life = 0
        while self._failure is None:
            before, actor = self._given_back, self._spawn(index, life)
            try:
                await actor.ready.remote()
                await self._serve_on_its_node(index, actor)
            except Exception as error:  # whatever an actor raises; what is no death ends the pool with itself as the reason
                if not is_death(error):
                    return self._fail(cause_of(error))
                barren = barren + 1 if self._given_back == before else 0
                life, self.deaths = life + 1, self.deaths + 1
                log.warning("%s-%d is gone and is replaced: %s", self.name, index, cause_of(error))
                if barren >= self.limits.attempts:
                    return self._fail(self._barren(error, barren))
            finally:
                self._serving.pop(index, None)
                self._at.pop(index, None)
                self._nodes.pop(index, None)
                ray.kill(actor)
                self._tell()
            await asyncio.sleep(barren)  # seconds: a node that is going down takes a moment to be known as dead

    async def _serve_on_its_node(self, index: int, actor: Any) -> None:
        node = await actor.__ray_call__.remote(_node_of)
        serving = asyncio.create_task(self._serve(index, actor))
        self._nodes[index] = (node, serving)
        try:
            await serving
        except asyncio.CancelledError:
            if index not in self._nodes or asyncio.current_task().cancelling():  # type: ignore[union-attr]
                serving.cancel()
                raise
            raise Drained(f"its node {node[:8]} is about to go") from None

    def _leave(self, nodes: set[str]) -> None:
        for node, serving in self._nodes.values():
            if node in nodes:
                serving.cancel()

    async def _serve(self, index: int, actor: Any) -> None:
        while True:
            while self._bring is not None and self._at.get(index, 0) != self._version:
                version = self._version
                await asyncio.wait_for(self._bring(actor), self.limits.call_timeout_s)
                self._at[index] = version
            self._serving[index] = actor
            self._tell()
            tasks = await self._tasks.take(self.limits.batch)
            if tasks:
                await self._do(actor, tasks)

    async def _do(self, actor: Any, tasks: list[Task]) -> None:
        """Give a worker its items; what it has not given back when it dies is queued again, first in line."""
        left, limit = dict(enumerate(tasks)), self.limits.call_timeout_s
        try:
            method = getattr(actor, tasks[0].method).options(num_returns="streaming")
            answers = method.remote([task.item for task in tasks], *tasks[0].context)
            while left:
                reference = await asyncio.wait_for(anext(answers), limit)
                position, result = await asyncio.wait_for(reference, limit)
                left.pop(position).settle(result)
                self._given_back += 1
        except asyncio.CancelledError:
            for task in reversed(list(left.values())):
                self._again(task)
            raise
        except StopAsyncIteration:
            _refuse(left.values(), self._incomplete(tasks[0], len(left)))
        except Exception as error:  # whatever an actor raises; what is no death is the items' answer
            if not is_death(error):
                return _refuse(left.values(), cause_of(error))
            self._put_back(left.values(), error)
            raise

    def _put_back(self, tasks: Iterable[Task], error: Exception) -> None:
        for task in reversed(list(tasks)):
            task.attempts += 1
            if task.attempts < self.limits.attempts:
                self._again(task)
            else:
                task.refuse(self._poison(task, error))
                self._given_back += 1  # that it is lost is an answer, too: the next worker has another item

    def _again(self, task: Task) -> None:
        if self._failure is not None:  # nobody would come for it
            task.refuse(self._failure)
        else:
            self._tasks.put_back(task)

    async def _set_version(self, version: int, bring: Bring) -> None:
        self._version, self._bring = version, bring
        self._tasks.nudge()

    def _wait(self, condition: Callable[[], bool], timeout_s: float, late: Callable[[], Exception]) -> None:
        result_of(self._background.start(self._until(condition, timeout_s, late)))

    async def _until(self, condition: Callable[[], bool], timeout_s: float, late: Callable[[], Exception]) -> None:
        async with self._changed:
            try:
                waiting = self._changed.wait_for(lambda: self._failure is not None or condition())
                await asyncio.wait_for(waiting, timeout_s)
            except TimeoutError:
                raise late() from None
        if self._failure is not None:
            raise self._failure

    def _tell(self) -> None:
        self._background.loop.create_task(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        """No worker can do this work: what waits, or comes, is refused with the reason."""
        self._failure = error
        _refuse(self._tasks.clear(), error)

    def _unplaced(self) -> PlacementError:
        return PlacementError(
            f"{self.limits.min_workers} {self.name} workers that serve within {self.limits.start_timeout_s:g} s",
            f"{len(self._serving)}",
            f"lower {self.name}.min_workers or what a worker asks for, raise cluster.start_timeout_s, or add nodes",
        )

    def _behind(self, version: int) -> EngineError:
        return EngineError(
            f"weight version {version} on every {self.name} worker",
            f"versions {dict(sorted(self._at.items()))} by place",
            "look at the log of the worker that is behind",
        )

    def _barren(self, error: Exception, times: int) -> EngineError:
        return EngineError(
            f"a {self.name} worker that stays alive",
            f"{times} deaths in one place without a result; the last: {cause_of(error)}",
            "look at its log in the Ray dashboard; out of memory is the usual cause",
        )

    def _poison(self, task: Task, error: Exception) -> WorkLost:
        return WorkLost(
            f"{self.name}.{task.method} to outlive {_label(task.item)}",
            f"{task.attempts} workers gone while they had it; the last: {cause_of(error)}",
            "look at their logs in the Ray dashboard, or leave the item out",
        )

    def _incomplete(self, task: Task, missing: int) -> EngineError:
        return EngineError(f"a result for every item of {self.name}.{task.method}", f"{missing} missing", "report this bug")


def _node_of(actor: Any) -> str:
    return ray.get_runtime_context().get_node_id()


def _refuse(tasks: Iterable[Task], error: BaseException) -> None:
    for task in tasks:
        task.refuse(error)


def _label(item: Any) -> str:
    prompt = getattr(item, "prompt", item)
    return f"prompt {prompt.id}" if hasattr(prompt, "id") else f"{item!r:.80}"
