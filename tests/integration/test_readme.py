"""Every command of the README is run by a test: here, or where `ELSEWHERE` says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]

ELSEWHERE = {
    "make quickstart": "the fixture tiny_run, at a small size",
    "make test": "what runs this",
    "flame-ray run jobs/quickstart.yaml --resume <run id>": "chaos/test_driver.py, a long test",
    "ray job submit --working-dir . -- python -m flame_ray run jobs/quickstart.yaml": "test_submit.py, at a small size",
}
INDEX = re.compile(r" --extra-index-url \S+")  # the README's index for machines with the public network


def test_the_readme_begins_with_the_two_commands():
    assert COMMANDS[:2] == ["make quickstart", "make test"]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("pip ")])
def test_an_install_command_names_a_package_and_extra_that_exist(command):
    """Resolved, not installed: a whole installation is what `make test` begins with."""
    words = INDEX.sub("", command).replace('"', "").split()[1:]
    dry = [sys.executable, "-m", "pip", *words, "--dry-run", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(dry, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "does not provide the extra" not in done.stderr


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("python ")])
def test_a_benchmark_command_runs(command):
    done = subprocess.run([sys.executable, *command.split()[1:]], cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "skipped" in done.stdout or "| WiCE |" in done.stdout


def test_the_run_command_is_what_the_tiny_run_runs(tiny_run):
    (command,) = [command for command in COMMANDS if command.startswith("flame-ray run") and "--resume" not in command]
    given = dict(word.split("=", 1) for word in command.split() if "=" in word)
    assert {"rollout.workers": "2", "learner.workers": "2"}.items() <= given.items()
    assert tiny_run.summary["status"] == "complete"


def test_the_doctor_finds_nothing_wrong_with_the_quickstart():
    (command,) = [command for command in COMMANDS if command.startswith("flame-ray doctor")]
    doctor = [sys.executable, "-m", "flame_ray", *command.split()[1:]]
    done = subprocess.run(doctor, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 problems" in done.stdout


@pytest.mark.parametrize("kind", ["score", "agreement"])
def test_a_command_of_the_reward_that_stands_alone_runs(kind, tmp_path):
    (command,) = [command for command in COMMANDS if command.startswith(f"flame-ray {kind}")]
    rows = {
        "responses.jsonl": {"prompt": "Which countries border Peru?", "response": "Peru is bordered by Chile and Kenya."},
        "claims.jsonl": {"claim": "Lima is in Peru.", "evidence": ["Lima is a city in Peru."], "label": "supported"},
    }
    for name, row in rows.items():
        (tmp_path / name).write_text(json.dumps(row) + "\n" + json.dumps(row | {"label": "not_supported"}) + "\n")
    words = [sys.executable, "-m", "flame_ray", *command.split()[1:], "--set", "cluster.dashboard=false"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert {"score": "1 of 2 facts supported", "agreement": "balanced accuracy"}[kind] in done.stdout


def test_no_command_is_left_out():
    here = ("pip ", "python ", "flame-ray run ", "flame-ray doctor ", "flame-ray score ", "flame-ray agreement ")
    assert [command for command in COMMANDS if not command.startswith(here) and command not in ELSEWHERE] == []
    assert ELSEWHERE.keys() <= set(COMMANDS)


def test_every_file_that_the_readme_names_is_there():
    for name in re.findall(r"`((?:flame_ray|clusters|jobs|tests)/[\w./-]+)`", README):
        assert (REPOSITORY / name).exists(), name
