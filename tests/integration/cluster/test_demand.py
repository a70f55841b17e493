"""What a job asks of a real Ray is what the tests of the cluster files feed to Ray's autoscaler."""

import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import ray
from ray._raylet import GcsClient
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply

from flame_ray.cluster.capacity import roles
from flame_ray.cluster.interrupt import interruptible, signals_recorded
from flame_ray.config import Config
from flame_ray.config.load import load_config
from flame_ray.controller.workers import actor_options
from flame_ray.engines.models import ModelRef
from flame_ray.errors import Interrupted
from flame_ray.learner.group import LearnerGroup, Timeouts
from tests.unit.clusters.launches import CLUSTERS, REPOSITORY, Plan, cluster, plan, planned

PATIENCE_S = 60


@pytest.fixture(scope="module")
def bare_head(no_ray):
    """A Ray that can place nothing, as a head is whose other nodes come only when asked for."""
    ray.init(address="local", num_cpus=0, num_gpus=0, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


class Idle:
    """Stands for any actor that is asked for and never placed."""


def ask(config: Config) -> list[Any]:
    """Ask for the actors of every pool of a job, without names: Ray frees a name only some time after the actor's death."""
    actor = ray.remote(Idle)
    pools = {name: role for name, role in roles(config).items() if name != "learner"}
    slots = [(f"{name}-{slot}", role) for name, role in pools.items() for slot in range(role.workers)]
    wanted = [actor_options(name, role) for name, role in slots]
    return [actor.options(**{key: value for key, value in each.items() if key != "name"}).remote() for each in wanted]


def plans() -> dict[str, Plan]:
    """What the autoscaler of each cluster would do about the demand that Ray reports now."""
    reply = GetClusterStatusReply()
    reply.ParseFromString(GcsClient(address=ray.get_runtime_context().gcs_address).get_cluster_status())
    state = reply.cluster_resource_state
    actors = ResourceRequestUtil.ungroup_by_count(state.pending_resource_requests)
    return {name: planned(actors, list(state.pending_gang_resource_requests), cluster(name)) for name in CLUSTERS}


def without_roles(found: Plan) -> Plan:
    """Ray does not report whose a request is."""
    return Plan(found.starts, {"": sum(map(Counter, found.homes.values()), Counter())}, dict(found.unplaceable))


@pytest.mark.parametrize(
    ("job", "overrides"),
    [
        ("paper/dpo-flame.yaml", ()),
        ("paper/dpo-flame.yaml", ("learner.placement=strict_pack",)),
        ("quickstart.yaml", ()),
    ],
    ids=["pack", "strict_pack", "quickstart"],
)
def test_ray_reports_the_demand_of_a_job_as_the_tests_of_the_cluster_files_make_it(bare_head, job, overrides):
    """The job waits for its actors and for the room of its learner, until a signal ends it."""
    config = load_config(REPOSITORY / "jobs" / job, overrides)
    expected = {name: without_roles(plan(config, cluster(name))) for name in CLUSTERS}

    def observe() -> dict[str, Plan]:
        end, found = time.monotonic() + PATIENCE_S, None
        try:
            while found != expected and time.monotonic() < end:
                time.sleep(0.1)
                found = plans()
            return found
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    with ThreadPoolExecutor(1) as threads, interruptible("nothing"), signals_recorded():
        actors, observed = ask(config), threads.submit(observe)
        options = actor_options("learner", config.learner)
        with pytest.raises(Interrupted):
            waits = Timeouts(start=2 * PATIENCE_S)
            LearnerGroup.start(ModelRef("no model"), config.learner, seed=0, options=options, timeouts=waits)
        assert observed.result() == expected
    del actors
