"""The reader of records trained on very little, for real: the weights, their card, and what is refused before."""

import io
import json

import pytest
from pydantic import ValidationError
from rich.console import Console

from flame_ray.commands.train_reader import CARD, train_reader_command
from flame_ray.config import Config
from flame_ray.config.reward_training import TrainCheckerConfig
from flame_ray.engines.models import CHECKER_WEIGHTS
from flame_ray.engines.record_reader import RECORDS, RecordReader
from flame_ray.errors import DataError

CAPITALS = {"Peru": "Lima", "Kenya": "Nairobi", "Norway": "Oslo", "Japan": "Tokyo", "Italy": "Rome"}
ROWS = [
    {"claim": f"The capital of {name} is {city}", "prompt": f"Describe {name}.", "label": label, "says_nothing": False}
    for name in CAPITALS
    for city, label in ((CAPITALS[name], "supported"), ("Paris", "contradicted"))
] + [
    {"claim": "It is a land of lands", "prompt": f"Describe {name}.", "label": "not_found", "says_nothing": True}
    for name in CAPITALS
]


def settings(folder, rows=ROWS, **changed):
    record = "Location: Earth, {0}\nClimate: mild\nCapital, name: {1}\nCoastline: 20 km"
    passages = [{"title": name, "text": record.format(name, city)} for name, city in CAPITALS.items()]
    for name, lines in (("records", passages), ("labels", rows)):
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    words = {"labels": [str(folder / "labels.jsonl")], "corpus": str(folder / "records.jsonl"), "made": 4, "aside": 0.4}
    return Config.model_validate({"run": {"name": "t", "seed": 1}, "train_checker": {"records": words | changed}})


def train(config, out):
    screen, tables = (Console(file=io.StringIO(), width=150) for _ in range(2))
    return train_reader_command(config, out, screen, tables), tables.file.getvalue(), screen.file.getvalue()


def test_the_folder_holds_the_weights_of_both_models_and_the_card_of_the_new_one(tmp_path):
    out = tmp_path / "new"
    card, table, shown = train(settings(tmp_path), out)
    assert f"no model of prose in {out}: it gets the one that ships" in shown
    assert sorted(path.name for path in out.iterdir()) == sorted([CARD, RECORDS.weights, CHECKER_WEIGHTS])
    assert json.loads((out / CARD).read_text()) == json.loads(json.dumps(card))
    data = card["data"]
    assert (data["trained_on"], data["titles"], data["kept_aside"], len(data["titles_kept_aside"])) == (9, 3, 6, 2)
    lexical, trained = card["agreement_on_kept_aside"]
    assert lexical["checker"].startswith("lexical") and trained["checker"].startswith("small/")
    assert lexical["n"] == trained["n"] == 6 and f"{100 * trained['balanced_accuracy']:.1f}" in table
    (logits,) = RecordReader(out).logits([("Peru\nCapital, name: Lima", ["Statement: Lima is in Peru."])])
    assert logits.shape == (1, 3)


@pytest.mark.parametrize(
    ("given", "unread"),
    [
        ({"labels": ["claims.jsonl"], "epochs": 3}, "labels, epochs"),
        ({"twins": {}}, "twins"),
        ({"mixed": 0, "licences": {"a": "MIT"}}, "licences, mixed"),
    ],
)
def test_a_job_that_names_data_for_both_models_is_refused_with_what_would_not_be_read(given, unread):
    records = {"labels": ["facts.jsonl"]}
    assert TrainCheckerConfig(records=records) and TrainCheckerConfig(**given)
    with pytest.raises(ValidationError, match=f"which does not read {unread}: leave that out"):
        TrainCheckerConfig(records=records, **given)


@pytest.mark.parametrize(
    ("rows", "changed", "told"),
    [
        ([*ROWS, {**ROWS[0], "label": "true"}], {}, "jsonl:16: "),
        ([{**ROWS[0], "prompt": "Describe Atlantis."}], {}, "name a title of the corpus.*jsonl:1"),
        (ROWS, {"aside": 0.0}, "0 of them held out"),
        (ROWS, {"aside": 1.0}, "5 of them held out"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused_before_anything_is_written(tmp_path, rows, changed, told):
    with pytest.raises(DataError, match=told):
        train(settings(tmp_path, rows, **changed), tmp_path / "new")
    assert not (tmp_path / "new").exists()
