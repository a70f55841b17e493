"""The command line, as a person meets it: one message, an exit code, and nothing left behind."""

import os
import subprocess
import sys

import pytest

import flame_ray
from flame_ray import cli
from flame_ray.errors import Interrupted

HEAVY = {"torch", "ray", "vllm", "deepspeed", "transformers"}


@pytest.fixture
def job(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text("run: {name: mine, root: runs}\n")
    return path


def test_a_job_file_that_is_not_there_is_one_message_and_exit_code_2(flame, tmp_path):
    done = flame("run", "nowhere.yaml", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "flame-ray: expected a job file (YAML); found nothing at nowhere.yaml. "
        "To fix: give the path of a file such as jobs/quickstart.yaml.\n"
    )
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--set", "rollout.sampels=3"], ["rollout.sampels", "did you mean rollout.samples?"]),
        (["--set", "rollout.samples=1"], ["rollout.samples", "must be a whole number of at least 2 (given 1)"]),
        (["--set", "learner.lora.r=zero"], ["learner.lora.r", "given zero"]),
        (["--set", "learner.batch_pairs=7"], ["learner", "batch_pairs (7) must be a multiple"]),
        (["--set", "rollout"], ["--set section.key=value", "rollout"]),
        (["--set", "samples=3"], ["--set section.key=value", "samples=3 (did you mean", "rollout.samples"]),
        (["--set", "run.name.first=x"], ["`name` in run.name.first=x is a value"]),
        (["--set", "rollout.samples=[1"], ["rollout.samples=[1", "quote the value"]),
    ],
)
def test_a_bad_setting_is_one_message_with_its_path_and_leaves_no_folder(flame, words, parts, job):
    done = flame("run", job, *words, folder=job.parent)
    assert done.returncode == 2
    assert done.stderr.startswith("flame-ray: expected ")
    assert "; found " in done.stderr and ". To fix: " in done.stderr
    assert "Traceback" not in done.stderr
    assert all(part in done.stderr for part in parts), done.stderr
    assert [path.name for path in job.parent.iterdir()] == ["job.yaml"]


def test_an_unknown_setting_in_the_file_is_named_with_its_path_and_its_file(flame, job):
    job.write_text("rollout: {sampels: 3}\n")
    done = flame("run", job, folder=job.parent)
    assert done.returncode == 2
    assert f"in {job}: rollout.sampels" in done.stderr


def test_every_bad_setting_is_named_at_once(flame, job):
    done = flame("run", job, "--set", "rollout.samples=1", "--set", "run.sead=3", folder=job.parent)
    assert "rollout.samples" in done.stderr and "run.sead" in done.stderr


def test_a_prompt_file_that_is_not_there_exits_with_the_code_of_data_and_leaves_no_folder(flame, job):
    done = flame("run", job, "--set", "prompts.sources=[{source: missing.jsonl}]", folder=job.parent)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("flame-ray: expected ") and "missing.jsonl" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in job.parent.iterdir()] == ["job.yaml"]


def test_a_model_that_is_not_there_exits_with_the_code_of_models_and_leaves_no_folder(flame, job):
    done = flame("run", job, "--set", "model.policy=./no-model", folder=job.parent)
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("flame-ray: expected ") and "model.policy: ./no-model" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in job.parent.iterdir()] == ["job.yaml"]


def test_the_doctor_says_what_a_job_lacks_exits_with_5_and_leaves_no_folder(flame, job):
    done = flame("doctor", job, "--set", "learner.gpus=64", "--set", "model.policy=./no-model", folder=job.parent)
    assert done.returncode == 5, done.stderr
    assert "learner 64" in done.stdout and "./no-model" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("not ready on this machine: ")
    assert done.stderr == ""
    assert [path.name for path in job.parent.iterdir()] == ["job.yaml"]


LIGHT = (
    ["run", "nowhere.yaml"],
    ["run", "job.yaml", "--set", "rollout.sampels=3"],
    ["doctor", "job.yaml", "--set", "rollout.sampels=3"],
    ["score", "--responses", "r.jsonl", "--out", "o.jsonl", "--decompose", "clauses"],
    ["agreement", "--labels", "l.jsonl", "--kind", "claims", "--checker", "oracle"],
    ["submit", "job.yaml", "--set", "rollout.sampels=3"],
    ["audit", "mine", "--labels", "l.jsonl", "--seed", "1"],
    ["--version"],
)
LOADED = f"""
import sys
from flame_ray.cli import app
for words in {[*LIGHT, ["doctor", "job.yaml"]]!r}:
    try:
        app(words, standalone_mode=False)
    except Exception as error:
        print(type(error).__name__)
    print(sorted({HEAVY!r} & set(sys.modules)))
import ray
print(ray.is_initialized())
import flame_ray.commands.agreement, flame_ray.commands.evaluate, flame_ray.commands.sft
print(sorted({HEAVY!r} & set(sys.modules)))
"""


def test_a_bad_setting_is_found_before_any_heavy_package_is_loaded_and_the_doctor_loads_no_engine_and_starts_no_ray(job):
    """One process for all, because each takes a second to start: the doctor comes late, since it does load Ray. Commands that
    start actors, whose classes they import, load nothing else.

    With a model in the cache it would load transformers too, for the tokenizer.
    """
    environment = os.environ | {"FLAME_RAY_CACHE": str(job.parent / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=job.parent, env=environment, capture_output=True, text=True, timeout=120
    )
    lines = done.stdout.splitlines()
    assert lines[: 2 * len(LIGHT)] == ["ConfigError", "[]"] * (len(LIGHT) - 1) + [flame_ray.__version__, "[]"], done.stderr
    assert lines[-3:] == ["['ray']", "False", "['ray']"], done.stderr


QUICK = f"""
import contextlib, io, sys
from flame_ray.cli import app
from flame_ray.commands import completion
with contextlib.redirect_stdout(io.StringIO()) as printed:
    for words in (["--help"], ["run", "--help"], ["--version"], ["settings", "learner"]):
        app(words, standalone_mode=False)
for offers in ("assignments", "names_of_settings", "job_files", "suites", "tables"):
    assert getattr(completion, offers)("") is not None
print(len(printed.getvalue()) > 1000, sorted({HEAVY!r} & set(sys.modules)))
"""


def test_help_settings_and_completion_load_no_heavy_package(tmp_path):
    done = subprocess.run([sys.executable, "-c", QUICK], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout == "True []\n", done.stderr


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("run jobs/q", "jobs/quick.yaml"),
        ("run jobs/quick.yaml --set learner.lr_fi", "learner.lr_final="),
        ("score --job jobs/q", "jobs/quick.yaml"),
        ("settings lear", "learner"),
        ("evaluate a --suite bio", "biography"),
        ("reproduce fig", "figure-1"),
        ("train-c", "train-checker"),
    ],
)
def test_the_shell_completes_commands_files_and_names(flame, tmp_path, monkeypatch, typed, offered):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "quick.yaml").write_text("{}")
    monkeypatch.setenv("_FLAME_RAY_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"flame-ray {typed}")
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split())))
    done = flame(folder=tmp_path)
    assert (done.returncode, offered in done.stdout.split("\n")) == (0, True), done


def test_the_settings_command_prints_a_section_and_refuses_a_name_that_is_none(flame, tmp_path):
    done = flame("settings", "learner.lora", "--format", "json", folder=tmp_path)
    assert done.returncode == 0 and '"learner.lora.r"' in done.stdout
    done = flame("settings", "lerner", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "") and "lerner (did you mean learner?)" in done.stderr


def test_the_package_is_a_command_of_its_own(tmp_path):
    done = subprocess.run([sys.executable, "-m", "flame_ray", "run", "nowhere.yaml"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 2 and done.stderr.startswith(b"flame-ray: expected a job file (YAML)")


SCORE = ("score", "--responses", "r.jsonl", "--out", "o.jsonl")


def test_scoring_a_file_that_is_not_there_is_one_message_and_leaves_nothing(flame, tmp_path):
    done = flame(*SCORE, folder=tmp_path)
    assert (done.returncode, list(tmp_path.iterdir())) == (3, [])
    assert "r.jsonl: No such file" in done.stderr and "--responses" in done.stderr


def test_scoring_on_a_corpus_that_is_not_there_is_one_message_and_leaves_nothing(flame, tmp_path):
    done = flame(*SCORE, "--corpus", "./no: such.jsonl", folder=tmp_path)
    assert (done.returncode, list(tmp_path.iterdir())) == (3, [])
    assert "no: such.jsonl" in done.stderr and "Traceback" not in done.stderr


def test_a_suite_whose_data_is_absent_is_one_message_and_leaves_nothing(flame, tmp_path):
    ended = flame("evaluate", "smollm2-135m", "--suite", "mmlu", "--set", "suites.mmlu=nowhere", folder=tmp_path)
    assert ended.returncode == 3 and "suites.mmlu" in ended.stderr and "github.com/hendrycks/test" in ended.stderr
    assert "Traceback" not in ended.stderr and list(tmp_path.iterdir()) == []


def test_a_shorthand_is_a_setting_and_wins_over_set_which_wins_over_the_job(flame, tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text("factuality: {workers: 0}\n")
    (tmp_path / "r.jsonl").write_text("")
    done = flame(*SCORE, "--job", job, "--set", "factuality.workers=-1", "--workers", "-2", folder=tmp_path)
    assert done.returncode == 2
    assert "factuality.workers: must be a whole number of at least 1 (given -2)" in done.stderr


def test_a_file_without_a_response_is_refused_before_anything_starts(flame, tmp_path):
    (tmp_path / "r.jsonl").write_text("\n{\n")
    done = flame(*SCORE, folder=tmp_path)
    assert done.returncode == 3
    assert "r.jsonl:2" in done.stderr and "expected a response to score" in done.stderr


def test_labels_of_one_kind_only_are_refused_before_anything_starts(flame, tmp_path):
    (tmp_path / "l.jsonl").write_text('{"claim": "a", "evidence": [], "label": "supported"}\n')
    done = flame("agreement", "--labels", "l.jsonl", "--kind", "claims", folder=tmp_path)
    assert done.returncode == 3 and "claims of both labels" in done.stderr


def test_claims_that_need_a_corpus_are_refused_without_one_before_anything_starts(flame, tmp_path):
    with_evidence = '{"claim": "a", "evidence": [], "label": "supported"}'
    asked = '{"claim": "a", "prompt": "b", "label": "contradicted"}'
    (tmp_path / "l.jsonl").write_text(f"{with_evidence}\n{asked}\n")
    done = flame("agreement", "--labels", "l.jsonl", "--kind", "claims", folder=tmp_path)
    assert done.returncode == 3 and "--corpus" in done.stderr and "l.jsonl:2" in done.stderr


@pytest.mark.parametrize(("helpful", "part"), [("tie", "only ties in l.jsonl"), ("both", "l.jsonl:1")])
def test_preferences_that_measure_nothing_are_refused_before_anything_starts(flame, tmp_path, helpful, part):
    (tmp_path / "l.jsonl").write_text(f'{{"prompt": "a", "a": "b", "b": "c", "helpful": "{helpful}"}}\n')
    done = flame("agreement", "--labels", "l.jsonl", "--kind", "preferences", folder=tmp_path)
    assert done.returncode == 3 and part in done.stderr


def test_responses_without_evidence_and_without_a_corpus_are_refused(flame, tmp_path):
    line = '{"prompt": "a", "response": "b", "system": "c", "supported": 1, "unsupported": 0}\n'
    (tmp_path / "l.jsonl").write_text(line)
    done = flame("agreement", "--labels", "l.jsonl", "--kind", "responses", folder=tmp_path)
    assert done.returncode == 3 and "--corpus" in done.stderr and "l.jsonl:1" in done.stderr


def test_a_bug_shows_its_trace_and_not_a_message_of_the_users(monkeypatch, capsys):
    monkeypatch.setattr(cli, "load_config", lambda *_: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["flame-ray", "run", "job.yaml"])
    with pytest.raises(ZeroDivisionError):
        cli.main()
    assert "flame-ray:" not in capsys.readouterr().err


def test_without_words_the_help_is_shown(flame, tmp_path):
    done = flame(folder=tmp_path)
    assert "Run a job" in done.stdout + done.stderr


def test_the_version_is_printed(flame, tmp_path):
    done = flame("--version", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, flame_ray.__version__ + "\n")


def test_an_interrupted_run_says_how_to_resume_and_exits_with_the_code_for_try_again(flame, tmp_path, monkeypatch):
    def stopped(*words):
        raise Interrupted("a run that ends by itself", "SIGTERM", "go on with --resume mine")

    monkeypatch.setattr(cli, "load_config", stopped)
    done = flame("run", "job.yaml", folder=tmp_path)
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr == "flame-ray: expected a run that ends by itself; found SIGTERM. To fix: go on with --resume mine.\n"


def test_the_index_command_builds_the_index_of_a_corpus(flame, tmp_path, monkeypatch):
    monkeypatch.setenv("FLAME_RAY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "corpus.jsonl").write_text('{"title": "Peru", "text": "Lima is the capital of Peru."}\n')
    done = flame("index", "--corpus", "corpus.jsonl", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 passages of corpus.jsonl, indexed for bm25 in ")
    assert {path.name.split("-")[0] for path in (tmp_path / "cache" / "indexes").iterdir() if path.is_dir()} == {
        "passages",
        "bm25",
    }


@pytest.mark.parametrize(
    "words",
    [
        ["run", "job.yaml", "--resume", ""],
        ["run", ""],
        ["score", "--responses", "r", "--out="],
        ["run", "job.yaml", "--job", " "],
    ],
)
def test_an_empty_word_is_refused_and_names_the_word_before_it(flame, tmp_path, words):
    done = flame(*words, folder=tmp_path)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "a value for each option and argument" in done.stderr and (words[-2] in done.stderr or words[-1] in done.stderr)


def test_a_submitted_job_is_refused_a_relative_cache_and_a_relative_output(flame, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", '{"metadata": {"job_submission_id": "one"}}')
    (tmp_path / "r.jsonl").write_text('{"prompt": "a", "response": "b"}\n')
    done = flame(*SCORE, folder=tmp_path)
    assert done.returncode == 2 and "--out /shared/path" in done.stderr, done.stderr
    monkeypatch.setenv("FLAME_RAY_CACHE", "cache")
    done = flame(*SCORE, folder=tmp_path)
    assert done.returncode == 2 and "FLAME_RAY_CACHE" in done.stderr, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


def test_scoring_on_a_job_servers_address_is_refused_before_a_file_is_made(flame, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    (tmp_path / "r.jsonl").write_text('{"prompt": "a", "response": "b"}\n')
    done = flame(*SCORE, folder=tmp_path)
    assert done.returncode == 5 and "ray job submit" in done.stderr, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]
