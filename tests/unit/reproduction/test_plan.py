"""Which jobs the tables of the paper need: equal steps and evaluations are one, in whatever table they stand."""

from functools import cache
from pathlib import Path

import pytest

from flame_ray.config.load import lasting, load_config
from flame_ray.controller.sft_stages import elicitation_plan
from flame_ray.controller.stages import sampling_plan
from flame_ray.journal.shared_samples import samples_key, scores_key
from flame_ray.reproduction import systems as of
from flame_ray.reproduction.figures import PAPER
from flame_ray.reproduction.named_files import contents
from flame_ray.reproduction.plan import Plan, PlannedEvaluation, PlannedStep
from flame_ray.reproduction.systems import SCALES
from flame_ray.reproduction.tables import EQUAL_LENGTH, TABLES, WIN_RATE, with_chat_model
from flame_ray.types import FACTUALITY, INSTRUCTION

JOBS = Path(__file__).parents[3] / "jobs"


NO_SUCH_STEP = {("run", "SFT^flame"), ("sft", "7B PT"), ("sft", "7B PT + RAG")}
# No seed was classified; and answers that are compared have no scores.
DO_NOT_APPLY = [("fact-based seeds", "SFT + DPO^flame")] * len(SCALES) + [
    ("judge's score", system.name) for system in TABLES["directions"].rows
]
load = cache(load_config)


def plan_of(*tables: str, scale: str = "paper", seeds: int | None = 1, settings: tuple[str, ...] = ()) -> Plan:
    plan = Plan(SCALES[scale], seeds, lambda job, more: load(JOBS / scale / job, (*settings, *more)))
    for name in tables:
        plan.add(TABLES[name])
    return plan


def steps(plan: Plan) -> list[PlannedStep]:
    return [job for job in plan.jobs.values() if isinstance(job, PlannedStep)]


def suites(plan: Plan) -> list[str]:
    return sorted(job.suite for job in plan.jobs.values() if isinstance(job, PlannedEvaluation))


def keys(plan: Plan, table: str, system: str) -> set[str]:
    return {key for cell in plan.add(TABLES[table]).cells if cell.system == system for key in cell.keys}


def samples(step: PlannedStep) -> str:
    return samples_key(step.config, sampling_plan(step.config, 1), {})


@pytest.mark.parametrize("scale", SCALES)
def test_all_fine_tunings_elicit_under_one_key(scale):
    made = [step for step in steps(plan_of("1", "2", "6-sft", scale=scale)) if step.config.sft.elicits]
    assert len(made) == 5  # SFT^fact, SFT^flame, the mixture, and both of the pilot
    assert len({samples_key(step.config, elicitation_plan(step.config), {}) for step in made}) == 1


@pytest.mark.parametrize("scale", SCALES)
def test_rows_with_other_classes_share_samples_and_scores_and_only_fewer_sentences_are_other_facts(scale):
    made = [step for step in steps(plan_of("3", "6-dpo", "7", scale=scale)) if step.command == "run"]
    assert len({(step.after, samples(step)) for step in made}) == 2  # of SFT and of SFT^flame
    of_sft = [step for step in made if step.after == made[0].after]
    kept = {name: {scores_key(step.config, name, samples(step), {}) for step in of_sft} for name in (INSTRUCTION, FACTUALITY)}
    by_sentence = {step.config.factuality.sentences for step in of_sft}
    assert (len(kept[INSTRUCTION]), len(kept[FACTUALITY])) == (1, len(by_sentence))


def test_table_3_needs_two_models_by_fine_tuning_and_five_from_them():
    plan = plan_of("3")
    assert [(step.command, step.job) for step in steps(plan)] == [
        ("sft", "sft.yaml"),
        ("run", "dpo.yaml"),
        ("run", "dpo-fact.yaml"),
        ("run", "dpo-flame.yaml"),
        ("sft", "sft.yaml"),
        ("run", "dpo.yaml"),
        ("run", "dpo-flame.yaml"),
    ]
    # The chat model and those seven, on three suites of facts; and eight times AlpacaEval: seven against the eighth.
    assert suites(plan) == sorted(8 * ["alpaca-eval", "alpaca-fact", "biography", "fava"])


def test_tables_4_5_8_and_9_and_the_figure_train_nothing_that_table_3_has_not():
    before, after = plan_of("3"), plan_of("3", "4", "5", "8", "9", "figure-1")
    assert steps(after) == steps(before)
    new = plan_of("3", "4", "5", "8", "9", "figure-1").jobs.keys() - before.jobs.keys()
    assert sorted(key.rpartition("-")[0] for key in new) == sorted(8 * ["truthfulqa", "truthfulqa-mc"] + 2 * ["mmlu", "gsm8k"])


def test_the_rows_of_table_7_share_their_fine_tuning_and_the_first_is_a_row_of_table_3():
    plan = plan_of("3", "7")
    assert len(steps(plan)) == len(steps(plan_of("3"))) + 2
    assert keys(plan, "7", "max/min") <= keys(plan, "3", "SFT + DPO^flame") | {steps(plan)[3].key}
    starts = {step.after for step in steps(plan) if step.command == "run" and step.config.pairs.factuality_per_prompt is None}
    assert starts == {steps(plan)[0].key}


@pytest.mark.parametrize("scale", SCALES)
def test_the_rows_of_table_7_differ_in_nothing_but_the_pairs_that_the_paper_names(scale):
    def settings(system: str) -> dict:
        (key,) = (key for key in keys(plan, "7", system) if key.startswith("run"))
        return lasting(plan.jobs[key].config.model_dump(mode="json"))

    plan = plan_of("7", scale=scale)
    widest = settings("max/min")
    assert (widest["pairs.factuality_per_prompt"], widest["pairs.min_fact_gap"]) == (1, 0.0)
    others = ("every pair with a gap of 0.2", "one weighted reward")
    differ = [{name: value for name, value in settings(each).items() if widest[name] != value} for each in others]
    assert differ == [{"pairs.factuality_per_prompt": None, "pairs.min_fact_gap": 0.2}, {"pairs.kinds": ["weighted"]}]
    assert widest["pairs.fact_weight"] == 5
    assert keys(plan_of("3"), "3", "SFT + DPO^flame") & keys(plan_of("7"), "7", "max/min")


def test_the_note_on_table_7_says_what_its_pairs_have_beside_the_papers():
    pairs = load(JOBS / "cpu" / "dpo-flame.yaml").pairs
    assert (pairs.recall_at, pairs.count_relevant, pairs.max_judge_gap, pairs.min_judge_gap) == (3, True, None, 1.0)
    (note,) = SCALES["cpu"].notes["7"]
    assert all(words in note for words in ("F@3", "not by precision", "no pair of facts is dropped", "a gap of 1"))


@pytest.mark.parametrize(("scale", "by"), [("paper", []), ("cpu", ["sentences"])])
def test_one_row_of_table_6_classifies_sentences_by_the_model_or_by_the_built_in_set(scale, by):
    (step,) = [step for step in steps(plan_of("6-dpo", scale=scale)) if step.config.factuality.sentences == "fact_based"]
    assert [source.source for source in step.config.factuality.sentence_labels] == by
    assert step.config.factuality.asks_verifier is (scale == "paper")


@pytest.mark.parametrize("scale", SCALES)
def test_the_pilots_examples_passages_and_answer_have_the_room_that_its_evaluation_has(scale):
    tuned = [step.config for step in steps(plan_of("1", scale=scale)) if step.command == "sft"]
    asked = load(JOBS / scale / "pilot-few-shot.yaml").suites
    assert {config.model.max_length for config in tuned} == {asked.max_length} == {4096}


def test_a_step_comes_after_the_one_whose_model_it_starts_from():
    plan = plan_of(*TABLES)
    places = {key: place for place, key in enumerate(plan.jobs)}
    for job in plan.jobs.values():
        assert all(places[key] < places[job.key] for key in job.needs), job.key
    for step in steps(plan):
        assert step.after is None or step.config.model.policy == step.after


def test_a_win_rate_is_against_the_answers_of_the_tables_baseline_which_has_none_itself():
    plan = plan_of("3")
    wins = [job for job in plan.jobs.values() if isinstance(job, PlannedEvaluation) and job.suite == "alpaca-eval"]
    (baseline,) = (job for job in wins if job.against is None)
    assert baseline.model == steps(plan)[1].key  # SFT + DPO
    assert {job.against for job in wins} == {None, baseline.key}
    cells = [cell for cell in plan.add(TABLES["3"]).cells if cell.is_baseline]
    assert [(cell.system, cell.measure.name) for cell in cells] == [
        ("SFT + DPO", "win over SFT + DPO"),
        ("SFT + DPO", "win over SFT + DPO at equal length"),
    ]


@pytest.mark.parametrize(
    "table", [table for table in TABLES.values() if any(each.figure == WIN_RATE for each in table.measures)]
)
def test_beside_each_win_rate_stands_that_at_equal_length_of_the_same_evaluation(table):
    (win,) = (each for each in table.measures if each.figure == WIN_RATE)
    planned = plan_of().add(table)
    found = {(cell.system, cell.measure.name): cell.keys for cell in planned.cells}
    for system in table.rows:
        assert found[system.name, f"{win.name} at equal length"] == found[system.name, win.name]
    assert not [each for each in planned.contrasts if each.measure.figure == EQUAL_LENGTH], "no answer has a value of its own"


def test_a_key_depends_on_what_is_computed_and_not_on_where():
    same = set(plan_of("3").jobs)
    assert set(plan_of("3", settings=("rollout.workers=4", "cluster.address=local", "run.root=elsewhere")).jobs) == same
    assert set(plan_of("3", settings=("sft.elicit.samples=3",)).jobs).isdisjoint(
        key for key in same if key.startswith(("run", "sft"))
    )
    other = plan_of("3", settings=("suites.max_tokens=9",))
    assert {step.key for step in steps(other)} < same and {step.key for step in steps(other)} == other.jobs.keys() & same


@pytest.mark.parametrize("name", [None, "org/model-chat"])
def test_a_chat_model_is_asked_as_it_is_shipped(name):
    """By its own template, and not at the revision of the model that the paper's jobs train."""
    (table,) = with_chat_model((TABLES["3"],), name) if name else (TABLES["3"],)
    plan = plan_of(settings=("model.revision=main",))
    asked = [plan.jobs[key] for cell in plan.add(table).cells if cell.system == table.rows[0].name for key in cell.keys]
    assert {each.model for each in asked} == {name or "meta-llama/Llama-2-7b-chat-hf"}
    assert {(each.config.model.chat_template, each.config.model.revision) for each in asked} == {(None, None)}


def test_a_chat_model_in_a_folder_that_was_changed_is_asked_again(tmp_path):
    def keys_of_row() -> set[str]:
        (table,) = with_chat_model((TABLES["4"],), str(tmp_path))
        plan = Plan(SCALES["cpu"], 1, lambda job, more: load(JOBS / "cpu" / job, more), contents)
        return {key for cell in plan.add(table).cells if cell.system == table.rows[0].name for key in cell.keys}

    (tmp_path / "config.json").write_text("{}")
    before = keys_of_row()
    assert before and before == keys_of_row()
    (tmp_path / "config.json").write_text("{ }")
    assert before.isdisjoint(keys_of_row())


@pytest.mark.parametrize(
    ("file", "table", "anew"),
    [("judging.jsonl", "3", {"sft", "run"}), ("people.jsonl", "1", {"sft", "run"}), ("people-prompts.jsonl", "1", {"run"})],
)
def test_a_file_of_the_papers_jobs_that_was_changed_makes_models_anew(file, table, anew, tmp_path, monkeypatch):
    def planned() -> set[str]:
        plan = Plan(SCALES["paper"], 1, lambda job, more: load(JOBS / "paper" / job, more), contents)
        plan.add(TABLES[table])
        return {step.key for step in steps(plan)}

    monkeypatch.chdir(tmp_path)  # where the jobs name it
    found = []
    for text in ("{}", "{ }"):
        (tmp_path / file).write_text(text)
        found.append(planned())
    kinds = [{key.rpartition("-")[0] for key in keys} for keys in (found[1] - found[0], found[0] & found[1])]
    assert kinds == [anew, {"sft", "run"} - anew]


def test_directions_has_each_kind_of_dpo_from_each_fine_tuning():
    rows = {system.name for system in TABLES["directions"].rows}
    kinds = ("DPO", "DPO^fact", "DPO^flame")
    assert {f"{start} + {kind}" for start in ("SFT", "SFT^flame") for kind in kinds} <= rows
    assert len(steps(plan_of("3", "directions"))) == len(steps(plan_of("3"))) + 1
    planned = plan_of(seeds=2).add(TABLES["directions"])
    compared = {(each.first, each.second) for each in planned.contrasts if each.measure.name == "biography.fs"}
    assert {("SFT^flame + DPO^fact", other) for other in ("SFT^flame", "SFT^flame + DPO")} <= compared
    assert {cell.measure.name for cell in planned.cells if cell.system == "SFT^flame + DPO^fact" and cell.keys}
    assert "SFT^flame + DPO^fact" not in PAPER


def test_another_fine_tuning_makes_other_runs_from_it():
    plan = plan_of("3")
    runs = [step for step in steps(plan) if step.job == "dpo.yaml"]
    assert len({step.after for step in runs}) == len({step.key for step in runs}) == 2


def test_each_seed_makes_models_of_its_own_and_a_model_by_name_is_evaluated_once():
    one, three = plan_of("2"), plan_of("2", seeds=3)
    assert len(steps(one)) == 3 and len(steps(three)) == 9
    # Three suites of facts, and AlpacaEval against each of the baseline's models.
    assert (len(keys(one, "2", "PT")), len(keys(three, "2", "PT"))) == (4, 6)
    assert {step.config.run.seed for step in steps(three)} == {0, 1, 2}


@pytest.mark.parametrize(("table", "seeds"), [("3", 1), ("directions", 3), ("methods", 3)])
def test_a_table_says_how_many_models_of_each_system_it_wants_by_default(table, seeds):
    alone, beside = plan_of(table, seeds=None), plan_of(table, "3", "methods", seeds=None)
    assert set(alone.jobs) == set(plan_of(table, seeds=seeds).jobs)
    assert {len(each.keys) for each in beside.add(TABLES[table]).contrasts} == {seeds}


@pytest.mark.parametrize("scale", SCALES)
def test_the_model_before_any_tuning_is_asked_after_examples_and_for_one_row_also_after_passages(scale):
    plan = plan_of("1", "2", scale=scale)
    asked = {}
    for table, system in (("1", "7B PT"), ("1", "7B PT + RAG"), ("2", "PT"), ("2", "SFT")):
        configs = [plan.jobs[key].config for key in keys(plan, table, system)]
        (asked[system],) = {(config.suites.ask, config.sft.elicit.passages) for config in configs}
    few_shot = ("few_shot", 0)
    assert asked == {"7B PT": few_shot, "7B PT + RAG": ("few_shot", 10), "PT": few_shot, "SFT": ("chat", 0)}
    assert keys(plan, "1", "7B PT").isdisjoint(keys(plan, "1", "7B PT + RAG"))


@pytest.mark.parametrize("scale", SCALES)
def test_the_pairs_of_a_row_of_table_1_are_answers_with_passages_over_those_without_of_models_that_the_table_has(scale):
    plan = plan_of("1", scale=scale, seeds=2)
    made = steps(plan)
    assert len(made) == 2 * 4
    for seed in (0, 1):
        alone, informed, sampled, given = (step for step in made if step.config.run.seed - made[0].config.run.seed == seed)
        assert (alone.config.sft.elicit.passages, informed.config.sft.elicit.passages) == (0, 10)
        assert (sampled.pairs, given.pairs) == (None, (informed.key, alone.key))
        assert sampled.after == given.after == alone.key and given.needs == (alone.key, informed.key, alone.key)
        assert (sampled.config.pairs.file, given.config.run.rounds) == (None, 1)
        assert keys(plan, "1", "7B DPO, RAG over PT") >= {
            job.key for job in plan.jobs.values() if isinstance(job, PlannedEvaluation) and job.model == given.key
        }


def test_the_mixture_of_table_6_learns_both_answers_to_every_seed():
    plan = plan_of("6-sft")
    learned = [(step.config.sft.fact_based, step.config.sft.others) for step in steps(plan)]
    assert learned[-1] == ("elicited", "human") and ("both", "both") in learned


@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_cannot_be_made_says_why_and_asks_for_nothing(table):
    for cell in plan_of().add(TABLES[table]).cells:
        has_no_such_step = (cell.measure.source, cell.system) in NO_SUCH_STEP
        does_not_apply = has_no_such_step or (cell.measure.name, cell.system) in DO_NOT_APPLY
        assert bool(cell.lacks) + bool(cell.keys) + cell.is_baseline + does_not_apply == 1, cell


def test_a_figure_that_does_not_apply_to_a_row_is_no_missing_one():
    found = [
        (cell.measure.name, cell.system)
        for scale in SCALES
        for name in TABLES
        for cell in plan_of(scale=scale).add(TABLES[name]).cells
        if not (cell.keys or cell.lacks or cell.is_baseline) and (cell.measure.source, cell.system) not in NO_SUCH_STEP
    ]
    assert sorted(found) == sorted(DO_NOT_APPLY)  # of the judge's score, at the paper's scale alone
    planned = plan_of(scale="paper").add(TABLES["directions"])
    assert not [each for each in planned.contrasts if each.measure.name == "judge's score"]


def test_the_methods_differ_in_their_loss_alone_and_train_for_the_same_seconds():
    for scale in SCALES:
        runs = [step.config for step in steps(plan_of("methods", scale=scale)) if step.job == "methods.yaml"]
        assert [run.learner.loss for run in runs] == ["dpo", "fdpo", "mask_dpo", "nll", "grpo"]
        assert all(run.learner.seconds and run.learner.steps is None for run in runs)
        first, *others = (run.model_dump(exclude={"learner": {"loss", "nll_weight"}}) for run in runs)
        assert all(other == first for other in others)


def test_at_equal_seconds_dpo_flame_is_another_model_than_in_table_3():
    plan = plan_of("3", "methods")
    assert keys(plan, "methods", "DPO^flame").isdisjoint(keys(plan, "3", "SFT + DPO^flame"))


def test_each_other_method_is_compared_with_dpo_flame_seed_by_seed():
    planned = plan_of(seeds=3).add(TABLES["methods"])
    others = [system.name for system in of.METHODS[1:]]
    assert list(dict.fromkeys((each.first, each.second) for each in planned.contrasts)) == [
        (name, "DPO^flame") for name in others
    ]
    assert {each.measure.name for each in planned.contrasts} >= {"win over SFT + DPO", "biography.fs", "biography.correct"}
    assert all(len(set(each.keys)) == 3 for each in planned.contrasts)


@pytest.mark.parametrize("scale", SCALES)
def test_each_table_can_be_planned_at_each_scale(scale):
    assert plan_of(*TABLES, scale=scale).jobs


def test_at_the_small_scale_the_factbook_stands_in_for_biographies_and_no_large_model_is_asked():
    plan = plan_of("3", scale="cpu")
    assert suites(plan) == sorted(7 * ["alpaca-eval", "alpaca-fact", "factbook", "fava"])
    assert {cell.lacks for cell in plan.add(TABLES["3"]).cells if cell.system == of.CHAT} == {SCALES["cpu"].lacks[of.CHAT]}


def test_each_reward_of_table_10_is_measured_with_a_checker_of_its_size():
    plan = plan_of("10")
    keys = {cell.system: cell.keys for cell in plan.add(TABLES["10"]).cells}
    assert len(set(keys.values())) == 6
    for system, (key,) in keys.items():
        factuality = plan.jobs[key].config.factuality
        assert factuality.checker_model.partition("-")[2].endswith(("-7B-Instruct", "-70B")), system
        assert ("70B" in factuality.checker_model, factuality.decompose) == (
            "70B" in system,
            "sentence" if "sentences" in system else "llm",
        )


def test_systems_are_compared_by_evaluations_that_the_table_has_anyway():
    planned = plan_of().add(TABLES["3"])
    rows = {key for cell in planned.cells for key in cell.keys}
    assert planned.contrasts and all(keys <= rows for each in planned.contrasts for keys in map(set, each.keys))
    wins = {(each.first, each.second) for each in planned.contrasts if each.measure.figure == "win_rate"}
    over_baseline = {pair for pair in wins if "SFT + DPO" in pair}
    assert ("SFT^flame", "SFT") in wins and not over_baseline  # those have it in their win rate


@pytest.mark.parametrize(
    ("table", "pair", "measure"),
    [
        ("1", ("7B SFT on RAG", "7B SFT on PT"), "biography.fs"),
        ("1", ("7B DPO, RAG over PT", "7B DPO, FS ranks own samples"), "biography.fs"),
        ("2", ("SFT", "PT"), "biography.fs"),
        ("4", ("SFT + DPO^flame", "SFT + DPO"), "truthfulqa.bleu"),
        ("5", ("SFT + DPO^flame", "SFT + DPO"), "mc2"),
        ("6-sft", ("SFT, by instruction", "SFT, mixed without classes"), "win over SFT"),
        ("6-dpo", ("DPO^flame, by instruction", "DPO^flame, no classes"), "biography.fs"),
        ("7", ("max/min", "every pair with a gap of 0.2"), "win over SFT + DPO"),
        ("7", ("max/min", "one weighted reward"), "biography.fs"),
        ("9", ("SFT^flame + DPO^flame", "SFT + DPO"), "mmlu"),
    ],
)
def test_a_table_compares_the_rows_that_the_paper_draws_its_conclusions_from(table, pair, measure):
    (found,) = (
        each
        for each in plan_of(seeds=2).add(TABLES[table]).contrasts
        if (each.first, each.second, each.measure.name) == (*pair, measure)
    )
    assert len(set(found.keys)) == 2
    assert all(measure in PAPER[system] for system in pair)  # so that the direction is told


def test_systems_are_compared_seed_by_seed():
    planned = plan_of(seeds=3).add(TABLES["8"])
    for each in planned.contrasts:
        assert len(set(each.keys)) == 3


def test_the_baseline_is_scored_beside_itself_where_the_judges_score_is_asked_for():
    plan = plan_of("directions", scale="cpu")
    baseline = {cell.measure.name: cell.keys for cell in plan.add(TABLES["directions"]).cells if cell.system == "SFT + DPO"}
    (scored,), (alone,) = baseline["judge's score"], baseline["alpaca-eval.length"]
    assert plan.jobs[alone].against is None and plan.jobs[scored].against == alone
    assert plan.jobs[scored].model == plan.jobs[alone].model
