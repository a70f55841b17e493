"""When a Ray without a token is worth a word."""

import pytest

from flame_ray.doctor.auth import check_auth
from flame_ray.doctor.checks import Level


@pytest.mark.parametrize(
    ("address", "mode", "has_token", "level"),
    [
        ("local", "token", False, Level.OK),  # Ray makes it
        ("local", "disabled", True, Level.WARNING),
        ("10.0.0.1:6379", "token", True, Level.OK),
        ("10.0.0.1:6379", "token", False, Level.PROBLEM),
        ("10.0.0.1:6379", "", True, Level.WARNING),
        ("127.0.0.1:6379", "", False, Level.OK),
        ("http://localhost:8265", "", False, Level.OK),
        ("ray://[::1]:10001", "", False, Level.OK),
        ("ray://head:10001", "", False, Level.WARNING),
    ],
)
def test_a_ray_off_loopback_asks_for_a_token(address, mode, has_token, level):
    assert check_auth(address, mode, has_token).level is level
