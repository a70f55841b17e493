"""What is done already, in one folder that all tables share: models, evaluations and failures, each by its job's key.

models/<key>/       the folder of a run
samples/<key>/      what a model is asked alike: samples of runs, answers that fine-tunings elicit, and scores of samples
evaluations/<key>/  what `flame-ray evaluate` wrote
agreements/<key>.json   what `flame-ray agreement` wrote
references/<key>.json   the baseline's answers, as reference outputs for others
pairs/<key>-over-<key>.jsonl    the models' own answers of two fine-tunings, as pairs for another step
failures/<key>.txt  why a job failed the last time
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flame_ray.errors import StorageError
from flame_ray.evaluation.suites.base import SuiteResult
from flame_ray.journal.run_folder import CONFIG, RunFolder
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.report.suites import result_of_content
from flame_ray.reproduction.paired import ByPrompt
from flame_ray.reproduction.plan import Job, PlannedAgreement, PlannedStep
from flame_ray.reproduction.results import Found
from flame_ray.reproduction.tables import AGREEMENT
from flame_ray.storage.atomic import write_file
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.jsonl import read_jsonl
from flame_ray.types import Interval

RESULT, ANSWERS = "result.json", "answers.jsonl"
NOT_DONE = "not done yet"
LEFT_OUT = {  # of the responses of an agreement, by the name of their count
    "missing": "responses on which the reward failed",
    "abstained": "responses of which no fact counts",
    "no_human_facts": "responses without facts of people",
}


class Store:
    """One folder, whose path is made absolute: a run keeps the path of the model that it starts from."""

    def __init__(self, folder: Path):
        self._folder = folder.expanduser().absolute()

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def models(self) -> Path:
        """What `run.root` is for the steps."""
        return self._folder / "models"

    @property
    def samples(self) -> Path:
        """What `run.samples` is for the steps."""
        return self._folder / "samples"

    def pairs(self, step: PlannedStep) -> Path:
        """The file of the pairs that a step trains on."""
        return self._folder / "pairs" / str(step.config.pairs.file)

    def evaluation(self, key: str) -> Path:
        return self._folder / "evaluations" / key

    def agreement(self, key: str) -> Path:
        return self._folder / "agreements" / f"{key}.json"

    def is_begun(self, key: str) -> bool:
        return (self.models / key / CONFIG).is_file()

    def is_done(self, job: Job) -> bool:
        if isinstance(job, PlannedStep):
            return self._summary(job.key).get("status") == "complete"
        if isinstance(job, PlannedAgreement):
            return self.agreement(job.key).is_file()
        return self._result(job.key) is not None

    def found(self, job: Job) -> Found:
        """The result of a job, or why there is none."""
        if not self.is_done(job):
            return self._failure(job.key) or NOT_DONE
        if isinstance(job, PlannedStep):
            return self._summary(job.key)
        if isinstance(job, PlannedAgreement):
            return _tau(json.loads(self.agreement(job.key).read_bytes()))
        path = self._result(job.key)
        assert path is not None
        return result_of_content(json.loads(path.read_bytes()))

    def model(self, key: str) -> str:
        """The folder of the model that a step has made, which another step can start from."""
        checkpoints = Checkpoints(RunFolder(Storage(self.models / key)).checkpoints)
        return str(checkpoints.round(checkpoints.trained()) / "merged")

    def reference(self, key: str) -> Path:
        """The answers of an evaluation as a suite reads reference outputs. Raises StorageError if they are not there."""
        answers = self._answers(key)
        if answers is None:
            raise StorageError(f"the answers of {key}", "none", "remove its folder in the store, and give the command again")
        rows = [row.columns for row in read_jsonl(answers)]
        outputs = [{"instruction": row["prompt"], "output": row["response"]} for row in rows]
        path = self._folder / "references" / f"{key}.json"
        write_file(path, json.dumps(outputs, ensure_ascii=False, indent=1).encode(), "--store")
        return path

    def values(self, key: str, figure: str) -> ByPrompt | None:
        """By prompt id, what a figure of an evaluation is the mean of; None if the evaluation is not there, or was refused.

        An earlier version gave lm-eval's answers no values.
        """
        answers = self._answers(key)
        if answers is None:
            return None
        rows = [row.columns for row in read_jsonl(answers)]
        found = ((row["id"], row["values"].get(figure)) for row in rows if "values" in row)
        return {prompt: value for prompt, value in found if value is not None}

    def fail(self, key: str, reason: str) -> None:
        write_file(self._failed(key), reason.encode(), "--store")

    def forget_failure(self, key: str) -> None:
        self._failed(key).unlink(missing_ok=True)

    def _summary(self, key: str) -> Mapping[str, Any]:
        return RunFolder(Storage(self.models / key)).summary()

    def _failure(self, key: str) -> str | None:
        path = self._failed(key)
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def _failed(self, key: str) -> Path:
        return self._folder / "failures" / f"{key}.txt"

    def _result(self, key: str) -> Path | None:
        """What `flame-ray evaluate` wrote last, of the one suite."""
        return next(iter(sorted(self.evaluation(key).glob(f"*/*/{RESULT}"))), None)

    def _answers(self, key: str) -> Path | None:
        """The answers that the result is of: those without one were refused."""
        result = self._result(key)
        answers = result.with_name(ANSWERS) if result else None
        return answers if answers and answers.is_file() else None


def _tau(found: Mapping[str, Any]) -> SuiteResult:
    """Of all that `flame-ray agreement` found, what table 10 of the paper has, and why responses are not in it."""
    tau, n = found["tau_precision_errors"], found["n"]
    low, high = tau["pooled_ci95"] or (None, None)
    left_out = {reason: found[name] for name, reason in LEFT_OUT.items() if found.get(name)}
    return SuiteResult(AGREEMENT, n + sum(left_out.values()), {"tau": Interval(tau["pooled"], low, high, n)}, left_out)
