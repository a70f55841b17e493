"""One rollout worker: a text engine in a Ray actor (made one by controller/workers.py).

In: prompts and a sampling plan, or weights. Out: groups of responses, stamped with the weight version that made them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flame_ray.engines.base import Continuation, TextEngine, Weights
from flame_ray.engines.vllm_engine import VllmEngine, VllmOptions
from flame_ray.rollout.sampling import SamplingPlan, groups, requests, response_ids, to_response
from flame_ray.types import Group, Prompt


class RolloutActor:
    """Samples from the policy."""

    def __init__(self, options: VllmOptions):
        self._engine: TextEngine = VllmEngine(options)

    def ready(self) -> int:
        """The weight version that this worker serves."""
        return self._engine.weight_version

    def generate(self, prompts_P: Sequence[Prompt], plan: SamplingPlan) -> Iterator[tuple[int, Group]]:
        """Each prompt's group as soon as its last sample is whole, with the prompt's position."""
        rendered = {prompt.id: self._engine.render([{"role": "user", "content": prompt.text}]) for prompt in prompts_P}
        ids = response_ids(prompts_P, plan)
        asked = requests(ids, rendered, plan)
        version = self._engine.weight_version
        samples = self._engine.sample(asked)
        responses = ((index, to_response(ids[index], asked[index], sample, version)) for index, sample in samples)
        yield from groups(prompts_P, responses, plan.samples)

    def load_weights(self, weights: Weights, version: int) -> int:
        """Take new weights; returns the version now served."""
        self._engine.load_weights(weights, version)
        return self._engine.weight_version

    def ranks(self) -> int:
        """How many GPUs the engine is spread over."""
        return self._engine.ranks

    def transfer(self, step: str, arguments: Mapping[str, Any]) -> None:
        """A step of an update that the learner drives; `load_weights` follows."""
        self._engine.transfer(step, arguments)

    def sleep(self, level: int) -> None:
        """Give the GPU back; see `TextEngine.sleep`."""
        self._engine.sleep(level)

    def wake(self, part: str) -> None:
        """Take back `weights` or `kv_cache`."""
        self._engine.wake(part)

    def canary(self, continuation: Continuation) -> tuple[float, ...]:
        """Log-probability of each token of the continuation, under the weights now served."""
        return self._engine.logprobs([continuation])[0]
