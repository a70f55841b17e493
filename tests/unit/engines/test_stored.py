"""Models on an object store, as a run stores them."""

import json
import uuid

import pytest

from flame_ray.config import ModelConfig
from flame_ray.engines.models import fingerprint, look_up, reference, resolve, resolve_model
from flame_ray.engines.origin import origin_of
from flame_ray.errors import ModelError, StorageError
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.local_copy import RemoteFolder, write_folder
from flame_ray.types import Where


@pytest.fixture
def url(folder, add_tokenizer, monkeypatch, tmp_path):
    """Where a run has stored the model of `folder`."""
    monkeypatch.setenv("FLAME_RAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    add_tokenizer(folder)
    url = f"memory://{uuid.uuid4().hex}/runs/mine/checkpoints/round-0001/merged"
    store(folder, url)
    return url


def store(folder, url):
    with write_folder(RemoteFolder(url)) as made:
        for path in folder.iterdir():
            (made / path.name).write_bytes(path.read_bytes())


def test_what_a_run_stored_in_a_bucket_may_be_the_policy_of_the_next(url, folder):
    known = look_up(url, ModelConfig())
    assert (known.ref.name, known.ref.path, known.weight_bytes) == (url, None, (folder / "model.safetensors").stat().st_size)
    assert not (known.folder / "model.safetensors").exists(), "a driver needs no weights"
    found = resolve(known.ref)
    assert (found / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert fingerprint(found) == fingerprint(known.folder)
    assert resolve_model(url, ModelConfig()) == resolve_model(known.ref.pinned, ModelConfig()) == found
    assert origin_of(known).base.where is Where.FOLDER


def test_a_resumed_run_notices_another_model_at_the_url(url, folder):
    began = reference(url)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes() + b"more")
    store(folder, url)
    assert reference(url).pinned != began.pinned and fingerprint(look_up(url, ModelConfig()).folder)
    for call in (lambda: reference(began.pinned), lambda: resolve(began)):
        with pytest.raises(ModelError, match=f"the model that was at {url}; found another one"):
            call()


def test_a_url_without_a_model_is_told_what_to_give(url):
    with pytest.raises(ModelError, match=r"a model's folder with its manifest\.json.*runs/RUN/checkpoints/round-0001/merged"):
        look_up(url.rpartition("/checkpoints")[0], ModelConfig())
    Storage(url).write("manifest.json", json.dumps({"files": {"lineage.json": {"bytes": 1, "sha256": "0"}}}).encode())
    Storage(url).write("lineage.json", b"1")
    with pytest.raises(ModelError, match=r"a model folder with config\.json"):
        look_up(url, ModelConfig())


def test_a_driver_that_is_not_installed_is_what_the_error_says_to_install(monkeypatch):
    def missing(url, **options):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("flame_ray.storage.filesystem.fsspec.core.url_to_fs", missing)
    with pytest.raises(StorageError, match="Install s3fs to access S3"):
        reference("s3://bucket/runs/mine/checkpoints/round-0001/merged")
