"""One rollout worker: a text engine that controller/workers.py places in a Ray actor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import count
from typing import Any

from flame_ray.cluster.node import naming_node
from flame_ray.cluster.streams import numbered
from flame_ray.engines.base import Continuation, Sample, SampleRequest, TextEngine, Weights
from flame_ray.engines.vllm_engine import VllmEngine, VllmOptions
from flame_ray.errors import EngineDied
from flame_ray.rollout.sampling import OpenGroup, SamplingPlan, requests
from flame_ray.types import Group, Prompt, ResponseId


class RolloutActor:
    """Samples from the policy, and stamps each response with the weight version that made it."""

    def __init__(self, options: VllmOptions, build: Callable[[VllmOptions], TextEngine] = VllmEngine):
        self._options, self._build = options, build
        self._keys = count()
        self._running: dict[int, tuple[int, ResponseId]] = {}  # request's key -> its prompt's number, its response's id
        self._open: dict[int, OpenGroup] = {}  # prompt's number -> its group

    @cached_property
    def _engine(self) -> TextEngine:
        with naming_node():
            return self._build(self._options)

    def ready(self) -> int:
        """The weight version that this worker serves. Raises what keeps it from serving; the constructor would die of it."""
        return self._engine.weight_version

    def generate(
        self, prompts_P: Sequence[Prompt], plan: SamplingPlan, first: int = 0, left: int = 0
    ) -> Iterator[tuple[int, Group]]:
        """Yield `(number, group)` as soon as a prompt's last sample is finished. Prompts are numbered from `first`.

        Prompts of earlier calls that are unfinished are sampled beside these. Ends once the groups that are not whole have
        `left` samples at most: the next call adds prompts, so that the engine never runs out of work.
        """
        try:
            for number, prompt in enumerate(prompts_P, first):
                self._begin(number, prompt, plan)
            while sum(len(group.requests_G) for group in self._open.values()) > left:
                for key, sample in self._engine.step():
                    number, id = self._running.pop(key)
                    if group := self._open[number].put(id, sample):
                        del self._open[number]
                        yield number, group
        except BaseException:
            running, self._running, self._open = self._running, {}, {}
            with suppress(EngineDied):  # which may be what is raised already
                self._engine.abort(running)
            raise

    def _begin(self, number: int, prompt: Prompt, plan: SamplingPlan) -> None:
        chat = [{"role": "user", "content": prompt.text}]
        rendered = self._engine.render(chat) if plan.chat else self._engine.encode(prompt.text, opens=True)
        self._open[number] = OpenGroup(prompt, requests(prompt, rendered, plan), self._engine.weight_version)
        for id, request in self._open[number].requests_G.items():
            key = next(self._keys)
            self._engine.add(key, request)
            self._running[key] = number, id

    def write(self, requests: Sequence[SampleRequest]) -> Iterator[tuple[int, Sample]]:
        """The position of each request and its sample, for prompts that are no chats. Not while prompts are being sampled."""
        yield from self._engine.sample(requests)

    def weigh(self, continuations: Sequence[Continuation]) -> Iterator[tuple[int, tuple[float, ...]]]:
        """The position of each continuation and the log-probabilities of its tokens."""
        yield from numbered(self._engine.logprobs(continuations))

    def choose(self, prompts: Sequence[tuple[int, ...]], token_ids: tuple[int, ...]) -> Iterator[tuple[int, tuple[float, ...]]]:
        """The position of each prompt and the log-probability of each of `token_ids` as its next token."""
        yield from numbered(self._engine.choices(prompts, token_ids))

    def load_weights(self, weights: Weights, version: int) -> int:
        """Load new weights. Returns the version that is served now."""
        self._engine.load_weights(weights, version)
        return self._engine.weight_version

    def ranks(self) -> int:
        """The number of GPUs over which the engine is divided."""
        return self._engine.ranks

    def transfer(self, step: str, arguments: Mapping[str, Any]) -> None:
        """One step of an update that the learner drives; `load_weights` ends the update."""
        self._engine.transfer(step, arguments)

    def sleep(self, level: int) -> None:
        """Give the GPU back; see `TextEngine.sleep`."""
        self._engine.sleep(level)

    def wake(self, part: str) -> None:
        """Load `weights` or `kv_cache` onto the GPU again."""
        self._engine.wake(part)

    def canary(self, continuations: Sequence[Continuation]) -> list[tuple[float, ...]]:
        """The log-probability of each token of the continuations under the weights that are served now."""
        return self._engine.logprobs(continuations)
