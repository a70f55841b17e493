"""A pool on a cluster that scales from nothing: nodes come for one to three workers, go while idle, and drain."""

import json
import shutil
from pathlib import Path

import pytest

from tests.integration.autoscaling import NodeType, autoscaling_head
from tests.integration.runs import REPOSITORY

JOB = Path(__file__).with_name("elastic_pool.py")
LIMIT_S = 2400.0
ONE_MORE = 4  # a node that drains is there until its worker has left


@pytest.mark.long
@pytest.mark.timeout(2700)  # seven nodes start, one after another on a busy machine
def test_nodes_come_for_one_to_three_workers_go_while_idle_come_back_and_one_that_drains_loses_nothing(tmp_path):
    code, folder = tmp_path / "code", tmp_path / "gate"
    shutil.copytree(REPOSITORY / "flame_ray", code / "flame_ray", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(JOB, code / JOB.name)
    folder.mkdir()
    with autoscaling_head(tmp_path, NodeType("sampler", cpus=1, most=ONE_MORE), idle_s=10) as head:
        head.submit("elastic", code, [JOB.name, str(folder)])
        details, printed = head.wait_for_end("elastic", LIMIT_S), head.log("elastic")
    assert details["status"] == "SUCCEEDED", printed
    (found,) = [json.loads(line.removeprefix("FOUND ")) for line in printed.splitlines() if line.startswith("FOUND")]
    assert found == {
        "nodes before": 0,
        "nodes at first": 1,
        "nodes that sample": 3,
        "nodes while the learner trains": 0,
        "nodes after": 3,
        "versions after": [1],
        "answers under the drain": 31,
        "versions under the drain": [1],
        "drained node samples": False,
        "moves": 1,
        "deaths": 0,
    }
