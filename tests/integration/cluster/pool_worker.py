"""The worker of the pools in test_pool.py. Each of its processes imports this file, which therefore imports no torch."""

import os
import time

import ray

from flame_ray.errors import EngineDied, ModelError, WeightSyncError


class Worker:
    """Does as its items tell it; `version` is what it was brought to."""

    def __init__(self, index: int, life: int):
        self.name, self.version = f"{index}.{life}", 0
        self.held: dict = {}

    def ready(self) -> str:
        return self.name

    def load(self, version: int) -> int:
        self.version = version
        return version

    def lag(self) -> None:
        raise WeightSyncError("the new weights", "the old ones", "look")

    def echo(self, items, *context):
        for position, item in reversed(list(enumerate(items))):
            yield position, (item, *context)

    def who(self, items):
        """Says who it is, for each item once its gate is open."""
        for position, gate in enumerate(items):
            if gate:
                gate()
            yield position, (self.name, self.version, os.getpid(), len(items))

    def task(self, items):
        """Says what it is called in Ray's dashboard."""
        for position, _ in enumerate(items):
            yield position, ray.get_runtime_context().get_task_name()

    def die_once(self, items, path):
        for position, item in enumerate(items):
            if item == "die" and not os.path.exists(path):
                open(path, "w").close()
                os._exit(1)
            yield position, item

    def die(self, items):
        os._exit(1)
        yield

    def hang_once(self, items, path):
        for position, item in enumerate(items):
            if not os.path.exists(path):
                open(path, "w").close()
                time.sleep(600)
            yield position, item

    def lose_engine_once(self, items, path):
        for position, item in enumerate(items):
            if not os.path.exists(path):
                open(path, "w").close()
                raise EngineDied("an engine", "a dead one", "see its log")
            yield position, item

    def draw(self, items, path, first, left):
        """Goes on with the items of earlier calls until so many are left; says how many it held."""
        self.held.update(enumerate(items, first))
        held = len(self.held)
        while len(self.held) > left:
            position, item = self.held.popitem()
            if item == "die" and not os.path.exists(path):
                open(path, "w").close()
                os._exit(1)
            yield position, (item, held)

    def refuse(self, items):
        raise ModelError("a model", "none", "give one")
        yield

    def break_down(self, items):
        raise KeyError("a bug")
        yield

    def forget(self, items):
        yield 0, "only the first"
