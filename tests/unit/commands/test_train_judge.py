"""The judge of preferences trained on very little, for real: the weights, their card, and what is refused before."""

import io
import json

import pytest
from rich.console import Console

from flame_ray.commands.train_judge import CARD, train_judge_command
from flame_ray.config import Config
from flame_ray.engines.preference_reader import PREFERENCES, PreferenceReader
from flame_ray.errors import DataError

CITIES = ["Lima", "Nairobi", "Tokyo", "Havana", "Santiago", "Rome", "Oslo", "Cairo", "Delhi", "Paris"]
ROWS = [
    {"prompt": f"Where is {city}?", "a": f"{city} is a city.", "b": "Bananas are yellow.", "helpful": helpful}
    for city in CITIES
    for helpful in ("a", "tie")
]


def settings(folder, rows=ROWS, **changed):
    (folder / "pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    words = {"labels": [str(folder / "pairs.jsonl")], "epochs": 3, "lr": 1e-3, "aside": 0.3, "batch": 4} | changed
    return Config.model_validate({"run": {"name": "t", "seed": 1}, "train_judge": words})


def train(config, out):
    screen, tables = (Console(file=io.StringIO(), width=150) for _ in range(2))
    return train_judge_command(config, out, screen, tables), tables.file.getvalue()


def test_the_folder_holds_weights_that_learned_the_preference_and_their_card(tmp_path):
    out = tmp_path / "new"
    card, table = train(settings(tmp_path), out)
    assert sorted(path.name for path in out.iterdir()) == sorted([CARD, PREFERENCES.weights])
    assert json.loads((out / CARD).read_text()) == json.loads(json.dumps(card))
    assert card["data"]["trained_on"] + card["data"]["kept_aside"] == len(ROWS) and card["seed"] == 1
    (agreement,) = card["agreement_on_kept_aside"]
    assert agreement["n"] == agreement["ties"] == card["data"]["kept_aside"] / 2 > 0
    assert f"{100 * agreement['agreement']:.1f}" in table
    ((better, worse),) = PreferenceReader(out).scores([("Where is Berlin?", ["Berlin is a city.", "Bananas are yellow."])])
    assert better > worse


@pytest.mark.parametrize(
    ("rows", "changed", "told"),
    [
        (ROWS, {"labels": []}, "none in train_judge.labels"),
        ([row | {"helpful": "tie"} for row in ROWS], {}, "that are no ties"),
        (ROWS, {"aside": 1.0}, "pairs to train on"),
        ([ROWS[0], {**ROWS[1], "helpful": "c"}], {}, "jsonl:2: "),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused_before_anything_is_written(tmp_path, rows, changed, told):
    with pytest.raises(DataError, match=told):
        train(settings(tmp_path, rows, **changed), tmp_path / "new")
    assert not (tmp_path / "new").exists()
