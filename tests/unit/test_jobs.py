"""Every job file loads, holds the settings that it always held, and opens with the command that runs it."""

import shlex
from pathlib import Path

import pytest
import yaml

from flame_ray.config import Config
from flame_ray.config.load import load_config, parse_config

REPOSITORY = Path(__file__).parents[2]
FILES = sorted((REPOSITORY / "jobs").glob("*.yaml"))
BASE = REPOSITORY / "jobs" / "paper.yaml"
JOBS = [path for path in FILES if path != BASE]
PAPER_JOBS = [path for path in JOBS if path.name.startswith("paper-dpo")]
SFT_JOBS = [path for path in JOBS if path.name.startswith("paper-sft")]


def nodes(selector: str) -> dict:
    return {"node_labels": {"flame-ray/role": selector}}


PAPER = {
    "run": {"rounds": 1},
    "model": {"policy": "allenai/OLMo-2-1124-7B-SFT", "max_length": 2048},
    "prompts": {"per_round": 20000},
    "verifier": nodes("!learner"),
    "rollout": nodes("!learner")
    | {"workers": 2, "cpus": 2, "gpus": 1, "max_tokens": 1024, "max_sequences": 256, "gpu_memory": 0.85},
    "factuality": nodes("!in(learner,rollout)") | {"workers": 4, "cpus": 1},
    "judge": nodes("!learner")
    | {"workers": 2, "cpus": 2, "gpus": 1, "backend": "rubric", "max_tokens": 256}
    | {"max_sequences": 256, "gpu_memory": 0.85},
    "learner": nodes("!rollout")
    | {"workers": 4, "cpus": 4, "gpus": 1, "lr": 1e-6, "lr_final": 1e-7, "batch_pairs": 64, "micro_batch_pairs": 1}
    | {"lora": None, "zero_stage": 3, "gradient_checkpointing": True},
}
PAPER_SFT = {
    "run": {"name": "paper-sft"},
    "model": {"policy": "allenai/OLMo-2-1124-7B", "max_length": 2048, "chat_template": "plain"},
    "rollout": nodes("!learner") | {"workers": 2, "cpus": 2, "gpus": 1, "max_sequences": 256, "gpu_memory": 0.85},
    "judge": nodes("!learner") | {"workers": 2, "cpus": 2, "gpus": 1, "max_sequences": 256, "gpu_memory": 0.85},
    "learner": nodes("!rollout")
    | {"workers": 8, "cpus": 2, "gpus": 1, "loss": "nll", "steps": 500, "lr": 1e-6, "lr_final": 1e-7, "batch_pairs": 32}
    | {"micro_batch_pairs": 1, "lora": None, "zero_stage": 3, "gradient_checkpointing": True},
    "sft": {
        "sources": [{"source": "OpenAssistant/oasst1", "form": "trees", "limit": 3200}],
        "elicit": {"similarity": "dense", "max_tokens": 512},
    },
}
# All that a job sets otherwise than the defaults do.
SETTINGS = {
    "paper-dpo": PAPER | {"run": {"rounds": 1, "name": "paper-dpo"}, "pairs": {"kinds": ["instruction"]}},
    "paper-dpo-fact": PAPER | {"run": {"rounds": 1, "name": "paper-dpo-fact"}, "pairs": {"kinds": ["factuality"]}},
    "paper-dpo-flame": PAPER | {"run": {"rounds": 1, "name": "paper-dpo-flame"}},
    "paper-sft": PAPER_SFT,
    "paper-sft-fact": PAPER_SFT
    | {"run": {"name": "paper-sft-fact"}, "sft": PAPER_SFT["sft"] | {"fact_based": "elicited", "others": "elicited"}},
    "paper-sft-flame": PAPER_SFT | {"run": {"name": "paper-sft-flame"}, "sft": PAPER_SFT["sft"] | {"fact_based": "elicited"}},
    "sft": {
        "run": {"name": "sft", "seed": 7, "save_merged": True},
        "model": {"max_length": 1024},
        "classify": {"by": "label"},
        "rollout": {"top_p": 1.0, "max_sequences": 32},
        "sft": {
            "sources": [{"source": "seeds", "label_column": "facts"}],
            "fact_based": "elicited",
            "elicit": {"samples": 4, "max_tokens": 128},
        },
        "learner": {"loss": "nll", "epochs": 3, "lr": 2e-4, "lr_final": 2e-5},
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
        "rollout": {"top_p": 1.0},
        "self_instruct": {"instructions": 1000},
    },
    "train-judge": {
        "run": {"name": "train-judge", "seed": 1},
        "train_judge": {"labels": ["pairs.jsonl", "tests/benchmarks/answer_pairs.jsonl"]},
    },
}


def names(paths: list[Path]) -> dict:
    return {"argvalues": paths, "ids": [path.name for path in paths]}


def test_the_recipes_of_the_paper_are_among_the_jobs():
    assert {path.stem for path in PAPER_JOBS} == {"paper-dpo", "paper-dpo-fact", "paper-dpo-flame"}
    assert {path.stem for path in SFT_JOBS} == {"paper-sft", "paper-sft-fact", "paper-sft-flame"}


@pytest.mark.parametrize("path", **names(FILES))
def test_a_job_file_loads(path):
    assert isinstance(load_config(path), Config)


@pytest.mark.parametrize("path", **names(JOBS))
def test_a_job_sets_what_it_set_before_it_had_a_base_and_leaves_the_rest_at_its_default(path):
    assert load_config(path) == parse_config(SETTINGS[path.stem], "the table above")


@pytest.mark.parametrize("path", **names(JOBS))
def test_the_first_line_of_a_job_is_the_command_that_runs_this_very_file(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    words = shlex.split(first.removeprefix("#"))
    assert first.startswith("# ")
    assert "flame-ray" in words[:-1]
    assert f"jobs/{path.name}" in words


@pytest.mark.parametrize("path", **names(PAPER_JOBS))
def test_a_paper_job_names_its_base_which_says_how_it_differs_from_the_paper(path):
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["base"] == BASE.name
    assert BASE.read_text(encoding="utf-8").splitlines()[1].startswith("# Differs from the paper: ")


@pytest.mark.parametrize("path", **names([*PAPER_JOBS, *SFT_JOBS]))
def test_a_paper_job_is_called_what_its_file_is_called(path):
    assert load_config(path).run.name == path.stem


@pytest.mark.parametrize("path", **names(PAPER_JOBS))
def test_a_paper_job_states_the_papers_hyper_parameters(path):
    config = load_config(path)
    learner, rollout, judge = config.learner, config.rollout, config.judge
    assert (rollout.samples, rollout.temperature, rollout.top_p) == (4, 0.7, 0.9)
    assert (learner.beta, learner.batch_pairs, learner.lr, learner.lr_final) == (0.1, 64, 1e-6, 1e-7)
    assert learner.lora is None
    assert (judge.backend, judge.samples, config.pairs.max_judge_gap) == ("rubric", 3, 0.5)
    assert (config.model.max_length, config.factuality.retrieve, config.run.rounds) == (2048, 20, 1)


@pytest.mark.parametrize("path", **names(PAPER_JOBS))
def test_a_paper_job_fills_exactly_one_node_of_eight_gpus(path):
    config = load_config(path)
    groups = (config.rollout, config.judge, config.learner, config.factuality)
    assert sum(group.workers * group.gpus for group in groups) == 8
    assert config.learner.zero_stage == 3


def test_the_paper_jobs_differ_in_their_name_and_kinds_of_pair_alone():
    configs = {path.stem: load_config(path).model_dump() for path in PAPER_JOBS}
    kinds = {name: config["pairs"].pop("kinds") for name, config in configs.items()}
    assert kinds == {
        "paper-dpo": ("instruction",),
        "paper-dpo-fact": ("factuality",),
        "paper-dpo-flame": ("instruction", "factuality"),
    }
    assert [config["run"].pop("name") for config in configs.values()] == list(kinds)
    first, *others = configs.values()
    assert all(other == first for other in others)


@pytest.mark.parametrize("path", **names(PAPER_JOBS))
def test_a_paper_job_can_be_resized_from_the_command_line(path):
    config = load_config(path, ("learner.workers=8", "rollout.workers=4"))
    assert (config.learner.workers, config.rollout.workers) == (8, 4)


@pytest.mark.parametrize("path", **names(SFT_JOBS))
def test_a_fine_tuning_of_the_paper_states_its_hyper_parameters_and_says_how_it_differs(path):
    config = load_config(path)
    learner, elicit = config.learner, config.sft.elicit
    assert (learner.steps, learner.batch_pairs, learner.lr, learner.lr_final) == (500, 32, 1e-6, 1e-7)
    assert (learner.loss, learner.lora, config.model.max_length) == ("nll", None, 2048)
    assert (elicit.samples, elicit.shots, config.sft.sources[0].limit) == (10, 5, 3200)
    base = yaml.safe_load(path.read_text(encoding="utf-8")).get("base", path.name)
    assert (path.parent / base).read_text(encoding="utf-8").splitlines()[2].startswith("# Differs from the paper: ")


def test_the_fine_tunings_of_the_paper_differ_in_their_name_and_in_whose_answers_they_learn_alone():
    configs = {path.stem: load_config(path).model_dump() for path in SFT_JOBS}
    learned = {name: (config["sft"].pop("fact_based"), config["sft"].pop("others")) for name, config in configs.items()}
    assert learned == {
        "paper-sft": ("human", "human"),
        "paper-sft-fact": ("elicited", "elicited"),
        "paper-sft-flame": ("elicited", "human"),
    }
    assert [config["run"].pop("name") for config in configs.values()] == list(learned)
    first, *others = configs.values()
    assert all(other == first for other in others)
