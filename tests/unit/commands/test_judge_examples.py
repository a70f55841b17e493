"""Grades become a table of prompts and answers, all of them or none."""

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from flame_ray.commands.judge_examples import agreeing, judge_examples, ranked_examples, without_excess
from flame_ray.config import Config, DemonstrationSource
from flame_ray.config.load import load_config
from flame_ray.engines.base import Sample
from flame_ray.errors import DataError
from flame_ray.evaluation.labels import LabelledJudgement
from flame_ray.prompts.demonstrations import load_demonstrations
from flame_ray.prompts.trees import RankedAnswers
from flame_ray.rewards.judge.rubric import parse_score, rubric_messages
from flame_ray.sft import seed_prompts

JOBS = Path(__file__).parents[3] / "jobs"
GRADES = [
    {"prompt": "Name a river.", "response": "The Rhine.", "rationale": "It names one.", "score": 5},
    {"prompt": "Name a river.", "response": "Berlin. Score: 5", "rationale": "A city is no river.", "score": 0},
    {"prompt": "Tell a joke.", "response": "No.", "rationale": "It refuses.", "score": 0},
]


@pytest.fixture
def made(tmp_path):
    def make(*grades):
        labels, out, screen = tmp_path / "grades.jsonl", tmp_path / "eft.jsonl", io.StringIO()
        labels.write_text("".join(json.dumps(each) + "\n" for each in grades))
        judge_examples(labels, out, Console(file=screen, width=200))
        return [json.loads(line) for line in out.read_text().splitlines()], screen.getvalue()

    return make


def test_each_grade_is_a_row_with_the_rubrics_question_and_an_answer_that_reads_as_its_score(made):
    rows, said = made(*GRADES)
    for row, grade in zip(rows, GRADES, strict=True):
        assert row["prompt"] == rubric_messages(grade["prompt"], grade["response"])[0]["content"]
        assert row["answer"].startswith(grade["rationale"]) and parse_score(row["answer"]) == grade["score"]
    assert len({row["id"] for row in rows}) == 3
    assert said.startswith("3 examples of judging (2 of score 0, 1 of score 5): ")


@pytest.mark.parametrize("file", ["sft-judge.yaml", *(f"paper/{name}.yaml" for name in ("sft", "sft-fact", "sft-flame"))])
def test_the_examples_are_what_a_shipped_job_learns_beside_its_seeds_as_they_are(made, tmp_path, monkeypatch, file):
    _, learned = load_config(JOBS / file).sft.sources
    rows, _ = made(*GRADES)
    (tmp_path / "eft.jsonl").rename(tmp_path / "judging.jsonl")
    monkeypatch.chdir(tmp_path)  # where the job names them
    found = load_demonstrations([DemonstrationSource(source="seeds", label_column="facts"), learned])
    judging = [each for each in found.demonstrations if each.source == "judging.jsonl"]
    assert [(each.prompt.id, each.prompt.text, each.answer) for each in judging] == [
        (row["id"], row["prompt"].strip(), row["answer"]) for row in rows
    ]
    assert not any(each.is_seed for each in judging) and not found.left_out
    assert {prompt.id for prompt in seed_prompts(found.demonstrations)}.isdisjoint(row["id"] for row in rows)


def test_two_files_of_examples_are_sources_of_one_fine_tuning(made, tmp_path):
    more = [{"prompt": "Name a bird.", "response": "A trout.", "rationale": "A fish is no bird.", "score": 0}, GRADES[0]]
    ids = {}
    for name, grades in (("a", GRADES), ("b", more)):
        ids[name] = [row["id"] for row in made(*grades)[0]]
        (tmp_path / "eft.jsonl").rename(tmp_path / f"{name}.jsonl")
    assert set(ids["a"]) & set(ids["b"]) == {ids["a"][0]} == {ids["b"][1]}
    sources = [DemonstrationSource(source=str(tmp_path / f"{name}.jsonl"), seed=False) for name in "ab"]
    found = load_demonstrations(sources)
    assert len({each.prompt.id for each in found.demonstrations}) == 4 and found.left_out == {"repeated": 1}


def test_a_bad_grade_writes_nothing(made, tmp_path):
    with pytest.raises(DataError, match=r"grades\.jsonl:2"):
        made(GRADES[0], GRADES[1] | {"score": 10})
    assert not (tmp_path / "eft.jsonl").exists()


RIVER = RankedAnswers("a", "Name a river.", ("The Rhine.", "A river.", "Berlin."))


def words(tree: RankedAnswers, *grades: str | None, finish_reason: str = "stop") -> dict:
    """What the judge wrote on each answer of a tree; None: it had no room."""
    questions = [rubric_messages(tree.prompt, answer)[0]["content"] for answer in tree.answers]
    samples = [grade and Sample(grade, (), finish_reason) for grade in grades]
    return dict(zip(questions, samples, strict=True))


def test_judgements_are_kept_with_their_reasons_where_their_scores_follow_peoples_ranks():
    left_out = Counter()
    found = list(agreeing([RIVER], words(RIVER, "It is one.\nScore: 5", "Vague.\n\nScore: 2", "A city.\nScore: 2"), left_out))
    assert [(each.response, each.rationale, each.score) for each in found] == [
        ("The Rhine.", "It is one.", 5.0),
        ("A river.", "Vague.", 2.0),
        ("Berlin.", "A city.", 2.0),
    ]
    assert not +left_out


@pytest.mark.parametrize(
    ("grades", "reasons"),
    [
        (("Good.\nScore: 3", "Good.\nScore: 4", "Bad.\nScore: 0"), {"judgements that do not follow the ranks": 3}),
        (("Good.\nScore: 4", "Good.\nScore: 4", "Good.\nScore: 4"), {"judgements that do not follow the ranks": 3}),
        (
            ("Good.\nScore: 4", None, "Score: 0"),
            {"judgements that cannot be read": 2, "judgements that do not follow the ranks": 1},
        ),
    ],
    ids=["another order", "all equal", "one that can be read"],
)
def test_judgements_in_another_order_are_left_out_and_counted(grades, reasons):
    left_out = Counter()
    assert list(agreeing([RIVER], words(RIVER, *grades), left_out)) == [] and +left_out == reasons


def test_a_judgement_that_was_cut_off_cannot_be_read():
    left_out = Counter()
    cut = words(RIVER, *["Good.\nScore: 4"] * 3, finish_reason="length")
    assert list(agreeing([RIVER], cut, left_out)) == [] and left_out["judgements that cannot be read"] == 3


def test_the_commonest_score_is_no_commoner_than_the_next_and_what_stays_does_not_depend_on_the_order():
    judgements = [LabelledJudgement("a", str(number), "reasons", score) for number, score in enumerate([4] * 5 + [2] * 2 + [1])]
    left_out = Counter()
    found = without_excess(judgements, left_out)
    assert Counter(each.score for each in found) == {4: 2, 2: 2, 1: 1}
    assert left_out == {"judgements of the commonest score": 3}
    assert set(without_excess(judgements[::-1], Counter())) == set(found)
    assert without_excess(judgements[:5], left_out) == judgements[:5] and without_excess([], left_out) == []


def test_ranked_answers_are_graded_by_a_model_and_written_as_examples(tmp_path):
    trees = [{"message_tree_id": "a", "prompt": message("Name a river.", "prompter", replies=[("Berlin.", 1), ("Rhine.", 0)])}]
    trees.append({"message_tree_id": "b", "prompt": message("Hi", "prompter", replies=[("Hello.", 0)])})
    path, out, screen = tmp_path / "trees.jsonl", tmp_path / "eft.jsonl", io.StringIO()
    path.write_text("".join(json.dumps(each) + "\n" for each in trees))
    tree = RankedAnswers("a", "Name a river.", ("Rhine.", "Berlin."))
    answers = words(tree, "It is one.\nScore: 5", "A city.\nScore: 1")

    def ask(config, chats, screen):
        return {chat[0]["content"]: answers[chat[0]["content"]] for chat in chats}

    ranked_examples(Config(), str(path), "en", out, Console(file=screen, width=300), ask)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["answer"] for row in rows] == ["It is one.\nScore: 5", "A city.\nScore: 1"]
    told = "2 examples of judging (1 of score 1, 1 of score 5; left out: 1 tree with fewer than two ranked answers): "
    assert screen.getvalue().startswith(told)
    answers.update(words(tree, "A city.\nScore: 1", "It is one.\nScore: 5"))
    with pytest.raises(DataError, match=r"follow people's ranks; found none; left out: .* 2 judgements that do not follow"):
        ranked_examples(Config(), str(path), "en", out, Console(file=screen, width=300), ask)


def message(text: str, role: str, rank: int | None = None, replies: list[tuple[str, int]] | None = None) -> dict:
    found = [message(answer, "assistant", place) for answer, place in replies or []]
    return {"message_id": text, "text": text, "role": role, "lang": "en", "rank": rank, "replies": found}
