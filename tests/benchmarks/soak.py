"""Many faults in one run: what is left of it must be whole.

    python -m tests.benchmarks.soak [--faults 25] [--seed 0]

Real Ray, vLLM and DeepSpeed on SmolLM2-135M. A seeded hand kills (SIGKILL) rollout, judge, factuality and learner
processes and the driver itself, after seeded waits; a dead driver is resumed. Printed: the faults by kind, and whether
every prompt was answered once and every pair trained once. Exit status 1 if not.
"""

# ruff: noqa: T201
import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.integration.chaos.harness import TINY, ChaosRun

KINDS = ("ray::RolloutActor", "ray::JudgeActor", "ray::FactualityActor", "ray::LearnerActor", "driver")
WEIGHTS = (5, 3, 4, 5, 2)
ROUNDS = 8
LIMIT_S = 3600


def hurt(run: ChaosRun, kind: str) -> None:
    if kind == "driver":
        run.wait_for(run.folder.exists, "a run folder")
        run.kill_driver()
        run.start(resume=True)
    else:
        run.kill(kind)


def check(run: ChaosRun) -> list[str]:
    """What is wrong, in words."""
    found = [] if run.summary["status"] == "complete" else [f"the run is {run.summary['status']}"]
    for entry in run.summary["rounds"][1:]:
        round, samples = entry["round"], int(TINY["rollout.samples"])
        prompts = [row["prompt_id"] for row in run.table(f"{round:04d}/prompts.parquet")]
        responses = [row["response_id"] for row in run.table(f"{round:04d}/responses.parquet")]
        expected = [f"{round}/{prompt}/{index}" for prompt in prompts for index in range(samples)]
        if sorted(responses) != sorted(expected):
            different = len(set(responses))
            found.append(f"round {round}: {len(responses)} responses, {different} of them different, for {len(expected)}")
        pairs = len(run.table(f"{round:04d}/pairs.parquet"))
        if entry["training"]["pairs"] != pairs or entry["training"]["steps"] != -(-pairs // int(TINY["learner.batch_pairs"])):
            found.append(f"round {round}: {pairs} pairs, trained {entry['training']}")
    return found if len(run.summary["rounds"]) == ROUNDS + 1 else [*found, "rounds are missing"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    hand, done, began = random.Random(asked.seed), Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = ChaosRun(Path(folder), "soak", {"run.rounds": str(ROUNDS)})
        try:
            run.start()
            while done.total() < asked.faults:
                time.sleep(hand.uniform(0.5, 8.0))
                kind = hand.choices(KINDS, WEIGHTS)[0]
                hurt(run, kind)
                done[kind] += 1
                print(f"{time.monotonic() - began:6.0f} s  fault {done.total()}: {kind}", flush=True)
            code = run.finish()
            wrong = check(run) if code == 0 else [f"exit code {code}", run.printed[-2000:]]
        finally:
            run.end()
    seconds, verdict = time.monotonic() - began, "; ".join(wrong) or "nothing lost"
    print(f"{done.total()} faults ({dict(done)}), seed {asked.seed}, {seconds:.0f} s: {verdict}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
