"""`flame-ray reproduce` carries out what the store lacks, resumes what was begun, and gives reasons for what failed."""

import io
import json
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from flame_ray.cli import ScaleName
from flame_ray.commands import reproduce as reproduce_module
from flame_ray.commands.reproduce import Commands, ReproduceRequest, reproduce
from flame_ray.config.load import parse_config
from flame_ray.errors import ConfigError, DataError, EngineError, Interrupted, NotShared
from flame_ray.reproduction.store import NOT_DONE
from flame_ray.reproduction.systems import SCALES
from tests.doubles import FakeCommands

JOBS = {
    "base.yaml": {"model": {"policy": "start"}},
    "sft.yaml": {"base": "base.yaml", "learner": {"loss": "nll"}, "sft": {"sources": [{"source": "seeds"}]}},
    "pilot-sft.yaml": {"base": "sft.yaml"},
    "few-shot.yaml": {"base": "evaluate.yaml"},
    "pilot-few-shot.yaml": {"base": "evaluate.yaml"},
    "agreement.yaml": {"base": "evaluate.yaml"},
    "pilot-dpo.yaml": {"base": "base.yaml", "run": {"rounds": 1}},
    "dpo.yaml": {"base": "base.yaml", "pairs": {"kinds": ["instruction"]}},
    "dpo-fact.yaml": {"base": "base.yaml", "pairs": {"kinds": ["factuality"]}},
    "dpo-flame.yaml": {"base": "base.yaml"},
}
FIGURES = {"precision": 0.5, "correct_facts": 3.0, "erroneous_facts": 3.0, "characters": 100.0}
FIGURES |= {"win_rate": 0.75, "length_controlled_win_rate": 0.6}


@pytest.fixture
def request_of(tmp_path):
    """Makes a request, whose job files are small."""
    folder = tmp_path / "jobs" / "cpu"
    folder.mkdir(parents=True)
    questions = tmp_path / "questions.json"
    questions.write_text(json.dumps([{"instruction": "Write a poem.", "output": ""}]))
    jobs = JOBS | {"evaluate.yaml": {"base": "base.yaml", "suites": {"alpaca": str(questions)}}}
    for name, tree in jobs.items():
        (folder / name).write_text(yaml.safe_dump(tree))

    def make(*tables: str, **changes) -> ReproduceRequest:
        given = {"scale": "cpu", "seeds": 1, "jobs": folder.parent, "store": tmp_path / "store", "out": tmp_path / "out"}
        return ReproduceRequest(tables, **(given | changes))

    return make


def carry_out(request: ReproduceRequest, doubles: FakeCommands):
    console = Console(file=io.StringIO())
    commands = Commands(doubles.sft, doubles.run, doubles.evaluate, doubles.agreement, doubles.pairs, doubles.check_store)
    (filled, *_) = reproduce(request, console, console, commands)
    return filled


def test_what_is_done_is_in_the_table_and_is_never_done_again(request_of, tmp_path):
    first, again = FakeCommands(FIGURES), FakeCommands(FIGURES)
    filled = carry_out(request_of("3"), first)
    assert [command for command, _ in first.done if command != "evaluate"] == ["sft", "run", "run", "run", "sft", "run", "run"]
    assert filled.cell("SFT + DPO^fact", "biography.fs").ours.interval.mean == 50.0
    assert filled.cell("SFT + DPO^fact", "win over SFT + DPO").ours.interval.mean == 75.0
    assert filled.cell("SFT + DPO^fact", "win over SFT + DPO at equal length").ours.interval.mean == 60.0
    assert carry_out(request_of("3"), again) == filled and again.done == []
    assert (tmp_path / "out" / "3.md").is_file() and (tmp_path / "out" / "3.csv").is_file()


UNSHARED = NotShared("the store on every node", "node 10.0.0.2: a folder of its own there", "mount it")


def test_a_store_that_a_node_does_not_see_is_told_once_and_before_the_first_job(request_of, tmp_path):
    unseen, seen, done = FakeCommands(FIGURES, fails={"check": UNSHARED}), FakeCommands(FIGURES), FakeCommands(FIGURES)
    with pytest.raises(NotShared, match="a folder of its own there"):
        carry_out(request_of("3"), unseen)
    assert unseen.done == [] and unseen.checked == [tmp_path / "store"]
    carry_out(request_of("3"), seen)
    assert seen.checked == [tmp_path / "store"] and seen.done
    carry_out(request_of("3"), done)
    assert done.checked == [], "there was nothing to start"


def test_a_job_on_a_node_that_came_later_and_does_not_see_the_store_ends_the_command(request_of):
    doubles = FakeCommands(FIGURES, fails={"sft": UNSHARED})
    with pytest.raises(NotShared, match="--store"):
        carry_out(request_of("3"), doubles)
    assert [command for command, _ in doubles.done] == ["sft"], "no other job was started"


@pytest.mark.parametrize(("address", "asked"), [("local", 0), ("10.0.0.1:6379", 1)])
def test_only_a_cluster_is_asked_whether_its_nodes_see_the_store(monkeypatch, tmp_path, address, asked):
    seen = []
    monkeypatch.setattr(reproduce_module, "connected", lambda *_: nullcontext())
    monkeypatch.setattr(reproduce_module, "check_every_node", lambda *given: seen.append(given))
    reproduce_module.check_store(parse_config({"cluster": {"address": address}}, "here"), tmp_path)
    assert seen == [(tmp_path, "--store")] * asked


def test_a_store_that_is_a_url_is_refused_by_the_option_that_named_it(request_of):
    with pytest.raises(ConfigError, match="--store to be a path on this machine"):
        carry_out(request_of("3", store=Path("s3://bucket/store")), FakeCommands(FIGURES))


def test_a_file_of_a_suite_that_was_corrected_is_asked_again_and_no_other_suite(request_of, tmp_path):
    names = tmp_path / "fava.txt"
    settings = (f"suites.fava={names}", "factuality.corpus=factbook")
    names.write_text("Who was Ada?\n")
    carry_out(request_of("3", settings=settings), FakeCommands(FIGURES))
    names.write_text("Who was Ada Lovelace?\n")
    shown = carry_out(request_of("3", settings=settings, only_print=True), FakeCommands(FIGURES))
    assert shown.cell("SFT", "fava.fs").missing == NOT_DONE and shown.cell("SFT", "biography.fs").ours
    again = FakeCommands(FIGURES)
    assert carry_out(request_of("3", settings=settings), again).cell("SFT", "fava.fs").ours
    assert [command for command, _ in again.done] == ["evaluate"] * len(again.calls) and set(again.calls) == {("fava",)}


def test_answers_that_were_corrected_make_other_models(request_of, tmp_path):
    answers = tmp_path / "answers.jsonl"
    settings = (f'sft.sources=[{{"source": "{answers}"}}]',)
    made = []
    for text in ("Lima", "Lima.", "Lima."):
        answers.write_text(json.dumps({"prompt": "The capital of Peru?", "answer": text}))
        doubles = FakeCommands(FIGURES)
        carry_out(request_of("11", settings=settings), doubles)
        made.append([config.run.id for command, config in doubles.done])
    assert made[0] and made[1] and set(made[0]).isdisjoint(made[1]) and made[2] == []


def test_the_suites_of_a_model_are_asked_in_one_call(request_of):
    doubles = FakeCommands(FIGURES)
    carry_out(request_of("3"), doubles)
    assert doubles.calls == 7 * [("alpaca-eval", "factbook")]
    assert [path.parent.name == "references" for _, path in doubles.compared] == [False, False] + 12 * [True]


def test_a_suite_that_fails_beside_others_alone_has_no_figure(request_of):
    doubles = FakeCommands(FIGURES, fails={"factbook": EngineError("a sampler", "none", "buy one")})
    with pytest.raises(EngineError, match=r"every job of the tables to succeed.*; found 7 that did not: factbook-"):
        carry_out(request_of("3"), doubles)
    filled = carry_out(request_of("3", only_print=True), doubles)
    assert "expected a sampler" in filled.cell("SFT", "biography.fs").missing
    assert filled.cell("SFT", "win over SFT + DPO").ours


def test_a_run_starts_from_the_model_that_the_step_before_has_made(request_of, tmp_path):
    doubles = FakeCommands(FIGURES)
    carry_out(request_of("3"), doubles)
    (_, fine_tuned), (_, trained) = (doubles.done[0], next(each for each in doubles.done if each[0] == "run"))
    assert fine_tuned.model.policy == "start" and fine_tuned.run.save_merged
    models = tmp_path / "store" / "models"
    assert trained.run.root == str(models) and trained.run.samples == str(tmp_path / "store" / "samples")
    assert trained.model.policy == str(models / fine_tuned.run.id / "checkpoints/round-0001/merged")


def test_a_chat_model_by_name_takes_the_row_of_llama_2_chat_at_any_scale(request_of, tmp_path):
    doubles = FakeCommands(FIGURES)
    filled = carry_out(request_of("3", chat_model="smollm2-135m"), doubles)
    cell = filled.cell("Chat model smollm2-135m", "biography.fs")
    assert cell.ours.interval.mean == 50.0 and cell.paper is None
    assert "smollm2-135m" in doubles.models and "Llama-2-Chat" not in {each.system for each in filled.cells}
    text = (tmp_path / "out" / "3.md").read_text()
    assert "| Chat model smollm2-135m | 75.0 " in text and "Llama-2-Chat" not in text


def test_a_table_without_the_row_of_a_chat_model_refuses_its_name(request_of):
    with pytest.raises(ConfigError, match=r"--chat-model.*Llama-2-Chat"):
        carry_out(request_of("1", "2", chat_model="smollm2-135m"), FakeCommands(FIGURES))


def test_a_step_on_given_pairs_gets_the_file_of_what_two_fine_tunings_have_elicited(request_of, tmp_path):
    doubles = FakeCommands(FIGURES)
    filled = carry_out(request_of("1"), doubles)
    alone, informed, _, trained = (config for command, config in doubles.done if command in ("sft", "run"))
    assert (alone.sft.elicit.passages, informed.sft.elicit.passages) == (0, 10)
    assert doubles.paired == [(informed.run.id, alone.run.id)]
    file = tmp_path / "store" / "pairs" / f"{informed.run.id}-over-{alone.run.id}.jsonl"
    assert trained.pairs.file == str(file) and file.is_file()
    assert trained.model.policy.startswith(str(tmp_path / "store" / "models" / alone.run.id))
    assert filled.cell("7B DPO, RAG over PT", "biography.fs").ours.interval.mean == 50.0


def test_a_table_says_that_built_in_questions_stand_in_for_those_of_alpaca_eval(request_of, tmp_path):
    carry_out(request_of("3", only_print=True), FakeCommands(FIGURES))
    assert "for `alpaca-" not in (tmp_path / "out" / "3.md").read_text()
    settings = ("suites.alpaca=questions", "suites.compare=score")
    carry_out(request_of("3", only_print=True, settings=settings), FakeCommands(FIGURES))
    text = (tmp_path / "out" / "3.md").read_text()
    built_in = "the built-in set of questions (`suites.alpaca=questions`)"
    assert (
        f"At this scale {built_in}, where the judge's scores and no comparison decide which answer wins, stands in for" in text
    )
    assert f"needs facts of {built_in} stands in for `alpaca-fact`" in text and "`factbook` stands in for `biography`" in text


def test_a_table_says_what_measured_it_as_its_jobs_and_the_command_set_it(request_of, tmp_path):
    settings = ("judge.model=big/judge", "factuality.checker=small")
    carry_out(request_of("2", "11", only_print=True, settings=settings), FakeCommands(FIGURES))
    assert (
        "Measured by: the model before any tuning is `start`; facts are split by `rule` and checked by `small` on `factbook`; "
        "win rates are by `big/judge`, which compares two answers in both orders.\n"
    ) in (tmp_path / "out" / "2.md").read_text()
    assert "Measured by: the model before any tuning is `start`.\n" in (tmp_path / "out" / "11.md").read_text()


def test_a_table_says_how_the_settings_of_its_scale_differ(request_of, tmp_path):
    carry_out(request_of("7", only_print=True), FakeCommands(FIGURES))
    assert SCALES["cpu"].notes["7"][0] in (tmp_path / "out" / "7.md").read_text()


def test_another_model_is_compared_with_the_answers_of_the_baseline(request_of):
    doubles = FakeCommands(FIGURES)
    carry_out(request_of("3"), doubles)
    references = {path.name: path for request, path in doubles.compared if path.parent.name == "references"}
    (baseline,) = references.values()
    assert json.loads(baseline.read_text()) == [{"instruction": "Write a poem.", "output": "An answer."}]


def test_what_was_begun_is_resumed(request_of):
    dies = FakeCommands(FIGURES, fails={"run": Interrupted("a", "b", "c")})
    with pytest.raises(Interrupted, match="give the same command again"):
        carry_out(request_of("7"), dies)
    after = FakeCommands(FIGURES)
    carry_out(request_of("7"), after)
    begun = dies.done[-1][1].run.id
    assert after.resumed[0] == begun and after.resumed[1:] == [None] * (len(after.resumed) - 1)


def test_a_step_that_failed_gives_its_rows_no_figure_but_a_reason_and_others_go_on(request_of):
    doubles = FakeCommands(FIGURES, fails={"run": EngineError("a sampler", "none", "buy one")})
    with pytest.raises(EngineError, match=r"found 5 that did not: run-.*expected a sampler; found none.*same command again"):
        carry_out(request_of("3"), doubles)
    filled = carry_out(request_of("3", only_print=True), doubles)
    cell = filled.cell("SFT + DPO^flame", "biography.fs")
    assert cell.ours is None and "expected a sampler; found none" in cell.missing
    assert filled.cell("SFT", "biography.fs").ours.interval.mean == 50.0
    again = FakeCommands(FIGURES)
    assert carry_out(request_of("3"), again).cell("SFT + DPO^flame", "biography.fs").missing is None


def test_a_suite_without_data_is_missing_and_the_setting_that_names_it_is_said(request_of):
    doubles = FakeCommands(FIGURES)
    filled = carry_out(request_of("3"), doubles)
    assert "suites.fava" in filled.cell("SFT", "fava.fs").missing
    assert {suite for suite, _ in doubles.compared} == {"factbook", "alpaca-eval"}


def test_data_that_a_setting_names_and_that_is_not_there_is_a_failure_after_the_tables(request_of, tmp_path):
    with pytest.raises(DataError, match=r"found 1 that did not: fava: .*suites\.fava names; found nothing at nowhere"):
        carry_out(request_of("3", settings=("suites.fava=nowhere.txt",)), FakeCommands(FIGURES))
    assert "| SFT | 75.0 " in (tmp_path / "out" / "3.md").read_text()


def test_table_10_measures_rewards_on_labelled_responses_once_for_each_number_of_passages(request_of, tmp_path):
    (tmp_path / "labelled.jsonl").write_text("{}\n")
    settings = (f"suites.labelled={tmp_path / 'labelled.jsonl'}",)
    first, again = FakeCommands(FIGURES), FakeCommands(FIGURES)
    filled = carry_out(request_of("10", settings=settings, seeds=2), first)
    found = [(config.factuality.decompose, config.factuality.keep) for _, config in first.done]
    assert found == [("rule", 5), ("rule", 10), ("sentence", 5), ("sentence", 10)]
    interval = filled.cell("7B sentences, 5 supports", "tau").ours.interval
    assert (interval.mean, interval.low, interval.high, interval.n) == (0.05, 0.0, 1.0, 9)
    assert "70 billion" in filled.cell("70B atomic facts, 5 supports", "tau").missing
    assert carry_out(request_of("10", settings=settings), again) == filled and again.done == []


def test_labels_that_were_corrected_are_compared_again(request_of, tmp_path):
    labels = tmp_path / "labelled.jsonl"
    done = []
    for text in ("{}\n", "{}\n{}\n", "{}\n{}\n"):
        labels.write_text(text)
        doubles = FakeCommands(FIGURES)
        carry_out(request_of("10", settings=(f"suites.labelled={labels}",)), doubles)
        done.append(len(doubles.done))
    assert done == [4, 4, 0]


@pytest.mark.parametrize("settings", [(), ("suites.labelled=nowhere.jsonl",)])
def test_table_10_without_labelled_responses_says_which_setting_names_them(request_of, settings):
    doubles = FakeCommands(FIGURES)
    filled = carry_out(request_of("10", settings=settings, only_print=True), doubles)
    assert "suites.labelled" in filled.cell("7B sentences, 5 supports", "tau").missing and doubles.done == []


def test_a_table_that_has_nothing_without_its_data_fails_and_is_printed(flame, request_of, tmp_path):
    done = flame("reproduce", "10", "--scale", "cpu", "--jobs", request_of("10").jobs, folder=tmp_path)
    assert done.returncode == 2 and "agreement: expected suites.labelled" in done.stderr
    assert "| 7B sentences, 5 supports | missing; paper 0.20 |" in done.stdout


def test_only_print_starts_nothing_and_shows_what_is_there(request_of, tmp_path):
    doubles = FakeCommands(FIGURES)
    filled = carry_out(request_of("figure-1", only_print=True), doubles)
    assert doubles.done == []
    assert filled.cell("SFT", "biography.fs").missing == NOT_DONE
    assert "<svg" in (tmp_path / "out" / "figure-1.svg").read_text()


def test_the_command_prints_a_table_of_an_empty_store(flame, request_of, tmp_path):
    given = request_of("3")
    done = flame("reproduce", "3", "--scale", "cpu", "--jobs", given.jobs, "--only-print", folder=tmp_path)
    assert done.returncode == 0 and "| SFT + DPO^flame | missing; paper 51.7 |" in done.stdout
    assert (tmp_path / "reproduced" / "3.csv").is_file()


def test_a_command_without_seeds_makes_three_models_of_each_system_of_directions(request_of):
    doubles = FakeCommands(FIGURES)
    filled = carry_out(request_of("directions", seeds=None), doubles)
    assert filled.cell("SFT", "biography.fs").ours.seeds == 3
    assert sum(command == "sft" for command, _ in doubles.done) == 2 * 3


def test_the_help_says_how_many_models_are_made_by_default(flame, tmp_path):
    help_ = " ".join(flame("reproduce", "--help", folder=tmp_path).stdout.replace("│", " ").split())
    assert "--seeds" in help_ and "Default: 1; directions, methods: 3." in help_


def test_the_command_line_names_the_chat_model(flame, request_of, tmp_path):
    options = ("--scale", "cpu", "--jobs", request_of("3").jobs, "--only-print", "--chat-model", "smollm2-135m")
    done = flame("reproduce", "3", *options, folder=tmp_path)
    assert done.returncode == 0 and "| Chat model smollm2-135m | missing |" in done.stdout


def test_a_table_that_is_none_is_refused(flame, request_of, tmp_path):
    done = flame("reproduce", "12", "--scale", "cpu", "--jobs", request_of("3").jobs, folder=tmp_path)
    assert done.returncode == 2 and "'12'" in done.stderr and "figure-1" in done.stderr


def test_a_setting_that_is_taken_for_a_table_is_told_where_it_belongs(request_of):
    with pytest.raises(ConfigError, match=r"found 'suites\.limit=9'\. To fix: give --set before each setting"):
        carry_out(request_of("3", "suites.limit=9"), FakeCommands(FIGURES))


def test_the_command_line_offers_each_scale():
    assert [scale.value for scale in ScaleName] == list(SCALES)
