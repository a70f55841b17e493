"""A run's folder as it is after two measured rounds, each with an adapter: small files, and no engine."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.engines.models import UPSTREAM
from flame_ray.journal.run_folder import RunFolder
from flame_ray.report.summary import round_summary
from flame_ray.storage.filesystem import Storage
from flame_ray.types import BaseModel, Origin, Where
from tests.builders import make_change, make_evaluation, make_interval, make_round_report, make_training_report, make_weights

BUILT_IN = Origin(BaseModel(UPSTREAM, Where.BUILT_IN, license="apache-2.0"))
MADE = {
    "flame_ray": "0.1.0",
    "git_commit": "c" * 40,
    "source_sha256": "d" * 64,
    "command": ["/home/me/.venv/bin/flame-ray", "run", "jobs/quickstart.yaml"],
}


def make_saved_run(
    root: Path,
    origin: Origin = BUILT_IN,
    settings: Mapping[str, Any] | None = None,
    name: str = "mine",
    made: Mapping[str, Any] = MADE,
    kinds: tuple[str, ...] = ("adapter",),
) -> RunFolder:
    run = RunFolder(Storage(root / name))
    config: Config = parse_config({"run": {"rounds": 2}} | dict(settings or {}), "here")
    run.create(config, {**made, "models": {"model.policy": "smollm2-135m"}, "origin": asdict(origin)})
    run.write_json("summary.json", {"run_id": name, "status": "complete", "rounds": [_entry(round) for round in range(3)]})
    for round in (1, 2):
        for kind in kinds:
            save_model(root / name / f"checkpoints/round-000{round}" / kind, kind)
        save_model(root / name / f"checkpoints/round-000{round}/state", "state")
    return run


def save_model(folder: Path, kind: str) -> None:
    folder.mkdir(parents=True)
    weights, config = {
        "adapter": ("adapter_model.safetensors", "adapter_config.json"),
        "merged": ("model.safetensors", "config.json"),
        "state": ("state.safetensors", "state.json"),
    }[kind]
    (folder / weights).write_bytes(make_weights(b"weights"))
    (folder / config).write_text(json.dumps({"base_model_name_or_path": UPSTREAM}))


def _entry(round: int) -> dict[str, Any]:
    precision = make_interval(0.25 + round / 8, low=0.125, high=0.75, n=40)
    change = make_change(factual_precision=make_interval(round / 8, low=0.0625, high=0.5, n=39)) if round else None
    training = make_training_report() if round else None
    evaluation = make_evaluation(prompts=44, factual_precision=precision)
    report = make_round_report(round, evaluation=evaluation, change=change, training=training, weight_version=round)
    return json.loads(json.dumps(round_summary(report, {})))
