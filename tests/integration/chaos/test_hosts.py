"""Samples, weights and gradients travel between two hosts, and the run is the one that a single machine makes.

The hosts have file systems of their own: all that both see is the folder of the runs.
"""

import json
import shutil

import pytest

from flame_ray.engines.models import SMOLLM2, UPSTREAM
from flame_ray.errors import ModelError
from tests.integration.chaos.harness import assert_same_run
from tests.integration.namespaces import ray_on, two_hosts, why_not

ONCE = {  # a round as small as can be
    "run.rounds": "1",
    "prompts.sources": "[{source: factbook, heldout_limit: 1}, {source: open-ended, heldout_limit: 1}]",
    "prompts.per_round": "4",
    "rollout.max_tokens": "32",
    "pairs.min_judge_gap": "0",
}
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """Two hosts, and the address of the Ray that has a node on each."""
    if reason := why_not():
        pytest.skip(reason)
    with two_hosts(tmp_path_factory.getbasetemp()) as (a, b), ray_on(a, b) as address:
        yield a, b, address


def on(**sides: str) -> dict[str, str]:
    return {f"{role}.node_labels": f"{{host: {side}}}" for role, side in sides.items()}


def test_a_model_folder_that_one_host_lacks_is_refused_by_its_path_and_that_host(chaos, hosts, model):
    a, b, address = hosts
    shutil.copytree(model, chaos.root / "model")
    a.run("cp", "-r", str(chaos.root / "model"), "/tmp/mine")
    chaos.enter = a.enter
    chaos.settings = {"cluster.address": address, "model.policy": "/tmp/mine"} | on(learner="a", judge="a", rollout="b")
    chaos.start()
    assert chaos.finish() == ModelError.exit_code, chaos.printed
    assert "expected the folder of model.policy on every node; found nothing at /tmp/mine, on the node" in chaos.printed
    assert b.address in chaos.printed and a.address not in chaos.printed.partition("expected")[2]
    assert not chaos.folder.exists(), "nothing is written before all actors are ready"


@pytest.mark.parametrize("policy", ["smollm2-135m", "a folder"])
def test_a_round_needs_no_file_that_both_hosts_see_but_its_own_and_a_model_folder(chaos, hosts, model, policy):
    a, b, address = hosts
    if policy == "a folder":
        policy = str(shutil.copytree(model, chaos.root / "model"))
    chaos.enter = a.enter
    chaos.settings = {"cluster.address": address, "model.policy": policy} | ONCE
    chaos.settings |= on(learner="b", factuality="a", judge="b", rollout="a")
    chaos.start()
    assert chaos.finish() == 0, chaos.printed
    adapter = json.loads((chaos.folder / "checkpoints/round-0001/adapter/adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == (UPSTREAM if policy == SMOLLM2 else policy)
    if policy == SMOLLM2:
        where = "stat -c %d:%i ~/.cache/flame-ray/models/smollm2-135m/model.safetensors"
        assert a.run("sh", "-c", where) != b.run("sh", "-c", where), "each host makes it in a cache of its own"


def test_weights_and_samples_cross_hosts_and_nothing_changes(chaos, calm, hosts, model):
    a, b, address = hosts
    weights = sum(file.stat().st_size for file in model.glob("*.safetensors"))
    chaos.enter = a.enter
    chaos.settings = {"cluster.address": address} | on(learner="a", factuality="a", judge="a", rollout="b")
    before = b.received()
    chaos.start()
    chaos.wait_for_file("rounds/0001/pairs.json.gz")
    assert b.received() - before < weights / 10, "before the first push only prompts go to the samplers' host"
    for round in (1, 2):
        chaos.wait_for_file(f"rounds/{round:04d}/pairs.json.gz")
        before = b.received()
        chaos.wait_for_file(f"rounds/{round:04d}/heldout_responses.parquet")
        assert weights <= b.received() - before < 1.2 * weights, "each push takes the weights over the cable once"
    assert chaos.finish() == 0, chaos.printed
    assert_same_run(chaos, calm)


def test_two_learner_ranks_on_two_hosts_share_their_gradients_and_learn_what_one_rank_does(chaos, calm, hosts):
    """In bfloat16, so to hundredths of a nat: there the other rows of a batch alone move a likelihood of 3.38 nats a token by
    0.002 (in float32 by 3e-7). That the update is the same is tested in float32 (learner/test_update.py)."""
    a, b, address = hosts
    apart = {"learner.workers": "2", "learner.placement": "spread", "run.rounds": "1"}
    chaos.enter = a.enter
    chaos.settings = {"cluster.address": address} | apart | on(factuality="a", judge="a", rollout="a")
    chaos.start()
    chaos.wait_for_file("rounds/0001/pairs.json.gz")
    before = [host.received() for host in (a, b)]
    chaos.wait_for_file("checkpoints/round-0001/state/manifest.json")
    received = [host.received() - count for host, count in zip((a, b), before, strict=True)]
    assert chaos.finish() == 0, chaos.printed
    assert "verified on every rollout worker" in chaos.printed
    training, alone = (run.summary["rounds"][1]["training"] for run in (chaos, calm))
    assert (training["steps"], training["pairs"], training["tokens"]) == (alone["steps"], alone["pairs"], alone["tokens"])
    assert training["loss"] == pytest.approx(alone["loss"], abs=0.03)
    for name in ("responses", "pairs"):
        assert chaos.table(f"0001/{name}.parquet") == calm.table(f"0001/{name}.parquet"), name
    gradient = (chaos.folder / "checkpoints/round-0001/adapter/adapter_model.safetensors").stat().st_size
    assert min(received) >= training["steps"] * gradient, "each step takes a gradient over the cable, both ways"
