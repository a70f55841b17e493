"""Room for all ranks of the learner at once, or a PlacementError: half of a group would hold GPUs and never begin.

In: how many ranks, what each takes, which nodes they may use. Out: a Ray placement group, all of whose bundles are there.
"""

import time
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from flame_ray.cluster.interrupt import POLL_S, check
from flame_ray.config import LearnerConfig
from flame_ray.errors import PlacementError


def reserve(config: LearnerConfig, cpus: float, gpus: float, timeout_s: float) -> PlacementGroup:
    """A bundle of `cpus` and `gpus` a rank, laid out as `learner.placement` says, on nodes with `learner.node_labels`.

    Raises PlacementError after `timeout_s`, and Interrupted when the process is asked to stop; nothing is held then.
    """
    group = placement_group(
        [{name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}] * config.workers,
        strategy=config.placement.upper(),
        bundle_label_selector=[dict(config.node_labels)] * config.workers if config.node_labels else None,
    )
    try:
        if _is_there(group, timeout_s):
            return group
        raise _no_room(config, cpus, gpus, timeout_s)
    except BaseException:
        remove_placement_group(group)
        raise


def _is_there(group: PlacementGroup, timeout_s: float) -> bool:
    ready, deadline = group.ready(), time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        check()
        if ray.wait([ready], timeout=POLL_S)[0]:
            return True
    return False


def _no_room(config: LearnerConfig, cpus: float, gpus: float, timeout_s: float) -> PlacementError:
    where = f" on nodes labelled {dict(config.node_labels)}" if config.node_labels else ""
    have: dict[str, Any] = {name: amount for name, amount in ray.available_resources().items() if name in ("CPU", "GPU")}
    return PlacementError(
        f"room for {config.workers} learner ranks of {cpus:g} CPUs and {gpus:g} GPUs each, "
        f"{config.placement}{where}, within {timeout_s:g} s",
        f"free now: {have}",
        "lower learner.workers, cpus or gpus, choose another learner.placement, or add nodes",
    )
