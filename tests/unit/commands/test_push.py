"""What of a run is uploaded to the hub, what is never, and what the hub's refusals become."""

import io
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from rich.console import Console

from flame_ray.commands.push import PushRequest, push
from flame_ray.errors import ConfigError, FlameError, StorageError
from flame_ray.journal.lineage import write_cards
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.types import Ancestor, BaseModel, Origin, Where
from tests.fake_hub import FakeHub, refusal
from tests.saved_runs import make_saved_run

REPO = "me/model"
FILES = {"adapter_model.safetensors", "adapter_config.json", "README.md", "lineage.json"}
TOKEN = "hf_" + "Q" * 34


@pytest.fixture
def hub(tmp_path) -> FakeHub:
    return FakeHub(tmp_path)


def pushed(tmp_path: Path, hub, **asked) -> str:
    """Pushes the run; returns what is printed."""
    screen = io.StringIO()
    request = PushRequest(str(tmp_path / asked.pop("run", "mine")), asked.pop("repo", REPO), **asked)
    push(request, Console(file=screen, width=300), hub)
    return screen.getvalue()


def files(hub: FakeHub) -> set[str]:
    return set(hub.repos[REPO][0]) - {".gitattributes"}


def round_of(hub: FakeHub) -> int:
    return json.loads(hub.repos[REPO][0]["lineage.json"])["round"]


def test_the_last_rounds_adapter_goes_to_a_new_private_repo_with_its_card_and_lineage(tmp_path, hub):
    make_saved_run(tmp_path)
    said = pushed(tmp_path, hub)
    assert files(hub) == FILES and hub.repos[REPO][1] is True and round_of(hub) == 2
    assert hub.commits == ["Round 2 of run mine"] and said == "round 2, adapter: https://hub/me/model (private)\n"


def test_nothing_else_that_lies_in_the_folder_is_uploaded(tmp_path, hub):
    make_saved_run(tmp_path)
    adapter = tmp_path / "mine/checkpoints/round-0002/adapter"
    for name in ("manifest.json", "samples.jsonl", ".env", "token", "config.yaml", "optimizer.pt", "training_args.bin"):
        (adapter / name).write_text("hush")
    (adapter / "logs").mkdir()
    (adapter / "logs" / "model.safetensors").write_text("hush")
    pushed(tmp_path, hub)
    assert files(hub) == FILES and not any(b"hush" in data for data in hub.repos[REPO][0].values())


def test_a_run_that_does_not_exist_is_refused_with_its_folder_and_nothing_is_asked(tmp_path, hub):
    with pytest.raises(StorageError, match=r"the folder of a run; found no .*/nope/config\.yaml"):
        pushed(tmp_path, hub, run="nope")
    assert hub.repos == {}


@pytest.mark.parametrize("file", ["tokenizer.json", "adapter_model.safetensors"])
def test_a_link_among_the_files_of_a_model_is_refused(tmp_path, hub, file):
    make_saved_run(tmp_path)
    (tmp_path / "secret").write_text("hush")
    path = tmp_path / "mine/checkpoints/round-0002/adapter" / file
    path.unlink(missing_ok=True)
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(StorageError, match=rf"{file}, which is a link"):
        pushed(tmp_path, hub)
    assert hub.repos == {}


def test_a_second_push_changes_nothing_and_another_round_replaces_the_first(tmp_path, hub):
    make_saved_run(tmp_path)
    for _ in range(2):
        pushed(tmp_path, hub)
    assert len(hub.commits) == 1
    pushed(tmp_path, hub, round="1")
    assert (round_of(hub), hub.commits[1:]) == (1, ["Round 1 of run mine"])


def test_the_whole_model_leaves_no_file_of_the_adapter_behind(tmp_path, hub):
    make_saved_run(tmp_path, kinds=("adapter", "merged"))
    pushed(tmp_path, hub)
    pushed(tmp_path, hub, merged=True)
    assert files(hub) == {"model.safetensors", "config.json", "README.md", "lineage.json"}


def test_the_best_round_is_pushed_where_the_run_chose_one(tmp_path, hub):
    run = make_saved_run(tmp_path)
    Checkpoints(run.checkpoints).deliver(1, {})
    pushed(tmp_path, hub)
    assert round_of(hub) == 1
    pushed(tmp_path, hub, round="2")
    assert round_of(hub) == 2
    pushed(tmp_path, hub, round="best")
    assert round_of(hub) == 1


def test_a_run_on_an_object_store_is_pushed_from_a_copy(tmp_path, hub, monkeypatch):
    import uuid

    import fsspec

    from flame_ray.storage.atomic import write_manifest
    from flame_ray.storage.filesystem import Storage

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    make_saved_run(tmp_path)
    url = f"memory://{uuid.uuid4().hex}/mine"
    write_manifest(tmp_path / "mine/checkpoints/round-0002/adapter")
    write_manifest(tmp_path / "mine/checkpoints/round-0002/state")
    fsspec.filesystem("memory").put(str(tmp_path / "mine"), url.removeprefix("memory:/"), recursive=True)
    assert Storage(url).exists("config.yaml")
    push(PushRequest(url, REPO), Console(file=io.StringIO()), hub)
    assert files(hub) == FILES


def test_a_card_that_the_run_has_written_is_the_one_that_is_uploaded(tmp_path, hub):
    run = make_saved_run(tmp_path)
    write_cards(run, 2)
    pushed(tmp_path, hub)
    assert hub.repos[REPO][0]["README.md"] == run.storage.read("checkpoints/round-0002/adapter/README.md")


# An adapter on a folder

ON_FOLDER = Origin(BaseModel("./models/mine", Where.FOLDER, license="mit"), (Ancestor("tuned", 1),))
TUNED = {"config.json": b"{}", "model.safetensors": b"", "lineage.json": b'{"run": "tuned", "round": 1}'}


def test_an_adapter_on_a_folder_is_refused_before_the_hub_is_asked(tmp_path, hub):
    make_saved_run(tmp_path, ON_FOLDER)
    with pytest.raises(ConfigError, match=r"found one on \./models/mine, a folder.*--base OWNER/NAME, or.*--merged"):
        pushed(tmp_path, hub)
    assert hub.repos == {}


def test_the_base_model_that_is_named_stands_in_the_configuration_the_card_and_the_lineage(tmp_path):
    run, hub = make_saved_run(tmp_path, ON_FOLDER), FakeHub(tmp_path, {"me/tuned": (TUNED, True)})
    kept = run.storage.read("checkpoints/round-0002/adapter/adapter_config.json")
    pushed(tmp_path, hub, base="me/tuned")
    config, card, lineage = (hub.repos[REPO][0][name] for name in ("adapter_config.json", "README.md", "lineage.json"))
    assert json.loads(config) == {"base_model_name_or_path": "me/tuned", "revision": "a" * 40}
    assert b"base_model: me/tuned" in card and b"from `me/tuned`" in card and b"models/mine" not in card
    assert b"license: mit" in card
    assert json.loads(lineage)["base"] == {"name": "me/tuned", "where": "hub", "revision": "a" * 40, "license": "mit"}
    assert run.storage.read("checkpoints/round-0002/adapter/adapter_config.json") == kept  # the run's own stays


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (None, r"the base model in me/tuned; found no such repo"),
        ({"README.md": b""}, r"a whole model in me/tuned; found none"),
        ({"config.json": b"{}"}, r"a whole model in me/tuned; found none"),
        (
            {"adapter_config.json": b"{}", "adapter_model.safetensors": b"", "config.json": b"{}"},
            r"a whole model in me/tuned; found an adapter.*--merged",
        ),
        (
            TUNED | {"lineage.json": b'{"run": "other", "round": 1}'},
            r"round 1 of the run tuned in me/tuned; found round 1 of.*other",
        ),
        (TUNED | {"lineage.json": b'{"run": "tuned", "round": 2}'}, r"round 1 of the run tuned in me/tuned; found round 2"),
    ],
)
def test_a_repo_without_the_base_model_is_refused_and_nothing_is_made(files, said, tmp_path):
    make_saved_run(tmp_path, ON_FOLDER)
    hub = FakeHub(tmp_path, {} if files is None else {"me/tuned": (files, False)})
    with pytest.raises(StorageError, match=said):
        pushed(tmp_path, hub, base="me/tuned")
    assert REPO not in hub.repos


def test_a_base_model_that_people_made_is_believed(tmp_path):
    make_saved_run(tmp_path, Origin(BaseModel("./models/mine", Where.FOLDER)))
    hub = FakeHub(tmp_path, {"me/base": ({"config.json": b"{}", "model.safetensors": b""}, False)})
    pushed(tmp_path, hub, base="me/base")
    assert files(hub) == FILES


@pytest.mark.parametrize(
    ("origin", "asked", "said"),
    [
        (ON_FOLDER, {"merged": True, "base": "me/tuned"}, r"--base me/tuned for a whole model, which needs none"),
        (Origin(BaseModel("me/other", Where.HUB)), {"base": "me/tuned"}, r"--base me/tuned for an adapter on me/other"),
        (ON_FOLDER, {"base": "../x"}, r"a repo's name on the hub"),
    ],
)
def test_a_name_of_a_base_model_that_nothing_needs_is_refused(origin, asked, said, tmp_path, hub):
    make_saved_run(tmp_path, origin, kinds=("adapter", "merged"))
    with pytest.raises(ConfigError, match=said):
        pushed(tmp_path, hub, **asked)
    assert hub.repos == {}


def test_a_whole_model_that_was_trained_on_a_folder_needs_no_base(tmp_path, hub):
    make_saved_run(tmp_path, ON_FOLDER, kinds=("adapter", "merged"))
    pushed(tmp_path, hub, merged=True)
    assert "model.safetensors" in files(hub)


# The repo


@pytest.mark.parametrize(
    ("repos", "asked", "said"),
    [
        (({"model.safetensors": b""}, True), {}, r"me/model to be new, empty or of the run mine; found other files"),
        (({"lineage.json": b'{"run": "yours"}'}, True), {}, r"found a model of the run yours.*another name"),
        (({"lineage.json": b"["}, True), {}, r"found other files"),
        (({}, False), {}, r"a private repo me/model; found one that is public.*--public"),
        (({}, True), {"private": False}, r"a public repo me/model; found one that is private.*--private"),
    ],
)
def test_no_other_model_is_overwritten_and_nothing_becomes_public_unasked(tmp_path, repos, asked, said):
    make_saved_run(tmp_path)
    hub = FakeHub(tmp_path, {REPO: repos})
    with pytest.raises(StorageError, match=said):
        pushed(tmp_path, hub, **asked)
    assert hub.commits == []


def test_an_empty_repo_that_a_person_has_made_is_filled(tmp_path):
    make_saved_run(tmp_path)
    hub = FakeHub(tmp_path, {REPO: ({".gitattributes": b"", "README.md": b"# Mine"}, False)})
    pushed(tmp_path, hub, private=False)
    assert files(hub) == FILES


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (
            {"create_repo": refusal(401, "Invalid username or password.")},
            r"a token that the hub accepts.*401: Invalid.*HF_TOKEN",
        ),
        ({"create_repo": refusal(403, "You don't have the rights")}, r"the right to write there.*403: You don't.*write access"),
        ({"create_repo": refusal(409, "You already created this model repo")}, r"a repo that is new.*409"),
        ({"upload_folder": refusal(403)}, r"the right to write there.*403 Client Error"),
        (
            {"repo_info": ConnectionError("[Errno 111] Connection refused\nmore")},
            r"an answer of the hub.*refused\. To fix: check the network",
        ),
    ],
)
def test_what_the_hub_refuses_is_said_with_the_way_out(tmp_path, errors, said):
    make_saved_run(tmp_path)
    with pytest.raises(StorageError, match=said):
        pushed(tmp_path, FakeHub(tmp_path, **errors))


@pytest.mark.parametrize("repo", ["", "a/b/c", "../x", "me/mo del", "me/\x1b[2J", "me/x\n---", "https://hub/me/model"])
def test_a_name_that_is_no_repo_is_refused_before_anything_is_read(tmp_path, hub, repo):
    with pytest.raises(ConfigError, match="a repo's name on the hub") as caught:
        pushed(tmp_path, hub, repo=repo)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"round": "best"}, r"a trained best round.*run\.select is last"),
        ({"round": "7"}, r"adapter or merged of round 7; found none"),
        ({"round": "../../x"}, r"--round with the number of a trained round"),
        ({"round": "0"}, r"--round with the number of a trained round"),
        ({"merged": True}, r"merged of round 2; found none.*save_merged"),
        ({"run": "nothing"}, r"the folder of a run; found no .*nothing"),
    ],
)
def test_what_a_run_does_not_have_is_refused(tmp_path, hub, asked, said):
    make_saved_run(tmp_path)
    with pytest.raises(FlameError, match=said):
        pushed(tmp_path, hub, **asked)


def test_a_run_that_has_trained_no_round_has_nothing_to_push(tmp_path, hub):
    make_saved_run(tmp_path)
    shutil.rmtree(tmp_path / "mine/checkpoints")
    with pytest.raises(FlameError, match="a run that has trained a round; found none"):
        pushed(tmp_path, hub)


def test_a_best_round_that_is_the_initial_model_is_not_pushed(tmp_path, hub):
    run = make_saved_run(tmp_path)
    Checkpoints(run.checkpoints).deliver(0, {})
    with pytest.raises(StorageError, match="round 0, the model that the run began with"):
        pushed(tmp_path, hub)


def test_a_file_of_weights_that_is_cut_off_is_not_pushed(tmp_path, hub):
    make_saved_run(tmp_path)
    path = tmp_path / "mine/checkpoints/round-0002/adapter/adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:9])
    with pytest.raises(FlameError, match="whole"):
        pushed(tmp_path, hub)
    assert hub.repos == {}


@pytest.mark.parametrize(
    ("variables", "said"),
    [({}, "a token for the hub; found no HF_TOKEN"), ({"HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set")],
)
def test_without_a_token_or_a_network_the_command_says_so_and_exits_with_2(tmp_path, variables, said):
    """In a process of its own: the hub's client reads its variables when it is imported."""
    make_saved_run(tmp_path)
    names = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    environment = {key: value for key, value in os.environ.items() if key not in names}
    environment |= {"HF_HOME": str(tmp_path / "home"), **variables}
    words = [sys.executable, "-m", "flame_ray", "push", str(tmp_path / "mine"), REPO]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and said in done.stderr and TOKEN not in done.stderr


class Refusing(BaseHTTPRequestHandler):
    """A hub that knows no repo, and lets nobody make one. It says what it was told, with the token."""

    def do_GET(self) -> None:
        self._refuse(404, "RepoNotFound")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._refuse(403, "Forbidden")

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", f"not with {self.headers['Authorization']} \x1b]8;;x")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args) -> None:
        pass


def test_the_real_client_is_refused_in_our_words_and_without_the_token(tmp_path):
    make_saved_run(tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with pytest.raises(StorageError, match=r"the right to write there.*HfHubHTTPError 403") as caught:
                pushed(tmp_path, HfApi(endpoint=f"http://127.0.0.1:{server.server_port}", token=TOKEN))
        finally:
            server.shutdown()
    assert TOKEN not in str(caught.value) and "\x1b" not in str(caught.value)


def test_what_is_staged_for_an_upload_is_for_its_owner_alone(tmp_path, hub):
    make_saved_run(tmp_path)
    modes = []
    original = hub.upload_folder
    hub.upload_folder = lambda **words: (modes.append(stat.S_IMODE(words["folder_path"].stat().st_mode)), original(**words))[1]
    pushed(tmp_path, hub)
    assert modes == [0o700]
