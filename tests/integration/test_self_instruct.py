"""`flame-ray self-instruct` as a person runs it: the built-in model, and a kill after the first batch."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

SETTINGS = {
    "cluster.address": "local",
    "cluster.dashboard": "false",
    "cluster.object_store_gib": "0.2",
    "model.max_length": "1024",
    "rollout.top_p": "1.0",
    "self_instruct.batch": "4",
    "self_instruct.max_words": "40",
    "self_instruct.max_tokens": "96",
}


def command(out: Path, **other: str) -> list[str]:
    job = Path(__file__).resolve().parents[2] / "jobs" / "self-instruct.yaml"
    settings = SETTINGS | {f"self_instruct.{name}": value for name, value in other.items()}
    sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    return [sys.executable, "-m", "flame_ray", "self-instruct", str(job), "--out", str(out), *sets]


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", "COLUMNS")}


def test_a_batch_outlives_a_kill_and_the_file_of_instructions_is_made_from_it(tmp_path):
    out, log = tmp_path / "made.jsonl", tmp_path / "made.jsonl.batches.jsonl"
    driver = subprocess.Popen(command(out), cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
    end = time.monotonic() + 400
    while not (log.exists() and b"\n" in log.read_bytes()):
        assert driver.poll() is None and time.monotonic() < end, "it ended, or was too slow, before it could be killed"
        time.sleep(0.05)
    below = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    driver.wait()
    for process in below:
        if process.is_running():
            process.kill()
    assert not out.exists()

    again = command(out, instructions="1", patience="1")  # is over after any batch
    done = subprocess.run(again, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first = json.loads(log.read_text(encoding="utf-8").splitlines()[0])
    assert (first["batch"], first["answers"]) == (1, 4)
    made = [json.loads(line)["prompt"] for line in out.read_text(encoding="utf-8").splitlines()]
    assert made == first["kept"][:1]
    assert "new instructions of" in done.stderr
