"""Says on which node a model or a file is not as the driver has found it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ray.util

from flame_ray.errors import DataError, ModelError


def node_name() -> str:
    """For a person: the host's name and its address."""
    return f"{socket.gethostname()} ({ray.util.get_node_ip_address()})"


@contextmanager
def naming_node() -> Iterator[None]:
    """Add this node to what a ModelError or DataError has found: other nodes may have other files."""
    try:
        yield
    except (ModelError, DataError) as error:
        raise type(error)(error.expected, f"{error.found}, on the node {node_name()}", error.fix) from error
