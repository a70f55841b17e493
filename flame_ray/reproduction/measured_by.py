"""Says below a table what measured its figures: the model that was trained, the checker, and the judge."""

from collections.abc import Iterable, Iterator

from flame_ray.config import Config
from flame_ray.reproduction.plan import Job, Plan, PlannedEvaluation, PlannedStep, PlannedTable
from flame_ray.reproduction.tables import JUDGE_SCORE, WIN_RATE
from flame_ray.shown import without_secrets

OF_FACTS = {"precision", "tau"}  # figures that the checker decides
OF_ROW = "the model that the row's last step starts from"


def measured_by(planned: PlannedTable, plan: Plan) -> Iterator[str]:
    """One note on the settings that the table's jobs have, which may have come from the command line; none without jobs."""
    jobs = [plan.jobs[key] for key in dict.fromkeys(key for cell in planned.cells for key in cell.keys)]
    figures = {cell.measure.figure for cell in planned.cells if cell.keys}
    found = [f"the model before any tuning is {_either(_start(job, plan) for job in jobs)}"]
    if facts := [job.config for job in jobs if not isinstance(job, PlannedStep)] if figures & OF_FACTS else []:
        found.append(f"facts are {_either(map(_checks, facts))}")
    if figures & {WIN_RATE, JUDGE_SCORE.figure}:
        compared = [job.config for job in jobs if isinstance(job, PlannedEvaluation) and job.suite == "alpaca-eval"]
        found.append(f"win rates are {_either(map(_judges, compared))}")
    if jobs:
        yield without_secrets(f"Measured by: {'; '.join(found)}.")


def _start(job: Job, plan: Plan) -> str:
    """What the chain of a model's steps begins with."""
    if isinstance(job, PlannedEvaluation) and job.is_made:
        return _start(plan.jobs[job.model], plan)
    if isinstance(job, PlannedStep) and job.after:
        return _start(plan.jobs[job.after], plan)
    return f"`{job.config.model.policy}`"


def _checks(config: Config) -> str:
    factuality = config.factuality
    checker = f"`{factuality.checker}`" + (f" (`{factuality.checker_model}`)" if factuality.checker_model else "")
    if factuality.asks_verifier and not factuality.verifier_model:
        checker += f", the verifier being {OF_ROW}"
    return f"split by `{factuality.decompose}` and checked by {checker} on `{factuality.corpus}`"


def _judges(config: Config) -> str:
    judge = config.judge
    model = f"`{judge.model}`" if judge.model else OF_ROW
    if config.suites.compare == "ask":
        return f"by {model}, which compares two answers in both orders"
    if judge.kind.is_trained:
        return f"by scores of the judge `{judge.backend}` ({judge.preferences or 'the one that ships'})"
    return f"by scores of the judge `{judge.backend}` ({model})"


def _either(found: Iterable[str]) -> str:
    return ", or ".join(dict.fromkeys(found))
