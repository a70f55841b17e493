"""The benchmarks that `flame-ray evaluate` knows, one file each. All here is pure: no actor, no engine.

A suite is a set of prompts with a measure (see `base.py`), or tasks of lm-eval (see `harness.py`). To add one, write a function
from the settings to a `Suite` and name it in `SUITES`.
"""

from collections.abc import Callable, Mapping

from flame_ray.config import Config
from flame_ray.errors import ConfigError
from flame_ray.evaluation.suites.alpaca import alpaca_eval, alpaca_fact
from flame_ray.evaluation.suites.base import Suite
from flame_ray.evaluation.suites.biography import biography
from flame_ray.evaluation.suites.factbook import factbook
from flame_ray.evaluation.suites.fava import fava
from flame_ray.evaluation.suites.harness import HarnessSuite, gsm8k, mmlu, truthfulqa_mc
from flame_ray.evaluation.suites.longfact import longfact
from flame_ray.evaluation.suites.truthfulqa import truthfulqa

SUITES: Mapping[str, Callable[[Config], Suite | HarnessSuite]] = {
    "factbook": factbook,
    "biography": biography,
    "longfact": longfact,
    "fava": fava,
    "alpaca-fact": alpaca_fact,
    "alpaca-eval": alpaca_eval,
    "truthfulqa": truthfulqa,
    "truthfulqa-mc": truthfulqa_mc,
    "mmlu": mmlu,
    "gsm8k": gsm8k,
}


def make_suite(name: str, config: Config) -> Suite | HarnessSuite:
    """A suite by its name. Raises ConfigError or DataError if there is no such suite, or if its data is not there."""
    if name not in SUITES:
        raise ConfigError(f"--suite with one of {', '.join(SUITES)}", repr(name), "correct the name")
    suite = SUITES[name](config)
    needs_corpus = isinstance(suite, Suite) and suite.corpus is not None and name != "factbook"
    if needs_corpus and "corpus" not in config.factuality.model_fields_set:
        fix = f"--corpus PATH, a corpus that holds what the answers to {name} are about (see jobs/README.md)"
        raise ConfigError(f"factuality.corpus to be named for the suite {name}", "no value", fix)
    return suite
