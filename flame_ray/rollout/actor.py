"""One rollout worker: a text engine in a Ray actor (made one by runtime/workers.py).

In: prompts and a sampling plan, or weights. Out: responses stamped with the weight version that made them.
"""

from collections.abc import Sequence

import ray

from flame_ray.engines.base import Continuation, TextEngine
from flame_ray.engines.vllm_engine import VllmEngine, VllmOptions
from flame_ray.rollout.sampling import SamplingPlan, requests, response_ids, to_response
from flame_ray.types import Prompt, Response


class RolloutActor:
    """Samples from the policy."""

    def __init__(self, options: VllmOptions):
        self._engine: TextEngine = VllmEngine(options)

    def ready(self) -> int:
        """The weight version that this worker serves."""
        return self._engine.weight_version

    def generate(self, prompts_P: Sequence[Prompt], plan: SamplingPlan) -> list[Response]:
        """Responses [P * G], prompt by prompt."""
        rendered = {prompt.id: self._engine.render([{"role": "user", "content": prompt.text}]) for prompt in prompts_P}
        ids = response_ids(prompts_P, plan)
        asked = requests(ids, rendered, plan)
        samples = self._engine.sample(asked)
        version = self._engine.weight_version
        return [to_response(id, request, sample, version) for id, request, sample in zip(ids, asked, samples, strict=True)]

    def load_weights(self, chunks: list[ray.ObjectRef], version: int) -> int:
        """Take the weights that the references lead to; returns the version now served."""
        self._engine.load_weights(chunks, version)
        return self._engine.weight_version

    def canary(self, continuation: Continuation) -> tuple[float, ...]:
        """Log-probability of each token of the continuation, under the weights now served."""
        return self._engine.logprobs([continuation])[0]
