"""What other nodes are told of a path, and how a path that they lack is refused."""

import json

import pytest

from flame_ray.errors import DataError
from flame_ray.storage.shared_paths import JOB, check_is_here, is_path, path_for_actors


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory, with a folder `models/mine`, of a process that is no submitted job."""
    monkeypatch.delenv(JOB, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    return tmp_path


def test_a_path_is_told_in_full_wherever_the_actor_runs_and_whoever_its_user_is(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    full = str(here / "models" / "mine")
    assert [path_for_actors(name) for name in ("models/mine", "./models/mine", "~/models/mine", full)] == [full] * 4


def test_a_submitted_job_has_its_relative_paths_in_each_nodes_copy_of_its_working_directory(here, monkeypatch):
    monkeypatch.setenv(JOB, json.dumps({"runtime_env": {"working_dir": "gcs://_ray_pkg_0.zip"}, "metadata": {}}))
    assert [path_for_actors(name) for name in ("models/mine", "./models/mine")] == ["./models/mine"] * 2
    assert path_for_actors(str(here / "models")) == str(here / "models")
    monkeypatch.setenv(JOB, json.dumps({"runtime_env": {"env_vars": {}}, "metadata": {}}))
    assert path_for_actors("models/mine") == str(here / "models" / "mine")


def test_a_name_that_is_no_path_of_this_machine_stays_and_a_path_is_known_as_a_path(here):
    others = ["owner/name", "factbook", "./nowhere"]
    assert [path_for_actors(name) for name in others] == others
    assert is_path(path_for_actors("models/mine")) and not is_path(path_for_actors("owner/name"))


def test_a_path_that_a_node_lacks_is_refused_with_its_setting_and_the_way_out(here):
    check_is_here("factuality.corpus", "./models", DataError)
    check_is_here("factuality.corpus", "owner/set", DataError)
    with pytest.raises(
        DataError, match=r"factuality\.corpus on every node; found nothing at /no/such\..*storage that every node"
    ):
        check_is_here("factuality.corpus", "/no/such", DataError)
