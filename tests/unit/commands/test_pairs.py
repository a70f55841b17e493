"""The pairs of a run as a table in TRL's format, and two fine-tunings' own answers side by side."""

import io
import json

import datasets
import pytest
from rich.console import Console

from flame_ray.commands.pairs import pairs
from flame_ray.config import Config
from flame_ray.errors import DataError, StorageError
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.shards import Shards
from flame_ray.prompts.given_pairs import GivenPair, read_given_pairs
from flame_ray.storage.filesystem import Storage
from flame_ray.types import INSTRUCTION, Prompt, PromptSet
from tests.builders import make_graded, make_group, make_pair, make_pair_set, make_response

PERU, CHILE = Prompt("peru", "Where is Lima?"), Prompt("chile", "Where is Santiago?")


@pytest.fixture
def make_run(tmp_path):
    def run(name: str = "mine") -> Shards:
        folder = RunFolder(Storage(tmp_path / name))
        folder.create(Config(), {})
        return Shards(folder.storage)

    return run


@pytest.fixture
def written(tmp_path):
    """Gives the command the runs of these names, and returns the rows and what is printed."""

    def write(run: str = "mine", over: str | None = None) -> tuple[list[dict], str]:
        out, screen = tmp_path / "pairs.jsonl", io.StringIO()
        pairs(str(tmp_path / run), out, Console(file=screen, width=300), over and str(tmp_path / over))
        return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()], screen.getvalue()

    return write


def trained(shards: Shards, round: int, prompt: Prompt, **said) -> None:
    shards.write(round, "prompts", PromptSet((prompt,)))
    sides = (make_response(text, prompt=prompt.id, round=round, index=i, version=round - 1) for i, text in enumerate("ab"))
    shards.write_pairs(round, make_pair_set(make_pair(*sides, **said)))


def test_each_pair_of_each_round_is_a_row_of_chats_with_where_it_comes_from(make_run, written):
    shards = make_run()
    trained(shards, 1, PERU, kind=INSTRUCTION, scores=(4.0, 2.5))
    trained(shards, 2, CHILE, factuality=(0.75, None))
    (first, second), said = written()
    assert first == {
        "prompt": [{"role": "user", "content": "Where is Lima?"}],
        "chosen": [{"role": "assistant", "content": "a"}],
        "rejected": [{"role": "assistant", "content": "b"}],
        "kind": "instruction",
        "round": 1,
        "prompt_id": "peru",
        "chosen_id": "1/peru/0",
        "rejected_id": "1/peru/1",
        "weight_version": 0,
        "chosen_truncated": False,
        "rejected_truncated": False,
        "chosen_score": 4.0,
        "rejected_score": 2.5,
        "chosen_factuality": None,
        "rejected_factuality": None,
        "run": "mine",
    }
    assert (second["round"], second["weight_version"], second["chosen_factuality"]) == (2, 1, 0.75)
    assert said.startswith("2 pairs (1 factuality, 1 instruction): ")


def test_what_is_written_is_read_back_as_the_same_pairs(make_run, written, tmp_path):
    shards = make_run()
    trained(shards, 1, PERU, kind=INSTRUCTION, scores=(4.0, 2.5), factuality=(0.75, 0.5))
    written()
    (pair,) = read_given_pairs(str(tmp_path / "pairs.jsonl")).pairs_D
    assert pair == GivenPair("Where is Lima?", "a", "b", INSTRUCTION, (4.0, 2.5), (0.75, 0.5))


def test_an_answer_that_was_cut_off_is_read_back_as_one(make_run, written, tmp_path):
    shards = make_run()
    shards.write(1, "prompts", PromptSet((PERU,)))
    cut = make_response("b and", prompt=PERU.id, index=1, finish_reason="length")
    shards.write_pairs(1, make_pair_set(make_pair(make_response("a", prompt=PERU.id), cut)))
    (row,), _ = written()
    assert (row["chosen_truncated"], row["rejected_truncated"]) == (False, True)
    (pair,) = read_given_pairs(str(tmp_path / "pairs.jsonl")).pairs_D
    assert pair.truncated == (False, True)


def elicited(shards: Shards, prompt: Prompt, *answers: str, cut: tuple[int, ...] = ()) -> None:
    reasons = ["length" if i in cut else "stop" for i in range(len(answers))]
    made = zip(answers, reasons, strict=True)
    group = [make_response(text, prompt=prompt.id, index=i, finish_reason=why) for i, (text, why) in enumerate(made)]
    list(shards.store(1, "elicited", [make_group(*group, prompt=prompt)]))


def test_of_two_fine_tunings_the_whole_answers_to_an_instruction_are_paired_in_their_order(make_run, written):
    informed, alone = make_run("informed"), make_run("alone")
    elicited(informed, PERU, "cut", "In Peru.", " ", "In South America.", "By the sea.", cut=(0,))
    elicited(alone, PERU, "In Chile.", "In South America.")
    elicited(informed, CHILE, "In Chile.")
    rows, said = written("informed", over="alone")
    assert [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows] == [("In Peru.", "In Chile.")]
    assert (rows[0]["kind"], rows[0]["run"], rows[0]["chosen_id"]) == ("elicited", "informed over alone", "1/peru/1")
    reasons = "; left out: 2 answers cut off or empty, 1 instructions of one run alone, 1 ties"
    assert said.startswith(f"1 pairs (1 elicited{reasons}): ")


def test_a_folder_or_a_run_without_pairs_is_refused_and_nothing_is_written(make_run, written, tmp_path):
    with pytest.raises(DataError, match=r"the folder of a run; found no .*nobody/config\.yaml"):
        written("nobody")
    shards = make_run()
    shards.write(1, "prompts", PromptSet((PERU,)))
    shards.write_pairs(1, make_pair_set(graded=[make_graded()]))
    with pytest.raises(DataError, match=r"preference pairs in the run; found none in .*mine"):
        written()
    make_run("other")
    with pytest.raises(DataError, match=r"two runs of `flame-ray sft` .*: no answers"):
        written("mine", over="other")
    assert not (tmp_path / "pairs.jsonl").exists()


def test_pairs_that_came_from_a_file_are_not_written_again(make_run, written):
    make_run().write_pairs(1, make_pair_set(make_pair()))
    with pytest.raises(DataError, match="whose pairs came from a file"):
        written()


def test_a_run_of_another_format_is_refused(make_run, written, tmp_path):
    make_run()
    (tmp_path / "mine" / "environment.json").write_text('{"format": 3}')
    with pytest.raises(StorageError, match="of format 3"):
        written()


def test_a_long_file_whose_first_pairs_lack_a_score_is_read_by_datasets(make_run, written, tmp_path, monkeypatch):
    """`datasets` reads a file in parts: 10 MB, or here 2 kB. The first part decides the type of each column."""
    shards = make_run()
    for round in range(1, 9):
        trained(shards, round, PERU, kind=INSTRUCTION, scores=(4.0, 2.5), factuality=(None, None))
    trained(shards, 9, CHILE, factuality=(0.75, 0.5))
    rows, _ = written()
    assert [row["round"] for row in rows] == [1, 9, 2, 3, 4, 5, 6, 7, 8]
    files, options = str(tmp_path / "pairs.jsonl"), {"chunksize": 1000, "cache_dir": str(tmp_path / "cache")}
    table = datasets.load_dataset("json", data_files=files, split="train", **options)
    assert table["chosen_factuality"][:3] == [None, 0.75, None]
