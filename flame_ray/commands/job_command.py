"""Says which command a job is for, by the sections that are given.

clusters/slurm.sh asks it: `python -m flame_ray.commands.job_command JOB [--set ...]`.
"""

import argparse
import sys
from collections.abc import Sequence

from flame_ray.config import Config
from flame_ray.config.load import load_config
from flame_ray.errors import ConfigError, FlameError
from flame_ray.report.console import PlainConsole

OF_A_RUN = ("prompts", "pairs")  # sections that no other command reads but together with one of its own
OTHERS = {
    "train_judge": "flame-ray train-judge JOB --out FOLDER",
    "train_checker": "flame-ray train-checker JOB --out FOLDER",
    "self_instruct": "flame-ray self-instruct JOB --out FILE",
    "suites": "flame-ray evaluate MODEL --suite SUITE --job JOB`, or `flame-ray agreement --job JOB",
}


def job_command(config: Config) -> str:
    """`run` or `sft`. Raises ConfigError for a job of another command, which would run by defaults that it does not mean.

    >>> job_command(Config())
    'run'
    """
    given = config.model_fields_set
    if config.sft.sources and config.learner.loss_kind.trains_on == "answers":
        return "sft"
    section = next((name for name in OTHERS if name in given), None)
    if section and given.isdisjoint(OF_A_RUN):
        expected = "a job for `flame-ray run` or `flame-ray sft`"
        fix = f"use `{OTHERS[section]}`; or take out {section}, or say what a run samples and learns from, in prompts and pairs"
        raise ConfigError(expected, f"the section {section}, and no prompts, pairs, or answers to learn from", fix)
    return "sft" if config.sft.sources else "run"


def main(words: Sequence[str]) -> None:
    """Prints the command. The words are a job file and options of `flame-ray run`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("job")
    parser.add_argument("--set", action="append", default=[])
    given, _ = parser.parse_known_args(words)
    try:
        PlainConsole().print(job_command(load_config(given.job, tuple(given.set))))
    except FlameError as error:
        PlainConsole(stderr=True).print(f"flame-ray: {error}", soft_wrap=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(sys.argv[1:])
