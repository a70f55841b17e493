"""Every job file loads, holds the settings that it always held, and opens with the command that runs it."""

import shlex
from functools import cache
from pathlib import Path

import pytest
import yaml

from flame_ray.cluster.capacity import roles
from flame_ray.config import Config
from flame_ray.config.base import EngineWorkers
from flame_ray.config.load import load_config, parse_config
from flame_ray.evaluation.suites import make_suite
from flame_ray.prompts.built_in import factbook_prompts, open_ended_prompts
from flame_ray.reproduction import systems as of
from flame_ray.reproduction.plan import Plan, PlannedEvaluation, PlannedStep
from flame_ray.reproduction.systems import SCALES
from flame_ray.reproduction.tables import TABLES
from flame_ray.types import Split

JOBS_FOLDER = Path(__file__).parents[2] / "jobs"
FILES = sorted(JOBS_FOLDER.rglob("*.yaml"))
JOBS = [path for path in FILES if path.name != "base.yaml"]
PLAIN_JOBS = [path for path in JOBS if path.parent == JOBS_FOLDER]
SCALED_JOBS = [path for path in JOBS if path.parent != JOBS_FOLDER]
PAPER_JOBS = [path for path in SCALED_JOBS if path.parent.name == "paper"]
PAPER_RUNS = [JOBS_FOLDER / "paper" / name for name in ("dpo-fact.yaml", "dpo-flame.yaml", "dpo.yaml")]

# Systems that `flame-ray reproduce` makes by a job and settings, and a person by one job alone.
ALONE = {
    "sft-fact.yaml": (of.SFT_FACT.steps[-1].job, of.SFT_FACT.steps[-1].settings),
    "sft-flame.yaml": (of.SFT_FLAME.steps[-1].job, of.SFT_FLAME.steps[-1].settings),
    "flame-dpo.yaml": (of.FLAME_DPO.steps[-1].job, of.FLAME_DPO.steps[-1].settings),
    "flame-dpo-fact.yaml": (of.FLAME_DPO_FACT.steps[-1].job, of.FLAME_DPO_FACT.steps[-1].settings),
    "flame-dpo-flame.yaml": (of.FLAME_DPO_FLAME.steps[-1].job, of.FLAME_DPO_FLAME.steps[-1].settings),
    "few-shot-retrieval.yaml": ("few-shot.yaml", of.PILOT_RAG.evaluated.settings),
}


def nodes(selector: str) -> dict:
    return {"node_labels": {"flame-ray/role": selector}}


# All that a job sets otherwise than the defaults do.
SETTINGS = {
    "sft": {
        "run": {"name": "sft", "seed": 7, "save_merged": True},
        "model": {"max_length": 1024},
        "classify": {"by": "label"},
        "rollout": nodes("!learner") | {"top_p": 1.0, "max_sequences": 32},
        "sft": {
            "sources": [{"source": "seeds", "label_column": "facts"}],
            "fact_based": "elicited",
            "elicit": {"samples": 4, "max_tokens": 128},
        },
        "learner": nodes("!learner") | {"loss": "nll", "epochs": 3, "lr": 2e-4, "lr_final": 2e-5},
    },
    "quickstart": {
        "run": {"name": "quickstart", "seed": 7, "rounds": 2, "select": "best"},
        "prompts": {
            "per_round": 64,
            "sources": [
                {"source": "factbook", "limit": 400, "heldout_limit": 192, "dev_fraction": 0.2, "dev_limit": 48},
                {"source": "open-ended", "heldout_limit": 24},
            ],
        },
        "classify": {"threshold": 0.55},
        "factuality": nodes("!learner") | {"checker": "small", "retrieve": 40},
        "rollout": nodes("!learner") | {"samples": 6, "temperature": 0.9, "top_p": 1.0},
        "pairs": {"max_judge_gap": None, "factuality_per_prompt": 4, "recall_at": 3}
        | {"max_fact_loss": 0.0, "min_fact_gap": 0.2, "min_judge_gap": 1.0, "count_relevant": True},
        "judge": nodes("!learner") | {"backend": "preference"},
        "learner": nodes("!learner")
        | {"micro_batch_pairs": 8, "reference": "initial", "nll_weight": 1.0}
        | {"lr": 7e-4, "lr_final": 0.0, "lr_round_factor": 0.5},
        "pipeline": {"stream": False},
    },
    "train-checker": {
        "run": {"name": "train-checker", "seed": 1},
        "train_checker": {
            "twins": {"summaries_en-us.json": 3200, "factbook": 1000},
            "labels": ["wice.jsonl", "fm2.jsonl", "fever.jsonl", "fever-full.jsonl", "bump.jsonl"],
            "licences": {
                "summaries_en-us.json": "Wikipedia, CC BY-SA",
                "factbook": "public domain",
                "wice.jsonl": "ODC-BY; evidence under its own terms",
                "fm2.jsonl": "Apache-2.0; evidence CC BY-SA",
                "fever.jsonl, fever-full.jsonl": "CC BY-SA",
                "bump.jsonl": "MIT",
            },
        },
    },
    "train-reader": {
        "run": {"name": "train-reader", "seed": 1},
        "train_checker": {
            "records": {
                "labels": ["policy.jsonl", "tests/benchmarks/country_facts.jsonl", "tests/benchmarks/trained_facts.jsonl"],
                "corpus": "factbook",
                "epochs": 2,
                "specificity": 0.88,
            },
        },
    },
    "self-instruct": {
        "run": {"name": "self-instruct"},
        "model": {"max_length": 2048},
        "rollout": nodes("!learner") | {"top_p": 1.0},
        "self_instruct": {"instructions": 1000},
    },
    "train-judge": {
        "run": {"name": "train-judge", "seed": 1},
        "train_judge": {"labels": ["pairs.jsonl", "tests/benchmarks/answer_pairs.jsonl"]},
    },
}
SETTINGS["sft-judge"] = SETTINGS["sft"] | {
    "run": SETTINGS["sft"]["run"] | {"name": "sft-judge"},
    "sft": SETTINGS["sft"]["sft"]
    | {"sources": [*SETTINGS["sft"]["sft"]["sources"], {"source": "judging.jsonl", "seed": False}]},
}


def names(paths: list[Path]) -> dict:
    return {"argvalues": paths, "ids": [str(path.relative_to(JOBS_FOLDER)) for path in paths]}


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", **names(FILES))
def test_a_job_file_loads(path):
    assert isinstance(load_config(path), Config)


@pytest.mark.parametrize("path", **names(PLAIN_JOBS))
def test_a_job_sets_what_it_always_set_and_leaves_the_rest_at_its_default(path):
    assert load_config(path) == parse_config(SETTINGS[path.stem], "the table above")


@pytest.mark.parametrize("path", **names(JOBS))
def test_the_first_line_of_a_job_is_the_command_that_runs_this_very_file(path):
    first = lines(path)[0]
    words = shlex.split(first.removeprefix("#"))
    assert first.startswith("# ")
    assert "flame-ray" in words[:-1]
    assert f"jobs/{path.relative_to(JOBS_FOLDER)}" in words


@pytest.mark.parametrize("path", **names(SCALED_JOBS))
def test_a_job_of_a_scale_is_called_after_its_file_and_builds_on_the_scales_base(path):
    assert load_config(path).run.name == f"{path.parent.name}-{path.stem}"
    while path.name != "base.yaml":
        path = path.with_name(yaml.safe_load(path.read_text(encoding="utf-8"))["base"])


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_has_the_job_of_every_step_and_evaluation(scale):
    systems = [system for table in TABLES.values() for system in table.rows if system.name not in SCALES[scale].lacks]
    jobs = {step.job for system in systems for step in system.steps} | {system.evaluated.job for system in systems}
    jobs |= set(SCALES[scale].jobs.values())
    assert {path.name for path in FILES if path.parent.name == scale} == {*jobs, "base.yaml", "few-shot.yaml", *ALONE}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ALONE)
def test_a_job_by_itself_makes_or_evaluates_what_a_row_of_the_tables_has(scale, name):
    job, settings = ALONE[name]
    alone, row = load_config(JOBS_FOLDER / scale / name), load_config(JOBS_FOLDER / scale / job, settings)
    starts = {"policy"} if name.startswith("flame-") else set()  # from a model that the command names
    differs = {"run": {"name"}, "model": starts}
    assert alone.model_dump(exclude=differs) == row.model_dump(exclude=differs)
    assert not starts or f'jobs/{scale}/{name} --set "model.policy=' in lines(JOBS_FOLDER / scale / name)[0]


def test_the_steps_of_the_papers_scale_fit_one_node_and_each_model_that_they_ask_has_a_gpu():
    load = cache(load_config)
    plan = Plan(SCALES["paper"], 1, lambda job, settings: load(JOBS_FOLDER / "paper" / job, settings))
    for table in TABLES.values():
        plan.add(table)
    runs = [job.config for job in plan.jobs.values() if isinstance(job, PlannedStep) and job.command == "run"]
    assert any(config.factuality.asks_verifier for config in runs)
    for config in runs:
        placed = roles(config)
        assert sum(role.workers * role.gpus for role in placed.values()) <= 8
        assert all(role.gpus == role.tensor_parallel for role in placed.values() if isinstance(role, EngineWorkers))


@pytest.mark.parametrize("path", **names([path for path in FILES if path.name == "base.yaml"]))
def test_the_base_of_a_scale_says_how_it_differs_from_the_paper(path):
    assert lines(path)[1].startswith("# Differs from the paper: ")


@pytest.mark.parametrize("path", **names(PAPER_RUNS))
def test_a_paper_job_states_the_papers_hyper_parameters(path):
    config = load_config(path)
    learner, rollout, judge = config.learner, config.rollout, config.judge
    assert (rollout.samples, rollout.temperature, rollout.top_p) == (4, 0.7, 0.9)
    assert (learner.beta, learner.batch_pairs, learner.lr, learner.lr_final) == (0.1, 64, 1e-6, 1e-7)
    assert (learner.steps, learner.lora, learner.loss) == (500, None, "dpo")
    assert (judge.backend, judge.samples, config.pairs.max_judge_gap) == ("rubric", 3, 0.5)
    assert (config.model.max_length, config.factuality.retrieve, config.factuality.keep, config.run.rounds) == (2048, 20, 10, 1)
    assert (config.prompts.per_round, sum(source.limit for source in config.prompts.sources)) == (20_000, 20_000)


def test_the_papers_fine_tuning_states_the_papers_hyper_parameters():
    config = load_config(JOBS_FOLDER / "paper" / "sft.yaml")
    learner, elicit = config.learner, config.sft.elicit
    assert (learner.loss, learner.steps, learner.batch_pairs, learner.lr, learner.lr_final) == ("nll", 500, 32, 1e-6, 1e-7)
    seeds, judging = config.sft.sources
    assert (elicit.samples, elicit.shots, seeds.limit, judging.limit) == (10, 5, 3200, 1630)
    assert (learner.lora, config.model.max_length, config.run.save_merged) == (None, 4096, True)
    # Of the paper's 2048, five answers of people would leave no room; 4096 are all that this model takes.


def test_the_papers_pilot_says_how_many_people_it_trains_on_and_how_often():
    path = JOBS_FOLDER / "paper" / "pilot-dpo.yaml"
    config, header = load_config(path), path.read_text().split("base:")[0]
    (people,) = config.prompts.sources
    trained = config.prompts.per_round * (1 - people.heldout_fraction)
    passes = config.learner.steps * config.learner.batch_pairs / trained
    assert (people.heldout_fraction, config.prompts.per_round, config.pairs.factuality_per_prompt) == (1 / 20, 500, 1)
    assert "about a twentieth of the 500 people is\n# not trained on" in header
    assert "500 steps of 64 pairs" in header and "more than 60 times" in header and 60 < passes < 70


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("few_shot", "fine_tuning"), [("few-shot", "sft"), ("pilot-few-shot", "pilot-sft")])
def test_the_model_before_any_tuning_is_evaluated_after_the_seeds_of_its_fine_tuning(scale, few_shot, fine_tuning):
    asked, tuned = (load_config(JOBS_FOLDER / scale / f"{name}.yaml") for name in (few_shot, fine_tuning))
    seeds = [[each for each in config.sft.sources if each.seed] for config in (asked, tuned)]
    assert seeds[0] and [[each.model_copy(update={"label_column": None}) for each in some] for some in seeds] == [seeds[0]] * 2
    names = ("shots", "similarity", "embedder")
    assert all(getattr(asked.sft.elicit, name) == getattr(tuned.sft.elicit, name) for name in names)
    assert asked.suites.ask == "few_shot"
    differs = {"run", "sft", "suites"}
    assert asked.model_dump(exclude=differs) == load_config(JOBS_FOLDER / scale / "evaluate.yaml").model_dump(exclude=differs)


@pytest.mark.parametrize("path", **names(PAPER_JOBS))
def test_a_paper_job_fills_exactly_one_node_of_eight_gpus(path):
    config = load_config(path)
    is_run = "flame-ray run " in lines(path)[0]  # an evaluation places its models one after another
    groups = [role for name, role in roles(config).items() if is_run or name != "verifier"]
    assert sum(group.workers * group.gpus for group in groups) == 8
    assert config.learner.zero_stage == 3


@pytest.mark.parametrize("scale", SCALES)
def test_the_runs_of_a_scale_differ_in_their_name_and_kinds_of_pair_alone(scale):
    configs = {path.stem: load_config(JOBS_FOLDER / scale / path.name).model_dump() for path in PAPER_RUNS}
    kinds = {name: config["pairs"].pop("kinds") for name, config in configs.items()}
    assert kinds == {
        "dpo": ("instruction",),
        "dpo-fact": ("factuality",),
        "dpo-flame": ("instruction", "factuality"),
    }
    assert [config["run"].pop("name") for config in configs.values()] == [f"{scale}-{name}" for name in kinds]
    first, *others = configs.values()
    assert all(other == first for other in others)


@pytest.mark.parametrize("path", **names(PAPER_RUNS))
def test_a_paper_job_can_be_resized_from_the_command_line(path):
    config = load_config(path, ("learner.workers=8", "rollout.workers=4"))
    assert (config.learner.workers, config.rollout.workers) == (8, 4)


def test_the_questions_of_two_cores_are_built_in_prompts_that_no_run_trains_on(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # which has no jobs
    suite = make_suite("alpaca-eval", load_config(JOBS_FOLDER / "cpu" / "evaluate.yaml"))
    asked = {prompt.text for prompt in suite.prompts_P}
    held_out = [{p.text for p in make() if p.split is Split.HELDOUT} for make in (open_ended_prompts, factbook_prompts)]
    assert held_out[0] <= asked <= held_out[0] | held_out[1] and len(asked) == 100


@pytest.mark.parametrize("scale", SCALES)
def test_the_suites_of_lm_eval_have_room_for_their_demonstrations(scale):
    load = cache(load_config)
    plan = Plan(SCALES[scale], 1, lambda job, settings: load(JOBS_FOLDER / scale / job, settings))
    for name in ("5", "9"):
        plan.add(TABLES[name])
    asked = {(job.suite, job.config.suites.max_length) for job in plan.jobs.values() if isinstance(job, PlannedEvaluation)}
    assert {suite for suite, _ in asked} == {"truthfulqa-mc", "mmlu", "gsm8k"}
    assert all(room >= 2048 for _, room in asked)  # gsm8k: about 1,000, and 256 of an answer


def test_the_notes_on_methods_say_what_its_job_files_set():
    weights = [load_config(JOBS_FOLDER / scale / "methods.yaml").learner.nll_weight for scale in ("cpu", "paper")]
    notes = " ".join(TABLES["methods"].notes)
    assert weights == [1, 0] and "1 at the small scale, 0 at the paper's" in notes
    balances = [load_config(JOBS_FOLDER / scale / "methods.yaml").pairs.balance for scale in ("cpu", "paper")]
    assert balances == ["prompts", "kinds"] and "count both kinds of pair alike at the paper's scale" in notes
    assert "Neither relevance nor the judge has a part" in notes and "same prompts and rewards" not in TABLES["methods"].title


@pytest.mark.parametrize("path", **names(SCALED_JOBS))
def test_a_job_of_a_scale_means_the_same_from_any_folder(path):
    """`flame-ray reproduce --jobs FOLDER` starts anywhere, and a relative path starts from the working directory."""
    texts = _texts(load_config(path).model_dump(mode="json"))
    assert not [text for text in texts if (JOBS_FOLDER.parent / text).is_file() or (path.parent / text).is_file()]


def _texts(tree) -> list[str]:
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [tree] if isinstance(tree, str) else [text for each in inner for text in _texts(each)]


def test_two_answers_fit_the_judge_of_the_papers_win_rates():
    config = load_config(JOBS_FOLDER / "paper/evaluate.yaml")
    question = 512  # more than the judge's own words and an instruction
    assert (
        2 * config.suites.max_tokens + config.judge.max_tokens + question <= config.suites.max_length == 4096
    )  # as OLMo-2 reads
