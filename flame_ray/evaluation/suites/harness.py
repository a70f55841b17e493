"""The suites that lm-eval runs and scores, on local data: `truthfulqa-mc`, `mmlu` and `gsm8k`.

Prompts, demonstrations, answers and metrics are those of lm-eval's tasks of these names, as plain text without a chat
template. Here stand the data in the form that the tasks read, and how lm-eval's value for each question becomes a figure.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flame_ray.config import Config
from flame_ray.errors import DataError
from flame_ray.evaluation.metrics import bootstrap_mean
from flame_ray.evaluation.suites import truthfulqa
from flame_ray.evaluation.suites.base import Figures, bounds_of
from flame_ray.evaluation.suites.data import data_file, data_path, suite_rows
from flame_ray.evaluation.suites.lengths import share
from flame_ray.prompts.split import stable_fraction
from flame_ray.storage.jsonl import Row
from flame_ray.storage.text_files import read_text
from flame_ray.types import Interval

Rows = list[dict[str, Any]]
MMLU = "the folders test and dev are in data.tar of github.com/hendrycks/test (MIT)"
GSM8K = "test.jsonl is in github.com/openai/grade-school-math (MIT)"
RESULT = "####"
LETTERS = "ABCD"
PLACES = {letter: at for at, letter in enumerate(LETTERS)} | {str(at): at for at in range(len(LETTERS))}
# Figures by lm-eval's filter. strict: the answer has the form of the demonstrations; flexible: its last number is right.
FILTERS = {"strict-match": "exact_match_strict", "flexible-extract": "exact_match_flexible"}
SHARES = {"mc1", "accuracy", *FILTERS.values()}  # figures whose values are 0 and 1
MOST_MALFORMED = 0.1  # of a file's rows: more are an error, fewer are left out and counted


@dataclass(frozen=True, slots=True)
class HarnessTask:
    """A task of lm-eval, by its `name` and the file that describes it, below lm-eval's folder of tasks.

    `splits`: the rows by the name of their split, as the task reads them. `asked`: which rows of the first split are asked,
    all by default. `overrides` replaces keys of the task's file.
    """

    name: str
    file: str
    splits: Mapping[str, Rows]
    asked: tuple[int, ...] | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def questions(self) -> set[str]:
        rows = next(iter(self.splits.values()))
        return {doc["question"] for at, doc in enumerate(rows) if self.asked is None or at in self.asked}


@dataclass(frozen=True, slots=True)
class Sample:
    """What lm-eval found for one question of a task, under one of the task's filters. `responses` are the model's own."""

    task: str
    filter: str
    doc: Mapping[str, Any]
    responses: Sequence[Any]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class HarnessSuite:
    """A benchmark that lm-eval runs. `values`: by its name, each figure that a sample has a value for.

    `malformed`: rows of the data that cannot be read, and are left out.
    """

    name: str
    tasks: tuple[HarnessTask, ...]
    values: Callable[[Sample], Mapping[str, float]]
    malformed: int = 0

    def figures(self, samples: Sequence[Sample], config: Config) -> Figures:
        """The means of the samples' values, each with n and interval."""
        by_figure: dict[str, list[float]] = {}
        for each in samples:
            for name, value in self.values(each).items():
                by_figure.setdefault(name, []).append(value)
        return {name: _mean(name, values, config) for name, values in by_figure.items()}


def truthfulqa_mc(config: Config) -> HarnessSuite:
    """MC1, MC2 and MC3 of TruthfulQA (Lin et al. 2022). lm-eval scores the first two; MC3 follows from its likelihoods."""
    path = data_path("truthfulqa", config.suites.truthfulqa, truthfulqa.PUBLIC)
    file = data_file(path, "mc_task.json", "truthfulqa", truthfulqa.PUBLIC)
    docs = [_multiple_choice(row) for row in _limited(suite_rows(file), config.suites.limit)]
    tasks = [
        HarnessTask(name, f"truthfulqa/{name}.yaml", {"validation": docs}) for name in ("truthfulqa_mc1", "truthfulqa_mc2")
    ]
    return HarnessSuite("truthfulqa-mc", tuple(tasks), _truthful_values)


def mmlu(config: Config) -> HarnessSuite:
    """57 subjects (Hendrycks et al. 2021, arXiv 2009.03300), each with `suites.shots` demonstrations from its own dev file.

    Where there is no dev folder, they are the first other questions of the test file. Raises DataError.
    """
    folder = data_path("mmlu", config.suites.mmlu, MMLU)
    files = sorted((folder / "test").glob("*_test.csv"))
    if not files:
        raise DataError("test/*_test.csv in the folder that suites.mmlu names", f"none in {folder}", MMLU)
    read = {file.stem.removesuffix("_test"): _mmlu_docs(file) for file in files}
    all_rows = [(subject, doc) for subject, (docs, _) in read.items() for doc in docs]
    kept = {id(row) for row in _take([row for _, row in all_rows], config.suites.limit, lambda row: str(row))}
    asked = {subject: tuple(at for at, doc in enumerate(docs) if id(doc) in kept) for subject, (docs, _) in read.items()}
    tasks = [
        _mmlu_task(subject, docs, asked[subject], folder / "dev" / f"{subject}_dev.csv", config.suites.shots)
        for subject, (docs, _) in read.items()
        if asked[subject]
    ]
    return HarnessSuite("mmlu", tuple(tasks), _mmlu_values, malformed=sum(count for _, count in read.values()))


def gsm8k(config: Config) -> HarnessSuite:
    """Word problems (Cobbe et al. 2021, arXiv 2110.14168), with the eight demonstrations of lm-eval's task gsm8k_cot."""
    path = data_path("gsm8k", config.suites.gsm8k, GSM8K)
    rows = _limited(suite_rows(data_file(path, "test.jsonl", "gsm8k", GSM8K)), config.suites.limit)
    docs = [{"question": row.text("question"), "answer": _solved(row)} for row in rows]
    return HarnessSuite("gsm8k", (HarnessTask("gsm8k_cot", "gsm8k/gsm8k-cot.yaml", {"test": docs}),), _gsm8k_values)


def _solved(row: Row) -> str:
    """The answer to a word problem. The task takes what follows the last mark for its result."""
    answer = row.text("answer")
    if not answer.rpartition(RESULT)[1] or not answer.rpartition(RESULT)[2].strip():
        raise row.unusable(f"an answer that ends in `{RESULT}` and the result", answer)
    return answer


def _multiple_choice(row: Row) -> dict[str, Any]:
    """The benchmark's file has answers and labels as one object; the task reads two lists."""
    return {
        "question": row.text("question"),
        "mc1_targets": _targets(row, "mc1_targets", 1),
        "mc2_targets": _targets(row, "mc2_targets"),
    }


def _targets(row: Row, name: str, most_true: int | None = None) -> dict[str, list[Any]]:
    """The answers with their labels, the true ones first: the task takes the first of mc1_targets for the true one."""
    targets = row.columns.get(name)
    known = targets if isinstance(targets, dict) and all(label in (0, 1) for label in targets.values()) else {}
    choices = sorted(known, key=lambda choice: -known[choice])
    true = sum(known.values())
    if not 0 < true < len(known) or true > (most_true or true):
        expected = "one true (1) answer, and false (0) ones," if most_true else "true (1) and false (0) answers"
        raise row.unusable(f"{expected} in `{name}`", targets)
    return {"choices": choices, "labels": [int(known[choice]) for choice in choices]}


def _mmlu_docs(file: Path) -> tuple[Rows, int]:
    """The questions of a subject, and how many rows are malformed. Raises DataError if more are than MOST_MALFORMED.

    Copies of this data are around in which quotation marks split a row's columns wrongly.
    """
    rows = list(suite_rows(file))
    if rows and "question" not in rows[0].columns:
        rows = _without_heading(file)
    docs = [_mmlu_doc(row.columns) for row in rows]
    sound = [doc for doc in docs if doc is not None]
    if len(sound) < (1 - MOST_MALFORMED) * len(docs) or not sound:
        bad = rows[docs.index(None)].where if docs else file
        raise DataError("a question, four answers, and the right one (A to D, or 0 to 3)", f"{bad}, and others", MMLU)
    return sound, len(docs) - len(sound)


def _mmlu_doc(columns: Mapping[Any, Any]) -> dict[str, Any] | None:
    """A row as the task reads it; None if it is malformed."""
    cells = [columns.get(name) for name in ("question", *LETTERS, "answer")]
    *texts, answer = [cell.strip() if isinstance(cell, str) else "" for cell in cells]
    if not (all(texts) and answer in PLACES and len(columns) == len(cells)):
        return None
    return {"question": texts[0], "choices": texts[1:], "answer": PLACES[answer]}


def _without_heading(file: Path) -> list[Row]:
    """The original files have no heading."""
    lines = list(csv.reader(io.StringIO(read_text(file, "a CSV file", MMLU), newline="")))
    names = ("question", *LETTERS, "answer")
    return [Row(f"{file}: row {at}", at, dict(zip(names, line, strict=False))) for at, line in enumerate(lines, start=1)]


def _mmlu_task(subject: str, docs: Rows, asked: tuple[int, ...], dev: Path, shots: int) -> HarnessTask:
    """Without a dev file, the first other rows of the test file are shown: lm-eval leaves out a question itself only where
    it is told that both come from one split.
    """
    shown = _mmlu_docs(dev)[0] if dev.is_file() else docs[1:]
    if len(shown) < shots:
        fix = "lower suites.shots, or add the folder dev"
        raise DataError(f"{shots} demonstrations for mmlu's {subject}", f"{len(shown)}", fix)
    name = f"mmlu_{subject}"
    splits = {"test": docs, "dev": shown} if dev.is_file() else {"test": docs}
    overrides = {"num_fewshot": shots} | ({} if dev.is_file() else {"fewshot_split": "test"})
    return HarnessTask(name, f"mmlu/default/{name}.yaml", splits, asked, overrides)


def _mean(name: str, values: Sequence[float], config: Config) -> Interval:
    if name in SHARES:
        return share([value > 0.5 for value in values], config)
    return bootstrap_mean(values, config.evaluation.bootstrap, config.run.seed, bounds_of(name))


def _truthful_values(sample: Sample) -> dict[str, float]:
    if sample.task == "truthfulqa_mc1":
        return {"mc1": sample.metrics["acc"]}
    third = mc3([likelihood for likelihood, _ in sample.responses], sample.doc["mc2_targets"]["labels"])
    return {"mc2": sample.metrics["acc"], "mc3": third}


def mc3(likelihoods: Sequence[float], labels: Sequence[int]) -> float:
    """The share of true answers that are likelier than every false one (TruthfulQA's code; lm-eval has no such metric).

    >>> mc3([-1.0, -3.0, -2.0], labels=[1, 1, 0])
    0.5
    """
    best_false = max(value for value, label in zip(likelihoods, labels, strict=True) if not label)
    true = [value for value, label in zip(likelihoods, labels, strict=True) if label]
    return sum(value > best_false for value in true) / len(true)


def _mmlu_values(sample: Sample) -> dict[str, float]:
    """The mean is over all questions, so that a subject counts by its size, as in lm-eval's group."""
    return {"accuracy": sample.metrics["acc"]}


def _gsm8k_values(sample: Sample) -> dict[str, float]:
    return {FILTERS[sample.filter]: sample.metrics["exact_match"]}


def _limited(rows: Iterator[Row], limit: int | None) -> list[Row]:
    return _take(list(rows), limit, lambda row: row.text("question"))


def _take(rows: list[Any], limit: int | None, text: Callable[[Any], str]) -> list[Any]:
    """At most `limit` rows, in their order; which ones depends on their texts alone. Raises DataError if there are none."""
    if not rows:
        raise DataError("questions in a suite's data", "none", "download the data again")
    kept = set(sorted(range(len(rows)), key=lambda at: stable_fraction(text(rows[at])))[:limit])
    return [row for at, row in enumerate(rows) if at in kept]


def all_docs(suite: HarnessSuite) -> list[Any]:
    """Everything that the suite reads, which identifies it."""
    return [[task.name, dict(task.splits), task.asked, dict(task.overrides)] for task in suite.tasks]


def questions(suite: HarnessSuite) -> int:
    """How many different questions are asked: tasks may share them."""
    return len(set().union(*(task.questions for task in suite.tasks)))
