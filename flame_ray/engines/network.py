"""Which of this machine's network interfaces the ranks talk through.

In: the address where all ranks meet. Out: the interface that reaches it. Left alone, gloo takes the interface that the
machine's own name stands for, which on many machines is loopback: ranks on two hosts would then never find each other.
"""

import socket
from urllib.parse import urlsplit

import psutil


def interface_towards(url: str) -> str | None:
    """Of `tcp://host:port`, as in "eth0"; None when no interface has the address that traffic to there starts from."""
    meeting = urlsplit(url)
    family, _, _, _, there = socket.getaddrinfo(meeting.hostname, meeting.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(there)  # of a datagram socket: sends nothing, chooses a route
        here = probe.getsockname()[0]
    addresses = psutil.net_if_addrs()
    return next((name for name, known in addresses.items() if any(each.address == here for each in known)), None)
