"""The suite `fava`: information-seeking prompts, such as those of FAVA (Mishra et al. 2024, arXiv 2401.06855)."""

from flame_ray.config import Config
from flame_ray.evaluation.suites.base import Suite
from flame_ray.evaluation.suites.data import data_path, instruction_of, make_prompts, read_lines, suite_rows
from flame_ray.evaluation.suites.facts import FactMeasure

PUBLIC = "the prompts of FAVA's data are at huggingface.co/datasets/fava-uw/fava-data; any file of prompts will do"


def fava(config: Config) -> Suite:
    """The prompts of a file: a text of one a line, or a table. Raises DataError."""
    path = data_path("fava", config.suites.fava, PUBLIC)
    texts = read_lines(path) if path.suffix == ".txt" else [instruction_of(row, "prompt") for row in suite_rows(path)]
    return Suite("fava", make_prompts("fava", texts, config.suites.limit), FactMeasure(), corpus=config.factuality.corpus)
