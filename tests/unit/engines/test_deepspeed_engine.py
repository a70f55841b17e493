"""The interface that ranks talk through is the one that reaches their meeting point."""

import socket

import psutil
import pytest

from flame_ray.engines.deepspeed_engine import interface_towards


def test_this_machine_reaches_each_of_its_own_addresses_through_the_interface_that_has_it():
    addresses = {
        name: each.address for name, known in psutil.net_if_addrs().items() for each in known if each.family == socket.AF_INET
    }
    assert addresses
    for name, address in addresses.items():
        assert interface_towards(f"tcp://{address}:29500") == name


def test_an_ipv6_meeting_point_is_understood():
    if not any(each.address == "::1" for known in psutil.net_if_addrs().values() for each in known):
        pytest.skip("this machine has no IPv6 loopback")
    assert interface_towards("tcp://[::1]:29500") == interface_towards("tcp://127.0.0.1:29500")
