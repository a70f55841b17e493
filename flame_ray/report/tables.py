"""Records -> rows of the journal's Parquet tables, one flat dictionary a row. Pure."""

from collections.abc import Sequence
from typing import Any

from flame_ray.types import Evaluation, FactScore, JudgeScore, Missing, PairSet, Prompt, Response, ScoredResponse

Rows = list[dict[str, Any]]


def prompt_rows(prompts_P: Sequence[Prompt]) -> Rows:
    return [
        {"prompt_id": p.id, "text": p.text, "split": str(p.split), "label": p.label, "fact_based": p.fact_based}
        for p in prompts_P
    ]


def response_rows(scored_PG: Sequence[ScoredResponse]) -> Rows:
    """One row a response, with both rewards; a missing reward is null, with its reason beside it."""
    return [_response(scored.response) | _judge(scored.judge) | _fact(scored.fact) for scored in scored_PG]


def sentence_rows(scored_PG: Sequence[ScoredResponse]) -> Rows:
    """One row a sentence of a response that was checked, and whether it states something that evidence could decide."""
    return [
        {"response_id": str(scored.response.id), "sentence": place, "text": each.text, "verifiable": each.verifiable}
        for scored in scored_PG
        for place, each in enumerate(scored.audit.sentences_S if scored.audit else ())
    ]


def evidence_rows(scored_PG: Sequence[ScoredResponse]) -> Rows:
    """One row for each passage of a prompt's evidence: what its responses were checked on."""
    found = {
        (scored.response.id.prompt_id, passage)
        for scored in scored_PG
        for passage in (scored.audit.passages_K if scored.audit else ())
    }
    return [
        {"prompt_id": prompt_id, "passage_id": passage.id, "title": passage.title, "text": passage.text}
        for prompt_id, passage in sorted(found, key=lambda each: (each[0], each[1].id))
    ]


def fact_rows(scored_PG: Sequence[ScoredResponse]) -> Rows:
    """One row a fact, with its verdict and the passage that decided: what a person needs to audit a reward."""
    return [
        {
            "response_id": str(scored.response.id),
            "fact": verdict.fact.text,
            "sentence": verdict.fact.sentence,
            "verdict": str(verdict.label),
            "score": verdict.score,
            "passage_id": verdict.passage_id,
        }
        for scored in scored_PG
        if isinstance(scored.fact, FactScore)
        for verdict in scored.fact.verdicts
    ]


def pair_rows(pairs: PairSet) -> Rows:
    return [
        {
            "kind": str(pair.kind),
            "prompt_id": pair.prompt_id,
            "chosen_id": str(pair.chosen.id),
            "rejected_id": str(pair.rejected.id),
            "chosen_score": pair.chosen_score,
            "rejected_score": pair.rejected_score,
            "chosen": pair.chosen.text,
            "rejected": pair.rejected.text,
        }
        for pair in pairs.pairs_D
    ]


def evaluation_line(evaluation: Evaluation) -> str:
    """One line for the screen."""
    precision, correct, wrong = evaluation.factual_precision, evaluation.correct_facts, evaluation.erroneous_facts
    missing = f"; {evaluation.missing} rewards missing" if evaluation.missing else ""
    if precision.mean is None:
        return f"no fact was scored on {evaluation.prompts} prompts{missing}"
    interval = "" if precision.low is None else f" [{precision.low:.3f}, {precision.high:.3f}]"
    return (
        f"precision {precision.mean:.3f}{interval} (n {precision.n}), "
        f"{correct.mean:.2f} correct and {wrong.mean:.2f} erroneous facts a response{missing}"
    )


def _response(response: Response) -> dict[str, Any]:
    return {
        "response_id": str(response.id),
        "prompt_id": response.id.prompt_id,
        "round": response.id.round,
        "index": response.id.index,
        "text": response.text,
        "prompt_token_ids": list(response.prompt_token_ids),
        "token_ids": list(response.token_ids),
        "logprobs": list(response.logprobs),
        "finish_reason": response.finish_reason,
        "weight_version": response.weight_version,
    }


def _judge(judge: JudgeScore | Missing) -> dict[str, Any]:
    if isinstance(judge, Missing):
        return {"instruction_score": None, "instruction_missing": judge.reason}
    return {"instruction_score": judge.value, "instruction_missing": None}


def _fact(fact: FactScore | Missing | None) -> dict[str, Any]:
    counts = {"precision": None, "supported": None, "contradicted": None, "not_found": None, "fact_missing": None}
    if isinstance(fact, Missing):
        return counts | {"fact_missing": fact.reason}
    if fact is None:
        return counts
    return counts | {
        "precision": fact.precision,
        "supported": fact.supported,
        "contradicted": fact.contradicted,
        "not_found": fact.not_found,
    }
