"""Reads files of human labels: claims that are supported or not, responses with counts of facts, preferred responses, and texts
that are fact-based or not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from flame_ray.errors import DataError
from flame_ray.prompts.load import LABELS as FACT_BASED
from flame_ray.rewards.factuality.records import passages_of, task_of
from flame_ray.rewards.factuality.reward import FactTask, Task
from flame_ray.rewards.judge.rubric import MAX_POINTS, parse_score
from flame_ray.storage.jsonl import Row, read_jsonl
from flame_ray.types import Claim, Fact, Group, LabelledClaim, Prompt, Response, ResponseId

LABELS = {"supported": True, "not_supported": False, "contradicted": False, "not_found": False}  # -> supported or not
HELPFUL = {"a": 1.0, "b": 0.0, "tie": 0.5}  # -> how much better the first response is
Labelled = TypeVar("Labelled")


@dataclass(frozen=True, slots=True)
class LabelledFact:
    """A fact and whether people call it supported. `group`: what it is reported with, such as its data set."""

    task: FactTask
    supported: bool
    group: str | None


@dataclass(frozen=True, slots=True)
class LabelledResponse:
    """A response of a system, and how many of its facts people call supported and unsupported."""

    task: Task
    system: str
    supported: int
    unsupported: int


@dataclass(frozen=True, slots=True)
class Preference:
    """Two responses to a prompt, and which of them people find more helpful: 1 the first one, 0 the second, 0.5 neither."""

    pair: Group
    first_wins: float
    group: str | None


@dataclass(frozen=True, slots=True)
class LabelledText:
    """An instruction or a sentence, and whether people say that it needs or carries factual knowledge."""

    text: str
    fact_based: bool
    group: str | None


@dataclass(frozen=True, slots=True)
class LabelledJudgement:
    """A response to an instruction with a person's grade for it, in points of the rubric, and the reasons."""

    instruction: str
    response: str
    rationale: str
    score: float


def read_claims(path: Path) -> list[LabelledClaim]:
    """Every claim of a JSONL file. Raises DataError, naming the line; also if there is none."""
    return _read(path, claim_of)


def read_facts(path: Path, corpus: bool) -> list[LabelledFact]:
    """The same lines for a reward that retrieves: with a `corpus`, a line may have a prompt and no evidence."""
    return _read(path, lambda row: fact_of(row, corpus))


def read_responses(path: Path, corpus: bool) -> list[LabelledResponse]:
    """Every response of a JSONL file. Raises DataError, naming the line; also if there is none."""
    return _read(path, lambda row: response_of(row, corpus))


def read_preferences(path: Path) -> list[Preference]:
    """Every pair of a JSONL file. Raises DataError, naming the line; also if there is none."""
    return _read(path, preference_of)


def read_texts(path: Path, column: str) -> list[LabelledText]:
    """Every text of a JSONL file: `column`, `label` (true or false, yes or no), and optionally `group`.

    Raises DataError, naming the line; also if there is none.
    """
    return _read(path, lambda row: LabelledText(row.text(column), _is_fact_based(row), _group(row)))


def read_judgements(path: Path) -> list[LabelledJudgement]:
    """Every judgement of a JSONL file. Raises DataError, naming the line; also if there is none."""
    return _read(path, judgement_of)


def _read(path: Path, parse: Callable[[Row], Labelled]) -> list[Labelled]:
    labelled = [parse(row) for row in read_jsonl(path)]
    if not labelled:
        raise DataError("a file of labels", f"no line in {path}", "write one JSON object a line")
    return labelled


def claim_of(row: Row) -> LabelledClaim:
    """Columns `claim`, `evidence` (a list of texts), `label` (see LABELS), and optionally `group`."""
    claim = Claim(Fact(row.text("claim"), 0), passages_of(row.texts("evidence")))
    return LabelledClaim(claim, _label(row), _group(row))


def fact_of(row: Row, corpus: bool) -> LabelledFact:
    """Columns as in `claim_of`; if there is a `corpus`, `prompt` may take the place of `evidence`. Null counts as no column.

    Raises DataError, naming the line.
    """
    fact, given, prompt = Fact(row.text("claim"), 0), None, ""
    if row.columns.get("evidence") is not None:
        given = passages_of(row.texts("evidence"))
    elif row.columns.get("prompt") is None:
        expected = "`evidence` (a list of texts), or `prompt` with --corpus"
        raise DataError(expected, f"{row.where}: neither", "add one of the two columns to that line")
    elif not corpus:
        expected = "--corpus for a line with `prompt` and no `evidence`"
        raise DataError(expected, f"{row.where}: none", "name the corpus, as in --corpus factbook, or add `evidence`")
    else:
        prompt = row.text("prompt")
    return LabelledFact(FactTask(fact, prompt, given), _label(row), _group(row))


def _label(row: Row) -> bool:
    label = row.text("label")
    if label not in LABELS:
        raise row.unusable(f"`label` to be one of {', '.join(LABELS)}", label)
    return LABELS[label]


def _is_fact_based(row: Row) -> bool:
    label = str(row.columns.get("label")).strip().lower()
    if label not in FACT_BASED:
        raise row.unusable(f"`label` to be one of {', '.join(FACT_BASED)}", row.columns.get("label"))
    return FACT_BASED[label]


def _group(row: Row) -> str | None:
    return None if row.columns.get("group") is None else row.text("group")


def response_of(row: Row, corpus: bool) -> LabelledResponse:
    """Columns `prompt`, `response`, `system`, `supported`, `unsupported`, and `evidence` unless there is a `corpus`.

    Raises DataError, naming the line.
    """
    if not corpus and "evidence" not in row.columns:
        expected = "a column `evidence` (a list of texts), or --corpus"
        raise DataError(expected, f"{row.where}: neither", "give --corpus, or add the column")
    return LabelledResponse(task_of(row), row.text("system"), _count(row, "supported"), _count(row, "unsupported"))


def preference_of(row: Row) -> Preference:
    """Columns `prompt`, `a`, `b` (two responses), `helpful` (`a`, `b` or `tie`), and optionally `group`."""
    name, helpful = f"line-{row.number}", row.text("helpful")
    if helpful not in HELPFUL:
        raise row.unusable(f"`helpful` to be one of {', '.join(HELPFUL)}", helpful)
    texts = (row.text("a", blank=True), row.text("b", blank=True))
    responses_G = tuple(Response(ResponseId(0, name, i), text, (), (), "stop", 0) for i, text in enumerate(texts))
    return Preference(Group(Prompt(name, row.text("prompt")), responses_G), HELPFUL[helpful], _group(row))


def judgement_of(row: Row) -> LabelledJudgement:
    """Columns `prompt`, `response` (which may be empty), `rationale`, without the score, and `score`, 0 to 5."""
    score, rationale = row.columns.get("score"), row.text("rationale")
    if not isinstance(score, int | float) or isinstance(score, bool) or not 0 <= score <= MAX_POINTS:
        raise row.unusable(f"a score from 0 to {MAX_POINTS} in the column `score`", score)
    if parse_score(rationale) is not None:
        raise row.unusable("a rationale without its score, which the column `score` has", rationale[-40:])
    return LabelledJudgement(row.text("prompt"), row.text("response", blank=True), rationale, score)


def _count(row: Row, column: str) -> int:
    value = row.columns.get(column)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise row.unusable(f"a count of facts in the column `{column}`", value)
    return value
