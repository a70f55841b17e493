"""What people typed wrong, in public reports and here: each ends with one line that says where and what to do, and a code."""

import os

import pytest

GOOD = "run: {name: mine, root: runs}\n"
JOBS = {
    "mistyped.yaml": (b"run:\n  rouns: 3\n", ["mistyped.yaml: run.rouns: there is no such setting (did you mean run.rounds?)"]),
    "section.yaml": (b"rollouts:\n  samples: 3\n", ["rollouts: there is no such setting (did you mean rollout?)"]),
    "text.yaml": (b"prompts:\n  sources: factbook\n", ["prompts.sources: must be a list", "(given factbook)"]),
    "null.yaml": (b"rollout:\n", ["rollout: is empty"]),
    "value.yaml": (b"run:\n  rounds:\n", ["run.rounds: must be a whole number", "(given null; YAML reads an empty value so)"]),
    "twice.yaml": (b"run:\n  seed: 1\n\n  seed: 2\n", ["twice.yaml:4: `seed` again, after line 2"]),
    "truth.yaml": (b"run:\n  rounds: yes\n", ["run.rounds: must be a whole number of at least 1 (given true)"]),
    "text_number.yaml": (b"run:\n  rounds: 'three'\n", ["run.rounds: must be a whole number", "(given three)"]),
    "no.yaml": (b"model:\n  policy: no\n", ["model.policy: must be text (given false; YAML also reads yes, no, on and off so"]),
    "nan.yaml": (b"learner:\n  lr: .nan\n", ["learner.lr: must be a number above 0 (given .nan)"]),
    "inf.yaml": (b"learner:\n  lr: .inf\n", ["learner.lr: must be a number above 0 (given .inf)"]),
    "empty.yaml": (b"", ["settings in a job file; found none in empty.yaml"]),
    "list.yaml": (b"- run\n- model\n", ["list.yaml holds a list"]),
    "tab.yaml": (b"run:\n\tseed: 1\n", ["tab.yaml:2: a tab, where YAML takes only blanks"]),
    "own.yaml": (b"base: own.yaml\n", ["a circle: own.yaml -> own.yaml"]),
    "base.yaml": (b"base: none.yaml\n", ["the base of base.yaml; found nothing at none.yaml"]),
    "latin.yaml": (b"run:\n  name: caf\xe9\n", ["in UTF-8; found latin.yaml:2"]),
    "utf16.yaml": (GOOD.encode("utf-16"), ["in UTF-8; found utf16.yaml:1"]),
    "folder.yaml": (None, ["a job file (YAML); found a folder at folder.yaml"]),
}  # fmt: skip
WORDS = [
    (["run", "nowhere.yaml"], 2, ["found nothing at nowhere.yaml"]),
    (["run", "good.yaml", "--set", "rollout.sampels=3"], 2, ["in --set: rollout.sampels", "(did you mean rollout.samples?)"]),
    (["run", "good.yaml", "--set", "lr=1"], 2, ["lr=1 (did you mean learner.lr, ", "name the section"]),
    (["run", "good.yaml", "--set", "run.rounds=true"], 2, ["in --set: run.rounds: must be a whole number"]),
    (["run", "good.yaml", "--set", "run.rounds"], 2, ["--set section.key=value; found run.rounds. To fix: write the setting"]),
    (["run", "good.yaml", "--set", "rollout"], 2, ["--set section.key=value; found rollout. To fix: write the setting with"]),
    (["run", "good.yaml", "--set", "rollout="], 2, ["--set section.key=value; found rollout=. To fix: write the setting with"]),
    (["run", "good.yaml", "--set", "run.rounds="], 2, ["--set section.key=value; found no value in run.rounds="]),
    (["run", "good.yaml", "--set", "rollout.samples=[1"], 2, ["rollout.samples=[1: a list `[` that is not closed"]),
    (["run", "good.yaml", "--resume", ""], 2, ["an empty word after --resume"]),
    (["run", "good.yaml", "--set", "run.root=good.yaml"], 6, ["good.yaml", "Not a directory", "run.root"]),
    (["run", "good.yaml", "--set", "run.root=good.yaml", "--set", "model.policy=./none"], 6, ["Not a directory", "run.root"]),
    (["run", "good.yaml", "--set", "run.root=https://me:hunter2@127.0.0.1:9/runs", "--set", "model.policy=./none"], 6, ["https://me:***@"]),
    (["run", "good.yaml", "--set", "run.root=s4://me:hunter2@b/runs", "--set", "model.policy=./none"], 6, ["s4://me:***@"]),
    (["score", "--responses", "r.jsonl", "--out", "folder.yaml"], 6, ["--out to be a file; found the folder folder.yaml"]),
    (["score", "--responses", "folder.yaml", "--out", "o.jsonl"], 3, ["folder.yaml: Is a directory", "--responses"]),
    (["run", "good.yaml", "--set", "run.root=s3:/b/runs"], 2, ["in --set: run.root: must be a path, or a URL such as s3://"]),
    (["run", "good.yaml", "--set", "run.samples=gs:b"], 2, ["in --set: run.samples: must be a path, or a URL", "(given gs:b)"]),
    (["run", "good.yaml", "--set", "prompts.sources=[{source: s3//b/p}]"], 2, ["prompts.sources.0.source: must be a path"]),
    (["run", "good.yaml", "--resume", "file:/runs/mine"], 2, ["a URL such as s3://bucket/folder; found file:/runs/mine"]),
    (["report", "s3:/b/runs/mine"], 2, ["a path, or a URL such as s3://bucket/folder; found s3:/b/runs/mine"]),
    (["pairs", "runs/mine", "--out=s3:/me:hunter2@b/x"], 2, ["found --out=s3:/me:***@b/x."]),
    (["evaluate", "s3:///runs/mine", "--suite", "factbook"], 2, ["a path, or a URL"]),
    (["agreement", "--labels", "r.jsonl", "--kind", "claims", "--out", "r.jsonl"], 2, ["another file than --labels"]),
    (["judge-examples", "--labels", "r.jsonl", "--out", "./r.jsonl"], 2, ["--out to be another file than --labels"]),
    (["score", "--responses", "r.jsonl", "--out", "link"], 6, ["--out to be a file; found link, a link to nowhere, where"]),
    (["score", "--responses", "r.jsonl", "--out", "pipe"], 6, ["--out to be a file; found the device or pipe pipe"]),
    (["evaluate", "smollm2-135m", "--suite", "factbook", "--out", "link"], 6, ["a link to nowhere, where nothing is"]),
    (["report", "a" * 300], 2, ["names of at most 255 bytes; found aaaa"]),
    (["audit", f"runs/{'a' * 300}"], 2, ["names of at most 255 bytes"]),
    (["run", f"{'a' * 300}.yaml"], 2, ["names of at most 255 bytes"]),
    (["run", "good.yaml", "--set", f"run.root={'a' * 300}"], 2, ["in --set: run.root: must be a name"]),
    (["settings", "--format", "jsn"], 2, ["--format with one of text, json; found jsn. To fix: "]),
    (["agreement", "--labels", "r.jsonl", "--kind", "claim"], 2, ["--kind with one of claims, responses", "found claim."]),
    (["report", "mine", "--port", "many"], 2, ["--port with a whole number; found many."]),
    (["report", "mine", "--port", "70000"], 2, ["--port with a number of at most 65535; found 70000."]),
    (["logs", "mine", "--address", "notaurl"], 2, ["the address of a cluster, a URL or a host with a port; found 'notaurl'"]),
    (["report"], 2, ["expected runs (One run or several", "found none. To fix: give it; `ls runs` lists the runs here; "]),
    (["run"], 2, ["expected job (A job file, such as jobs/quickstart.yaml); found none. To fix: give it; "]),
    (["evaluate", "smollm2-135m"], 2, ["expected --suite (A suite, such as", "found none."]),
    (["pairs", "mine"], 2, ["expected --out (The JSONL file to write", "found none."]),
    (["runn", "good.yaml"], 2, ["a command of flame-ray; found runn (did you mean run?)"]),
    (["run", "good.yaml", "--sett", "a=1"], 2, ["an option of `flame-ray run`; found --sett (did you mean --set?)"]),
    (["--versoin"], 2, ["an option of `flame-ray`; found --versoin (did you mean --version?)"]),
    (["run", "good.yaml", "--set"], 2, ["expected a value for --set; found none."]),
    (["report", "mine", "--live=yes"], 2, ["expected --live without a value; found one."]),
    (["run", "good.yaml", "other.yaml"], 2, ["expected no further words for `flame-ray run`; found other.yaml."]),
    (["settings", "lerner"], 2, ["lerner (did you mean learner?)"]),
    (["evaluate", "smollm2-135m", "--suite", "factbok"], 2, ["--suite with one of factbook", "factbok"]),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for name, (content, _) in JOBS.items():
        if content is None:
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).write_bytes(content)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "r.jsonl").write_text('{"prompt": "a", "response": "b"}\n')
    return tmp_path


def check(done, code: int, parts: list[str]) -> None:
    assert done.returncode == code, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("flame-ray: expected ") and "; found " in line and ". To fix: " in line
    assert [part for part in parts if part not in line] == [], line


@pytest.mark.parametrize("name", JOBS)
def test_a_job_file_with_a_fault_is_refused_in_one_line(flame, folder, name):
    check(flame("run", name, folder=folder), 2, JOBS[name][1])
    check(flame("doctor", name, folder=folder), 2, JOBS[name][1])


@pytest.mark.parametrize(
    ("words", "code", "parts"), WORDS, ids=lambda value: " ".join(map(str, value))[:60] if isinstance(value, list) else value
)
def test_a_word_that_is_typed_wrong_is_refused_in_one_line_and_leaves_nothing(flame, folder, words, code, parts):
    before = set(folder.iterdir())
    check(flame(*words, folder=folder), code, parts)
    assert set(folder.iterdir()) == before
