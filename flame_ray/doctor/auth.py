"""Whether Ray asks for a token, and whether there is one.

In: the cluster's address, Ray's mode. Out: a check. Reads no token, and asks no cluster.
"""

import os
from pathlib import Path

from flame_ray.cluster.connect import LOCAL
from flame_ray.doctor.checks import Check, Level


def find_auth(address: str) -> Check:
    """As this machine's environment and home have it."""
    return check_auth(address, os.environ.get("RAY_AUTH_MODE", "").lower(), has_token())


def check_auth(address: str, mode: str, has_token: bool) -> Check:
    """Whoever reaches a Ray that asks for no token can run code on it."""
    expected = "token mode, unless on loopback"
    host = address.rpartition("/")[2].rpartition(":")[0].strip("[]")
    if mode == "token" and not has_token and address != LOCAL:
        fix = "copy the cluster's token to ~/.ray/auth_token (mode 0600)"
        return Check(Level.PROBLEM, "Ray's token", expected, "token mode, and no token on this machine", fix)
    if mode == "token" or host in ("127.0.0.1", "localhost", "::1"):
        return Check(Level.OK, "Ray's token", expected, "token mode" if mode == "token" else f"no token, {host}")
    fix = "export RAY_AUTH_MODE=token here and on the cluster: Ray's ports listen on every interface"
    return Check(Level.WARNING, "Ray's token", expected, f"RAY_AUTH_MODE={mode or '(not set)'}, {address}", fix)


def has_token() -> bool:
    default = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(default).is_file()
