"""One rollout worker: a text engine that controller/workers.py places in a Ray actor."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from flame_ray.cluster.node import naming_node
from flame_ray.engines.base import Continuation, TextEngine, Weights
from flame_ray.engines.vllm_engine import VllmEngine, VllmOptions
from flame_ray.rollout.sampling import SamplingPlan, groups, requests, response_ids, to_response
from flame_ray.types import Group, Prompt


class RolloutActor:
    """Samples from the policy, and stamps each response with the weight version that made it."""

    def __init__(self, options: VllmOptions):
        self._options = options

    @cached_property
    def _engine(self) -> TextEngine:
        with naming_node():
            return VllmEngine(self._options)

    def ready(self) -> int:
        """The weight version that this worker serves. Raises what keeps it from serving; the constructor would die of it."""
        return self._engine.weight_version

    def generate(self, prompts_P: Sequence[Prompt], plan: SamplingPlan) -> Iterator[tuple[int, Group]]:
        """Yield `(position of the prompt, group)` as soon as the prompt's last sample is finished."""
        rendered = {prompt.id: self._engine.render([{"role": "user", "content": prompt.text}]) for prompt in prompts_P}
        ids = response_ids(prompts_P, plan)
        asked = requests(ids, rendered, plan)
        version = self._engine.weight_version
        samples = self._engine.sample(asked)
        responses = ((index, to_response(ids[index], asked[index], sample, version)) for index, sample in samples)
        yield from groups(prompts_P, responses, plan.samples)

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
