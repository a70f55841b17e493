"""N rollout workers as one object.

In: prompts. Out: groups as they are done, whichever worker made them. Knows nothing of rewards or training.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial

from flame_ray.cluster.pool import WorkerPool
from flame_ray.cluster.streams import bounded_map
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.types import Group, Prompt
from flame_ray.weights import Push

AHEAD = 4  # shares that wait for each worker, so that none is ever without work


class RolloutPool:
    """Spreads prompts over rollout workers, and takes new weights to each of them."""

    def __init__(self, pool: WorkerPool):
        self.pool = pool

    def generate(self, prompts_P: Sequence[Prompt], plan: SamplingPlan, urgent: bool = False) -> Iterator[Group]:
        """Each prompt's group [G], in the order in which they are done. `urgent`: before what waits already."""
        submit = partial(self._submit, plan=plan, urgent=urgent)
        window = max(1, AHEAD * self.pool.limits.batch * self.pool.limits.workers // plan.samples)
        for _, future in bounded_map(submit, prompts_P, window):
            yield future.result()

    def push(self, push: Push) -> float:
        """Every worker serves the weights from now on, those that join later too; returns the largest canary gap so far."""
        self.pool.update(push.version, push.update_worker)
        return push.largest_gap

    def _submit(self, prompt: Prompt, plan: SamplingPlan, urgent: bool) -> Future:
        return self.pool.submit("generate", prompt, plan, weight=plan.samples, urgent=urgent)
