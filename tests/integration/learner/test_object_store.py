"""A learner whose states lie on an object store: rank 0's node puts them there, and each node fetches what it goes on from."""

import os
import signal
import tempfile
from pathlib import Path

import fsspec
import pytest
import ray

from flame_ray.errors import StorageError
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.learner.durable import DurableLearner
from flame_ray.storage.atomic import MANIFEST
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.local_copy import RemoteFolder
from tests.integration.learner.ranks import process_of
from tests.integration.shared_store import SharedStore, install

pytestmark = pytest.mark.long
SETTINGS = {"workers": 2, "zero_stage": 1, "micro_batch_pairs": 1, "checkpoint_steps": 1}


@pytest.fixture(scope="module", autouse=True)
def cluster(no_ray, tmp_path_factory):
    """Ray's workers get this process's environment."""
    folder = tmp_path_factory.mktemp("shared")
    environment = install(folder) | {"TMPDIR": str(folder)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(tempfile, "tempdir", str(folder))
        fsspec.register_implementation("shared", SharedStore, clobber=True)
        ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=10**8)
        yield folder
        ray.shutdown()


def test_a_learner_resumes_from_an_object_store_bit_by_bit_and_the_driver_carries_nothing(
    start, make_examples, weights, cluster, tmp_path
):
    examples = make_examples(9)
    calm = start(**SETTINGS)
    report, expected = calm.train(examples, round=1), weights(calm)
    calm.stop()

    groups = []

    def place(state, life):
        groups.append((state, start(resume_from=state, name=f"remote-{life}", **SETTINGS)))
        return groups[-1][1]

    root = RemoteFolder("shared://bucket/mine/checkpoints")
    learner = DurableLearner(place, Checkpoints(root))
    victim = process_of(learner.group.actors[1])

    def kill(done, total):
        if done == total and learner.restarts == 0:
            os.kill(victim, signal.SIGKILL)

    assert learner.train(examples, 1, kill) == report
    assert [str(state) for state, _ in groups] == ["None", f"{root}/round-0001/steps/000002"]
    found = weights(learner.group)
    assert all(value.equal(expected[name]) for name, value in found.items())

    learner.save(root / "round-0001" / "adapter", merged=False)
    learner.save(root / "round-0001" / "merged", merged=True)
    storage = Storage(root.url)
    assert {name.split("/")[1] for name in storage.names()} == {"state", "adapter", "merged"}
    assert all(storage.exists(f"round-0001/{name}/{MANIFEST}") for name in ("state", "adapter", "merged"))
    writers = {int(line.split()[0]) for line in (cluster / "store" / "writers").read_text().splitlines()}
    assert os.getpid() not in writers
    assert not [path for path in cluster.glob("flame-ray-*/**/*") if path.is_file() and path.suffix != ".lock"]
    learner.group.stop()


def test_a_state_that_was_damaged_on_the_store_is_refused_by_its_url(start, make_examples, cluster):
    checkpoints = Checkpoints(RemoteFolder("shared://bucket/other/checkpoints"))
    group = start(name="before", zero_stage=1)
    group.train(make_examples(5), round=1)
    group.save_state(checkpoints.state(1))
    group.stop()
    file: Path = cluster / "store/bucket/other/checkpoints/round-0001/state/state.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(StorageError) as caught:
        start(resume_from=checkpoints.newest(), name="never", zero_stage=1)
    assert f"{checkpoints.state(1)}/state.safetensors: its sha256" in caught.value.found
