"""What Ray reads from the environment when it is first imported; so it must be set before that, and this file imports no Ray.

In: cluster settings. Out: environment variables, only those that the user has not set.
"""

import os

from flame_ray.config import ClusterConfig

LOCAL = "local"


def cluster_address(config: ClusterConfig) -> str:
    """`auto` joins the cluster that RAY_ADDRESS names, as in a submitted job, and else starts one on this machine."""
    return os.environ.get("RAY_ADDRESS") or LOCAL if config.address == "auto" else config.address


def prepare_ray(config: ClusterConfig) -> None:
    """For a Ray that this run starts: demand a token (Ray makes it, and keeps it in the user's home), report no usage."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if cluster_address(config) == LOCAL:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
