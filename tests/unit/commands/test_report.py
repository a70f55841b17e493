"""`flame-ray report` by the command line: where it writes, what it refuses, and what its server answers."""

import _thread
import http.client
import json
import re
import signal
import threading
from http.server import ThreadingHTTPServer

import pytest

from flame_ray.commands.report import ReportRequest, make_page
from flame_ray.commands.report_live import LivePage, PageServer, make_server
from flame_ray.errors import ConfigError, StorageError
from flame_ray.journal.run_record import RunReader
from flame_ray.types import VerdictLabel
from tests.saved_fine_tunings import make_saved_fine_tuning

YES, NO = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED
TOKEN = "a-token"


@pytest.fixture
def run(finished_run):
    return finished_run([{"peru": [NO], "mali": [NO]}, {"peru": [YES], "mali": [NO]}])


def data(text):
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)[1])


def test_the_file_of_one_run_lies_in_its_folder(run, flame, tmp_path):
    done = flame("report", "mine", folder=tmp_path)
    path = run.storage.local / "report.html"
    assert done.returncode == 0 and done.stdout == f"written to {path} (0.1 MiB)\n"
    found = data(path.read_text())
    assert [side["round"] for side in found["sides"]] == [0, 1] and len(found["prompts"]) == 2


def test_a_report_changes_nothing_else_of_a_run(run, flame, tmp_path):
    before = {name: run.storage.read(name) for name in run.storage.names()}
    flame("report", "mine", folder=tmp_path)
    assert {name: run.storage.read(name) for name in run.storage.names() if name != "report.html"} == before


def test_an_older_file_is_replaced(run, flame, tmp_path):
    (tmp_path / "page.html").write_text("older")
    flame("report", run.storage.local, "--out", "page.html", folder=tmp_path)
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert not (run.storage.local / "report.html").exists()


@pytest.fixture
def copied(run, tmp_path):
    """Copies the run into another folder, under an id."""

    def copy(id):
        for name in run.storage.names():
            path = tmp_path / "runs" / "theirs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(run.storage.read(name))
        (tmp_path / "runs" / "theirs" / "summary.json").write_text(json.dumps(run.summary() | {"run_id": id}))

    return copy


def test_several_runs_share_a_file(copied, flame, tmp_path):
    copied("theirs")
    assert flame("report", "mine", "theirs", folder=tmp_path).returncode == 0
    found = data((tmp_path / "report.html").read_text())
    sides = [("mine", 0), ("mine", 1), ("theirs", 0), ("theirs", 1)]
    assert [(side["run"], side["round"]) for side in found["sides"]] == sides
    assert [len(prompt["answers"]) for prompt in found["prompts"]] == [4, 4]


def test_a_fine_tuning_has_a_page_in_its_folder_and_shares_one_with_a_run(run, flame, tmp_path):
    tuned = make_saved_fine_tuning(tmp_path / "runs")
    assert flame("report", "tuned", folder=tmp_path).returncode == 0
    assert "What was learned" in (tuned.storage.local / "report.html").read_text()
    assert flame("report", "tuned", "mine", "--out", "both.html", folder=tmp_path).returncode == 0
    text = (tmp_path / "both.html").read_text()
    assert "A: mine" in text and "B: tuned" in text and len(data(text)["prompts"]) == 2


def test_an_evaluation_is_told_beside_what_a_page_shows(flame, tmp_path):
    make_saved_fine_tuning(tmp_path / "runs")
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "result.json").write_text("{}")
    done = flame("report", "tuned", "./scores", folder=tmp_path)
    assert done.returncode == 6 and "`flame-ray run` or `flame-ray sft`; found" in done.stderr
    assert "which `flame-ray evaluate` wrote" in done.stderr


def test_a_run_and_its_copy_are_called_by_their_folders(copied, run, flame, tmp_path):
    copied("mine")
    flame("report", "mine", "theirs", folder=tmp_path)
    found = data((tmp_path / "report.html").read_text())
    assert [side["run"] for side in found["sides"]][::2] == [run.storage.url, str(tmp_path / "runs" / "theirs")]


def test_an_unfinished_run_has_a_report(run, flame, tmp_path):
    run.write_json("summary.json", run.summary() | {"status": "running", "rounds": run.summary()["rounds"][:1]})
    assert flame("report", "mine", folder=tmp_path).returncode == 0
    assert "<strong>not finished" in (run.storage.local / "report.html").read_text()


def test_the_number_of_answers_is_limited_and_what_is_left_out_is_told(run, flame, tmp_path):
    flame("report", "mine", "--answers", "2", folder=tmp_path)
    found = data((run.storage.local / "report.html").read_text())
    assert (len(found["prompts"]), found["left_out"]) == (1, 1)


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (["nowhere"], 6, ["runs/nowhere/config.yaml", "give the folder of a run"]),
        (["mine", "mine"], 2, ["each run once", "leave one of the two out"]),
        (["mine", "--port", "80"], 2, ["--port with --live"]),
        (["mine", "--live", "--out", "x.html"], 2, ["--live, which writes no file"]),
        (["mine", "--out", "runs"], 6, ["--out to be a file"]),
        (["."], 2, ["a run's id or folder"]),
    ],
)
def test_what_cannot_be_is_one_message(words, code, parts, run, flame, tmp_path):
    done = flame("report", *words, folder=tmp_path)
    assert done.returncode == code and done.stderr.startswith("flame-ray: expected ") and "Traceback" not in done.stderr
    assert all(part in done.stderr for part in parts), done.stderr


# A page that follows its runs


@pytest.fixture
def served(run):
    """The server of a page, and how often the page was made."""
    readers, made = [RunReader(run)], []

    def make(version):
        made.append(version)
        return "\n".join(["<!doctype html>", make_page(readers, 10, version).made, version])

    server = make_server(LivePage(readers[0].version, make), 0, TOKEN)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server, made
    server.shutdown()
    server.server_close()
    thread.join()


def ask(server, path=f"/{TOKEN}/", method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.text = answer.read().decode()
    connection.close()
    return answer


def test_the_server_listens_on_loopback_alone_and_its_address_has_the_token(served):
    server, _ = served
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.server_port}/{TOKEN}/"


def test_the_page_is_served_and_not_kept_by_a_cache(served):
    answer = ask(served[0])
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store") and "<!doctype html>" in answer.text
    assert answer.headers["Referrer-Policy"] == "no-referrer" and answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/a-toke/", "/a-token", f"/{TOKEN}/../x", f"/{TOKEN}/config.yaml", "/%E9/"])
def test_any_other_address_is_not_found(path, served):
    answer = ask(served[0], path)
    assert (answer.status, answer.text) == (404, "not found\n")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1.evil.example:80"])
def test_a_name_of_another_host_is_not_found(host, served):
    assert ask(served[0], Host=host).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_sent(method, served):
    assert ask(served[0], method=method).status == 501


def test_a_page_is_made_again_only_when_the_run_has_gone_on(served, run):
    server, made = served
    tag = ask(server).headers["ETag"]
    assert ask(server).status == 200 and len(made) == 1
    assert (ask(server, If_None_Match=tag).status, len(made)) == (304, 1)
    run.write_json("summary.json", run.summary() | {"status": "running"})
    again = ask(server, If_None_Match=tag)
    assert (again.status, len(made)) == (200, 2) and again.headers["ETag"] != tag


def test_a_run_that_cannot_be_read_is_told_and_the_server_goes_on(served, run):
    summary = run.summary()
    run.storage.remove("config.yaml")
    run.storage.remove("rounds/0000/heldout_responses.parquet")
    run.write_text("rounds/0000/heldout_responses.parquet", "damaged")
    answer = ask(served[0])
    assert answer.status == 503 and answer.text.startswith("expected a table with")
    run.storage.remove("rounds/0000/heldout_responses.parquet")
    run.write_json("summary.json", summary)
    assert ask(served[0]).status == 200


def test_a_port_that_is_taken_is_refused_with_what_to_do(served):
    with pytest.raises(ConfigError, match=r"a free port on 127\.0\.0\.1 for --port.*leave --port out"):
        make_server(LivePage(lambda: "x", lambda version: ""), served[0].server_port, TOKEN)


def test_the_command_prints_its_address_serves_and_ends_well_by_ctrl_c(run, flame, tmp_path, monkeypatch):
    seen = []

    def person(server):
        seen.append(ask(server, server.path).status)
        _thread.interrupt_main()  # as Ctrl-C does

    def with_person(server, **options):
        threading.Thread(target=person, args=(server,), daemon=True).start()
        ThreadingHTTPServer.serve_forever(server, **options)

    monkeypatch.setattr(PageServer, "serve_forever", with_person)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets its background processes ignore it
    try:
        done = flame("report", "mine", "--live", folder=tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    address, last = done.stdout.splitlines()
    assert (done.returncode, last, seen) == (0, "ended", [200])
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/  \(Ctrl-C ends it\)", address)
    assert not (run.storage.local / "report.html").exists()


def test_a_page_that_cannot_be_made_starts_no_server(flame, tmp_path):
    done = flame("report", "nowhere", "--live", folder=tmp_path)
    assert done.returncode == StorageError.exit_code and "http://" not in done.stdout


def test_a_request_has_the_limit_of_answers_that_the_help_tells():
    assert ReportRequest(("mine",)).answers == 10_000
