"""A planted secret reaches none of the places where a run leaves words: its folder, its log, its errors, what is printed."""

import io
import json
import logging
import re
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flame_ray.cluster.job_server import Order
from flame_ray.commands.doctor import _check_refused
from flame_ray.commands.evaluate import EvaluateRequest
from flame_ray.commands.evaluated_model import EvaluatedModel
from flame_ray.commands.follow import seen_folder
from flame_ray.commands.resumable_file import ResumableFile
from flame_ray.commands.run import _record, locate_run
from flame_ray.commands.submit import SubmitRequest, plan
from flame_ray.config.load import load_config, parse_config
from flame_ray.doctor.checks import Check, Level, Site
from flame_ray.doctor.render import render
from flame_ray.errors import ConfigError, DataError
from flame_ray.evaluation.suites.base import SuiteResult
from flame_ray.journal.environment import describe_environment
from flame_ray.journal.journal import Journal
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.sft_journal import SftJournal
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.report.console import PlainConsole
from flame_ray.report.page.markup import plain
from flame_ray.report.progress import Screen
from flame_ray.report.suites import result_content, suites_table
from flame_ray.shown import ShownFormatter, hide_secrets, secret_variables, without_secrets
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Elicited, Interval, Prompt, SftReport, SftTraining, Split
from tests.builders import make_training_report

VALUE = "correct-horse/battery+staple="
HUB_TOKEN, OTHER_TOKEN = "hf_" + "Q" * 34, "ghp_" + "Z" * 36
PLANTED = {
    "a variable": VALUE,
    "the hub's token": HUB_TOKEN,
    "another token": OTHER_TOKEN,
    "a header": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
    "a password": "s3://me:hunter2hunter2@bucket/runs",
    "a signature": "https://host/x?X-Amz-Signature=abcdef0123456789",
}
SECRETS = (VALUE, HUB_TOKEN, OTHER_TOKEN, "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "hunter2hunter2", "abcdef0123456789")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Variables are read once in a process."""
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", VALUE)
    secret_variables.cache_clear()
    yield
    monkeypatch.undo()
    secret_variables.cache_clear()


@pytest.fixture(params=PLANTED.values(), ids=PLANTED.keys())
def planted(request) -> str:
    return f"refused: {request.param} at the store"


def clean(text: str) -> bool:
    return "***" in text and not any(secret in text for secret in SECRETS)


def everything_in(storage: Storage) -> str:
    return "\n".join(storage.read(name).decode("utf-8", "replace") for name in storage.names())


def test_an_error_a_log_line_and_a_line_on_the_screen_hide_it(planted):
    record = logging.LogRecord("n", 30, "p", 1, "%s", (planted,), None)
    console = PlainConsole(file=io.StringIO(), width=300)
    console.print(planted)
    for text in (str(DataError("a", planted, planted)), ShownFormatter("%(message)s").format(record), console.file.getvalue()):
        assert clean(text), text


def test_a_traceback_in_the_log_hides_it(planted):
    try:
        raise RuntimeError(planted)
    except RuntimeError as error:
        record = logging.LogRecord("n", 40, "p", 1, "failed", (), (type(error), error, error.__traceback__))
    assert clean(ShownFormatter("%(message)s").format(record))


def test_the_doctor_and_the_page_hide_it(planted):
    console = PlainConsole(file=io.StringIO(), width=300)
    render(console, [Check(Level.PROBLEM, "run", planted, planted, planted)], None, Site(planted, {}, ()))
    assert clean(console.file.getvalue())


def test_a_runs_folder_hides_it_in_settings_environment_and_command(tmp_path, planted, monkeypatch):
    monkeypatch.setattr("sys.argv", ["flame-ray", "run", f"--set=run.samples={planted}"])
    folder = RunFolder(Storage(tmp_path / "run"))
    folder.create(parse_config({"run": {"samples": planted}}, "here"), describe_environment({}) | {"models": {"m": planted}})
    assert clean(everything_in(folder.storage))


def test_no_variable_is_in_a_runs_folder_by_its_name_or_value(tmp_path, monkeypatch):
    monkeypatch.setenv("A_PLAIN_VARIABLE", "plain value of a variable")
    folder = RunFolder(Storage(tmp_path / "run"))
    folder.create(parse_config({}, "here"), describe_environment({}))
    assert "A_PLAIN_VARIABLE" not in everything_in(folder.storage)
    assert "plain value of a variable" not in everything_in(folder.storage)


def test_a_run_that_fails_with_it_hides_it_in_all_that_it_leaves(tmp_path, planted, metrics, fake_stages):
    def train(*_):
        raise RuntimeError(planted)

    run = RunFolder(Storage(tmp_path / "run"))
    journal = Journal(run, "mine", Screen(Console(file=io.StringIO())), metrics)
    prompts = (Prompt("a", "question", label=True), Prompt("b", "question", split=Split.HELDOUT))
    with pytest.raises(RuntimeError):
        _record(journal, parse_config({"run": {"rounds": 1}}, "here"), journal.wrap(fake_stages().stages(train=train)), prompts)
    assert run.summary()["status"] == "failed" and clean(everything_in(run.storage))


def test_a_fine_tuning_hides_it_in_the_place_of_its_model(tmp_path, planted, metrics):
    run = RunFolder(Storage(tmp_path / "run"))
    training = SftTraining(make_training_report(), {planted: 1}, {planted: 9}, 0)
    SftJournal(run, "mine", Screen(Console(file=io.StringIO())), metrics).complete(
        SftReport(1, None, Elicited(0, 0, {}), training, planted), {}
    )
    assert clean(everything_in(run.storage))


def test_what_is_said_of_the_best_round_hides_it(tmp_path, planted):
    Checkpoints(tmp_path / "run" / "checkpoints").deliver(1, {"policy": planted})
    assert clean(everything_in(Storage(tmp_path / "run")))


def test_a_submission_with_it_in_the_command_is_refused_without_repeating_it(tmp_path, planted, monkeypatch):
    """Ray's dashboard shows the command of a job."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text(f"run: {{root: {tmp_path}/runs}}\n")
    request = SubmitRequest(tmp_path / "job.yaml", (f"run.samples=/{planted.partition(': ')[2]}",))
    with pytest.raises(ConfigError, match="without passwords") as caught:
        plan(load_config(request.job, request.settings), request)
    assert not any(secret in str(caught.value) for secret in SECRETS)


NAME = "smollm2-135m"  # that of a model, which somebody has for a password too
HIDDEN_SETTINGS = [
    ("model.policy", {"model": {"policy": NAME}}),
    ("model.policy", {"model": {"policy": f"/models/{NAME}"}}),
    ("prompts.sources", {"prompts": {"sources": [{"source": f"{NAME}.jsonl"}]}}),
    ("run.name", {"run": {"name": f"my-{NAME}"}}),
    ("run.id", {"run": {"id": NAME}}),
    ("rollout.node_labels.type", {"rollout": {"node_labels": {"type": f"!{NAME}"}}}),
]


@pytest.fixture
def common(monkeypatch) -> None:
    monkeypatch.setenv("ANY_PASSWORD", NAME)
    secret_variables.cache_clear()


@pytest.mark.parametrize(("setting", "sections"), HIDDEN_SETTINGS)
def test_a_new_run_is_refused_whose_folder_would_hide_a_setting(common, setting, sections):
    config = parse_config({"model": {"policy": "other"}} | sections, "here")
    with pytest.raises(ConfigError) as caught:
        locate_run(config, None)
    assert caught.value.found == f"{setting}, which holds the value of the variable ANY_PASSWORD"


def test_the_doctor_and_submit_refuse_it_too(common, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text(f"model: {{policy: {NAME}}}\nrun: {{root: {tmp_path}/runs}}\n")
    request = SubmitRequest(Path("job.yaml"))
    with pytest.raises(ConfigError, match=r"model\.policy, which holds the value of the variable ANY_PASSWORD"):
        plan(load_config(request.job), request)
    assert [check.level for check in _check_refused(load_config(request.job))] == [Level.PROBLEM]
    assert not _check_refused(parse_config({"model": {"policy": "other"}}, "here"))


def test_a_run_that_began_without_the_variable_is_resumed_with_it(common, tmp_path):
    folder, config = RunFolder(Storage(tmp_path / "run")), parse_config({"model": {"policy": NAME}}, "here")
    secret_variables.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ANY_PASSWORD")
        folder.create(config, {})
    secret_variables.cache_clear()
    locate_run(config, "run")
    folder.check_resumable(config)


def test_a_password_in_a_place_that_a_resume_names_again_is_hidden_and_not_refused():
    places = {"run": {"root": PLANTED["a password"], "samples": VALUE}, "cluster": {"address": "redis://:hunter2hunter2@host"}}
    assert locate_run(parse_config(places, "here"), None)


def test_a_folder_whose_password_the_job_server_was_not_told_is_not_looked_for(tmp_path):
    for name, seen in (("me:***@bucket", False), ("bucket", True)):
        RunFolder(Storage(tmp_path / name)).create(parse_config({}, "here"), {})
        assert (seen_folder(str(tmp_path / name)) is not None) == seen


def test_the_variables_of_a_submission_are_in_no_text_of_it(monkeypatch):
    order = Order("mine", "python -m flame_ray run job.yaml", "/here", {"HF_TOKEN": HUB_TOKEN}, {"run_id": "mine"})
    assert HUB_TOKEN not in json.dumps([order.entrypoint, order.metadata, order.submission])
    assert HUB_TOKEN not in repr(order)


@pytest.mark.parametrize("width", [300, 24], ids=["wide", "broken over lines"])
@pytest.mark.parametrize("place", ["title", "caption", "heading", "cell", "a cell of text"])
def test_a_table_hides_it_wherever_it_is(planted, place, width):
    console = PlainConsole(file=io.StringIO(), width=width)
    table = Table(title=planted if place == "title" else None, caption=Text(planted) if place == "caption" else None)
    table.add_column(planted if place == "heading" else "n", overflow="fold")
    table.add_row({"cell": planted, "a cell of text": Text(planted)}.get(place, "1"))
    console.print(table)
    lines = "".join(re.sub(r"[\s│┃]", "", line) for line in console.file.getvalue().splitlines())
    assert clean(lines), lines


def test_the_results_of_a_suite_hide_the_password_of_a_models_url(tmp_path):
    name, result = PLANTED["a password"], SuiteResult("factbook", 8, {"precision": Interval(0.5, 0.2, 0.8, 8)}, {})
    written = json.dumps(result_content(result, {"model": name, "settings": {"judge": {"model": name}}}))
    assert clean(written) and json.loads(written)["model"] == "s3://me:***@bucket/runs"
    console = PlainConsole(file=io.StringIO(), width=300)
    console.print(suites_table(name, [result]))
    assert clean(console.file.getvalue())
    alone = EvaluatedModel("s3://me:hunter2hunter2@bucket", None, None, "0123456789")  # type: ignore[arg-type]
    assert "hunter2" not in str(EvaluateRequest("m", ("factbook",), tmp_path).folder("factbook", alone))


def test_what_is_written_beside_records_hides_it(tmp_path, planted):
    with ResumableFile(tmp_path / "records.jsonl", {"model": planted}):
        pass
    assert clean((tmp_path / "records.jsonl.settings.json").read_text())
    with ResumableFile(tmp_path / "records.jsonl", {"model": planted}):  # and is what it was
        pass


def test_the_page_hides_it(planted):
    assert clean(plain(planted))


@pytest.mark.parametrize(
    "text",
    [
        "hf_hub_download_and_raise_for_status",
        "a bearer of good news, and Bearer certificates",
        "risk-averse sk-learn",
        "max_tokens=384, tokenizer",
        "the Basic idea",
    ],
)
def test_words_that_only_look_like_a_secret_stay(text):
    assert without_secrets(text) == text


def test_a_path_to_a_secret_a_short_value_and_a_count_are_no_secrets(monkeypatch):
    for name, value in {"RAY_AUTH_TOKEN_PATH": "/home/me/token", "A_PASSWORD": "short", "MAX_TOKENS": "12345678"}.items():
        monkeypatch.setenv(name, value)
    secret_variables.cache_clear()
    assert tuple(secret_variables()) == (VALUE,)


def test_the_longer_of_two_values_is_hidden_first(monkeypatch):
    monkeypatch.setenv("A_TOKEN", VALUE + "and more")
    secret_variables.cache_clear()
    assert hide_secrets({"a": VALUE + "and more"}) == {"a": "***"}
