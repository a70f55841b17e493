"""What a report reads of a run: finished, unfinished, of several judges, and a folder that is no run's."""

import pytest
import yaml

from flame_ray.errors import StorageError
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.run_record import RunReader
from flame_ray.report.page.records import Question
from flame_ray.storage.filesystem import Storage
from flame_ray.types import VerdictLabel
from tests.builders import make_passage, make_verdict
from tests.saved_runs import MADE
from tests.shown_runs import add_audit, make_shown_run

YES, NO = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> RunFolder:
    run = make_shown_run(tmp_path_factory.mktemp("runs"), heldout=24)
    add_audit(run)
    return run


@pytest.fixture
def small(finished_run) -> RunFolder:
    first = {"peru": [make_verdict(NO, fact="one", passage="peru/0")], "chile": [], "poem": None, "mali": "checker failed"}
    return finished_run([first, {"peru": [YES]}])


def sides(run):
    reader = RunReader(run)
    return reader.sides(reader.record(), set(reader.questions()))


def test_a_record_has_the_rounds_of_the_summary_with_their_intervals_and_numbers(shown):
    record, summary = RunReader(shown).record(), shown.summary()
    assert [each.round for each in record.rounds] == [0, 1, 2, 3, 4]
    for found, entry in zip(record.rounds, summary["rounds"], strict=True):
        value = found.heldout["factual_precision"]
        assert value.mean == entry["evaluation"]["factual_precision"]
        assert [value.low, value.high] == entry["evaluation"]["ci95"]["factual_precision"]
        assert value.n == entry["evaluation"]["n"]["factual_precision"]
    assert record.rounds[0].change == {} and record.rounds[1].change["correct_facts"].mean is not None
    assert record.rounds[1].development["f_at_k"].n == 4
    assert (record.id, record.status, record.planned, record.seconds) == ("mine", "complete", 4, summary["wall_seconds"])
    assert record.best == summary["best_round"] and record.audit == summary["audit"]


def test_a_round_has_its_pairs_what_was_dropped_and_its_training(shown):
    first = RunReader(shown).record().rounds[1]
    assert (first.pairs, first.dropped["factuality: tie"]) == ({"instruction": 12, "factuality": 4}, 30)
    assert (first.responses, first.truncated) == (114, 13)
    assert first.training == pytest.approx({"loss": 0.65, "accuracy": 0.61, "margin": 0.2})
    assert first.seconds["train"] == 110


def test_a_skipped_round_is_no_trained_one_and_the_next_starts_where_it_did(shown):
    record = RunReader(shown).record()
    assert [each.round for each in record.trained] == [0, 1, 2, 4] and record.rounds[3].is_skipped
    chosen = shown.summary()["rounds"][2]["selection"]["next_round_starts_from"]
    assert [each.start for each in record.rounds[:2]] == [None, 0]
    assert record.rounds[3].start == record.rounds[4].start == chosen


def test_without_a_choice_a_round_starts_from_the_one_before_it(small):
    assert [each.start for each in RunReader(small).record().rounds] == [None, 0]


def test_the_stages_of_the_timeline_are_there(shown):
    stages = RunReader(shown).record().stages
    assert (stages[0].stage, stages[0].round, stages[0].ended) == ("classify", 0, "ok")
    assert {each.stage for each in stages} >= {"sample", "train", "evaluate", "develop", "select"}


def test_an_answer_has_its_facts_sentences_and_evidence(small):
    peru = Question("peru", "Where is peru?")
    before, after = sides(small)
    assert (before.run, before.round, after.round) == ("mine", 0, 1)
    answer = before.answers[peru]
    assert (answer.text, answer.precision, answer.truncated, answer.helpfulness) == ("Answer 0: peru is here.", 0.0, False, 1.0)
    assert [(each.text, each.verdict, each.passage_id) for each in answer.facts] == [("one", NO, "peru/0")]
    assert answer.sentences == ("peru is here.",)
    assert answer.evidence == (make_passage("peru lies there.", id="peru/0", title="peru"),)
    assert after.answers[peru].precision == 1.0


def test_no_fact_no_check_and_a_failed_check_differ(small):
    answers = {question.id: answer for question, answer in sides(small)[0].answers.items()}
    assert (answers["chile"].facts, answers["chile"].missing) == ((), None)
    assert (answers["poem"].facts, answers["poem"].missing) == (None, None)
    assert (answers["mali"].facts, answers["mali"].missing) == (None, "checker failed")


def test_only_the_answers_that_are_asked_for_are_read(small):
    reader = RunReader(small)
    found = reader.sides(reader.record(), {Question("peru", "Where is peru?"), Question("chile", "another text")})
    assert [[each.id for each in side.answers] for side in found] == [["peru"], ["peru"]]


def test_development_prompts_are_not_among_the_held_out_ones(shown):
    assert {int(each.id.partition("/")[2]) % 6 for each in RunReader(shown).questions()} == {0, 1, 2, 3, 4}


def test_a_run_that_has_evaluated_nothing_yet_is_read(small):
    small.storage.remove("summary.json")
    small.storage.remove("timeline.json")
    small.storage.remove("rounds")
    reader = RunReader(small)
    record = reader.record()
    assert (record.id, record.status, record.rounds, record.stages, record.seconds) == ("mine", "running", (), (), None)
    assert reader.questions() == () and reader.sides(record, set()) == ()


def test_an_error_that_ended_a_run_is_there(small):
    small.write_json("summary.json", small.summary() | {"status": "failed", "error": "EngineError: gone"})
    record = RunReader(small).record()
    assert (record.status, record.error) == ("failed", "EngineError: gone")


def test_the_version_is_another_one_when_the_run_has_gone_on(small):
    reader = RunReader(small)
    before = reader.version()
    assert reader.version() == before
    small.write_json("summary.json", small.summary() | {"status": "running"})
    assert reader.version() != before


@pytest.mark.parametrize(
    ("section", "settings", "is_same"),
    [
        ("judge", {"backend": "preference"}, False),
        ("factuality", {"checker": "small"}, False),
        ("evaluation", {"recall_at": 3}, False),  # F@K of another K
        ("factuality", {"cache": False}, True),
        ("learner", {"lr": 1e-3}, True),
    ],
)
def test_runs_are_measured_alike_only_by_one_judge_and_one_checker(section, settings, is_same, finished_run, tmp_path):
    first = RunReader(finished_run([{"peru": [YES]}, {"peru": [YES]}])).record()
    Storage(tmp_path / "runs").remove("mine")
    second = RunReader(finished_run([{"peru": [YES]}, {"peru": [YES]}], **{section: settings})).record()
    assert (first.measure == second.measure) is is_same


def test_runs_with_other_held_out_prompts_are_not_measured_alike(finished_run, tmp_path):
    first = RunReader(finished_run([{"peru": [YES]}, {"peru": [YES]}])).record()
    Storage(tmp_path / "runs").remove("mine")
    second = RunReader(finished_run([{"chile": [YES]}, {"chile": [YES]}])).record()
    assert first.measure != second.measure


def test_a_judge_that_compares_gives_no_helpfulness(finished_run):
    run = finished_run([{"peru": [YES]}, {"peru": [YES]}], judge={"backend": "pairwise"}, pairs={"kinds": ["factuality"]})
    assert [answer.helpfulness for side in sides(run) for answer in side.answers.values()] == [None, None]


# Other folders


def refused(folder, *parts):
    with pytest.raises(StorageError) as error:
        RunReader(RunFolder(Storage(folder)))
    assert all(part in str(error.value) for part in ("the folder of a run of `flame-ray run`", "runs/<run id>", *parts))


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("judge.backend", "oracle", r"judge\.backend oracle, none of rubric, .*, in \S*config\.yaml"),
        ("judge.backend", None, r"judge\.backend null"),
        ("factuality.corpus", ..., r"no factuality\.corpus in \S*config\.yaml"),
        ("learner.lora", ..., r"no learner\.lora in"),
    ],
)
def test_the_settings_of_another_version_are_refused_with_the_version(path, value, found, small):
    settings, (section, name) = small.settings(), path.split(".")
    if value is ...:
        del settings[section][name]
    else:
        settings[section][name] = value
    small.write_text("config.yaml", yaml.safe_dump(settings))
    small.write_json("environment.json", small.read_json("environment.json", {}) | {"flame_ray": "9.1"})
    with pytest.raises(StorageError, match=rf"settings this version knows; found {found}.*the version that made it, 9\.1"):
        RunReader(small)


def test_what_another_version_has_written_beside_a_stage_is_passed_over(shown):
    written = shown.read_json("timeline.json", [])
    before = RunReader(shown).record().stages
    shown.write_json("timeline.json", [each | {"colour": "red"} for each in written])
    assert RunReader(shown).record().stages == before
    shown.write_json("timeline.json", written)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    refused(tmp_path / "nothing", "nothing/config.yaml")


@pytest.mark.parametrize("folder", [".", "factbook-0123"])
def test_an_evaluation_is_told(folder, tmp_path):
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "result.json").write_text("{}")
    refused(tmp_path, "which `flame-ray evaluate` wrote")


def test_the_steps_of_the_learner_are_read_by_name_without_what_is_no_curve(small):
    small.storage.write("steps.jsonl", b'{"round": 1, "step": 1, "loss": 0.7, "tokens": 9, "seconds": 1.0}\n{"round": 1, "st')
    assert RunReader(small).record().steps == {"loss": (0.7,)}


def test_a_run_that_other_code_resumed_names_both_versions(small):
    small.write_json("environment.json", small.read_json("environment.json", {}) | MADE)
    small.note_code({"flame_ray": "0.2.0", "git_commit": None, "source_sha256": "e" * 64}, from_round=2)
    assert RunReader(small).record().about["flame-ray"] == "0.1.0 cccccccccccc; from round 2 on 0.2.0"
