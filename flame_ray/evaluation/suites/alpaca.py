"""The suites `alpaca-eval`, win rate against another model's answers, and `alpaca-fact`, facts of those that need them.

The 805 instructions are AlpacaEval's (Li et al. 2023). FLAME calls those of them that need facts Alpaca Fact; here the
instruction classifier decides which they are.
"""

from flame_ray.config import Config
from flame_ray.evaluation.suites.base import Suite
from flame_ray.evaluation.suites.data import data_path, instruction_of, make_prompts, suite_rows
from flame_ray.evaluation.suites.facts import FactMeasure
from flame_ray.evaluation.suites.lengths import LengthMeasure
from flame_ray.evaluation.suites.pairwise import WinRate
from flame_ray.prompts.built_in import factbook_prompts, open_ended_prompts
from flame_ray.types import Prompt, Split

PUBLIC = "model outputs are in github.com/tatsu-lab/alpaca_eval, results/*/model_outputs.json (data CC BY-NC 4.0)"
QUESTIONS, OF_FACTBOOK = "questions", 60  # the name of the built-in prompts, and how many of them ask for facts


def alpaca_eval(config: Config) -> Suite:
    """Without any reference outputs in the file, there is nothing to compare with, and answers have their lengths alone."""
    prompts_P, outputs = _read("alpaca-eval", config)
    if not any(text.strip() for text in outputs.values()):
        return Suite("alpaca-eval", prompts_P, LengthMeasure())
    return Suite("alpaca-eval", prompts_P, WinRate(outputs), references=outputs)


def alpaca_fact(config: Config) -> Suite:
    """Those of AlpacaEval's instructions that need facts; their answers are checked. Raises DataError."""
    prompts_P, _ = _read("alpaca-fact", config)
    return Suite("alpaca-fact", prompts_P, FactMeasure(), corpus=config.factuality.corpus, only_fact_based=True)


def _read(suite: str, config: Config) -> tuple[tuple[Prompt, ...], dict[str, str]]:
    """The prompts, and the other model's answers by prompt id."""
    outputs = _built_in() if config.suites.alpaca == QUESTIONS else _of_file(config)
    prompts_P = make_prompts(suite, outputs, config.suites.limit)
    return prompts_P, {prompt.id: outputs[prompt.text] for prompt in prompts_P}


def _of_file(config: Config) -> dict[str, str]:
    rows = suite_rows(data_path("alpaca", config.suites.alpaca, PUBLIC))
    return {instruction_of(row, "instruction"): row.text("output", blank=True) for row in rows}


def _built_in() -> dict[str, str]:
    """Held-out prompts, on which no run of the built-in ones trains: those that need no facts, and some that do."""
    open_ended, factbook = (
        [prompt.text for prompt in make() if prompt.split is Split.HELDOUT] for make in (open_ended_prompts, factbook_prompts)
    )
    return dict.fromkeys((*open_ended, *factbook[:OF_FACTBOOK]), "")
