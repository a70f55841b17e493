"""Follows the log of a submitted job until its end, over connections that break."""

import asyncio
import time
from collections.abc import Callable

from flame_ray.cluster.event_loop import on_thread
from flame_ray.cluster.job_server import JobServer, Submission, asking
from flame_ray.errors import PlacementError

REMIND_S = 30.0
PAUSE_S = 2.0
TRIES = 30  # in a row, without a new character
SILENCES = 2  # reminders in a row before the log is asked for again: each connection sends it from its beginning


def follow(
    server: JobServer,
    submission: str,
    show: Callable[[str], None],
    remind: Callable[[Submission], None],
    sleep: Callable[[float], None] = time.sleep,
    remind_s: float = REMIND_S,
) -> Submission:
    """Passes the log on to `show`, piece by piece, and returns the job once it has ended.

    After every `remind_s` seconds of silence it calls `remind`, and soon connects again, as a connection may be dead without a
    sign. Raises PlacementError if the head is silent for too long, and StorageError if it does not know the job any more.
    """
    log, failures = _Log(show), 0
    while True:
        before = log.shown
        try:
            silent = asyncio.run(_tail(server, submission, log, remind, remind_s))
            if (job := server.look(submission)).has_ended:
                if not silent:
                    return job
                raise PlacementError("the rest of the log", f"silence, although the job is {job.status}", "follow it again")
        except PlacementError as error:
            failures = 1 if log.shown > before else failures + 1
            if failures == TRIES:
                found = f"no answer after {TRIES} tries: {error.found}"
                fix = "follow it again once the head answers; the job does not need this command to go on"
                raise PlacementError(f"the log of {submission} from {server.address}", found, fix) from error
        sleep(PAUSE_S)


async def _tail(server: JobServer, submission: str, log: "_Log", remind: Callable[[Submission], None], remind_s: float) -> bool:
    """One connection, in which the log comes from its beginning. Whether it fell silent, and did not end."""
    log.rewind()
    pieces = aiter(server.client.tail_job_logs(submission))
    while True:
        piece = asyncio.ensure_future(anext(pieces))
        for _ in range(SILENCES):
            if (await asyncio.wait({piece}, timeout=remind_s))[0]:
                break
            remind(await on_thread(server.look, submission))
        else:
            return True
        try:
            text = _piece(piece, server)
        except StopAsyncIteration:
            return False
        log.add(text)


def _piece(piece: asyncio.Future[str], server: JobServer) -> str:
    import aiohttp

    with asking(server.address):
        try:
            return piece.result()
        except aiohttp.ClientError as error:  # not all of them are OSErrors
            raise ConnectionError(str(error)) from error


class _Log:
    """Shows each character once, although each connection begins at the first."""

    def __init__(self, show: Callable[[str], None]):
        self._show = show
        self.shown, self._read = 0, 0

    def rewind(self) -> None:
        self._read = 0

    def add(self, text: str) -> None:
        new = text[max(0, self.shown - self._read) :]
        self._read += len(text)
        if new:
            self._show(new)
            self.shown = self._read
