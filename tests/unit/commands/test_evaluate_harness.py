"""lm-eval's own tasks on our rows, with a model that answers by a rule; the figures are worked out by hand."""

import csv
import json
import math

import pytest

pytest.importorskip("lm_eval")

from flame_ray.commands.evaluate_harness import check_installed, make_model, run_harness, sample_rows
from flame_ray.config import Config
from flame_ray.evaluation.suites import make_suite

CONFIG = Config()


class Letters:
    """A tokenizer of one token a character; the mark of the beginning is 1."""

    eos_token_id, bos_token_id = 0, 1

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [1] * add_special_tokens + [ord(letter) for letter in text]


class RuleStages:
    """Weighs a continuation by its text, and continues every text in the same way."""

    def __init__(self, weigh=lambda text: -1.0, writes="The answer is 18."):
        self.weigh, self.writes = weigh, writes
        self.contexts: list[str] = []
        self.requests = []

    def weighed(self, continuations):
        self.contexts += [text_of(each.prompt_token_ids) for each in continuations]
        return [(self.weigh(text_of(each.token_ids)), 0.0) for each in continuations]

    def continued(self, requests):
        self.requests += requests
        return [self.writes for _ in requests]


def text_of(ids) -> str:
    return "".join(chr(each) for each in ids if each > 1)


def run(name: str, folder, stages: RuleStages, **suites):
    setting = "truthfulqa" if name == "truthfulqa-mc" else name
    suite = make_suite(name, Config.model_validate({"suites": {setting: str(folder)} | suites}))
    samples, cut = run_harness(suite, stages, Letters(), 4096)
    assert cut == 0
    return suite.figures(samples, CONFIG), list(sample_rows(suite, samples))


def test_lm_eval_is_there():
    check_installed()


def test_mmlu_is_asked_with_demonstrations_and_scored_by_the_likeliest_letter(tmp_path):
    (tmp_path / "test").mkdir()
    with (tmp_path / "test" / "anatomy_test.csv").open("w", newline="") as file:
        csv.writer(file).writerows([(f"Which is {at}?", "w", "x", "y", "z", answer) for at, answer in enumerate("BBAB")])
    stages = RuleStages(weigh=lambda text: -1.0 if text == " B" else -2.0)
    figures, rows = run("mmlu", tmp_path, stages, shots=1)
    assert (figures["accuracy"].mean, figures["accuracy"].n) == (0.75, 4)
    assert [row["acc"] for row in rows] == [1.0, 1.0, 0.0, 1.0] and rows[0]["task"] == "mmlu_anatomy"
    assert [row["values"] for row in rows] == [{"accuracy": row["acc"]} for row in rows]
    assert len({row["id"] for row in rows}) == 4
    assert len(stages.contexts) == 16  # four choices of four questions
    first, second = stages.contexts[0], stages.contexts[4]
    assert first.startswith("The following are multiple choice questions (with answers) about anatomy.\n\nWhich is 1?")
    assert first.endswith("Which is 0?\nA. w\nB. x\nC. y\nD. z\nAnswer:") and first.count("Answer: B") == 1
    assert second.count("Which is 1?") == 1 and second.count("Which is 0?") == 1  # no question shows its own answer


def test_only_the_asked_questions_of_mmlu_are_asked_and_dev_files_are_shown(tmp_path):
    for split, number in (("test", 12), ("dev", 2)):
        (tmp_path / split).mkdir()
        with (tmp_path / split / f"anatomy_{split}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([(f"{split} {at}?", "w", "x", "y", "z", "B") for at in range(number)])
    stages = RuleStages()
    figures, rows = run("mmlu", tmp_path, stages, shots=2, limit=3)
    assert figures["accuracy"].n == len({row["question"] for row in rows}) == 3 and len(stages.contexts) == 12
    for context in stages.contexts:
        assert context.count("test ") == 1 and "dev 0?" in context and "dev 1?" in context


def test_the_three_measures_of_truthfulqa(tmp_path):
    weights = {" true": -1.0, " also true": -3.0, " false": -2.0}
    mc1, mc2 = {"true": 1, "false": 0}, {"true": 1, "also true": 1, "false": 0}
    (tmp_path / "mc_task.json").write_text(json.dumps([{"question": "What?", "mc1_targets": mc1, "mc2_targets": mc2}]))
    figures, rows = run("truthfulqa-mc", tmp_path, RuleStages(weigh=weights.__getitem__))
    shares = {text: math.exp(weight) for text, weight in weights.items()}
    assert figures["mc1"].mean == 1.0
    assert figures["mc2"].mean == pytest.approx((shares[" true"] + shares[" also true"]) / sum(shares.values()))
    assert figures["mc3"].mean == 0.5
    assert [row["values"].keys() for row in rows] == [{"mc1"}, {"mc2", "mc3"}] and rows[1]["values"]["mc3"] == 0.5
    assert rows[1]["responses"] == [(-1.0, False), (-3.0, False), (-2.0, False)]
    json.dumps(rows)


def test_gsm8k_has_its_demonstrations_its_ends_and_both_ways_to_read_an_answer(tmp_path):
    (tmp_path / "test.jsonl").write_text('{"question": "How many ducks?", "answer": "9 + 9 = 18 ducks.\\n#### 18"}\n')
    right = RuleStages()
    figures, rows = run("gsm8k", tmp_path, right)
    assert (figures["exact_match_strict"].mean, figures["exact_match_flexible"].mean) == (1.0, 1.0)
    (request,) = right.requests
    asked = text_of(request.prompt_token_ids)
    assert asked.count("Q: ") == 9 and asked.endswith("Q: How many ducks?\nA:") and "Q:" in request.stop
    assert request.max_tokens == 256
    assert {(row["filter"], tuple(row["responses"])) for row in rows} == {
        ("strict-match", ("The answer is 18.", "18")),
        ("flexible-extract", ("The answer is 18.", "18.")),
    }
    assert [row["values"] for row in rows] == [{"exact_match_strict": 1.0}, {"exact_match_flexible": 1.0}]
    assert len({row["id"] for row in rows}) == 1
    figures, _ = run("gsm8k", tmp_path, RuleStages(writes="It is 18"))
    assert (figures["exact_match_strict"].mean, figures["exact_match_flexible"].mean) == (0.0, 1.0)


def test_a_context_that_is_too_long_loses_its_beginning():
    stages = RuleStages()
    model = make_model(stages, Letters(), 6)
    model._loglikelihood_tokens([(None, [1, 65, 66, 67, 68], [69, 70])])
    assert stages.contexts == ["BCD"]  # with two more, five: one less than the samplers read


def test_contexts_that_lose_their_beginning_are_counted_once_for_all_choices_of_a_question(tmp_path):
    (tmp_path / "test").mkdir()
    with (tmp_path / "test" / "anatomy_test.csv").open("w", newline="") as file:
        csv.writer(file).writerows([(f"Which is {'long ' * 9 * at}?", "w", "x", "y", "z", "B") for at in range(3)])
    suite = make_suite("mmlu", Config.model_validate({"suites": {"mmlu": str(tmp_path), "shots": 0}}))
    whole = RuleStages()
    run_harness(suite, whole, Letters(), 4096)
    needed = sorted({1 + len(context) + len(" A") + 1 for context in whole.contexts})  # the mark, and one less than is read
    for most, cut in ((needed[2], 0), (needed[2] - 1, 1), (needed[0] - 1, 3)):
        assert run_harness(suite, RuleStages(), Letters(), most)[1] == cut


def test_a_word_problem_that_loses_its_beginning_is_counted(tmp_path):
    (tmp_path / "test.jsonl").write_text('{"question": "How many ducks?", "answer": "9 + 9 = 18 ducks.\\n#### 18"}\n')
    suite = make_suite("gsm8k", Config.model_validate({"suites": {"gsm8k": str(tmp_path)}}))
    assert [run_harness(suite, RuleStages(), Letters(), most)[1] for most in (4096, 1024)] == [0, 1]


def test_lm_eval_writes_no_bars_into_a_log(tmp_path, capfd):
    (tmp_path / "test").mkdir()
    with (tmp_path / "test" / "anatomy_test.csv").open("w", newline="") as file:
        csv.writer(file).writerows([(f"Which is {at}?", "w", "x", "y", "z", "B") for at in range(3)])
    run("mmlu", tmp_path, RuleStages(), shots=1)
    (tmp_path / "test.jsonl").write_text('{"question": "How many ducks?", "answer": "9 + 9 = 18 ducks.\\n#### 18"}\n')
    run("gsm8k", tmp_path, RuleStages())
    assert capfd.readouterr() == ("", "")
