"""What a report reads of a fine-tuning: finished, in its training, of an earlier version, and of another one."""

import pytest
import yaml

from flame_ray.errors import StorageError
from flame_ray.journal.sft_record import SftReader
from flame_ray.report.page.records import LearnedSource
from tests.saved_fine_tunings import make_saved_fine_tuning


@pytest.fixture
def tuned(tmp_path):
    return make_saved_fine_tuning(tmp_path)


def test_a_finished_fine_tuning_has_what_it_learned_what_it_left_out_and_its_steps(tuned):
    record = SftReader(tuned).record()
    assert (record.id, record.status, record.error) == ("tuned", "complete", None)
    assert record.sources == (LearnedSource("seeds.jsonl", 3, 90), LearnedSource("elicited", 3, 60))
    assert (record.left_out, record.own_left_out) == ({"repeated": 2, "too long": 1}, {"cut off": 3})
    assert (record.seeds, record.fact_based, record.asked, record.own_answers) == (6, 3, 3, 3)
    assert record.shown["examples"] == 15 and record.training == {"loss": 0.52, "steps": 4, "examples": 1, "tokens": 150}
    assert record.steps["loss"] == (1.0, 0.5, 1 / 3, 0.25) and record.steps["learning_rate"][-1] == 0.00025
    assert record.steps["tokens"] == (10, 10, 10, 10) and "seconds" not in record.steps
    assert [each.stage for each in record.stages] == ["classify", "elicit", "train", "save"]


def test_it_is_told_what_it_was_made_with(tuned):
    about = SftReader(tuned).record().about
    assert about["model"] == "smollm2-135m" and about["loss"] == "nll, LoRA"
    assert about["learning rate"] == "0.0001, which falls towards 1e-05" and about["length"] == "1 epochs"
    assert (about["answers where facts are needed"], about["answers elsewhere"]) == ("elicited", "human")
    assert about["sources"] == "seeds.jsonl" and about["own answers to a seed"] == "10"
    assert about["who says what needs facts"] == "model" and about["flame-ray"].startswith("0.1.0 cccccccccccc")


def test_what_elicits_nothing_is_not_told_how(tmp_path):
    people = {
        "sft": {"sources": [{"source": "seeds.jsonl", "limit": 9}]},
        "learner": {"loss": "nll", "lora": None, "steps": 30},
    }
    about = SftReader(make_saved_fine_tuning(tmp_path, settings=people)).record().about
    assert not {"own answers to a seed", "examples shown", "who says what needs facts"} & {*about}
    assert (about["sources"], about["loss"], about["length"]) == ("seeds.jsonl, the first 9", "nll, all parameters", "30 steps")


def test_one_that_ended_in_its_training_has_its_steps_and_its_answers_without_tokens(tmp_path):
    record = SftReader(make_saved_fine_tuning(tmp_path, ends_in_training=True)).record()
    assert record.status == "interrupted" and "SIGTERM" in (record.error or "")
    assert record.sources == (LearnedSource("seeds.jsonl", 3, None), LearnedSource("elicited", 3, None))
    assert len(record.steps["loss"]) == 4 and record.seeds is None and record.training == {}


def test_one_that_has_only_begun_has_nothing_yet(tuned):
    for name in tuned.storage.names():
        if name not in ("config.yaml", "environment.json"):
            tuned.storage.remove(name)
    record = SftReader(tuned).record()
    assert (record.id, record.status, record.sources, record.steps, record.stages) == ("tuned", "running", (), {}, ())


def test_an_earlier_version_has_the_losses_of_its_summary(tuned):
    tuned.storage.remove("steps.jsonl")
    tuned.write_json("summary.json", tuned.summary() | {"training": {"loss": 0.5, "steps": 2, "loss_by_step": [0.6, 0.4]}})
    record = SftReader(tuned).record()
    assert record.steps == {"loss": (0.6, 0.4)} and record.training == {"loss": 0.5, "steps": 2}


def test_its_version_changes_with_a_step(tuned):
    before = SftReader(tuned).version()
    assert SftReader(tuned).version() == before
    tuned.storage.append("steps.jsonl", b'{"round": 1, "step": 5, "loss": 0.1}\n')
    assert SftReader(tuned).version() != before


@pytest.mark.parametrize("path", ["sft.others", "learner.lr", "learner.batch_pairs"])
def test_the_settings_of_another_version_are_refused_with_the_version(path, tuned):
    settings, (section, name) = tuned.settings(), path.split(".")
    del settings[section][name]
    tuned.write_text("config.yaml", yaml.safe_dump(settings))
    with pytest.raises(StorageError, match=rf"this version knows; found no {path} in \S*config\.yaml.*that made it, 0\.1\.0"):
        SftReader(tuned)
