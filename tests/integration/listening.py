"""What the processes of a run listen on, and which of it may be reached from other machines."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

import psutil

from tests.integration.chaos.faults import title_of


@dataclass(frozen=True)
class Listener:
    """A TCP socket that listens, and the title of its process. `open`: elsewhere than on loopback."""

    port: int
    open: bool
    title: str


def listeners(processes: Iterable[psutil.Process]) -> frozenset[Listener]:
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            for each in process.net_connections("tcp"):
                if each.status == psutil.CONN_LISTEN:
                    address = ip_address(each.laddr.ip.removeprefix("::ffff:"))
                    found.add(Listener(each.laddr.port, not address.is_loopback, title_of(process)))
    return frozenset(found)
