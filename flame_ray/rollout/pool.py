"""N rollout workers as one object.

In: prompts. Out: responses in the prompts' order, whichever worker made them. Knows nothing of rewards or training.
"""

from collections.abc import Callable, Sequence

from flame_ray.engines.base import Continuation
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.runtime.pool import ActorPool, batched
from flame_ray.types import Prompt, Response


class RolloutPool:
    """Spreads prompts over rollout actors, a batch at a time: a worker that is done takes the next batch."""

    def __init__(self, actors: ActorPool, batch_sequences: int):
        self._actors = actors
        self._batch_sequences = batch_sequences

    def generate(self, prompts_P: Sequence[Prompt], plan: SamplingPlan, on_done: Callable[[int], None]) -> list[Response]:
        """Responses [P * G], prompt by prompt; `on_done` hears of each finished batch's number of prompts."""
        share = -(-len(prompts_P) // len(self._actors.actors))
        batches = batched(prompts_P, max(1, min(share, self._batch_sequences // plan.samples)))
        results = self._actors.map("generate", [(batch, plan) for batch in batches], lambda index: on_done(len(batches[index])))
        return [response for batch in results for response in batch]

    def load_weights(self, chunks: list, version: int) -> list[int]:
        return self._actors.broadcast("load_weights", chunks, version)

    def canary(self, continuation: Continuation) -> list[tuple[float, ...]]:
        return self._actors.broadcast("canary", continuation)
