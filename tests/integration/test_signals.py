"""A signal to a process whose Ray has set handlers of its own: Python's, and one in C++ that ends the process at once."""

import os
import subprocess
import sys

import pytest

from tests.integration.runs import REPOSITORY

CONNECTS = """
import signal, sys
from flame_ray.cluster.connect import connected, prepare_ray
from flame_ray.cluster.interrupt import interruptible, raise_if_interrupted
from flame_ray.config import ClusterConfig
from flame_ray.errors import Interrupted

config = ClusterConfig(address="local", dashboard=False, object_store_gib=0.2)
prepare_ray(config)
try:
    with interruptible("go on"), connected(config, "signals"):
        signal.raise_signal(signal.Signals[sys.argv[1]])
        raise_if_interrupted()
except Interrupted as error:
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_while_ray_is_connected_interrupts(name):
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    command = [sys.executable, "-c", CONNECTS, name]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 75, done.stdout + done.stderr
