"""How many decode steps a pool of rollout workers takes, with engines that count them and texts of very unequal lengths."""

import asyncio
import random
import threading
from collections import deque
from typing import Any

import pytest

from flame_ray.cluster import pool as pool_module
from flame_ray.cluster.event_loop import EventLoop
from flame_ray.cluster.pool import Limits, WorkerPool
from flame_ray.config.prompts import RolloutConfig
from flame_ray.engines.base import Sample, SampleRequest
from flame_ray.engines.vllm_engine import VllmOptions
from flame_ray.rollout.actor import RolloutActor
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.types import Prompt
from tests.builders import make_sample
from tests.doubles import FakeEngine

PATIENCE_S = 60.0
ROLE = RolloutConfig(max_sequences=32)
PLAN = SamplingPlan(round=1, seed=3, samples=4, max_tokens=200, temperature=1.0)
PROMPTS_P = [Prompt(f"p{number}", "?") for number in range(200)]


class CountingEngine(FakeEngine):
    """Draws a token for up to `most` requests a step, first come, first served. A text's length follows from its seed."""

    def __init__(self, most: int):
        super().__init__()
        self.most, self.steps, self.tokens = most, 0, 0
        self.waiting: deque[tuple[int, int]] = deque()
        self.drawing: dict[int, int] = {}  # key -> tokens that are left

    def add(self, key: int, request: SampleRequest) -> None:
        length = random.Random(request.seed).expovariate(1 / 50)
        self.waiting.append((key, min(request.max_tokens, 1 + int(length))))

    def step(self) -> list[tuple[int, Sample]]:
        while self.waiting and len(self.drawing) < self.most:
            key, length = self.waiting.popleft()
            self.drawing[key] = length
        self.steps, self.tokens = self.steps + 1, self.tokens + len(self.drawing)
        self.drawing = {key: left - 1 for key, left in self.drawing.items()}
        done = [key for key, left in self.drawing.items() if not left]
        for key in done:
            del self.drawing[key]
        return [(key, make_sample()) for key in done]


class Method:
    """A method of an actor that is a plain object, as a pool calls it."""

    def __init__(self, call: Any):
        self._call = call

    def options(self, num_returns: str) -> "Method":
        return self

    def remote(self, *args: Any) -> Any:
        return self._call(*args)


class PlainActor:
    def __init__(self, engine: CountingEngine):
        actor = RolloutActor(VllmOptions("/model", "float32", 64, 8, 1.0, 0.8, seed=0), build=lambda options: engine)
        self.ready = Method(lambda: _answer(0))
        self.__ray_call__ = Method(lambda function: _answer("node"))
        self.generate = Method(lambda *args: _stream(actor.generate(*args)))


async def _answer(value: Any) -> Any:
    return value


async def _stream(answers):
    for answer in answers:
        await asyncio.sleep(0)  # as an answer of Ray, it lets others in
        yield _answer(answer)


class FakeRay:
    def kill(self, actor: PlainActor) -> None:
        """Nothing lives."""


@pytest.mark.parametrize("workers", [1, 3])
def test_an_engine_is_never_short_of_sequences_until_the_round_ends(workers, monkeypatch):
    """All steps but those of the end draw as many tokens as the engine can; handed one batch after another, it took twice
    as many.
    """
    monkeypatch.setattr(pool_module, "ray", FakeRay())
    engines = [CountingEngine(ROLE.max_sequences) for _ in range(workers)]
    event_loop = EventLoop()
    limits = Limits(workers, workers, ROLE.batch, refill=ROLE.refill)
    pool = WorkerPool("rollout", lambda slot, life: PlainActor(engines[slot]), limits, event_loop)
    pool.wait_ready()
    here = threading.Event()
    event_loop.call(here.wait, PATIENCE_S)  # so that all prompts are queued when a worker first looks
    answers = [pool.submit("generate", prompt, PLAN, weight=PLAN.samples) for prompt in PROMPTS_P]
    here.set()
    groups = [answer.result(PATIENCE_S) for answer in answers]
    event_loop.close()
    assert [group.prompt for group in groups] == PROMPTS_P
    most = max(engine.steps for engine in engines)
    fewest = sum(engine.tokens for engine in engines) / workers / ROLE.max_sequences
    assert most < fewest + PLAN.max_tokens, f"{most} steps, {most / fewest:.2f} times the fewest possible"
