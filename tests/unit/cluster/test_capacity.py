"""What a job asks for, against what a cluster has: refused only where not even the least can be placed."""

import pytest

from flame_ray.cluster import capacity as cluster
from flame_ray.cluster.capacity import Request, check_capacity, demands, in_words, requests, shared_bundle
from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.errors import PlacementError


def job(**sections) -> Config:
    return parse_config(sections, "here")


def test_what_is_asked_is_summed_over_workers_by_role():
    cpus, gpus = demands(job(rollout={"workers": 4, "min_workers": 2, "gpus": 0.5}), {"CPU": 1.75})
    assert (cpus.resource, cpus.have, gpus.resource, gpus.have) == ("CPU", 1.75, "GPU", 0.0)
    assert cpus.all == {"rollout": 1.0, "factuality": 0.25, "judge": 0.25, "learner": 0.25}
    assert cpus.least == cpus.all | {"rollout": 0.5}
    assert (gpus.all["rollout"], gpus.least["rollout"]) == (2.0, 1.0)
    assert (cpus.least_fit, cpus.all_fit, gpus.least_fit) == (True, True, False)


def test_the_learners_ranks_train_together_so_its_least_is_all_of_them():
    cpus, _ = demands(job(learner={"workers": 2, "min_workers": 1, "micro_batch_pairs": 1}), {})
    assert cpus.least == cpus.all


def test_a_gpu_on_which_three_take_turns_is_counted_once():
    one = {"workers": 2, "gpus": 1, "cpus": 2, "gpu_memory": 0.4}
    sections = {"rollout": one, "judge": one, "learner": {"workers": 2, "gpus": 1, "cpus": 4}, "pipeline": {"colocated": True}}
    config = job(**sections)
    cpus, gpus = demands(config, {"CPU": 16.25, "GPU": 2})
    assert in_words(gpus.all) == "2 asked for: learner 2"
    assert (gpus.all_fit, cpus.all_fit) == (True, True)
    assert shared_bundle(config) == {"CPU": 8, "GPU": 1}
    _, judges = demands(config, {"GPU": 2}, only={"judge"})
    assert in_words(judges.all) == "2 asked for: judge 2"


def test_what_is_asked_is_told_by_role_without_those_that_ask_for_none():
    assert in_words({"rollout": 7.0, "judge": 0.25, "learner": 0.0}) == "7.25 asked for: rollout 7, judge 0.25"
    assert in_words({"rollout": 0.0}) == "none asked for"


def test_sums_of_fractions_are_not_refused_for_their_last_bit():
    _, gpus = demands(job(rollout={"workers": 3, "gpus": 0.1}), {"GPU": 0.3})
    assert sum(gpus.all.values()) > 0.3
    assert gpus.all_fit


@pytest.fixture
def has(monkeypatch):
    """The cluster has this, in all or on each of so many equal nodes."""

    def set_to(nodes: int = 1, **have: float) -> None:
        monkeypatch.setattr(cluster, "capacity", lambda: have)
        monkeypatch.setattr(cluster, "fixed_nodes", lambda: [{name: each / nodes for name, each in have.items()}] * nodes)

    return set_to


def test_a_job_that_the_cluster_can_never_place_is_refused_by_role(has):
    has(CPU=4.0)
    check_capacity(job(rollout={"workers": 13}))
    with pytest.raises(PlacementError) as refusal:
        check_capacity(job(rollout={"workers": 14}))
    assert refusal.value.expected == "at most 4 CPU (what the cluster has or may grow to)"
    assert refusal.value.found == "4.25 asked for: rollout 3.5, factuality 0.25, judge 0.25, learner 0.25"
    assert refusal.value.fix == "lower <role>.workers or <role>.cpus in the job, or add nodes"
    with pytest.raises(PlacementError, match=r"at most 0 GPU .* 1 asked for: learner 1"):
        check_capacity(job(learner={"gpus": 1}))


def test_a_worker_that_no_node_can_hold_is_refused_although_the_nodes_together_could(has):
    split = job(rollout={"gpus": 4, "tensor_parallel": 4})
    has(CPU=32.0, GPU=8.0, nodes=2)
    check_capacity(split)
    has(CPU=32.0, GPU=8.0, nodes=4)
    with pytest.raises(PlacementError) as refusal:
        check_capacity(split)
    assert refusal.value.expected == "a node with 0.25 CPU and 4 GPU, for one worker of rollout"
    assert refusal.value.found == "none so large among 4"
    assert refusal.value.fix == "lower rollout.cpus or rollout.gpus in the job, or add such a node"


def test_more_workers_than_can_be_placed_may_join_later_if_the_least_can_begin(has):
    has(CPU=4.0)
    check_capacity(job(rollout={"workers": 1000, "min_workers": 13}))
    with pytest.raises(PlacementError) as refusal:
        check_capacity(job(rollout={"workers": 1000, "min_workers": 14}))
    assert refusal.value.found.startswith("4.25 asked for: rollout 3.5, ")
    assert refusal.value.fix == "lower <role>.workers (and min_workers) or <role>.cpus in the job, or add nodes"


def test_scoring_alone_asks_for_its_own_workers_alone():
    cpus, _ = demands(job(rollout={"workers": 1000}, factuality={"workers": 2, "cpus": 0.5}), {"CPU": 1}, only=("factuality",))
    assert cpus.all == {"factuality": 1.0} and cpus.all_fit


def test_a_job_asks_for_one_actor_at_a_time_and_for_all_ranks_of_the_learner_at_once():
    learner = {"workers": 2, "micro_batch_pairs": 1, "gpus": 1, "placement": "spread", "node_labels": {"kind": "big"}}
    asked = requests(job(rollout={"workers": 2, "min_workers": 1}, learner=learner))
    small = ({"CPU": 0.25},)
    assert asked.count(Request("rollout", small, {})) == 2
    assert Request("learner", ({"CPU": 0.25, "GPU": 1},) * 2, {"kind": "big"}, "spread") in asked
    assert {request.role for request in asked} == {"rollout", "factuality", "judge", "learner"}


def test_verifiers_are_asked_for_where_something_asks_them_and_a_command_asks_for_its_own_roles_alone():
    asked = requests(job(factuality={"checker": "llm"}, verifier={"workers": 2}), only=("factuality", "verifier"))
    assert [request.role for request in asked].count("verifier") == 2
    assert {request.role for request in asked} == {"factuality", "verifier"}
