"""Reads from a run's folder how its models were made, and puts a card and `lineage.json` beside each model that it saved."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flame_ray.config.learner import LOSSES
from flame_ray.config.load import lasting
from flame_ray.engines.hub import CARD
from flame_ray.engines.origin import HUB_ID, LINEAGE
from flame_ray.errors import StorageError
from flame_ray.journal.run_folder import CONFIG, ENVIRONMENT, SUMMARY, RunFolder, code_of
from flame_ray.learner.checkpoints import BEST, MODELS, round_name
from flame_ray.prompts.rows import FILES
from flame_ray.report.model_card import model_card
from flame_ray.report.summary import EVALUATION_METRICS, interval_of
from flame_ray.shown import hide_secrets
from flame_ray.types import Ancestor, BaseModel, Lineage, Measured, Origin, TrainedOn, Where

COUNTED = ("loss", "steps", "pairs", "examples", "tokens")
OWN_ANSWERS = {"pairs": TrainedOn.OWN_PAIRS, "graded": TrainedOn.GRADED, "answers": TrainedOn.BEST}


def write_cards(run: RunFolder, round: int) -> None:
    """For the models of a round that is reported, and for those of `best/` if they are that round's. Cards are replaced."""
    saved = [f"{folder}/{kind}" for folder in _folders(run, round) for kind in MODELS]
    saved = [name for name in saved if run.storage.exists(name)]
    if not saved:
        return
    lineage = lineage_of(run, round)
    for name in saved:
        for file, text in described(lineage, name.rpartition("/")[2]).items():
            run.write_text(f"{name}/{file}", text)


def described(lineage: Lineage, kind: str) -> dict[str, str]:
    """The files that say where a model comes from, by their names."""
    return {CARD: model_card(lineage, kind), LINEAGE: json.dumps(asdict(lineage), indent=1, allow_nan=False) + "\n"}


def lineage_of(run: RunFolder, round: int) -> Lineage:
    """Raises StorageError for a round that the run has not finished."""
    entries = run.summary().get("rounds", [{"round": 1} | run.summary()])
    entry = next((each for each in entries if each["round"] == round), None)
    if entry is None or not run.storage.exists(CONFIG):
        fix = "give a run's folder, and a round that is measured"
        raise StorageError(f"round {round} in {run.storage.at(SUMMARY)}", "no such round", fix)
    config, made = run.settings(), run.read_json(ENVIRONMENT, {})
    code = code_of(made, round)
    origin, name = origin_in(made, config), run.summary()["run_id"]
    settings = hashlib.sha256(json.dumps(hide_secrets(lasting(config)), sort_keys=True).encode()).hexdigest()
    start = _start(entries, round)
    before = (Ancestor(name, start, settings, None),) if start else ()
    return Lineage(
        run=name,
        round=round,
        method=config["learner"]["loss"],
        trained_on=_trained_on(config),
        settings=settings,
        command=_command(made.get("command", [])),
        base=origin.base,
        ancestors=before + origin.ancestors,
        flame_ray=code.get("flame_ray"),
        commit=code.get("git_commit"),
        source=code.get("source_sha256"),
        training={key: value for key, value in entry.get("training", {}).items() if key in COUNTED},
        heldout=tuple(_measured(entry)),
        datasets=tuple(_datasets(config)),
    )


def origin_in(made: Mapping[str, Any], config: Mapping[str, Any]) -> Origin:
    """What environment.json says of the policy. A run of an earlier version has only its name there."""
    found = made.get("origin")
    if found is None:
        name, _, revision = made.get("models", {}).get("model.policy", config["model"]["policy"]).partition("@")
        is_hub = "/" in name and HUB_ID.fullmatch(name) and not Path(name).exists()
        return Origin(BaseModel(name, Where.HUB if is_hub else Where.FOLDER, revision or None))
    return Origin(
        BaseModel(**found["base"] | {"where": Where(found["base"]["where"])}),
        tuple(Ancestor(**each) for each in found["ancestors"]),
    )


def _folders(run: RunFolder, round: int) -> Iterator[str]:
    yield f"checkpoints/{round_name(round)}"
    if run.read_json(f"{BEST}/{BEST}.json", {}).get("round") == round:
        yield BEST


def _start(entries: Sequence[Mapping[str, Any]], round: int) -> int:
    """The round whose weights the round went on from; 0: the base model's."""
    start = 0
    for entry in entries:
        if entry["round"] >= round:
            break
        start = entry.get("selection", {}).get("next_round_starts_from", entry.get("weight_version", entry["round"]))
    return start


def _measured(entry: Mapping[str, Any]) -> Iterator[Measured]:
    evaluation, change = entry.get("evaluation"), entry.get("change")
    for name in EVALUATION_METRICS:
        if evaluation and name in evaluation:
            yield Measured(name, interval_of(evaluation, name), interval_of(change, name) if change else None)


def _trained_on(config: Mapping[str, Any]) -> TrainedOn:
    if config["pairs"].get("file"):
        return TrainedOn.GIVEN_PAIRS
    if config.get("sft", {}).get("sources"):  # `flame-ray run` refuses them
        return TrainedOn.DEMONSTRATIONS
    return OWN_ANSWERS[LOSSES[config["learner"]["loss"]].trains_on]


def _sources(config: Mapping[str, Any]) -> list[str]:
    """The names of what was trained on. Prompts beside given pairs are only measured on."""
    if file := config["pairs"].get("file"):
        return [file]
    return [each["source"] for each in config.get("sft", {}).get("sources") or config["prompts"]["sources"]]


def _datasets(config: Mapping[str, Any]) -> Iterator[str]:
    """The sources that are data sets of the hub, and not files."""
    for name in dict.fromkeys(_sources(config)):
        if "/" in name and HUB_ID.fullmatch(name) and Path(name).suffix not in FILES and not Path(name).exists():
            yield name


def _command(words: Sequence[str]) -> str:
    """As a person types it: the program's own path is this machine's."""
    program = ["python -m flame_ray" if words[:1] and Path(words[0]).name == "__main__.py" else "flame-ray"]
    return " ".join([*program, *words[1:]]) if words else "unknown"
