"""What is checked before a job is sent: the nodes, the run's folder, and what the package leaves out."""

from pathlib import Path

import fsspec
import pytest

from flame_ray.cluster.job_server import JobServer, Nodes
from flame_ray.doctor.checks import Level
from flame_ray.doctor.submission import check_left_out, check_root, check_version, examine_submission, site_of
from tests.doubles import FakeJobClient
from tests.unit.doctor.samples import job, levels

NODE = {"CPU": 4.0, "memory": 8.0, "object_store_memory": 2.0}


class Server(JobServer):
    """One whose nodes are given."""

    def __init__(self, nodes: Nodes):
        super().__init__(FakeJobClient(), "http://127.0.0.1:8265")
        self._nodes = nodes

    def nodes(self) -> Nodes:
        return self._nodes


def examined(nodes: Nodes, **sections) -> dict[str, str]:
    return levels(examine_submission(job(run={"root": "/shared"}, **sections), [Path("job.yaml")], Server(nodes))[0])


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("job.yaml").write_text("{}")


def test_the_nodes_are_a_site_that_is_fixed_unless_nodes_may_come():
    fixed, growing = site_of(Nodes((NODE, NODE), False)), site_of(Nodes((NODE,), True))
    assert (fixed.capacity["CPU"], fixed.nodes, fixed.fixed_nodes) == (8.0, (10.0, 10.0), (NODE, NODE))
    assert fixed.name == "cluster of 2 nodes" and not fixed.scaling
    assert growing.scaling and not growing.fixed_nodes


def test_a_job_too_large_for_fixed_nodes_is_a_problem_and_for_a_cluster_that_grows_a_warning():
    assert examined(Nodes((NODE,), False), learner={"cpus": 64})["CPUs"] == Level.PROBLEM
    assert examined(Nodes((NODE,), True), learner={"cpus": 64})["CPUs"] == Level.WARNING


def test_roles_of_a_fine_tuning_need_room_one_after_another():
    sections = {"sft": {"sources": [{"source": "/a.jsonl"}]}, "learner": {"loss": "nll", "cpus": 4}}
    found = examined(Nodes((NODE,), False), **sections)
    assert found["learner CPUs" if "learner CPUs" in found else "CPUs, learner"] == Level.OK


def test_everything_that_is_checked_has_a_line():
    found = examined(Nodes(({"CPU": 64.0},), False))
    assert {"Ray", "CPUs", "GPUs", "run.root", "package", "left out", "Ray's token"} <= found.keys()
    assert set(found.values()) == {Level.OK}


@pytest.mark.parametrize(
    ("root", "nodes", "level"),
    [
        ("/tmp/runs", Nodes((NODE, NODE), False), Level.WARNING),
        ("file:///tmp/runs", Nodes((NODE,), True), Level.WARNING),
        ("/tmp/runs", Nodes((NODE,), False), Level.OK),
        ("/tmpfs/runs", Nodes((NODE, NODE), False), Level.OK),
        ("memory://bucket/tmp", Nodes((NODE, NODE), False), Level.OK),
    ],
)
def test_a_root_that_only_one_machine_has_is_a_warning_if_there_are_several(root, nodes, level):
    assert check_root(root, nodes).level is level


@pytest.mark.parametrize(
    ("root", "words"), [("absent://bucket/runs", "Install no_such_package"), ("s4://bucket/runs", "Protocol not known: s4")]
)
def test_a_url_whose_driver_is_not_here_is_a_warning_that_says_what_to_install(root, words):
    fsspec.register_implementation("absent", "no_such_package.FileSystem", clobber=True, errtxt="Install no_such_package")
    check = check_root(root, Nodes((NODE,), False))
    assert check.level is Level.WARNING and words in check.found and "each node" in check.fix
    assert check_root("memory://bucket/runs", Nodes((NODE,), False)).level is Level.OK


def test_a_head_of_another_ray_is_a_warning():
    assert check_version("2.60.0").level is Level.OK and check_version("2.9.3").level is Level.WARNING


def test_files_that_the_job_names_must_be_in_the_package():
    Path("data").mkdir()
    Path("data/prompts.jsonl").write_text("")
    config = job(prompts={"sources": [{"source": "data/prompts.jsonl"}, {"source": "organisation/data.set"}]})

    def check(*files: str):
        return check_left_out(config, [Path("job.yaml"), Path("base.yaml")], dict.fromkeys(files, 1), Path.cwd())

    assert check("job.yaml", "base.yaml", "data/prompts.jsonl").level is Level.OK
    missing = check("job.yaml")
    assert missing.level is Level.PROBLEM and missing.found == "not in the package: base.yaml, data/prompts.jsonl"


def test_a_folder_that_the_job_names_is_in_the_package_if_a_file_of_it_is():
    Path("models/mine").mkdir(parents=True)
    config = job(model={"policy": "models/mine"})
    assert check_left_out(config, [], {"models/mine/config.json": 1}, Path.cwd()).level is Level.OK
    assert check_left_out(config, [], {"models/mine2/config.json": 1}, Path.cwd()).level is Level.PROBLEM
