"""Runs with rounds that give no pair: they are skipped, counted, and come out the same wherever their process dies."""

import json
from functools import partial

import pytest

from flame_ray.errors import DataError
from flame_ray.journal.held_out import HeldOutTables
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.shards import Shards
from tests.unit.commands.test_resume import Run
from tests.unit.commands.test_roll_back import Run as ChoosingRun

TIES = {"factuality: tie": 2, "instruction: tie": 2}


@pytest.fixture
def new_run(fake_stages, metrics):
    """A run of two rounds, of which these are barren."""
    return lambda *barren, **settings: Run(partial(fake_stages, barren=barren), metrics, **settings)


def summary(run) -> dict:
    return json.loads(run.storage.read("summary.json"))


@pytest.mark.parametrize(("barren", "trained"), [(1, {2}), (2, {1})])
@pytest.mark.parametrize("staleness", [0, 1])
def test_the_summary_counts_a_skipped_round_with_its_reasons_and_the_run_is_complete(new_run, barren, trained, staleness):
    run = new_run(barren, staleness=staleness)
    reports, _ = run.process()
    assert [report.is_skipped for report in reports] == [round == barren for round in range(3)]
    assert run.trained == trained and summary(run)["status"] == "complete"
    skipped = summary(run)["rounds"][barren]
    assert skipped["skipped"] == "no pairs" and "training" not in skipped
    assert skipped["pairs"] == {"instruction": 0, "factuality": 0, "dropped": TIES}
    assert skipped["weight_version"] == barren - 1
    assert skipped["samples"]["responses"] == 4
    assert ["skipped" in each for each in summary(run)["rounds"]] == [round == barren for round in range(3)]


@pytest.mark.parametrize("barren", [1, 2])
@pytest.mark.parametrize("staleness", [0, 1])
def test_wherever_its_process_dies_a_run_with_a_skipped_round_comes_out_the_same(new_run, barren, staleness):
    whole = new_run(barren)
    reports, life = whole.process()
    for moment in range(2 * staleness, len(life.spent), 4 + 3 * staleness):
        run = new_run(barren, staleness=staleness)
        run.process(moment)
        assert run.process()[0] == reports, life.spent[moment]
        assert run.contents() == whole.contents(), life.spent[moment]
        assert all(times == 1 for unit, times in run.done.items() if unit.startswith("train")), life.spent[moment]


def test_a_skipped_round_has_no_held_out_answers_to_audit(new_run):
    run = new_run(2)
    run.process()
    assert HeldOutTables(RunFolder(run.storage)).rounds == [0, 1]


@pytest.mark.parametrize("resumed", [False, True])
def test_a_run_of_which_every_round_was_skipped_has_trained_nothing_and_fails_with_all_reasons(new_run, resumed):
    run = new_run(1, 2)
    if resumed:
        run.process(10)
    with pytest.raises(DataError) as caught:
        run.process()
    assert caught.value.found == "none in 2 rounds, all of which were skipped; dropped: 4 factuality: tie, 4 instruction: tie"
    assert "loosens the filters in `pairs`" in caught.value.fix
    assert (summary(run)["status"], len(summary(run)["rounds"])) == ("failed", 3)
    assert not run.trained


@pytest.mark.parametrize("barren", [1, 2, 3])
def test_a_choice_of_the_best_round_passes_over_a_skipped_one_wherever_the_process_dies(metrics, barren):
    whole = ChoosingRun(metrics, barren=(barren,))
    reports, life = whole.process()
    assert [report.is_skipped for report in reports] == [round == barren for round in range(4)]
    started = {1: {2: 0, 3: 2}, 2: {1: 0, 3: 1}, 3: {1: 0, 2: 1}}[barren]
    assert whole.disk.started == started
    assert summary(whole)["best_round"] == {1: 3, 2: 3, 3: 1}[barren]
    for moment in range(barren * 2, len(life.spent), len(life.spent) // 5):
        run = ChoosingRun(metrics, barren=(barren,))
        run.process(moment)
        assert run.process()[0] == reports, life.spent[moment]
        assert run.contents() == whole.contents(), life.spent[moment]
        assert run.disk == whole.disk, life.spent[moment]


def test_after_a_roll_back_the_round_after_a_skipped_one_starts_from_the_best(metrics):
    """Round 2 is rolled back and round 3 is skipped: round 4 starts from round 1."""
    run = ChoosingRun(metrics, barren=(3,), rounds=4)
    reports, _ = run.process()
    assert run.disk.started == {1: 0, 2: 1, 4: 1}
    assert [report.weight_version for report in reports] == [0, 1, 2, 1, 4]
    assert {pair.chosen.weight_version for pair in Shards(run.storage).read_pairs(4).pairs_D} == {1}
    assert "stale" not in run.screen.getvalue()
