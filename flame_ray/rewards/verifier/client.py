"""Several verifier actors as one `Verifier`, which a factuality worker asks.

Questions are sent in chunks, a bounded number to each actor at a time. Ray restarts an actor that dies and repeats its calls.
An actor that never answers is an error that names it, not a missing reward.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from flame_ray.engines.base import Message, Sample, SampleRequest
from flame_ray.errors import EngineError

CHUNK = 64  # questions in a call: neighbouring ones share evidence, which the engine then reads once
OUTSTANDING = 2  # calls to an actor at a time: one in work, one queued
ANSWER_TIMEOUT_S = 900.0  # without any answer; a restarted actor first loads its model


@dataclass(frozen=True, slots=True)
class About:
    """What a verifier serves: the fingerprint of its weights, and the most tokens that a prompt and its answer may have."""

    model: str
    max_length: int


class RemoteVerifier:
    """Spreads one worker's questions over all actors. Raises EngineError."""

    def __init__(self, handles: Sequence[Any], timeout_s: float = ANSWER_TIMEOUT_S):
        self._handles, self._timeout_s = tuple(handles), timeout_s
        self._about: About = self._collect("about", [None], lambda handle, _: handle.about.remote())[0]

    @property
    def model(self) -> str:
        return self._about.model

    @property
    def max_length(self) -> int:
        return self._about.max_length

    def render(self, chats: Sequence[Sequence[Message]]) -> list[tuple[int, ...]]:
        return self._spread("render", chats)

    def encode(self, text: str) -> tuple[int, ...]:
        return self._collect("encode", [text], lambda handle, text: handle.encode.remote(text))[0]

    def choices(self, prompts: Sequence[tuple[int, ...]], token_ids: tuple[int, ...]) -> list[tuple[float, ...]]:
        return self._spread("choices", prompts, token_ids)

    def sample(self, requests: Sequence[SampleRequest]) -> list[Sample]:
        return self._spread("sample", requests)

    def _spread(self, method: str, items: Sequence[Any], *context: Any) -> list[Any]:
        size = min(CHUNK, max(1, math.ceil(len(items) / len(self._handles))))
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        answers = self._collect(method, chunks, lambda handle, chunk: getattr(handle, method).remote(chunk, *context))
        return [answer for chunk in answers for answer in chunk]

    def _collect(self, method: str, chunks: Sequence[Any], call: Any) -> list[Any]:
        """The answer to each chunk, in order. Each chunk goes to the actor with the fewest calls."""
        waiting, answers = deque(enumerate(chunks)), dict[int, Any]()
        running: dict[Any, tuple[int, int]] = {}  # reference -> (actor, chunk)
        while waiting or running:
            load = [sum(at == place for at, _ in running.values()) for place in range(len(self._handles))]
            if waiting and min(load) < OUTSTANDING:
                place = load.index(min(load))
                index, chunk = waiting.popleft()
                running[call(self._handles[place], chunk)] = (place, index)
                continue
            done, _ = ray.wait(list(running), num_returns=1, timeout=self._timeout_s)
            if not done:
                raise self._late(method, [place for place, _ in running.values()])
            place, index = running.pop(done[0])
            answers[index] = self._answer(method, place, done[0])
        return [answers[index] for index in range(len(chunks))]

    def _answer(self, method: str, place: int, reference: Any) -> Any:
        try:
            return ray.get(reference)
        except RayTaskError as error:
            if isinstance(error.cause, Exception):
                raise error.cause from error
            raise
        except RayActorError as error:
            fix = "see its log in the Ray dashboard"
            raise EngineError(f"an answer to {method} from verifier-{place}", str(error), fix) from error

    def _late(self, method: str, places: Sequence[int]) -> EngineError:
        names = ", ".join(f"verifier-{place} ({places.count(place)})" for place in sorted(set(places)))
        return EngineError(
            f"an answer to {method} within {self._timeout_s:g} s",
            f"none from {names} (number of waiting calls)",
            "see in the Ray dashboard whether they run: they may wait for a node, or restart again and again",
        )
