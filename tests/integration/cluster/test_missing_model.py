"""A node that lacks the model's folder says so at once, whoever needs the model there; no actor dies of it again and again."""

import pytest

from flame_ray.cluster.event_loop import EventLoop
from flame_ray.cluster.pool import Limits, WorkerPool
from flame_ray.config import JudgeConfig, LearnerConfig
from flame_ray.controller.workers import start_verifiers, wait_for_verifiers
from flame_ray.engines.models import ModelRef
from flame_ray.engines.vllm_engine import VllmOptions
from flame_ray.errors import ModelError
from flame_ray.learner.group import LearnerGroup
from flame_ray.rewards.judge.actor import JudgeActor
from flame_ray.rewards.verifier.actor import VerifierActor
from flame_ray.rollout.actor import RolloutActor

MODEL = ModelRef("mine", "/no/such/folder")
ENGINE = VllmOptions(MODEL, "float32", 512, 16, 1.0, 0.8, seed=0)
FOUND = (
    r"model\.policy on every node; found nothing at /no/such/folder, on the node [^,]+\. "
    r"To fix: put it on storage that every node sees"
)


@pytest.mark.parametrize(("actor", "words"), [(RolloutActor, (ENGINE,)), (JudgeActor, (ENGINE, JudgeConfig(), 0))])
def test_a_pool_is_told_and_loses_no_worker(local_ray, actor, words):
    event_loop, remote = EventLoop(), local_ray.remote(actor)
    pool = WorkerPool("rollout", lambda *_: remote.options(num_cpus=0.1).remote(*words), Limits(1, 1, 16), event_loop)
    with pytest.raises(ModelError, match=FOUND):
        pool.wait_ready()
    assert pool.deaths == 0
    event_loop.close()


def test_whoever_starts_verifiers_is_told(local_ray):
    verifiers = start_verifiers(VerifierActor, ENGINE, 1, lambda name: {"num_cpus": 0.1})
    with pytest.raises(ModelError, match=FOUND) as caught:
        wait_for_verifiers(verifiers, timeout_s=120)
    assert "Traceback" not in str(caught.value)
    local_ray.kill(verifiers[0])


def test_whoever_starts_a_learner_is_told_before_ranks_wait_for_each_other(local_ray):
    config = LearnerConfig(workers=2, cpus=0.1, batch_pairs=2, micro_batch_pairs=1)
    with pytest.raises(ModelError, match=FOUND):
        LearnerGroup.start(MODEL, config, seed=0)
