"""Lines of JSONL -> tasks of the factuality reward, and its audits -> records that a person can check. Pure.

In: one line's bytes and where it stands. Out: a row, a DataError that names the file and the line, or a record for one
line of output. Knows nothing of files, actors or screens.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flame_ray.config import ScoreConfig
from flame_ray.errors import DataError
from flame_ray.rewards.factuality.reward import Task
from flame_ray.rewards.factuality.scores import f_at, length_penalty, wilson
from flame_ray.types import Audit, FactScore, Passage, Prompt, Response, ResponseId, Verdict, VerdictLabel

TEXT_WORDS = 300  # given texts are joined up to this: a sentence alone, without its neighbours, supports less than it should
FORMAT = 3  # of a record: one of another is never continued
FIX = "correct or remove that line"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of input: its number from 1, and all its columns."""

    number: int
    columns: dict[str, Any]


def parse_row(line: bytes, number: int, where: str) -> Row:
    """One JSON object in UTF-8; the first line may begin with a byte order mark. Raises DataError, also for what JSON cannot
    hold: NaN, a number beyond a double's, half of a surrogate pair.
    """
    where = f"{where}:{number}"
    try:
        columns = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"), parse_constant=_refuse)
        json.dumps(columns, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, a surrogate alone, nested too deeply
        raise DataError("one JSON object a line", f"{where}: {error}", FIX) from error
    if not isinstance(columns, dict):
        raise DataError("one JSON object a line", f"{where}: a {type(columns).__name__}", FIX)
    return Row(number, columns)


def text_of(row: Row, column: str, where: str, blank: bool = False) -> str:
    """A column that must hold text; `blank` says that it may be empty."""
    if column not in row.columns:
        names = ", ".join(row.columns) or "none"
        raise DataError(f"a column `{column}`", f"{where}:{row.number}: the columns {names}", FIX)
    value = row.columns[column]
    if not isinstance(value, str) or not (blank or value.strip()):
        raise DataError(f"text in the column `{column}`", f"{where}:{row.number}: {value!r:.80}", FIX)
    return value


def texts_of(row: Row, column: str, where: str) -> tuple[str, ...]:
    """A column that must hold a list of texts."""
    value = row.columns.get(column)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise DataError(f"a list of texts in the column `{column}`", f"{where}:{row.number}: {value!r:.80}", FIX)
    return tuple(value)


def task_of(row: Row, where: str) -> Task:
    """What the reward is asked: `prompt`, `response`, and `evidence` (a list of texts) in place of retrieval if it is there.

    A column `finish_reason` that says `length` tells of a response that was cut; its last fragment is not scored.
    """
    prompt, response = text_of(row, "prompt", where), text_of(row, "response", where, blank=True)
    name = f"line-{row.number}"
    reason = "length" if row.columns.get("finish_reason") == "length" else "stop"
    given = passages_of(texts_of(row, "evidence", where)) if "evidence" in row.columns else None
    return Task(Prompt(name, prompt), Response(ResponseId(0, name, 0), response, (), (), (), reason, 0), given)


def passages_of(texts: Sequence[str]) -> tuple[Passage, ...]:
    """Given evidence as passages: neighbouring texts joined, a line each, up to TEXT_WORDS words.

    >>> [passage.text for passage in passages_of(["He was born in Lima.", " ", "It is in Peru."])]
    ['He was born in Lima.\\nIt is in Peru.']
    """
    joined: list[list[str]] = []
    size = 0
    for text in texts:
        words = len(text.split())
        if words and joined and size + words <= TEXT_WORDS:
            joined[-1].append(text)
            size += words
        elif words:
            joined.append([text])
            size = words
    return tuple(Passage(f"given/{index}", "", "\n".join(lines)) for index, lines in enumerate(joined))


def record_of(row: Row, audit: Audit, config: ScoreConfig) -> dict[str, Any]:
    """The line's own columns, and what the reward found; a column of a name that is taken here is kept as `input.<name>`.

    `sentences` are those of the response, `verifiable` false where one states nothing that evidence could decide; a fact's
    `sentence` is an index into them, from 0. `interval` is Wilson's 95 % interval of `precision`; both are null when no fact
    counts, and so are `factscore`, precision with FActScore's length penalty, and `f1_at_k`, which both punish a response that
    says little. `missing` says why the reward failed, and then nothing is counted: a reward that failed is not 0.
    """
    record = {"line": row.number} | _found(audit, config)
    columns = {}
    for name, value in row.columns.items():
        while name in record or name in columns:
            name = f"input.{name}"
        columns[name] = value
    return {"line": row.number} | columns | record


def _found(audit: Audit, config: ScoreConfig) -> dict[str, Any]:
    score = audit.score if isinstance(audit.score, FactScore) else None
    return {
        "sentences": [{"text": each.text, "verifiable": each.verifiable} for each in audit.sentences_S],
        "facts": [_fact(verdict) for verdict in score.verdicts] if score else [],
        "evidence": [{"id": each.id, "title": each.title, "text": each.text} for each in audit.passages_K],
        "supported": score.supported if score else None,
        "contradicted": score.contradicted if score else None,
        "not_found": score.not_found if score else None,
        "failed": score.count(VerdictLabel.ERROR) if score else None,
        "counted": score.counted if score else None,
        "precision": score.precision if score else None,
        "interval": list(wilson(score.supported, score.counted)) if score and score.counted else None,
        **(_with_length(score, config) if score else dict.fromkeys(("factscore", "f1_at_k"))),
        "abstained": score.abstained if score else None,
        "missing": None if isinstance(audit.score, FactScore) else audit.score.reason,
    }


def _with_length(score: FactScore, config: ScoreConfig) -> dict[str, float | None]:
    if score.precision is None:
        return dict.fromkeys(("factscore", "f1_at_k"))
    return {
        "factscore": score.precision * length_penalty(score.counted, config.gamma),
        "f1_at_k": f_at(config.recall_at, 1.0, score.supported, score.counted),
    }


def _fact(verdict: Verdict) -> dict[str, Any]:
    """A fact on which the checker failed has no score."""
    failed = verdict.label is VerdictLabel.ERROR
    return {
        "text": verdict.fact.text,
        "sentence": verdict.fact.sentence,
        "verdict": verdict.label.value,
        "score": None if failed else verdict.score,
        "passage_id": verdict.passage_id,
    }


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
