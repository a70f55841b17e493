"""One pool of workers without a run, for commands that only score, judge or sample."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

from flame_ray.cluster.capacity import check_capacity
from flame_ray.cluster.connect import connected
from flame_ray.cluster.interrupt import interruptible
from flame_ray.config import Config
from flame_ray.controller.workers import Scope
from flame_ray.report.progress import CONNECT, Screen

Started = TypeVar("Started")


@contextmanager
def started(
    config: Config, roles: tuple[str, ...], start: Callable[[Scope], Started], name: str, after_interrupt: str, screen: Screen
) -> Iterator[Started]:
    """What `start` starts, while the block lasts, on a connection to Ray of its own. `roles` are those that need room.

    `name` begins the name of the connection; `after_interrupt` tells the user what to do after an interruption.
    """
    ray_here = screen.entering(CONNECT, connected(config.cluster, f"{name}-{os.getpid()}"))
    with interruptible(after_interrupt), ray_here:
        check_capacity(config, only=roles)
        with Scope(config) as scope:
            with closing(screen.begin("start actors")) as bar:
                workers = start(scope)
                bar.end("ready")
            yield workers
