"""The processes and names behind a group, for tests that end ranks."""

import os
from typing import Any

import ray


def process_of(actor: Any) -> int:
    return ray.get(actor.__ray_call__.remote(lambda rank: os.getpid()))


def name_of(actor: Any) -> str:
    return ray.get(actor.__ray_call__.remote(lambda rank: ray.get_runtime_context().get_actor_name()))
