"""Errors say on which node they were found."""

import socket

import pytest

from flame_ray.cluster.node import naming_node
from flame_ray.errors import ConfigError, DataError, ModelError


@pytest.mark.parametrize("kind", [ModelError, DataError])
def test_what_a_node_lacks_names_the_node_and_stays_of_its_kind(kind):
    with pytest.raises(kind) as caught, naming_node():
        raise kind("a folder", "nothing at /x", "share it")
    assert caught.value.found.startswith(f"nothing at /x, on the node {socket.gethostname()} (")
    assert (caught.value.expected, caught.value.fix) == ("a folder", "share it")


def test_an_error_that_is_the_same_on_every_node_names_none():
    with pytest.raises(ConfigError) as caught, naming_node():
        raise ConfigError("a layer", "none", "name one")
    assert caught.value.found == "none"
