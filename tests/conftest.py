"""Loaded before any test module, because Ray reads its environment when it is first imported."""

import os

from flame_ray.cluster.connect import prepare_ray
from flame_ray.config import ClusterConfig

os.environ.pop("RAY_ADDRESS", None)
prepare_ray(ClusterConfig(address="local"))
