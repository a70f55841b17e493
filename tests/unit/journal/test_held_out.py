"""What an audit reads of a run: the facts of its held-out answers with their verdicts, and what readers see of them."""

import pytest

from flame_ray.errors import DataError, StorageError
from flame_ray.journal.held_out import HeldOutTables
from flame_ray.journal.run_folder import RunFolder
from flame_ray.storage.filesystem import Storage
from flame_ray.types import VerdictLabel
from tests.builders import make_held_out_fact, make_passage, make_verdict

YES, NO, FAILED = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.ERROR
EMPTY = VerdictLabel.SAYS_NOTHING


@pytest.fixture
def tables(finished_run) -> HeldOutTables:
    first = {"peru": [make_verdict(YES, fact="one"), make_verdict(FAILED, fact="two"), make_verdict(NO, fact="three")]}
    first["peru"].append(make_verdict(EMPTY, fact="four"))
    return HeldOutTables(finished_run([first | {"chile": [], "poem": None, "mali": "checker failed"}, {"peru": [YES]}]))


def test_the_facts_of_a_round_have_their_verdicts_but_for_those_that_failed_or_say_nothing(tables):
    assert tables.facts(0) == [
        make_held_out_fact("one", YES, prompt="peru", place=0),
        make_held_out_fact("three", NO, prompt="peru", place=2),
    ]
    assert (tables.run_id, tables.rounds) == ("mine", [0, 1])


def test_facts_that_the_checker_left_out_are_counted_beside_all_that_it_judged(tables):
    assert (tables.left_out(0), tables.left_out(1)) == ((1, 3), (0, 1))


def test_an_answer_that_states_nothing_is_scored_and_one_without_facts_to_check_or_that_failed_is_not(tables):
    assert tables.answered(0) == 2  # peru and chile


def test_a_reader_sees_the_instruction_the_answer_the_sentence_and_the_evidence(tables):
    (fact,) = tables.facts(1)
    item = tables.item("x-1", fact)
    assert (item.id, item.prompt, item.response) == ("x-1", "Where is peru?", "Answer 1: peru is here.")
    assert (item.sentence, item.fact) == ("peru is here.", "fact 0")
    assert item.evidence_K == (make_passage("peru lies there.", id="peru/0", title="peru"),)


def test_a_round_without_facts_is_refused_by_its_table(finished_run):
    tables = HeldOutTables(finished_run([{"peru": [YES]}, {"peru": None}]))
    with pytest.raises(DataError, match=r"held-out facts.*none in .*rounds/0001/heldout_facts\.parquet.*--rounds"):
        tables.facts(1)


@pytest.mark.parametrize("status", ["running", "failed", "interrupted"])
def test_an_unfinished_run_is_refused(finished_run, status):
    run = finished_run([{"peru": [YES]}, {"peru": [YES]}])
    run.write_json("summary.json", run.summary() | {"status": status})
    with pytest.raises(StorageError, match=f"a finished run; found .*mine, which is {status}.*--resume"):
        HeldOutTables(run)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"a finished run; found no .*nothing/summary\.json"):
        HeldOutTables(RunFolder(Storage(tmp_path / "nothing")))
