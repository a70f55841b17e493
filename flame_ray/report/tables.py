"""Turns records into the rows of a run's Parquet tables; a row is a flat dictionary."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from flame_ray.prompts.classify import accuracy
from flame_ray.rewards.factuality.scores import wilson
from flame_ray.types import (
    FACTUALITY,
    Evaluation,
    FactScore,
    Graded,
    Interval,
    Missing,
    Pair,
    Prompt,
    Response,
    RewardResult,
    Score,
    ScoredResponse,
    Selection,
    TrainingReport,
    VerdictLabel,
)

Rows = list[dict[str, Any]]
TEXT, WHOLE, REAL, FLAG, TOKENS = pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.list_(pa.int64())
PROMPTS = pa.schema({"prompt_id": TEXT, "text": TEXT, "split": TEXT, "label": FLAG, "fact_based": FLAG})
PAIRS = pa.schema(
    {"kind": TEXT, "prompt_id": TEXT, "chosen_id": TEXT, "rejected_id": TEXT}
    | {"chosen_score": REAL, "rejected_score": REAL, "fact_gap": REAL, "flipped": FLAG, "chosen": TEXT, "rejected": TEXT}
)
GRADED = pa.schema({"kind": TEXT, "prompt_id": TEXT, "response_id": TEXT, "reward": REAL, "advantage": REAL, "text": TEXT})
SENTENCES = pa.schema({"response_id": TEXT, "sentence": WHOLE, "text": TEXT, "verifiable": FLAG})
FACTS = pa.schema(
    {"response_id": TEXT, "fact": TEXT, "sentence": WHOLE, "verdict": TEXT}
    | {"score": REAL, "passage_id": TEXT, "relevant": FLAG}
)
EVIDENCE = pa.schema({"prompt_id": TEXT, "passage_id": TEXT, "title": TEXT, "text": TEXT})


@dataclass(frozen=True)
class ResponseTable:
    """A table about scored responses: its columns, and what a few prompts' responses add to it."""

    name: str
    columns: pa.Schema
    rows: Callable[[Sequence[ScoredResponse]], Rows]


def response_tables(rewards: Sequence[str]) -> tuple[ResponseTable, ...]:
    """All of them. `rewards`: the names of those that any response has."""
    return (
        ResponseTable("responses", response_columns(rewards), lambda scored_PG: response_rows(scored_PG, rewards)),
        ResponseTable("sentences", SENTENCES, sentence_rows),
        ResponseTable("facts", FACTS, fact_rows),
        ResponseTable("evidence", EVIDENCE, evidence_rows),
    )


def reward_names(scored_PG: Iterable[ScoredResponse]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for scored in scored_PG for name in scored.rewards))


def prompt_rows(prompts_P: Sequence[Prompt]) -> Rows:
    return [
        {"prompt_id": p.id, "text": p.text, "split": str(p.split), "label": p.label, "fact_based": p.fact_based}
        for p in prompts_P
    ]


def response_columns(rewards: Sequence[str]) -> pa.Schema:
    response = {"response_id": TEXT, "prompt_id": TEXT, "round": WHOLE, "index": WHOLE, "text": TEXT}
    tokens = {"prompt_token_ids": TOKENS, "token_ids": TOKENS}
    made = {"finish_reason": TEXT, "weight_version": WHOLE}
    scores = {f"{name}_{of}": type for name in _single(rewards) for of, type in (("score", REAL), ("missing", TEXT))}
    counts = dict.fromkeys(("supported", "relevant_supported", "contradicted", "not_found", "says_nothing"), WHOLE)
    return pa.schema(response | tokens | made | scores | {"precision": REAL} | counts | {"fact_missing": TEXT})


def response_rows(scored_PG: Sequence[ScoredResponse], rewards: Sequence[str]) -> Rows:
    """One row a response, with these rewards. A missing reward is null, and the column beside it has the reason."""
    return [
        _response(scored.response)
        | {column: value for name in _single(rewards) for column, value in _score(name, scored.rewards.get(name)).items()}
        | _facts(scored.rewards.get(FACTUALITY))
        for scored in scored_PG
    ]


def sentence_rows(scored_PG: Sequence[ScoredResponse]) -> Rows:
    """One row a sentence of each response with a factuality score."""
    return [
        {"response_id": str(score.response_id), "sentence": place, "text": each.text, "verifiable": each.verifiable}
        for score in _fact_scores(scored_PG)
        for place, each in enumerate(score.sentences_S)
    ]


def evidence_rows(scored_PG: Sequence[ScoredResponse]) -> Rows:
    """One row a passage that responses to a prompt were checked against."""
    results = [result for scored in scored_PG if isinstance(result := scored.rewards.get(FACTUALITY), FactScore | Missing)]
    found = {(result.response_id.prompt_id, passage) for result in results for passage in result.passages_K}
    return [
        {"prompt_id": prompt_id, "passage_id": passage.id, "title": passage.title, "text": passage.text}
        for prompt_id, passage in sorted(found, key=lambda each: (each[0], each[1].id))
    ]


def fact_rows(scored_PG: Sequence[ScoredResponse]) -> Rows:
    """One row a fact with its verdict and the passage that decided, so that a person can audit the reward."""
    return [
        {
            "response_id": str(score.response_id),
            "fact": verdict.fact.text,
            "sentence": verdict.fact.sentence,
            "verdict": str(verdict.label),
            "score": verdict.score,
            "passage_id": verdict.passage_id,
            "relevant": verdict.relevant,
        }
        for score in _fact_scores(scored_PG)
        for verdict in score.verdicts
    ]


def pair_rows(pairs_D: Sequence[Pair]) -> Rows:
    return [
        {
            "kind": pair.kind,
            "prompt_id": pair.prompt_id,
            "chosen_id": str(pair.chosen.id),
            "rejected_id": str(pair.rejected.id),
            "chosen_score": pair.chosen_score,
            "rejected_score": pair.rejected_score,
            "fact_gap": pair.fact_gap,
            "flipped": pair.flipped,
            "chosen": pair.chosen.text,
            "rejected": pair.rejected.text,
        }
        for pair in pairs_D
    ]


def graded_rows(graded_D: Sequence[Graded]) -> Rows:
    return [
        {
            "kind": each.kind,
            "prompt_id": each.prompt_id,
            "response_id": str(each.response.id),
            "reward": each.reward,
            "advantage": each.advantage,
            "text": each.response.text,
        }
        for each in graded_D
    ]


def evaluation_line(evaluation: Evaluation) -> str:
    """The evaluation as one line for the screen."""
    precision, correct, wrong = evaluation.factual_precision, evaluation.correct_facts, evaluation.erroneous_facts
    missing = f"; {evaluation.missing} rewards missing" if evaluation.missing else ""
    missing += f"; the checker failed on {evaluation.failed_facts} facts" if evaluation.failed_facts else ""
    if precision.mean is None:
        return f"no fact was scored on {evaluation.prompts} prompts{missing}"
    share = f"precision {precision.mean:.3f}{_bounds(precision, 3)} (n {precision.n})"
    if correct.mean is None:  # the checker failed on some fact of every answer
        return f"{share}{missing}"
    relevant = f" ({evaluation.relevant_facts.mean:.2f} relevant)"
    right = f"{correct.mean:.2f}{_bounds(correct, 2)} correct{relevant}"
    return f"{share}, {right} and {wrong.mean:.2f} erroneous facts a response{missing}"


def _bounds(interval: Interval, digits: int) -> str:
    return "" if interval.low is None else f" [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def selection_line(selection: Selection) -> str:
    """What was chosen after a round, as one line for the screen."""
    value, change = selection.value, selection.change
    score = "no development score" if value.mean is None else f"development score {value.mean:.3f}{_bounds(value, 3)}"
    if change is None:
        return f"{score}: round {selection.round} is the best so far"
    if change.mean is not None:
        score += f", {change.mean:+.3f}{_bounds(change, 3)} from the best before"
    if selection.best == selection.round:
        return f"{score}: round {selection.round} is the best so far"
    abstains = "; it abstains too often" if selection.abstains_too_often else ""
    if selection.rolled_back:
        return f"{score}{abstains}: rolled back to round {selection.best}"
    return f"{score}{abstains}: round {selection.best} stays the best"


def classified_line(prompts_P: Sequence[Prompt]) -> str:
    """How many prompts need facts and how far that agrees with their labels, as one line for the screen."""
    found, fact_based = accuracy(prompts_P), sum(bool(prompt.fact_based) for prompt in prompts_P)
    line = f"{fact_based} of {len(prompts_P)} prompts need facts"
    if not found.labelled:
        return line
    agrees = f"agrees with {found.correct} of {found.labelled} labels ({_share(found.correct, found.labelled)})"
    precision, recall = _share(found.right_yes, found.said_yes), _share(found.right_yes, found.labelled_yes)
    return f"{line}; {agrees}; precision {precision} (n {found.said_yes}), recall {recall} (n {found.labelled_yes})"


def _share(count: int, of: int) -> str:
    """`97.5% [92.9, 99.1]`, with Wilson's interval."""
    if not of:
        return "-"
    low, high = wilson(count, of)
    return f"{count / of:.1%} [{low:.1%}, {high:.1%}]".replace("%,", ",").replace("%]", "]")


def training_line(report: TrainingReport) -> str:
    """One line for the screen."""
    accuracy = f", accuracy {report.metrics['accuracy']:.2f}" if "accuracy" in report.metrics else ""
    return f"{report.steps} steps, loss {report.loss:.3f}{accuracy}"


def _response(response: Response) -> dict[str, Any]:
    return {
        "response_id": str(response.id),
        "prompt_id": response.id.prompt_id,
        "round": response.id.round,
        "index": response.id.index,
        "text": response.text,
        "prompt_token_ids": list(response.prompt_token_ids),
        "token_ids": list(response.token_ids),
        "finish_reason": response.finish_reason,
        "weight_version": response.weight_version,
    }


def _single(rewards: Sequence[str]) -> list[str]:
    """The rewards that are one number a response."""
    return [name for name in rewards if name != FACTUALITY]


def _fact_scores(scored_PG: Sequence[ScoredResponse]) -> list[FactScore]:
    return [score for scored in scored_PG if isinstance(score := scored.rewards.get(FACTUALITY), FactScore)]


def _score(name: str, result: RewardResult | None) -> dict[str, Any]:
    return {f"{name}_score": result.value if isinstance(result, Score) else None, f"{name}_missing": _reason(result)}


def _facts(result: RewardResult | None) -> dict[str, Any]:
    score = result if isinstance(result, FactScore) else None
    columns = ("precision", "supported", "relevant_supported", "contradicted", "not_found")
    says_nothing = score.count(VerdictLabel.SAYS_NOTHING) if score else None
    counts = {name: getattr(score, name, None) for name in columns}
    return counts | {"says_nothing": says_nothing, "fact_missing": _reason(result)}


def _reason(result: RewardResult | None) -> str | None:
    return result.reason if isinstance(result, Missing) else None
