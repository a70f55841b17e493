"""One verifier: the language model that checkers and decomposers ask, which controller/workers.py places in a Ray actor.

It has its own process, because vLLM 0.32 cannot start in one that has imported numba, as BM25 does in the factuality workers.
Its weights never change, so Ray alone can restart the process and repeat the calls that were not answered. A process would
survive the death of its engine, so it then ends itself.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from operator import itemgetter

from flame_ray.cluster.node import naming_node
from flame_ray.config.rewards import LEAST_VERIFIER_LENGTH
from flame_ray.engines.base import Message, Sample, SampleRequest, TextEngine
from flame_ray.engines.chat_template import model_with
from flame_ray.engines.models import fingerprint, resolve
from flame_ray.engines.text_config import check_positions
from flame_ray.engines.vllm_engine import VllmEngine, VllmOptions
from flame_ray.errors import EngineDied
from flame_ray.rewards.verifier.client import About

log = logging.getLogger(__name__)


class VerifierActor:
    """A text engine whose weights never change. See `Verifier` for what each call returns."""

    def __init__(self, options: VllmOptions):
        self._options = options

    @cached_property
    def _engine(self) -> TextEngine:
        with naming_node():
            model = self._options.model
            check_positions(resolve(model), LEAST_VERIFIER_LENGTH, model.setting)
            return VllmEngine(self._options)

    def about(self) -> About:
        """What the verifier serves. The answer, or what keeps it from serving, comes once that is known."""
        engine, options = self._engine, self._options
        identity = model_with(fingerprint(resolve(options.model)), options.variables, options.model.chat_template)
        return About(identity, engine.max_length)

    def render(self, chats: Sequence[Sequence[Message]]) -> list[tuple[int, ...]]:
        with _exit_if_engine_dies():
            return [self._engine.render(messages) for messages in chats]

    def encode(self, text: str) -> tuple[int, ...]:
        with _exit_if_engine_dies():
            return self._engine.encode(text)

    def choices(self, prompts: Sequence[tuple[int, ...]], token_ids: tuple[int, ...]) -> list[tuple[float, ...]]:
        with _exit_if_engine_dies():
            return self._engine.choices(prompts, token_ids)

    def sample(self, requests: Sequence[SampleRequest]) -> list[Sample]:
        with _exit_if_engine_dies():
            return [sample for _, sample in sorted(self._engine.sample(requests), key=itemgetter(0))]


@contextmanager
def _exit_if_engine_dies() -> Iterator[None]:
    try:
        yield
    except EngineDied:
        log.exception("the engine is dead: this process exits, and Ray starts another")
        os._exit(1)
