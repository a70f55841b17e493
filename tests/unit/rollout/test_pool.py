"""Prompts on their way to the workers, with a pool that answers at once or not at all."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread

from flame_ray.cluster.pool import Limits
from flame_ray.rollout.pool import AHEAD, RolloutPool
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.types import Group, Prompt

PLAN = SamplingPlan(round=1, seed=0, samples=4, max_tokens=8, temperature=0.7)


@dataclass
class FakePool:
    """Notes what is submitted; a group is done at once, unless it is `stuck`."""

    limits: Limits = field(default_factory=lambda: Limits(workers=2, min_workers=1, batch=8))
    stuck: bool = False
    submitted: list[tuple] = field(default_factory=list)
    answers: list[Future] = field(default_factory=list)
    updates: list[tuple] = field(default_factory=list)

    def submit(self, method, item, *context, weight=1, urgent=False, label="") -> Future:
        self.submitted.append((method, item.id, context, weight, urgent, label))
        self.answers.append(answer := Future())
        if not self.stuck:
            answer.set_result(Group(item, ()))
        return answer

    def update(self, version, update_worker):
        self.updates.append((version, update_worker))


class FakePush:
    version, agreement = 3, "agreement"
    released = False

    def update_worker(self, actor): ...

    def release(self):
        self.released = True


def prompts(count: int):
    return [Prompt(f"p{i}", "?") for i in range(count)]


def test_every_prompt_is_asked_for_once_with_the_plan_and_weighs_as_much_as_its_samples():
    pool = FakePool()
    assert [group.prompt.id for group in RolloutPool(pool).generate(prompts(3), PLAN)] == ["p0", "p1", "p2"]
    assert pool.submitted == [("generate", f"p{i}", (PLAN,), 4, False, f"round {PLAN.round} sample") for i in range(3)]


def test_an_evaluation_is_urgent():
    pool = FakePool()
    list(RolloutPool(pool).generate(prompts(1), PLAN, urgent=True))
    assert pool.submitted == [("generate", "p0", (PLAN,), 4, True, f"round {PLAN.round} evaluate")]


def test_no_more_prompts_are_under_way_than_keep_the_workers_busy():
    """Two workers with batches of 8 sequences, which are 2 prompts, and so many such batches that wait for each."""
    pool = FakePool(stuck=True)
    stream = RolloutPool(pool).generate(prompts(1000), PLAN)
    first = Thread(target=next, args=(stream,), daemon=True)
    first.start()
    first.join(0.2)
    assert len(pool.submitted) == AHEAD * 2 * 2
    pool.answers[0].set_result(Group(prompts(1)[0], ()))
    first.join(10)
    assert not first.is_alive()


def test_a_push_goes_to_every_worker_under_its_version_and_its_agreement_comes_back():
    pool = FakePool()
    push = FakePush()
    assert RolloutPool(pool).push(push) == "agreement"
    assert pool.updates == [(3, push.update_worker)] and push.released
