"""A pool of actors of one kind that replaces its workers when they die.

Items of work come from any thread, and each gets a future. An actor's method is called as `method(payloads, *context)` and
yields `(position, result)` pairs in any order. When a worker dies, its unfinished items go to the others and a new worker
takes its slot. So do they when its node is told to go, which counts as a move and not as a death. A worker gets no items until
it serves the pool's weight version.

In a pool with `Limits.refill` a worker gets more items before all of its items are done, as `method(payloads, *context, first,
left)`: positions count from `first`, results of earlier items come too, and the call ends once items of a weight of at most
`left` are unfinished. The next call goes on with them. Such a pool has one method.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import ray

from flame_ray.cluster.event_loop import EventLoop, on_thread
from flame_ray.cluster.failures import Drained, cause_of, is_death, is_departure
from flame_ray.cluster.pool_errors import behind, incomplete, keeps_dying, unplaced, work_lost
from flame_ray.cluster.slots import Slots
from flame_ray.cluster.task_queue import TaskQueue, WorkItem
from flame_ray.cluster.waiting import Waiting
from flame_ray.errors import PlacementError

log = logging.getLogger(__name__)
WATCH_S = 1.0
UpdateWorker = Callable[[Any], Awaitable[None]]  # loads new weights into an actor
Spawn = Callable[[int, int], Any]  # (slot, how many workers it had before) -> an actor with a method `ready`


@dataclass(frozen=True, slots=True)
class Limits:
    """`min_workers` are enough to start, `workers` are wanted. An item may cost `attempts` workers before it is given up.

    `call_timeout_s`: until a worker's next result. `push_timeout_s`: until it has new weights. A worker gets more items when
    `refill` of its `batch` is done; 0: when all of it is.
    """

    workers: int
    min_workers: int
    batch: int
    start_timeout_s: float = 900.0
    call_timeout_s: float = 1800.0
    push_timeout_s: float = 1800.0
    attempts: int = 5
    refill: int = 0


class WorkerPool:
    """`limits.min_workers` slots, `limits.workers` after `grow`. Each slot holds one worker at a time.

    `kind`: the class of the actors, with which the names of their tasks begin. `deaths` counts the workers that were lost by
    themselves, `moves` those whose node went with notice.
    """

    def __init__(self, name: str, spawn: Spawn, limits: Limits, event_loop: EventLoop, kind: str = ""):
        self.name, self.limits, self.kind = name, limits, kind
        self.deaths = self.moves = 0
        self._spawn, self._event_loop = spawn, event_loop
        self._queue = TaskQueue()
        self._serving: dict[int, Any] = {}
        self._versions: dict[int, int] = {}  # slot -> the weight version that its worker serves
        self._nodes: dict[int, tuple[str, asyncio.Task]] = {}  # slot -> its worker's node, and the task that serves there
        self._lives: Counter[int] = Counter()  # slot -> how many workers it has had
        self._version = 0
        self._update_worker: UpdateWorker | None = None
        self._results = 0
        self._failure: BaseException | None = None
        self._changed = asyncio.Condition()
        self._slots, self._watching = Slots(self._run_slot, limits.min_workers), False
        event_loop.call(self._slots.fill, limits.min_workers)

    @property
    def actors(self) -> list[Any]:
        """The actors that serve now, in the order of their slots."""
        return [actor for _, actor in sorted(self._serving.items())]

    @property
    def queued(self) -> int:
        """How many items wait for a worker."""
        return len(self._queue)

    def submit(self, method: str, item: Any, *context: Any, weight: int = 1, urgent: bool = False, label: str = "") -> Future:
        """Queue one item. A worker takes items of the same method and context together, up to a weight of `limits.batch`.

        `label`: the round and the stage that it is for.
        """
        work = WorkItem(method, item, context, weight, urgent, label=label)
        self._event_loop.call(self._put, work)
        return work.future

    def wait_ready(self, within_s: float | None = None) -> None:
        """Wait until `min_workers` serve, at most `within_s` (None: `limits.start_timeout_s`). Raises PlacementError then."""
        limit = self.limits.start_timeout_s if within_s is None else within_s
        waiting = Waiting(self._starting, limit, for_room=True)
        if not self._wait(lambda: len(self._serving) >= self.limits.min_workers, waiting):
            raise self._unplaced()

    def grow(self) -> None:
        """Start the other workers, as the cluster has room. Call it only once every role has its `min_workers`."""
        self._event_loop.call(self._grow)

    def release(self) -> None:
        """End all workers, which is no death, so that their nodes may go. Items that come or are unfinished take them back."""
        self._event_loop.start(self._release()).result()

    def take_back(self) -> None:
        """Start `min_workers` again after `release`; `grow` starts the others. All load the pool's weights first."""
        self._event_loop.call(self._slots.take_back)

    def update(self, version: int, update_worker: UpdateWorker) -> None:
        """Run `update_worker` on every worker before its next item, and on workers that join later when they start.

        Waits for the workers that serve now.
        """
        self._event_loop.start(self._set_version(version, update_worker)).result()
        limit = self.limits.push_timeout_s + self.limits.start_timeout_s  # a worker that dies meanwhile is replaced first
        what = f"version {version} of the weights on every {self.name} worker"
        waiting = Waiting(what, limit, for_room=len(self._serving) < self.limits.min_workers)
        if not self._wait(lambda: self._all_have(version), waiting):
            raise behind(self.name, version, self._versions) if self._serving else self._unplaced()

    def leave(self, nodes: set[str]) -> None:
        """Replace the workers on these nodes, which are about to go. Other workers do their unfinished items."""
        self._event_loop.call(self._leave, nodes)

    def close(self) -> None:
        self._event_loop.call(self._slots.cancel)

    def _grow(self) -> None:
        self._slots.fill(self.limits.workers)
        if not self._watching:
            self._watching = True
            self._event_loop.start(self._watch())

    async def _release(self) -> None:
        await self._slots.release()
        if self._queue:
            self._slots.take_back()

    def _put(self, item: WorkItem) -> None:
        if self._failure is not None:
            item.set_exception(self._failure)
        else:
            self._queue.put(item)
            self._slots.take_back()

    async def _run_slot(self, slot: int) -> None:
        """Start a worker, let it serve, and start another one when it is lost."""
        useless_deaths = 0  # in a row, without a result of any worker since the worker started
        while self._failure is None:
            results_before, actor = self._results, self._spawn(slot, self._lives[slot])
            self._lives[slot] += 1
            try:
                await actor.ready.remote()
                await self._serve_until_drained(slot, actor)
            except Exception as error:  # any error of an actor; one that is no death ends the pool
                if not is_death(error):
                    return self._fail(cause_of(error))
                log.warning("%s-%d is lost and is replaced: %s", self.name, slot, cause_of(error))
                useless_deaths = self._count(error, useless_deaths, self._results > results_before)
                if useless_deaths >= self.limits.attempts:
                    return self._fail(keeps_dying(self.name, error, useless_deaths))
            finally:
                self._serving.pop(slot, None)
                self._versions.pop(slot, None)
                self._nodes.pop(slot, None)
                ray.kill(actor)
                self._notify()
            await asyncio.sleep(useless_deaths)  # seconds: Ray needs a moment to see that a node is dead

    def _count(self, error: Exception, useless_deaths: int, was_useful: bool) -> int:
        """Count a lost worker. Returns how many useless deaths of its slot there are now; a move is none."""
        if is_departure(error):
            self.moves += 1
            return useless_deaths
        self.deaths += 1
        return 0 if was_useful else useless_deaths + 1

    async def _watch(self) -> None:
        """While no worker serves, as when all spot nodes are gone, say so; end the pool if items wait for one too long."""
        waiting = None
        while self._failure is None:
            await asyncio.sleep(WATCH_S)
            if self._serving or not self._queue:
                waiting = None
                continue
            waiting = waiting or Waiting(self._starting, self.limits.start_timeout_s, for_room=True, until_done=True)
            if not await on_thread(waiting.has_time):
                self._fail(await on_thread(self._unplaced))

    async def _serve_until_drained(self, slot: int, actor: Any) -> None:
        node = await actor.__ray_call__.remote(_node_of)
        serving = asyncio.create_task(self._serve(slot, actor))
        self._nodes[slot] = (node, serving)
        try:
            await serving
        except asyncio.CancelledError:
            if slot not in self._nodes or asyncio.current_task().cancelling():  # type: ignore[union-attr]
                serving.cancel()
                raise
            raise Drained(f"its node {node[:8]} is about to go") from None

    def _leave(self, nodes: set[str]) -> None:
        for node, serving in self._nodes.values():
            if node in nodes:
                serving.cancel()

    async def _serve(self, slot: int, actor: Any) -> None:
        held: dict[int, WorkItem] = {}  # the worker's unfinished items, by their positions
        while True:
            while self._update_worker is not None and self._versions.get(slot, 0) != self._version:
                await self._process(actor, held, [], refill=0)  # new weights wait for all of them
                version = self._version
                async with asyncio.timeout(self.limits.push_timeout_s):
                    await self._update_worker(actor)
                self._versions[slot] = version
            self._serving[slot] = actor
            self._notify()
            items = self._more(held) if held else await self._queue.take(self.limits.batch)
            await self._process(actor, held, items, self.limits.refill)

    def _more(self, held: dict[int, WorkItem]) -> list[WorkItem]:
        """Items for a worker that has some. A suspect item stays alone."""
        if any(item.is_suspect for item in held.values()):
            return []
        return self._queue.take_more(self.limits.batch - _weight(held))

    async def _process(self, actor: Any, held: dict[int, WorkItem], items: list[WorkItem], refill: int) -> None:
        """Send a worker more items and hand out results, until all or `refill` of what it has is done; drops that from `held`.

        Items that are unfinished when it dies are queued again.
        """
        first = max(held, default=-1) + 1
        held.update(enumerate(items, first))
        left = max(0, _weight(held) - refill) if refill else 0
        if not held:
            return
        try:
            answers = self._call(actor, items, [*held.values()][-1], (first, left))
            while held:
                # `wait_for` would lose a cancel that comes together with an answer.
                async with asyncio.timeout(self.limits.call_timeout_s):
                    position, result = await (await anext(answers))
                held.pop(position).set_result(result)
                self._results += 1
        except asyncio.CancelledError:
            for item in reversed(list(held.values())):
                self._requeue(item)
            raise
        except StopAsyncIteration:
            if _weight(held) > left:
                self._refuse(held, incomplete(self.name, next(iter(held.values())), len(held)))
        except Exception as error:  # any error of an actor; one that is no death is the answer to the items
            if not is_death(error):
                return self._refuse(held, cause_of(error))
            self._retry(held.values(), error)
            raise

    def _call(self, actor: Any, items: list[WorkItem], like: WorkItem, feed: tuple[int, int]) -> Any:
        """Call the actor with new items, if any; `like` is an item with the method and the context of the call."""
        name = {"name": f"{self.kind}.{like.method} {like.label}".strip()} if self.kind and like.label else {}
        method = getattr(actor, like.method).options(num_returns="streaming", **name)
        return method.remote([item.payload for item in items], *like.context, *(feed if self.limits.refill else ()))

    def _refuse(self, held: dict[int, WorkItem], error: BaseException) -> None:
        """The error is the answer to all items of a worker, which lives on without them."""
        _fail_all(held.values(), error)
        held.clear()

    def _retry(self, items: Iterable[WorkItem], error: Exception) -> None:
        for item in reversed(list(items)):
            item.attempts += not is_departure(error)  # an item is not to blame for what happens to a node
            if item.attempts < self.limits.attempts:
                self._requeue(item)
            else:
                item.set_exception(work_lost(self.name, item, error))
                self._results += 1  # giving up an item is progress: the next worker gets another one

    def _requeue(self, item: WorkItem) -> None:
        if self._failure is not None:  # no worker would take it
            item.set_exception(self._failure)
        else:
            self._queue.put_back(item)

    async def _set_version(self, version: int, update_worker: UpdateWorker) -> None:
        self._version, self._update_worker = version, update_worker
        self._slots.take_back()
        self._queue.wake_all()

    def _all_have(self, version: int) -> bool:
        enough = len(self._serving) >= self.limits.min_workers
        return enough and all(self._versions.get(slot, 0) == version for slot in self._serving)

    def _wait(self, condition: Callable[[], bool], waiting: Waiting) -> bool:
        """Whether the condition came true in time. Raises what ended the pool, and Interrupted."""
        return bool(waiting.result_of(self._event_loop.start(self._until(condition, waiting.limit_s))))

    async def _until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        async with self._changed:
            try:
                async with asyncio.timeout(limit_s):
                    await self._changed.wait_for(lambda: self._failure is not None or condition())
            except TimeoutError:
                return False
        if self._failure is not None:
            raise self._failure
        return True

    def _notify(self) -> None:
        self._event_loop.loop.create_task(self._notify_all())

    async def _notify_all(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        """Fail all items, queued and future, with this error."""
        self._failure = error
        _fail_all(self._queue.clear(), error)

    def _starting(self) -> str:
        return f"{self.name} workers ({len(self._serving)} of {self.limits.min_workers} serve)"

    def _unplaced(self) -> PlacementError:
        return unplaced(self.name, self.limits.min_workers, self.limits.start_timeout_s, len(self._serving))


def _node_of(actor: Any) -> str:
    return ray.get_runtime_context().get_node_id()


def _weight(held: dict[int, WorkItem]) -> int:
    return sum(item.weight for item in held.values())


def _fail_all(items: Iterable[WorkItem], error: BaseException) -> None:
    for item in items:
        item.set_exception(error)
