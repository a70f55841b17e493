"""Every job lands on the nodes that are meant for it: Ray's own autoscaler decides, from the shipped files."""

import pytest

from flame_ray.config.load import load_config
from tests.unit.clusters.launches import CLUSTERS, REPOSITORY, cluster, plan

JOBS = REPOSITORY / "jobs"
PAPER_JOBS = sorted(f"paper/{path.name}" for path in (JOBS / "paper").glob("*dpo*.yaml"))
SENTENCES = "paper/dpo-flame-sentences.yaml"  # a verifier has the GPU of its second judge
QUICKSTART = "quickstart.yaml"

on_each_cluster = pytest.mark.parametrize("name", CLUSTERS)
of_each_paper_job = pytest.mark.parametrize("job", PAPER_JOBS)


def load(job: str, *overrides: str):
    return load_config(JOBS / job, overrides)


@on_each_cluster
@of_each_paper_job
def test_a_paper_job_starts_one_node_for_its_learner_one_for_each_engine_and_one_without_a_gpu(name, job):
    found = plan(load(job), cluster(name))
    assert found.starts == {"learner": 1, "rollout": 4, "cpu": 1}
    assert not found.unplaceable


@on_each_cluster
@of_each_paper_job
def test_each_role_of_a_paper_job_is_on_the_nodes_that_are_meant_for_it(name, job):
    on_samplers_nodes = {"rollout": 2} | ({"judge": 1, "verifier": 1} if job == SENTENCES else {"judge": 2})
    homes = plan(load(job), cluster(name)).homes
    assert homes == {
        "learner": {"learner": 4},
        "factuality": {"cpu": 4},
        **{role: {"rollout": workers} for role, workers in on_samplers_nodes.items()},
    }


@on_each_cluster
@pytest.mark.parametrize("running", [("learner",), ("rollout",) * 4, ("cpu",), ("learner", *("rollout",) * 4, "cpu")])
def test_nodes_that_are_there_already_take_no_role_that_is_not_theirs(name, running):
    found = plan(load("paper/dpo-flame.yaml"), cluster(name), running)
    assert found.homes == plan(load("paper/dpo-flame.yaml"), cluster(name)).homes
    assert not found.unplaceable


@on_each_cluster
@pytest.mark.parametrize("placement", ["pack", "strict_pack", "spread"])
def test_the_ranks_of_the_learner_share_its_node_however_they_are_placed(name, placement):
    found = plan(load("paper/dpo-flame.yaml", f"learner.placement={placement}"), cluster(name))
    assert set(found.homes["learner"]) == {"learner"}
    assert found.starts["learner"] == 1


@on_each_cluster
def test_a_verifier_has_a_node_for_samplers(name):
    overrides = ("factuality.checker=llm", "verifier.gpus=1", "rollout.workers=1")
    found = plan(load("paper/dpo-flame.yaml", *overrides), cluster(name))
    assert found.homes["verifier"] == {"rollout": 1}


@on_each_cluster
@pytest.mark.parametrize("running", [(), ("learner",)], ids=["no node yet", "an idle learner's node"])
def test_the_quickstart_is_on_nodes_without_a_gpu_also_when_the_learners_node_is_there(name, running):
    found = plan(load(QUICKSTART), cluster(name), running)
    assert found.starts == {"cpu": 1}
    assert found.homes == {role: {"cpu": 1} for role in ("rollout", "factuality", "judge", "learner")}


@on_each_cluster
def test_the_quickstart_with_its_engines_on_gpus_starts_a_node_for_samplers_for_each(name):
    found = plan(load(QUICKSTART, "rollout.gpus=1", "judge.gpus=1"), cluster(name))
    assert found.homes["rollout"] == found.homes["judge"] == {"rollout": 1}
    assert found.starts["rollout"] == 2 and "learner" not in found.starts and not found.unplaceable


@on_each_cluster
@pytest.mark.parametrize(
    ("gone", "homeless"),
    [
        ("learner", {"learner": 4}),
        ("rollout", {"rollout": 2, "judge": 2}),
        ("cpu", {"factuality": 4}),
    ],
)
def test_a_role_without_its_type_of_node_is_reported_and_goes_nowhere_else(name, gone, homeless):
    found = plan(load("paper/dpo-flame.yaml"), cluster(name, without=[gone]))
    assert found.unplaceable == homeless
    assert not set(found.homes) & set(homeless)


@on_each_cluster
def test_eight_ranks_take_all_gpus_of_the_learners_node(name):
    assert plan(load("paper/dpo-flame.yaml", "learner.workers=8"), cluster(name)).homes["learner"] == {"learner": 8}


@on_each_cluster
def test_samplers_and_judges_without_labels_share_the_learners_node(name):
    found = plan(load("paper/dpo-flame.yaml", "rollout.node_labels={}", "judge.node_labels={}"), cluster(name))
    assert found.starts == {"learner": 1, "cpu": 1}


@on_each_cluster
def test_more_ranks_than_the_learners_node_has_gpus_are_reported_as_a_whole(name):
    found = plan(load("paper/dpo-flame.yaml", "learner.workers=16"), cluster(name))
    assert found.unplaceable == {"learner": 16}
    assert "learner" not in found.homes and "learner" not in found.starts


@on_each_cluster
def test_more_samplers_than_there_are_nodes_for_them_leave_the_learners_gpus_alone(name):
    found = plan(load("paper/dpo-flame.yaml", "rollout.workers=6"), cluster(name))
    assert found.homes["learner"] == {"learner": 4}
    assert sum(found.unplaceable.values()) == 4 and set(found.unplaceable) <= {"rollout", "judge"}
