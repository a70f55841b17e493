"""The suite `longfact`: requests for long answers about 38 topics (Wei et al. 2024, arXiv 2403.18802)."""

from flame_ray.config import Config
from flame_ray.errors import DataError
from flame_ray.evaluation.suites.base import Suite
from flame_ray.evaluation.suites.data import data_path, instruction_of, make_prompts, suite_rows
from flame_ray.evaluation.suites.facts import FactMeasure

PUBLIC = "the folders longfact-*_noduplicates are in github.com/google-deepmind/long-form-factuality (CC BY 4.0)"


def longfact(config: Config) -> Suite:
    """The prompts of one JSONL file, or of all in a folder and below it. Raises DataError."""
    path = data_path("longfact", config.suites.longfact, PUBLIC)
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise DataError("JSONL files in the folder that suites.longfact names", f"none in {path}", PUBLIC)
    texts = [instruction_of(row, "prompt") for file in files for row in suite_rows(file)]
    prompts_P = make_prompts("longfact", texts, config.suites.limit)
    return Suite("longfact", prompts_P, FactMeasure(as_safe=True), corpus=config.factuality.corpus)
