"""The suite `biography`: biographies of people, as in FActScore (Min et al. 2023, arXiv 2305.14251).

Its 183 people are those whose biographies were labelled by readers. FActScore's 500 other people are prompts for training.
"""

from flame_ray.config import Config
from flame_ray.evaluation.suites.base import Suite
from flame_ray.evaluation.suites.data import data_path, make_prompts, read_lines
from flame_ray.evaluation.suites.facts import FactMeasure

PUBLIC = "the names are prompt_entities.txt of FActScore's labelled data (github.com/shmsw25/FActScore, MIT)"


def biography(config: Config) -> Suite:
    """A prompt for each name of a file, one a line. Raises DataError."""
    names = read_lines(data_path("biography", config.suites.biography, PUBLIC))
    prompts_P = make_prompts("biography", map(biography_prompt, names), config.suites.limit)
    return Suite("biography", prompts_P, FactMeasure(), corpus=config.factuality.corpus)


def biography_prompt(name: str) -> str:
    """FActScore's own words (section 3.1).

    >>> biography_prompt("Alan Turing")
    'Tell me a bio of Alan Turing.'
    """
    return f"Tell me a bio of {name}."
