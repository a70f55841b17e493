"""Every job of jobs/ from end to end: by the command of its first line, with less of everything, on this machine."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from flame_ray.commands.judge_examples import judge_examples
from tests.integration.runs import REPOSITORY, words_of

JOBS = REPOSITORY / "jobs"
FILES = [path for path in sorted(JOBS.rglob("*.yaml")) if path.name != "base.yaml"]
HERE = {"run.root": "runs", "cluster.address": "local", "cluster.dashboard": "false", "model.policy": "smollm2-135m"}
WITHOUT_GPU = {
    **{f"{role}.gpus": "0" for role in ("rollout", "judge", "learner")},
    **{f"{role}.workers": "1" for role in ("rollout", "judge", "learner", "factuality")},
    **{f"{role}.cpus": "0.25" for role in ("rollout", "judge", "learner", "factuality")},
    "rollout.max_sequences": "8",
    "judge.max_sequences": "8",
    "judge.model": "smollm2-135m",
    "factuality.corpus": "factbook",
    "factuality.reranker": "null",
    "model.dtype": "float32",
    "learner.dtype": "float32",
}
VERIFIER_WITHOUT_GPU = {
    "factuality.checker_model": "smollm2-135m",
    "verifier.workers": "1",
    "verifier.cpus": "0.25",
    "verifier.gpus": "0",
    "verifier.tensor_parallel": "1",
    "verifier.max_length": "1536",
}
SENTENCES_WITHOUT_GPU = {name: value for name, value in VERIFIER_WITHOUT_GPU.items() if name.startswith("verifier.")}
SHORT = {"learner.batch_pairs": "2", "learner.micro_batch_pairs": "1", "learner.checkpoint_steps": "null"}
RUN = SHORT | {
    "run.rounds": "1",
    "run.select": "last",
    "prompts.sources": "[{source: factbook, heldout_limit: 1}, {source: open-ended, heldout_limit: 1}]",
    "prompts.per_round": "6",
    "classify.by": "label",
    "rollout.samples": "4",
    "rollout.max_tokens": "40",
    "judge.backend": "backtranslation",  # this model's words about an answer cannot be read
    "pairs.min_judge_gap": "0",
    "pairs.max_judge_gap": "null",
    "pairs.max_fact_loss": "null",
    "pairs.drop_truncated": "false",
}
SFT = SHORT | {
    "sft.sources": "[{source: seeds, label_column: facts, limit: 6}]",
    "classify.by": "label",
    "sft.elicit.samples": "2",
    "sft.elicit.shots": "2",
    "sft.elicit.max_tokens": "64",
    "sft.elicit.similarity": "bm25",
    "learner.epochs": "1",
}
LESS = {
    "run": RUN,
    "sft": SFT,
    "evaluate": {"suites.limit": "2", "suites.max_tokens": "16"},
    "self-instruct": {"self_instruct.instructions": "2", "self_instruct.patience": "2"},
    "train-judge": {"train_judge.labels": "[pairs.jsonl]", "train_judge.epochs": "1"},
    "train-checker": {},
    "agreement": {"factuality.corpus": "factbook"},
}
SEEDS = {name: SFT[name] for name in ("sft.sources", "sft.elicit.shots", "sft.elicit.similarity")}
OF_FILE = {
    "few-shot.yaml": SEEDS,
    "few-shot-retrieval.yaml": SEEDS,
    "pilot-few-shot.yaml": SEEDS,
    "sft-judge.yaml": {"sft.sources": "[{source: seeds, label_column: facts, limit: 6}, {source: judging.jsonl, seed: false}]"},
    "methods.yaml": {"learner.seconds": "5", "learner.steps": "null"},
    "train-checker.yaml": {
        "train_checker.labels": "[claims.jsonl]",
        "train_checker.twins": "{factbook: 16}",
        "train_checker.mixed": "4",
        "train_checker.epochs": "1",
    },
    "train-reader.yaml": {
        "train_checker.records.labels": "[facts.jsonl]",
        "train_checker.records.made": "1",
        "train_checker.records.epochs": "1",
    },
}
LEAVES = {
    "self-instruct": "instructions.jsonl",
    "train-judge": "judge",
    "train-checker": "checker",
    "evaluate": "evaluations",
    "agreement": "found.json",
}
COUNTRIES = ("Peru", "Kenya", "Japan", "Cuba", "Chile", "Norway", "Egypt", "India", "France", "Italy")


@pytest.mark.long
@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(JOBS)))
def test_a_job_ends_well_with_less_of_everything(file, tmp_path):
    _write_data(tmp_path)
    line = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# flame-ray")
    line = re.sub("<run id>|allenai/[^ ]+", "smollm2-135m", line).replace(str(file.relative_to(REPOSITORY)), str(file))
    command, *words = shlex.split(line)
    words += ["--out", "found.json"] if command == "agreement" else []
    settings = HERE | LESS[command]
    if file.parent.name == "paper":
        settings |= WITHOUT_GPU | ({"learner.steps": "2"} if command in ("run", "sft") else {})
        settings |= VERIFIER_WITHOUT_GPU if command == "agreement" else {}
        settings |= SENTENCES_WITHOUT_GPU if file.name == "dpo-flame-sentences.yaml" else {}
    settings |= OF_FILE.get(file.name, {})
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    asked = [sys.executable, "-m", "flame_ray", command, *words, *words_of(settings)]
    done = subprocess.run(
        asked, cwd=tmp_path, env=environment | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if command in ("run", "sft"):
        (summary,) = (tmp_path / "runs").glob("*/summary.json")
        assert json.loads(summary.read_text())["status"] == "complete"
    else:
        assert (tmp_path / LEAVES[command]).exists()


def _write_data(folder: Path) -> None:
    """What the jobs need that is not in the repository, in a few lines."""
    claims = [
        {"claim": f"{name} has a coast.", "evidence": [f"The coast of {name} is long."], "label": label}
        for name in COUNTRIES
        for label in ("supported", "contradicted")
    ]
    facts = [
        {"claim": f"{name} is a country.", "prompt": f"What is {name}?", "label": label}
        for name in COUNTRIES
        for label in ("supported", "not_found")
    ]
    pairs = [
        {"prompt": f"Where is {name}?", "a": f"{name} is far.", "b": "Bananas are yellow.", "helpful": better}
        for name in COUNTRIES
        for better in ("a", "tie")
    ]
    labelled = [
        {
            "prompt": f"Where is {name}?",
            "response": f"{name} is a country. {name} has a coast.",
            "system": "a",
            "supported": 1,
            "unsupported": 1,
        }
        for name in COUNTRIES[:3]
    ]
    for name, rows in {"claims": claims, "facts": facts, "pairs": pairs, "labelled": labelled}.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    grades = [{"prompt": f"Where is {name}?", "response": "Far.", "rationale": "Vague.", "score": 1} for name in COUNTRIES[:3]]
    (folder / "grades.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in grades))
    judge_examples(folder / "grades.jsonl", folder / "judging.jsonl", Console(quiet=True))
    (folder / "gsm8k").mkdir()
    (folder / "gsm8k" / "test.jsonl").write_text('{"question": "How many ducks?", "answer": "9 + 9 = 18 ducks.\\n#### 18"}\n')
    (folder / "prompt_entities.txt").write_text("\n".join(COUNTRIES[:3]) + "\n")
