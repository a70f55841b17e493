"""What is said of a saved model: in its card, and in the lineage beside it."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from flame_ray.engines.models import UPSTREAM
from flame_ray.errors import StorageError
from flame_ray.journal.lineage import lineage_of, write_cards
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.types import Ancestor, BaseModel, Interval, Measured, Origin, TrainedOn, Where
from tests.saved_runs import MADE, make_saved_run, save_model

HUB = BaseModel("owner/name", Where.HUB, "a" * 40, "llama2")


def lineage_beside(folder: Path) -> dict:
    return json.loads((folder / "lineage.json").read_text())


def test_each_saved_model_of_a_round_gets_a_card_and_its_lineage_and_nothing_else_gets_one(tmp_path):
    run = make_saved_run(tmp_path, kinds=("adapter", "merged"))
    write_cards(run, 1)
    written = {
        str(path.relative_to(tmp_path / "mine")) for path in tmp_path.rglob("*") if path.name in ("README.md", "lineage.json")
    }
    at = "checkpoints/round-0001"
    assert written == {f"{at}/{kind}/{file}" for kind in ("adapter", "merged") for file in ("README.md", "lineage.json")}
    libraries = {
        kind: ModelCard.load(tmp_path / "mine" / at / kind / "README.md").data.library_name for kind in ("adapter", "merged")
    }
    assert libraries == {"adapter": "peft", "merged": "transformers"}


def test_the_best_rounds_copy_gets_its_card_too_and_another_rounds_does_not(tmp_path):
    run = make_saved_run(tmp_path)
    Checkpoints(run.checkpoints).deliver(1, {})
    write_cards(run, 2)
    assert not (tmp_path / "mine/best/adapter/README.md").exists()
    write_cards(run, 1)
    assert lineage_beside(tmp_path / "mine/best/adapter") == lineage_beside(tmp_path / "mine/checkpoints/round-0001/adapter")


def test_a_round_whose_models_were_removed_or_that_was_skipped_gets_none(tmp_path):
    run = make_saved_run(tmp_path)
    run.storage.remove("checkpoints/round-0001")
    write_cards(run, 1)
    write_cards(run, 0)
    assert not run.storage.exists("checkpoints/round-0001")


def test_a_lineage_says_what_made_the_model_and_what_was_measured_with_n_and_intervals(tmp_path):
    found = lineage_of(make_saved_run(tmp_path, Origin(HUB)), 2)
    assert (found.run, found.round, found.method, found.base) == ("mine", 2, "dpo", HUB)
    assert (found.flame_ray, found.commit, found.source) == ("0.1.0", "c" * 40, "d" * 64)
    assert found.command == "flame-ray run jobs/quickstart.yaml"
    assert found.training == {"loss": 0.5, "steps": 4, "pairs": 1, "tokens": 9}
    assert found.heldout[0] == Measured("factual_precision", Interval(0.5, 0.125, 0.75, 40), Interval(0.25, 0.0625, 0.5, 39))
    assert found.ancestors == (Ancestor("mine", 1, found.settings),)


def test_a_round_names_the_code_of_the_process_that_trained_it(tmp_path, caplog):
    run, first = make_saved_run(tmp_path), MADE["source_sha256"]
    run.note_code(dict(MADE), from_round=1)
    assert not caplog.records
    for version, source, from_round in (("0.2", "e" * 64, 2), ("0.3", "f" * 64, 2), ("0.1", first, 3)):
        run.note_code({"flame_ray": version, "git_commit": None, "source_sha256": source}, from_round)
    assert "other code trains from round 2 on: source_sha256 eeeeeeeeeeee, before dddddddddddd" in caplog.text
    found = [lineage_of(run, round) for round in (1, 2)]
    assert [(each.flame_ray, each.commit, each.source) for each in found] == [
        ("0.1.0", "c" * 40, first),
        ("0.3", None, "f" * 64),
    ]
    assert len(run.read_json("environment.json", {})["later_code"]) == 3


def test_the_settings_of_a_lineage_differ_where_other_things_are_computed_and_only_there(tmp_path):
    runs = [{}, {"run": {"rounds": 2, "keep_checkpoints": 1}}, {"learner": {"lr": 1e-3}}]
    made = [lineage_of(make_saved_run(tmp_path, settings=each, name=f"run{n}"), 1) for n, each in enumerate(runs)]
    assert made[0].settings == made[1].settings != made[2].settings


def test_a_round_after_one_that_was_rolled_back_names_the_round_that_it_started_from(tmp_path):
    run = make_saved_run(tmp_path)
    summary = run.summary()
    summary["rounds"][1]["selection"] = {"next_round_starts_from": 0}
    run.write_json("summary.json", summary)
    assert lineage_of(run, 2).ancestors == ()


def test_what_the_base_was_made_from_comes_after_the_runs_own_rounds(tmp_path):
    earlier = (Ancestor("sft", 1, "e" * 64, "owner/name"),)
    found = lineage_of(make_saved_run(tmp_path, Origin(BaseModel("runs/sft/model", Where.FOLDER), earlier)), 2)
    assert [each.run for each in found.ancestors] == ["mine", "sft"] and found.hub_base == "owner/name"


def test_a_fine_tuning_has_a_lineage_without_held_out_figures(tmp_path):
    run = make_saved_run(tmp_path, settings={"learner": {"loss": "nll"}, "sft": {"sources": [{"source": "owner/answers"}]}})
    run.write_json("summary.json", {"run_id": "mine", "status": "complete", "training": {"loss": 1.5, "loss_by_step": [1.5]}})
    found = lineage_of(run, 1)
    assert (found.method, found.heldout, found.training) == ("nll", (), {"loss": 1.5})
    assert (found.trained_on, found.datasets) == (TrainedOn.DEMONSTRATIONS, ("owner/answers",))
    write_cards(run, 1)
    assert "Nothing was measured" in (tmp_path / "mine/checkpoints/round-0001/adapter/README.md").read_text()


def test_a_model_that_learned_given_pairs_names_their_data_set_and_not_the_prompts_that_it_was_measured_on(tmp_path):
    prompts = {"sources": [{"source": "owner/prompts"}]}
    run = make_saved_run(tmp_path, settings={"run": {"rounds": 1}, "prompts": prompts, "pairs": {"file": "owner/pairs"}})
    found = lineage_of(run, 1)
    assert (found.trained_on, found.datasets) == (TrainedOn.GIVEN_PAIRS, ("owner/pairs",))
    write_cards(run, 1)
    card = ModelCard.load(tmp_path / "mine/checkpoints/round-0001/adapter/README.md")
    assert card.data.datasets == ["owner/pairs"] and "not of the model's own answers" in card.text


@pytest.mark.parametrize(
    ("loss", "trained_on"), [("mask_dpo", TrainedOn.OWN_PAIRS), ("nll", TrainedOn.BEST), ("grpo", TrainedOn.GRADED)]
)
def test_a_run_without_given_data_learned_from_its_own_answers(tmp_path, loss, trained_on):
    run = make_saved_run(tmp_path, settings={"learner": {"loss": loss}, "prompts": {"sources": [{"source": "owner/prompts"}]}})
    found = lineage_of(run, 1)
    assert (found.trained_on, found.datasets) == (trained_on, ("owner/prompts",))


def test_data_sets_are_those_of_the_hub_and_no_file_or_built_in_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "folder").write_text("")
    names = ["factbook", "owner/set", "owner/rows.jsonl", "/data/rows.parquet", "owner/folder", "https://me:hush@host/x"]
    found = lineage_of(make_saved_run(tmp_path, settings={"prompts": {"sources": [{"source": name} for name in names]}}), 1)
    assert found.datasets == ("owner/set",)


def test_a_run_of_an_earlier_version_has_its_base_models_name_and_no_license(tmp_path):
    run = make_saved_run(tmp_path)
    run.write_json("environment.json", {"models": {"model.policy": "owner/name@main"}})
    assert lineage_of(run, 1).base == BaseModel("owner/name", Where.HUB, "main")


def test_a_round_that_is_not_measured_yet_is_refused_by_its_number(tmp_path):
    with pytest.raises(StorageError, match=r"round 7 in .*summary\.json; found no such round"):
        lineage_of(make_saved_run(tmp_path), 7)


def test_no_secret_of_the_command_or_of_a_setting_is_in_the_files(tmp_path):
    words = [*MADE["command"], "--set", "cluster.address=redis://:hunter2@host", "--set", "run.root=s3://me:hunter2@host/runs"]
    settings = {"cluster": {"address": "redis://:hunter2@host"}, "run": {"root": "s3://me:hunter2@host/runs"}}
    write_cards(make_saved_run(tmp_path, settings=settings, made={"command": words}), 1)
    texts = [path.read_text() for path in (tmp_path / "mine").rglob("*") if path.suffix in (".md", ".json", ".yaml")]
    assert any("--set" in text for text in texts) and not any("hunter2" in text for text in texts)


def test_a_base_that_is_a_folder_is_named_in_the_text_and_not_to_the_hub(tmp_path):
    run = make_saved_run(tmp_path, Origin(BaseModel("./models/mine", Where.FOLDER)))
    save_model(tmp_path / "mine/checkpoints/round-0001/merged", "merged")
    write_cards(run, 1)
    adapter, merged = (
        ModelCard.load(tmp_path / "mine/checkpoints/round-0001" / kind / "README.md") for kind in ("adapter", "merged")
    )
    assert adapter.data.base_model is None and "`./models/mine`" in adapter.text and "loads only where" in adapter.text
    assert "loads only where" not in merged.text


def test_the_built_in_models_card_names_the_hubs_model_and_says_how_it_differs(tmp_path):
    write_cards(make_saved_run(tmp_path), 1)
    card = ModelCard.load(tmp_path / "mine/checkpoints/round-0001/adapter/README.md")
    assert (card.data.base_model, card.data.license, card.data.library_name) == (UPSTREAM, "apache-2.0", "peft")
    assert "Q4_1" in card.text and "smollm2-135m" in card.text
