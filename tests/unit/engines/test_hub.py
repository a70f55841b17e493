"""Models on a hub of our own: what a driver downloads, what nodes do, and a branch that moves in between."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.builders import make_weights

OLD, NEW = "a" * 40, "b" * 40
MODEL = "owner/name"
WEIGHT_BYTES = 10 + len(f"weights of {OLD}")  # with the header, and once
DRIVER = f"""
from flame_ray.config import ModelConfig
from flame_ray.engines.models import look_up
found = look_up("{MODEL}", ModelConfig(policy="{MODEL}"))
files = sorted(path.name for path in found.folder.iterdir())
print(json.dumps([found.ref.name, found.ref.revision, files, found.weight_bytes]))
"""
NODE = f"""
from flame_ray.engines.models import ModelRef, fingerprint, resolve
folder = resolve(ModelRef("{MODEL}", None, sys.argv[1]))
print(json.dumps([(folder / "model.safetensors").read_bytes()[10:].decode(), fingerprint(folder)]))
"""


@dataclass
class Hub:
    """`main` is the commit of its branch; `sent` are the files that it sent."""

    url: str = ""
    main: str = OLD
    sent: list[str] = field(default_factory=list)

    def files(self, commit: str) -> dict[str, bytes]:
        weights = make_weights(f"weights of {commit}".encode())
        others = dict.fromkeys(("consolidated.safetensors", "onnx/model.safetensors"), weights)  # the same again, or others'
        settings = {"config.json": b"{}", "tokenizer_config.json": b"{}"}
        return {**settings, "modeling_mine.py": b"raise SystemExit", "model.safetensors": weights, **others}


class Answers(BaseHTTPRequestHandler):
    """As much of the hub's protocol as a download takes."""

    def __init__(self, hub: Hub, *args):
        self.hub = hub
        super().__init__(*args)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/"):
            return self._list(path)
        commit, name = path.split("/")[-2:]
        content = self.hub.files(commit)[name]
        if self.command == "GET":
            self.hub.sent.append(name)
        self._answer(content, {"ETag": f'"{name}-{commit}"', "X-Repo-Commit": commit})

    do_HEAD = do_GET

    def _list(self, path: str) -> None:
        at = path.rpartition("/")[2]
        commit = at if at in (OLD, NEW) else self.hub.main
        sizes = {name: len(content) for name, content in self.hub.files(commit).items()}
        if "/tree/" in path:
            found: object = [{"type": "file", "path": name, "size": size, "oid": name} for name, size in sizes.items()]
        else:
            siblings = [{"rfilename": name, "size": size, "blobId": name} for name, size in sizes.items()]
            found = {"id": MODEL, "sha": commit, "siblings": siblings}
        self._answer(json.dumps(found).encode(), {"Content-Type": "application/json"})

    def _answer(self, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Answers, hub)) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield hub
        server.shutdown()


def begin(hub: Hub, home: Path, script: str, *words: str) -> subprocess.Popen:
    """A process on the node whose home this is."""
    place = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home / "hf"), "FLAME_RAY_CACHE": str(home / "flame-ray")}
    command = [sys.executable, "-c", f"import json, sys{script}", *words]
    return subprocess.Popen(command, env=os.environ | place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen) -> list:
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return json.loads(printed)


def test_a_driver_pins_the_commit_without_weights_and_each_node_downloads_them_once(hub, tmp_path):
    small = ["config.json", "tokenizer_config.json"]
    assert ended(begin(hub, tmp_path / "driver", DRIVER)) == [MODEL, OLD, small, WEIGHT_BYTES]
    assert sorted(hub.sent) == small, "the driver needs no weights to check prompts"
    hub.main = NEW
    actors = [begin(hub, tmp_path / node, NODE, OLD) for node in ("one", "one", "one", "two")]
    found = [ended(actor) for actor in actors]
    assert [weights for weights, _ in found] == [f"weights of {OLD}"] * 4, "what the branch is now does not matter"
    assert len({fingerprint for _, fingerprint in found}) == 1, "verdicts of one node hold on the other"
    assert hub.sent.count("model.safetensors") == 2, "once a node"
    assert "consolidated.safetensors" not in hub.sent


def test_the_code_of_a_model_is_downloaded_only_where_the_settings_trust_it(hub, tmp_path):
    ended(begin(hub, tmp_path / "one", NODE, OLD))
    assert "modeling_mine.py" not in hub.sent
    ended(begin(hub, tmp_path / "two", NODE.replace("sys.argv[1])", "sys.argv[1], True)"), OLD))
    trusting = DRIVER.replace(f'policy="{MODEL}"', f'policy="{MODEL}", trust_remote_code=True')
    assert "modeling_mine.py" in ended(begin(hub, tmp_path / "three", trusting))[2]
    assert hub.sent.count("modeling_mine.py") == 2


def test_without_the_hub_the_cache_knows_the_commit(hub, tmp_path):
    ended(begin(hub, tmp_path, NODE, OLD))
    (reference := tmp_path / "hf" / "hub" / "models--owner--name" / "refs" / "main").parent.mkdir(exist_ok=True)
    reference.write_text(OLD)
    hub.url = "http://127.0.0.1:9"  # nobody answers
    name, revision, files, size = ended(begin(hub, tmp_path, DRIVER))
    assert (name, revision, size) == (MODEL, OLD, WEIGHT_BYTES) and "model.safetensors" in files


def test_a_node_that_has_only_the_small_files_and_no_hub_says_so(hub, tmp_path):
    ended(begin(hub, tmp_path, DRIVER))
    hub.url = "http://127.0.0.1:9"
    process = begin(hub, tmp_path, NODE, OLD)
    _, errors = process.communicate(timeout=120)
    assert process.returncode and "ModelError: expected the model owner/name on the hub or in its cache" in errors
