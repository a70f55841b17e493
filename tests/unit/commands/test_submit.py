"""What is sent for a job, what is refused before, and the exit code of what was followed."""

import io
import re
import shlex
import stat
from pathlib import Path

import pytest
from rich.console import Console

from flame_ray.cluster.job_server import STOP_WAIT, JobServer, Nodes, Submission
from flame_ray.commands import follow
from flame_ray.commands.submit import SubmitRequest, free_submission, plan, submit
from flame_ray.config import Config
from flame_ray.config.load import load_config
from flame_ray.errors import ConfigError, PlacementError, StorageError
from flame_ray.journal.run_folder import SUBMISSIONS, RunFolder
from flame_ray.storage.filesystem import Storage
from tests.doubles import FakeJob, FakeJobClient
from tests.unit.test_jobs import JOBS_FOLDER

AT = "http://127.0.0.1:8265"


class Server(JobServer):
    """A job server of one large node. What is submitted becomes a job with this status, exit code and log."""

    def __init__(self, *jobs: FakeJob, becomes: FakeJob | None = None, cpus: float = 64.0):
        super().__init__(FakeJobClient(*jobs), AT)
        self._becomes, self._cpus = becomes, cpus

    def nodes(self) -> Nodes:
        return Nodes(({"CPU": self._cpus},), False)

    def submit(self, order) -> None:
        super().submit(order)
        if self._becomes:
            self._becomes.submission_id = order.submission
            self.client.jobs.append(self._becomes)


@pytest.fixture
def job(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "job.yaml").write_text(f"run: {{root: {tmp_path}/runs, name: mine}}\n")
    return Path("job.yaml")


def sent(server: Server, request: SubmitRequest) -> tuple[int, dict, str]:
    console = Console(file=io.StringIO(), width=200)
    code = submit(request, server, console)
    return code, server.client.sent[-1] if server.client.sent else {}, console.file.getvalue()


def test_a_job_is_sent_with_a_run_id_that_its_submission_and_its_metadata_share(job, monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET", "hush")
    request = SubmitRequest(job, ("run.rounds=1",), environment=("SECRET",), follow=False)
    code, order, printed = sent(Server(), request)
    run = order["submission_id"]
    assert code == 0 and run.startswith("mine-20")
    assert shlex.split(order["entrypoint"]) == [
        "python", "-m", "flame_ray", "run", "job.yaml", "--set=run.rounds=1", f"--set=run.id={run}"
    ]  # fmt: skip
    assert order["metadata"] == {"run_id": run, "run_folder": f"{tmp_path}/runs/{run}", "job_file": "job.yaml"}
    limits = Config().cluster
    least = limits.step_timeout_s + limits.save_timeout_s
    assert order["runtime_env"]["working_dir"] == str(Path.cwd())
    assert order["runtime_env"]["env_vars"]["SECRET"] == "hush" and "hush" not in printed
    assert int(order["runtime_env"]["env_vars"][STOP_WAIT]) > least
    assert f"flame-ray stop {run}" in printed


def test_a_secret_that_a_job_would_carry_into_rays_logs_has_a_line_of_warning(job, monkeypatch):
    values = {"HF_TOKEN": "hush-hush", "HF_TOKEN_PATH": "/secrets/hub", "WANDB_API_KEY": "silence", "REGION": "eu"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    _, _, printed = sent(Server(), SubmitRequest(job, environment=tuple(values), follow=False))
    [warning] = [line for line in printed.splitlines() if line.startswith("warning")]
    assert "Ray logs HF_TOKEN, WANDB_API_KEY in clear" in warning and not [each for each in values.values() if each in printed]
    assert "\nwarning" not in sent(Server(), SubmitRequest(job, environment=("REGION",), follow=False))[2]


def test_the_time_to_stop_can_be_set_by_the_shell(job, monkeypatch):
    monkeypatch.setenv(STOP_WAIT, "7")
    _, order, _ = sent(Server(), SubmitRequest(job, environment=(STOP_WAIT,), follow=False))
    assert order["runtime_env"]["env_vars"] == {STOP_WAIT: "7"}


def test_a_fine_tuning_is_sent_as_one(job):
    job.write_text(job.read_text() + "sft: {sources: [{source: /a.jsonl}]}\nlearner: {loss: nll}\n")
    _, order, _ = sent(Server(), SubmitRequest(job, follow=False))
    assert "-m flame_ray sft job.yaml" in order["entrypoint"]


def test_a_job_of_another_command_is_refused_with_the_command_to_use(job):
    job.write_text(job.read_text() + "train_judge: {labels: [pairs.jsonl]}\n")
    refused = r"the section train_judge.*use `flame-ray train-judge JOB --out FOLDER`.*; a cluster gets .*`ray job submit`"
    with pytest.raises(ConfigError, match=refused):
        sent(Server(), SubmitRequest(job))


@pytest.mark.parametrize("name", ["cpu/evaluate.yaml", "cpu/agreement.yaml", "self-instruct.yaml", "train-checker.yaml"])
def test_a_shipped_job_of_another_command_is_not_sent_as_a_run(monkeypatch, name):
    monkeypatch.chdir(JOBS_FOLDER.parent)
    server = Server()
    with pytest.raises(ConfigError, match="by `ray job submit`"):
        submit(SubmitRequest(Path("jobs", name), ("run.root=/shared/runs",)), server, Console(file=io.StringIO()))
    assert server.client.sent == []


def test_the_token_of_this_machine_is_narrowed_before_a_job_is_sent(job, monkeypatch, tmp_path):
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("a token")
    token.chmod(0o644)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    sent(Server(), SubmitRequest(job, follow=False))
    assert (token.read_text(), stat.S_IMODE(token.stat().st_mode)) == ("a token", 0o600)


def test_a_resumed_run_is_a_new_job_under_its_old_id(job):
    server = Server(FakeJob("a", "STOPPED", metadata={"run_id": "a"}), FakeJob("a-2", "FAILED", metadata={"run_id": "a"}))
    _, order, _ = sent(server, SubmitRequest(job, resume="a", follow=False))
    assert order["submission_id"] == "a-3" and order["metadata"]["run_id"] == "a"
    assert order["entrypoint"].endswith("run job.yaml --resume a")


def test_a_fine_tuning_that_was_stopped_is_resumed_as_one_under_its_id(job, tmp_path):
    job.write_text(job.read_text() + "sft: {sources: [{source: /a.jsonl}]}\nlearner: {loss: nll}\n")
    folder = RunFolder(Storage(tmp_path / "runs" / "a"))
    folder.create(load_config(job), {})
    server = Server(FakeJob("a", "STOPPED", metadata={"run_id": "a", "run_folder": folder.storage.url}))
    _, order, _ = sent(server, SubmitRequest(job, resume="a", follow=False))
    assert order["entrypoint"].endswith("-m flame_ray sft job.yaml --resume a")
    assert order["submission_id"] == "a-2" and order["metadata"]["run_folder"] == folder.storage.url
    with pytest.raises(ConfigError, match=r"learner\.lr"):
        sent(server, SubmitRequest(job, ("learner.lr=0.5",), resume="a"))


def test_a_run_that_is_resumed_by_its_whole_path_needs_no_root(job, tmp_path):
    folder = str(tmp_path / "runs" / "a")
    code, order, printed = sent(Server(), SubmitRequest(job, ("run.root=runs",), resume=folder, follow=False))
    assert code == 0 and order["metadata"]["run_folder"] == folder
    assert re.search(rf"run\.root .* {tmp_path}/runs\b", printed)
    assert order["entrypoint"].endswith(f"run job.yaml --set=run.root=runs --resume {folder}")


@pytest.mark.parametrize(("run", "free"), [("a", "a-3"), ("a-2", "a-2-2"), ("b", "b")])
def test_the_id_of_a_job_is_one_that_no_job_has_of_whatever_run(run, free):
    jobs = [FakeJob("a", "FAILED", metadata={"run_id": "a"}), FakeJob("a-2", "FAILED", metadata={"run_id": "other"})]
    assert free_submission(run, Server(*jobs)) == free


def test_a_run_whose_job_goes_on_is_not_sent_again(job):
    server = Server(FakeJob("a", "RUNNING", metadata={"run_id": "a"}))
    with pytest.raises(StorageError, match=r"no other job to be run a; found a, which goes on.*flame-ray stop a"):
        free_submission("a", server)


def test_a_resumed_run_with_other_settings_is_refused_before_anything_is_sent(job, tmp_path):
    RunFolder(Storage(tmp_path / "runs" / "a")).create(load_config(job), {})
    with pytest.raises(ConfigError, match=r"run\.seed: 0 -> 5"):
        sent(Server(), SubmitRequest(job, ("run.seed=5",), resume="a"))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (SubmitRequest(Path("job.yaml"), ("run.root=runs",)), r"an absolute path or a URL for run\.root.*--set run\.root="),
        (SubmitRequest(Path("job.yaml"), ("run.samples=runs",)), r"for run\.samples"),
        (SubmitRequest(Path("job.yaml"), ("run.root=s3://me:pass@bucket/runs",)), r"without passwords.*--env"),
        (SubmitRequest(Path("job.yaml"), (f"run.name={'x' * 60}",)), r"run\.id"),
        (SubmitRequest(Path("job.yaml"), resume=" "), r"--resume with a run's id or folder"),
        (SubmitRequest(Path("job.yaml"), ("run.root=runs",), resume="a"), r"for run\.root"),
        (SubmitRequest(Path("job.yaml"), resume="runs/a"), r"for --resume"),
    ],
)
def test_what_a_submitted_job_cannot_have_is_refused_with_the_way_out(job, request_, said):
    with pytest.raises(ConfigError, match=said) as caught:
        plan(load_config(request_.job, request_.settings), request_)
    assert "pass@" not in str(caught.value)


def test_a_job_file_outside_the_folder_that_is_sent_is_refused(job, tmp_path):
    (tmp_path / "other.yaml").write_text(job.read_text())
    with pytest.raises(ConfigError, match=r"a job file in .*here, the folder that is sent; found .*other\.yaml"):
        sent(Server(), SubmitRequest(tmp_path / "other.yaml"))
    job.write_text("base: ../other.yaml\n")
    with pytest.raises(ConfigError, match=r"found \.\./other\.yaml"):
        sent(Server(), SubmitRequest(job))


@pytest.mark.parametrize("name", ["NOT_SET_ANYWHERE", "HF_TOKEN=hush"])
def test_a_variable_that_is_not_set_is_refused_and_no_value_is_shown(job, name):
    with pytest.raises(ConfigError, match="--env with names of variables") as caught:
        sent(Server(), SubmitRequest(job, environment=(name,)))
    assert "hush" not in str(caught.value)


class Lossy(FakeJobClient):
    """Loses the answer to a submission, and perhaps the submission."""

    def __init__(self, arrives: bool, answers: bool = True):
        super().__init__()
        self.arrives, self.answers = arrives, answers

    def submit_job(self, **order):
        super().submit_job(**order)
        self.jobs += [FakeJob(order["submission_id"], "SUCCEEDED", 0)] if self.arrives else []
        raise ConnectionError("reset")

    def list_jobs(self):
        if self.sent and not self.answers:
            raise ConnectionError("away")
        return super().list_jobs()


def test_a_job_that_arrived_is_followed_although_the_answer_to_it_was_lost(job):
    server = Server()
    server.client = Lossy(arrives=True)
    code, order, printed = sent(server, SubmitRequest(job))
    assert code == 0 and f"{order['submission_id']} has ended: SUCCEEDED" in printed


@pytest.mark.parametrize(
    ("answers", "said"), [(True, "found ConnectionError: reset"), (False, r"flame-ray status mine-\d+-\d+` says whether")]
)
def test_a_job_that_may_not_have_arrived_is_an_error_that_says_how_to_find_out(job, answers, said):
    server = Server()
    server.client = Lossy(arrives=False, answers=answers)
    with pytest.raises(PlacementError, match=said):
        sent(server, SubmitRequest(job))


def test_nothing_is_sent_if_a_check_finds_a_problem(job):
    code, order, printed = sent(Server(cpus=0.5), SubmitRequest(job))
    assert code == 5 and not order and "not ready on cluster of 1 node" in printed


def test_the_log_is_shown_and_the_exit_code_is_that_of_the_run(job, capsys):
    becomes = FakeJob("", "FAILED", 3, pieces=["round 1\x1b[2J\n", "at s3://me:pass@bucket\r50 %\r\n"])
    code, _, printed = sent(Server(becomes=becomes), SubmitRequest(job))
    assert code == 3 and "has ended: FAILED, exit code 3" in printed
    assert capsys.readouterr().out == "round 1\\x1b[2J\nat s3://me:***@bucket\n50 %\n"


def test_ctrl_c_leaves_the_job_and_says_how_to_go_on(job, monkeypatch):
    def pressed(*words, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(follow, "follow", pressed)
    code, order, printed = sent(Server(), SubmitRequest(job))
    run = order["submission_id"]
    assert code == 130 and f"{run} goes on. Follow it: flame-ray logs {run} --follow; end it: flame-ray stop {run}" in printed


def ended(status: str, exit_code: int | None = None) -> Submission:
    return Submission("mine", status, exit_code, 0, "why", {})


def test_after_a_stop_the_exit_code_is_that_of_the_record_or_else_of_the_logs_last_line(tmp_path):
    said = FakeJob("mine", pieces=["a\nflame-ray has ended with exit code 75\n"])
    server, folder = Server(said), RunFolder(Storage(tmp_path / "mine"))
    assert follow.exit_code_of(ended("STOPPED"), server, str(tmp_path / "mine")) == 75
    folder.create(Config(), {})
    folder.write_json(SUBMISSIONS, ["mine"])
    folder.write_json("summary.json", {"status": "complete"})
    assert follow.exit_code_of(ended("STOPPED"), server, folder.storage.url) == 0
    assert follow.exit_code_of(ended("FAILED"), server, folder.storage.url) == 75
    assert follow.exit_code_of(ended("FAILED", -9), server, None) == 137
    with pytest.raises(StorageError, match=r"found mine, which the job server calls STOPPED: why"):
        follow.exit_code_of(ended("STOPPED"), Server(FakeJob("mine")), None)


def test_a_stopped_job_that_did_not_take_up_its_run_does_not_end_as_the_job_before_it(tmp_path):
    folder = RunFolder(Storage(tmp_path / "mine"))
    folder.create(Config(), {})
    folder.write_json(SUBMISSIONS, ["before"])
    folder.write_json("summary.json", {"status": "failed", "error": "ModelError: none"})
    said = FakeJob("mine", pieces=["flame-ray has ended with exit code 75\n"])
    assert follow.exit_code_of(ended("STOPPED"), Server(said), folder.storage.url) == 75
    with pytest.raises(StorageError, match="found mine, which the job server calls STOPPED"):
        follow.exit_code_of(ended("STOPPED"), Server(FakeJob("mine")), folder.storage.url)
