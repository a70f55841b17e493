"""Runs lm-eval's tasks on our samplers: lm-eval asks and scores, the pool of samplers answers.

lm-eval stands here alone. It is imported when a suite first needs it, because it is an extra.
"""

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from flame_ray.commands.evaluate_stages import EvaluationStages
from flame_ray.engines.base import Continuation, SampleRequest
from flame_ray.errors import ConfigError
from flame_ray.evaluation.suites.harness import HarnessSuite, HarnessTask, Sample
from flame_ray.storage.atomic import json_digest, storage_errors

MAX_GENERATED = 256  # tokens of an answer for a task that names no number; lm-eval's own default


def check_installed() -> None:
    """Raises ConfigError where lm-eval is not installed."""
    try:
        import lm_eval.evaluator  # noqa: F401
    except ImportError as error:
        raise ConfigError("lm-eval, for this suite", str(error), "pip install 'flame-ray[evaluate]'") from error


def run_harness(suite: HarnessSuite, stages: EvaluationStages, tokenizer: Any, max_length: int) -> tuple[list[Sample], int]:
    """What lm-eval finds for each question of the suite, and how many contexts were too long and lost their beginning.

    `max_length`: the most tokens that the samplers read.
    """
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    _silence()
    with tempfile.TemporaryDirectory(prefix="flame-ray-") as folder:
        with storage_errors(folder, setting="TMPDIR"):
            files = [str(_task_file(Path(folder), task)) for task in suite.tasks]
        loaded = TaskManager(include_defaults=False).load(files)
        for task in loaded["tasks"].values():
            task.set_fewshot_seed(seed=0)
        asked = {task.name: list(task.asked) for task in suite.tasks if task.asked is not None}
        model = make_model(stages, tokenizer, max_length)
        found = evaluate(model, loaded, samples=asked or None, bootstrap_iters=0)
    return [_sample(task, each) for task, samples in found["samples"].items() for each in samples], len(model.cut)


def _silence() -> None:
    """No messages and no bars, which would fill a job's log. A task of lm-eval has no switch for its bar, only tqdm has."""
    import datasets
    from lm_eval.api import task

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    task.tqdm = partial(task.tqdm, disable=True)


def _task_file(folder: Path, task: HarnessTask) -> Path:
    """lm-eval's own file of the task, on our rows."""
    import lm_eval.tasks

    rows = {split: str(_write_rows(folder / f"{task.name}-{split}.jsonl", docs)) for split, docs in task.splits.items()}
    content = {
        "include": str(Path(lm_eval.tasks.__file__).parent / task.file),
        "task": task.name,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": rows, "cache_dir": str(folder / "cache")},
        **task.overrides,
    }
    path = folder / f"{task.name}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def _write_rows(path: Path, docs: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(doc) + "\n" for doc in docs), encoding="utf-8")
    return path


def _sample(task: str, found: Mapping[str, Any]) -> Sample:
    """`filtered_resps` are what the metrics saw: a likelihood with a flag for each choice, or the extracted answer."""
    metrics = {name: float(found[name]) for name in found["metrics"]}
    responses = found["filtered_resps"] if found["filter"] == "none" else [found["resps"][0][0], *found["filtered_resps"]]
    return Sample(task, found["filter"], found["doc"], responses, metrics)


def make_model(stages: EvaluationStages, tokenizer: Any, max_length: int) -> Any:
    """The samplers as a model of lm-eval. It is made here because its base class is lm-eval's."""
    from lm_eval.api.model import TemplateLM

    class SamplersModel(TemplateLM):
        """Texts are encoded as the model's tokenizer does by itself, with its mark of the beginning if it has one."""

        eot_token_id = tokenizer.eos_token_id
        prefix_token_id = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id

        def __init__(self) -> None:
            super().__init__()
            self.cut: set[tuple[int, ...]] = set()  # contexts that were too long: the choices of a question share one

        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
            return tokenizer.encode(string, add_special_tokens=add_special_tokens is not False)

        def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> list[tuple[float, bool]]:
            return super().loglikelihood(requests, disable_tqdm=disable_tqdm)

        def _loglikelihood_tokens(self, requests: Any, **kwargs: Any) -> list[tuple[float, bool]]:
            """Whether a continuation is greedy is not known: no metric of our tasks reads it."""
            asked = [
                Continuation(self._fitting(context, max_length - 1 - len(continuation)), tuple(continuation))
                for _, context, continuation in requests
            ]
            return [(sum(logprobs), False) for logprobs in stages.weighed(asked)]

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
            raise NotImplementedError("no task here measures perplexity")

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            return stages.continued([self._request(*each.args) for each in requests])

        def _request(self, context: str, options: Mapping[str, Any]) -> SampleRequest:
            max_tokens = options.get("max_gen_toks", MAX_GENERATED)
            ids = self._fitting(self.tok_encode(context), max_length - max_tokens)
            return SampleRequest(ids, max_tokens, stop=tuple(options["until"]))

        def _fitting(self, context: Sequence[int], room: int) -> tuple[int, ...]:
            """A context that is too long loses its beginning, as in lm-eval's own models, and is counted."""
            if len(context) > room:
                self.cut.add(tuple(context))
            return tuple(context[max(0, len(context) - room) :])

    return SamplersModel()


def sample_rows(suite: HarnessSuite, samples: Sequence[Sample]) -> Iterator[dict[str, Any]]:
    """The lines of answers.jsonl. Samples of one question by the same task have one id."""
    for each in samples:
        yield {
            "id": f"{each.task}/{json_digest(dict(each.doc))}",
            "task": each.task,
            "filter": each.filter,
            "question": each.doc["question"],
            "doc": dict(each.doc),
            "responses": list(each.responses),
            **each.metrics,
            "values": dict(suite.values(each)),
        }
