"""`flame-ray score` and `flame-ray agreement` as a person runs them: real Ray, the Factbook, and a kill in the middle."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from flame_ray.rewards.factuality.corpus import load_corpus
from tests.conftest import Ended

LINES, SKIPPED = 60, 7
COMMAND = [sys.executable, "-m", "flame_ray"]
SETTINGS = ["--set", "cluster.dashboard=false", "--set", "cluster.object_store_gib=0.2"]


def flame_alone(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """In a process of its own, which may start or join a Ray."""
    command = [*COMMAND, *words, *SETTINGS]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120)


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", "COLUMNS")}


def records(path: Path) -> list[dict]:
    """Those that are whole."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].split("\n") if line]


def killed_once_it_holds(path: Path, least: int, folder: Path, words: list[str]) -> None:
    """Kill the command itself, then, as a machine that dies would, what it had started."""
    driver = subprocess.Popen([*COMMAND, *words, *SETTINGS], cwd=folder, env=environment(), stderr=subprocess.DEVNULL)
    end = time.monotonic() + 90
    while len(records(path)) < least:
        assert driver.poll() is None and time.monotonic() < end, "it ended, or was too slow, before it could be killed"
        time.sleep(0.01)
    below = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    driver.wait()
    for process in below:
        if process.is_running():
            process.kill()


@pytest.fixture(scope="module")
def responses(tmp_path_factory) -> Path:
    """So many lines that a kill comes in the middle; one of them is no JSON."""
    path = tmp_path_factory.mktemp("score") / "responses.jsonl"
    titles = sorted({passage.title for passage in load_corpus("factbook")})
    lines = [
        {
            "prompt": f"Describe {titles[n % len(titles)]}.",
            "response": f"{titles[n % len(titles)]} borders Peru, Chile, Kenya and Norway. Its capital is Lima.",
            "model": f"m{n}",
            "supported": n,
        }
        for n in range(1, LINES + 1)
    ]
    lines[0] |= {"prompt": "Which countries border Peru?", "response": "Peru is bordered by Chile, Brazil, Kenya and Norway."}
    lines[1] |= {"response": "I'm sorry, I cannot answer that."}
    written = [json.dumps(line) for line in lines]
    written[SKIPPED - 1] = '{"prompt": "torn'
    path.write_text("\n".join(written) + "\n", encoding="utf-8")
    return path


def test_a_killed_scoring_goes_on_and_every_line_has_one_record_in_its_order(responses, joined, flame):
    out = responses.with_name("scores.jsonl")
    words = ["score", "--responses", responses.name, "--corpus", "factbook", "--out", out.name]
    resumed = [*words, *joined]
    killed_once_it_holds(out, 12, responses.parent, words)
    before = records(out)
    assert 12 <= len(before) < LINES - 1
    with out.open("a") as file:
        file.write('{"line": 13, "pro')  # what a power cut leaves

    done = flame_alone(responses.parent, *resumed)
    assert done.returncode == 0, done.stderr
    assert f"{out.name} holds the scores up to line {before[-1]['line']}" in done.stderr
    after = records(out)
    assert after[: len(before)] == before
    assert [record["line"] for record in after] == [n for n in range(1, LINES + 1) if n != SKIPPED]
    assert [record["model"] for record in after] == [f"m{record['line']}" for record in after]
    assert f"{len(after) - len(before)} scored at" in done.stderr
    check_records(after)
    check_nothing_is_done_twice(responses, out, lambda *more: flame(*resumed, *SETTINGS, *more, folder=responses.parent))


def check_records(found: list[dict]) -> None:
    first, second = found[:2]
    assert [fact["verdict"] for fact in first["facts"]] == ["supported", "supported", "contradicted", "contradicted"]
    assert (first["precision"], first["supported"], first["input.supported"]) == (0.5, 2, 1)
    assert {fact["passage_id"] for fact in first["facts"]} <= {passage["id"] for passage in first["evidence"]}
    assert second["abstained"] and second["precision"] is None and second["missing"] is None


def check_nothing_is_done_twice(responses: Path, out: Path, score: Callable[..., Ended]) -> None:
    """Neither when it is complete, nor with another setting or another input: and none of the three starts Ray."""
    before = out.read_bytes()
    table = score("--format", "table")
    assert table.returncode == 0 and "nothing is left to score" in table.stderr
    assert "line 1  precision 0.50" in table.stdout and "Peru is bordered by Chile" in table.stdout
    other = score("--decompose", "sentence")
    assert other.returncode == 2 and "factuality.decompose: rule -> sentence" in other.stderr
    strict = score("--on-bad-line", "fail")
    assert strict.returncode == 3 and f"{responses.name}:{SKIPPED}" in strict.stderr
    assert out.read_bytes() == before


def test_agreement_on_claims_is_printed_and_written_and_a_bad_line_is_named(tmp_path, joined, flame):
    evidence = ["Peru:", "Capital, name: Lima", "Land boundaries, border countries: Chile 168 km, Brazil 2,659 km"]
    said = {
        "The capital of Peru is Lima": True,
        "Peru borders Chile": True,
        "Peru borders Kenya": False,
        "Peru exports tin": True,
    }
    lines = [
        {"claim": claim, "evidence": evidence, "label": "supported" if label else "not_supported", "group": "mine"}
        for claim, label in said.items()
    ]
    for line in lines[1:3]:  # the Factbook has the borders
        line |= {"evidence": None, "prompt": "Which countries border Peru?"}
    labels = tmp_path / "labels.jsonl"
    labels.write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ["agreement", "--labels", "labels.jsonl", "--kind", "claims", "--corpus", "factbook", "--out", "a.json"]
    done = flame_alone(tmp_path, *words, *joined)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert (found["n"], found["missing"], found["kind"], found["threshold"]) == (4, 0, "claims", 0.5)
    assert (found["sensitivity"], found["specificity"]) == (pytest.approx(2 / 3), 1.0)
    assert (found["evidence"]["given"], found["evidence"]["retrieved"], found["evidence"]["retrieve"]) == (2, 2, 20)
    assert len(found["ci95"]) == 2 and found["groups"]["mine"]["auc"] == found["auc"]
    assert "83.3" in done.stdout and "mine" in done.stdout

    labels.write_text(json.dumps(lines[0]) + '\n{"claim": "a"}\n')
    bad = flame("agreement", "--labels", "labels.jsonl", "--kind", "claims", folder=tmp_path)
    assert bad.returncode == 3 and "labels.jsonl:2" in bad.stderr and "Traceback" not in bad.stderr


@pytest.mark.long
def test_agreement_of_the_judge_is_that_of_its_scores(tmp_path, model):
    """A small model can tell an answer from one to another question."""
    line = {"prompt": "What is the capital of Peru?", "a": "It is Lima.", "b": "Boil the rice for ten minutes.", "helpful": "a"}
    swapped = line | {"a": line["b"], "b": line["a"], "helpful": "b"}
    rows = [line, swapped, line | {"helpful": "tie"}, line | {"a": ""}]
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = flame_alone(tmp_path, "agreement", "--labels", "labels.jsonl", "--kind", "preferences", "--out", "a.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "a.json").read_text())
    assert (found["agreement"], found["n"], found["ties"], found["missing"]) == (1.0, 2, 1, 1)
    assert found["judge"]["backend"] == "backtranslation" and "100.0" in done.stdout
