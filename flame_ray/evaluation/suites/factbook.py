"""The suite `factbook`: the built-in questions about countries that no run of the built-in prompts trains on."""

from flame_ray.config import Config
from flame_ray.evaluation.suites.base import Suite
from flame_ray.evaluation.suites.facts import FactMeasure
from flame_ray.prompts.built_in import factbook_prompts
from flame_ray.types import Prompt, Split


def factbook(config: Config) -> Suite:
    """The held-out questions. Any number of them is balanced over countries and aspects."""
    held_out = [prompt for prompt in factbook_prompts() if prompt.split is Split.HELDOUT][: config.suites.limit]
    prompts_P = tuple(Prompt(prompt.id, prompt.text, fact_based=True) for prompt in held_out)
    return Suite("factbook", prompts_P, FactMeasure(), corpus="factbook")
