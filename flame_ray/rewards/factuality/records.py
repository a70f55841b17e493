"""Turns rows of responses into tasks of the factuality reward, and its scores into the records of `flame-ray score`."""

from collections.abc import Sequence
from typing import Any

from flame_ray.config import ScoreConfig
from flame_ray.rewards.factuality.reward import Task
from flame_ray.rewards.factuality.scores import f_at_of, factscore_of, wilson
from flame_ray.storage.jsonl import Row
from flame_ray.types import FactScore, Missing, Passage, Prompt, Response, ResponseId, Verdict, VerdictLabel

TEXT_WORDS = 300  # given texts are joined up to this length: a sentence without its neighbours supports too little
FORMAT = 7  # of a record; a file of records in another format is not resumed


def task_of(row: Row) -> Task:
    """The task of a row with `prompt` and `response`. Raises DataError.

    A column `evidence` (a list of texts) replaces retrieval. A column `finish_reason` that says `length` marks a response that
    was cut: its last fragment is not scored.
    """
    prompt, response = row.text("prompt"), row.text("response", blank=True)
    name = f"line-{row.number}"
    reason = "length" if row.columns.get("finish_reason") == "length" else "stop"
    given = passages_of(row.texts("evidence")) if "evidence" in row.columns else None
    return Task(Prompt(name, prompt), Response(ResponseId(0, name, 0), response, (), (), reason, 0), given)


def passages_of(texts: Sequence[str]) -> tuple[Passage, ...]:
    """Given evidence as passages, in which neighbouring texts are joined, a line each, up to TEXT_WORDS words.

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


def record_of(row: Row, result: FactScore | Missing, config: ScoreConfig) -> dict[str, Any]:
    """The columns of the row and the findings of the reward. A column whose name is taken is kept as `input.<name>`.

    `sentences` are those of the response; `verifiable` is false for one that states nothing that evidence could decide. The
    `sentence` of a fact is an index into them, from 0, and `relevant` says whether the fact answers the prompt. `interval` is
    Wilson's 95 % interval of `precision`. `factscore` (precision with FActScore's length penalty) and `f1_at_k` are lower for a
    response that says little, and null where facts on which the checker failed might raise them (`failed` counts those; no
    other count has them). When no fact counts, `f1_at_k` is 0 and the other three are null. `missing` says why the reward
    failed; then every count is null, as a failed reward is not 0.
    """
    record = {"line": row.number} | findings(result, config)
    columns = {}
    for name, value in row.columns.items():
        while name in record or name in columns:
            name = f"input.{name}"
        columns[name] = value
    return {"line": row.number} | columns | record


def findings(result: FactScore | Missing, config: ScoreConfig) -> dict[str, Any]:
    """What a record says of a response, as JSON values; see `record_of`."""
    score = result if isinstance(result, FactScore) else None
    return {
        "sentences": [{"text": each.text, "verifiable": each.verifiable} for each in score.sentences_S] if score else [],
        "facts": [_fact(verdict) for verdict in score.verdicts] if score else [],
        "evidence": [{"id": each.id, "title": each.title, "text": each.text} for each in result.passages_K],
        "supported": score.supported if score else None,
        "relevant_supported": score.relevant_supported if score else None,
        "contradicted": score.contradicted if score else None,
        "not_found": score.not_found if score else None,
        "says_nothing": score.count(VerdictLabel.SAYS_NOTHING) if score else None,
        "failed": score.failed if score else None,
        "counted": score.counted if score else None,
        "precision": score.precision if score else None,
        "interval": list(wilson(score.supported, score.counted)) if score and score.counted else None,
        "factscore": factscore_of(score, config.gamma) if score else None,
        "f1_at_k": f_at_of(score, config.recall_at, 1.0) if score else None,
        "abstained": score.abstained if score else None,
        "missing": result.reason if isinstance(result, Missing) else None,
    }


def _fact(verdict: Verdict) -> dict[str, Any]:
    """One fact of a record. Its score is null if the checker failed on it."""
    failed = verdict.label is VerdictLabel.ERROR
    return {
        "text": verdict.fact.text,
        "sentence": verdict.fact.sentence,
        "verdict": verdict.label.value,
        "score": None if failed else verdict.score,
        "passage_id": verdict.passage_id,
        "relevant": verdict.relevant,
    }
