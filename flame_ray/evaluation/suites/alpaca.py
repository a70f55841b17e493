"""The suites `alpaca-eval`, win rate against another model's answers, and `alpaca-fact`, facts of those that need them.

The 805 instructions are AlpacaEval's (Li et al. 2023). FLAME calls those of them that need facts Alpaca Fact; here the
instruction classifier decides which they are.
"""

from flame_ray.config import Config
from flame_ray.evaluation.suites.base import Suite
from flame_ray.evaluation.suites.data import data_path, instruction_of, make_prompts, read_rows
from flame_ray.evaluation.suites.facts import FactMeasure
from flame_ray.evaluation.suites.lengths import LengthMeasure
from flame_ray.evaluation.suites.pairwise import WinRate
from flame_ray.types import Prompt

PUBLIC = "model outputs are in github.com/tatsu-lab/alpaca_eval, results/*/model_outputs.json (data CC BY-NC 4.0)"


def alpaca_eval(config: Config) -> Suite:
    """Without any reference outputs in the file, there is nothing to compare with, and answers have their lengths alone."""
    prompts_P, outputs = _read("alpaca-eval", config)
    if not any(text.strip() for text in outputs.values()):
        return Suite("alpaca-eval", prompts_P, LengthMeasure())
    return Suite("alpaca-eval", prompts_P, WinRate(outputs), references=outputs)


def alpaca_fact(config: Config) -> Suite:
    prompts_P, _ = _read("alpaca-fact", config)
    return Suite("alpaca-fact", prompts_P, FactMeasure(), corpus=config.factuality.corpus, only_fact_based=True)


def _read(suite: str, config: Config) -> tuple[tuple[Prompt, ...], dict[str, str]]:
    """The prompts, and the other model's answers by prompt id."""
    rows = list(read_rows(data_path("alpaca", config.suites.alpaca, PUBLIC)))
    outputs = {instruction_of(row, "instruction"): row.text("output", blank=True) for row in rows}
    prompts_P = make_prompts(suite, outputs, config.suites.limit)
    return prompts_P, {prompt.id: outputs[prompt.text] for prompt in prompts_P}
