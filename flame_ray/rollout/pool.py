"""Spreads prompts over the rollout workers."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial

from flame_ray.cluster.pool import WorkerPool
from flame_ray.cluster.streams import bounded_map
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.types import Group, Prompt
from flame_ray.weights import Agreement, Push

AHEAD = 4  # batches that are queued for each worker, so that none waits for work


def window_of(pool: WorkerPool) -> int:
    """How many sequences are under way at once."""
    return AHEAD * pool.limits.batch * pool.limits.workers


class RolloutPool:
    """The rollout workers as one object."""

    def __init__(self, pool: WorkerPool):
        self.pool = pool

    def generate(self, prompts_P: Sequence[Prompt], plan: SamplingPlan, urgent: bool = False) -> Iterator[Group]:
        """Yield each prompt's group [G], in the order in which they finish. `urgent` prompts go before those already queued."""
        submit = partial(self._submit, plan=plan, urgent=urgent)
        for _, future in bounded_map(submit, prompts_P, max(1, window_of(self.pool) // plan.samples)):
            yield future.result()

    def push(self, push: Push) -> Agreement | None:
        """Load the weights into every worker, also into those that join later. Returns the canary's worst answer so far."""
        self.pool.update(push.version, push.update_worker)
        push.release()
        return push.agreement

    def _submit(self, prompt: Prompt, plan: SamplingPlan, urgent: bool) -> Future:
        label = f"round {plan.round} {'evaluate' if urgent else 'sample'}"
        return self.pool.submit("generate", prompt, plan, weight=plan.samples, urgent=urgent, label=label)
