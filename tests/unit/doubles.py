"""Doubles that several tests share."""

from typing import Any


class Remote:
    """A method of an actor: called by `.remote`, awaited."""

    def __init__(self, method):
        self._method = method

    async def remote(self, *args: Any) -> Any:
        return self._method(*args)
