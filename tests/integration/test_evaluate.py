"""`flame-ray evaluate` as a person runs it: on a finished run, with real samplers and fact checkers, and then once more."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.integration.runs import FinishedRun
from tests.integration.test_score import SETTINGS, environment

LIMIT, MAX_TOKENS = 3, 48
OWN = ["--set", f"suites.limit={LIMIT}", "--set", f"suites.max_tokens={MAX_TOKENS}"]


def words_of(run: FinishedRun) -> list[str]:
    return ["evaluate", str(run.folder), "--suite", "factbook", *OWN, *SETTINGS]


def only(folder: Path, name: str) -> Path:
    (found,) = folder.glob(f"evaluations/*/*/{name}")
    return found


def test_a_runs_last_model_answers_as_it_did_in_the_run_and_a_second_call_starts_nothing(tiny_run, joined, tmp_path, flame):
    words = [*words_of(tiny_run), *joined]
    command = [sys.executable, "-m", "flame_ray", *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in only(tmp_path, "answers.jsonl").read_text().splitlines()]
    in_the_run = {row["prompt_id"]: row["text"] for row in tiny_run.table("0002/heldout_responses.parquet")}
    assert {row["id"]: row["response"] for row in rows} == {row["id"]: in_the_run[row["id"]] for row in rows}
    assert len(rows) == LIMIT and all(row["tokens"] <= MAX_TOKENS for row in rows)

    found = json.loads(only(tmp_path, "result.json").read_text())
    precisions = [row["precision"] for row in rows if row["precision"] is not None]
    assert found["figures"]["precision"]["n"] == len(precisions)
    assert found["figures"]["precision"]["mean"] == (sum(precisions) / len(precisions) if precisions else None)
    assert found["figures"]["tokens"]["mean"] == sum(row["tokens"] for row in rows) / LIMIT
    assert found["settings"]["answers"]["dtype"] == "float32" and found["packages"]["ray"]

    again = flame(*words, folder=tmp_path)
    assert again.returncode == 0 and "start" not in again.stderr, again.stderr
    assert again.stdout.splitlines()[-4:] == done.stdout.splitlines()[-4:]
    shutil.rmtree(tmp_path / "evaluations")  # the cache still has the work
    anew = flame(*words, folder=tmp_path)
    assert anew.returncode == 0 and "start" not in anew.stderr, anew.stderr
    assert json.loads(only(tmp_path, "result.json").read_text())["figures"] == found["figures"]
