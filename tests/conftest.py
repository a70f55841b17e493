"""Loaded before any test module, because Ray and OpenMP read their environment when they are first imported."""

import os

from flame_ray.cluster.connect import prepare_ray
from flame_ray.config import ClusterConfig

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # many processes share few cores here: a thread that spins takes time from the others
os.environ.pop("RAY_ADDRESS", None)
prepare_ray(ClusterConfig(address="local"))
