"""One verifier (made a Ray actor by controller/verifiers.py): the language model behind checkers and decomposers that ask one.

In: chats, token ids, sample requests, many at a time. Out: the engine's answers, in order. Knows nothing of facts. In a
process of its own: vLLM 0.32 cannot start in one that has imported numba, which BM25 brings to the factuality workers.

It holds no weights that change, so Ray alone looks after it: it starts the process again when it is gone, and asks again
what was not answered. A process whose engine is dead would live on, so it ends itself.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path

from flame_ray.engines.base import Message, Sample, SampleRequest, TextEngine
from flame_ray.engines.models import fingerprint
from flame_ray.engines.vllm_engine import VllmEngine, VllmOptions
from flame_ray.errors import EngineDied
from flame_ray.rewards.verifier.client import About

log = logging.getLogger(__name__)


class VerifierActor:
    """A text engine that never changes its weights; see `Verifier` for what each call returns."""

    def __init__(self, options: VllmOptions):
        self._engine: TextEngine = VllmEngine(options)
        self._about = About(fingerprint(Path(options.model_path)), options.max_length)

    def about(self) -> About:
        """What it serves, once it does."""
        return self._about

    def render(self, chats: Sequence[Sequence[Message]]) -> list[tuple[int, ...]]:
        return [self._engine.render(messages) for messages in chats]

    def encode(self, text: str) -> tuple[int, ...]:
        return self._engine.encode(text)

    def choices(self, prompts: Sequence[tuple[int, ...]], token_ids: tuple[int, ...]) -> list[tuple[float, ...]]:
        with _ending_with_its_engine():
            return self._engine.choices(prompts, token_ids)

    def sample(self, requests: Sequence[SampleRequest]) -> list[Sample]:
        with _ending_with_its_engine():
            return [sample for _, sample in sorted(self._engine.sample(requests), key=itemgetter(0))]


@contextmanager
def _ending_with_its_engine() -> Iterator[None]:
    try:
        yield
    except EngineDied:
        log.exception("the engine is dead: this process ends, and Ray starts another")
        os._exit(1)
