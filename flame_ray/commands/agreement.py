"""`flame-ray agreement`: compares a checker, the whole factuality reward, or the judge with human labels.

The checker decides at its own threshold, which was set beforehand; nothing is fitted to the file.
"""

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from flame_ray.cluster.connect import check_address
from flame_ray.commands.factuality_pool import FactualityWorkers, StepCounter, factuality_workers
from flame_ray.commands.judge_pool import judged
from flame_ray.commands.out import check_out_file
from flame_ray.config import Config, FactualityConfig
from flame_ray.errors import DataError
from flame_ray.evaluation.agreement import ComparedClaim, ComparedResponse, claim_agreement, response_agreement
from flame_ray.evaluation.labels import HELPFUL, LabelledResponse, read_facts, read_preferences, read_responses
from flame_ray.evaluation.preferences import ComparedPair, preference_agreement
from flame_ray.report.agreement import claims_table, preferences_table, responses_table
from flame_ray.report.progress import Screen
from flame_ray.storage.atomic import write_file
from flame_ray.types import FactScore, Missing

AFTER_INTERRUPT = "run the command again"


def agreement_with(
    config: Config, labels: Path, kind: str, out: Path | None, console: Console, tables: Console
) -> dict[str, Any]:
    """The figures of a file of `kind` claims, responses or preferences. Raises DataError before anything starts if a line is
    malformed.
    """
    check_address(config.cluster)
    if out is not None:
        check_out_file(out)
    compare, table = KINDS[kind]
    found = compare(config, labels, Screen(console))
    tables.print(table(found))
    if out is not None:
        text = json.dumps({"kind": kind, "labels": str(labels), **found}, indent=1, allow_nan=False, ensure_ascii=False)
        write_file(out, f"{text}\n".encode(), "--out")
        console.print(f"written to {out}", highlight=False, markup=False, soft_wrap=True)
    return found


def _compare_claims(config: Config, path: Path, screen: Screen) -> dict[str, Any]:
    labelled = read_facts(path, corpus="corpus" in config.factuality.model_fields_set)
    if len({each.supported for each in labelled}) < 2:
        raise DataError("claims of both labels", f"one label in {path}", "add claims of the other one")
    retrieved = sum(each.task.given is None for each in labelled)
    counter = StepCounter(screen, "check", "claims", len(labelled))
    with factuality_workers(config, AFTER_INTERRUPT, screen, corpus=retrieved > 0) as workers, counter:
        verdicts = counter.count(workers.verdicts(each.task for each in labelled))
        scored = [ComparedClaim.of(*each) for each in zip(labelled, verdicts, strict=True)]
        about = _about(workers)
    about |= {"evidence": _evidence(config.factuality, retrieved, len(labelled))}
    return about | claim_agreement(scored, config.run.seed, config.evaluation.bootstrap)


def _compare_responses(config: Config, path: Path, screen: Screen) -> dict[str, Any]:
    given = "corpus" in config.factuality.model_fields_set
    labelled = read_responses(path, corpus=given)
    needs_corpus = any(each.task.given is None for each in labelled)
    counter = StepCounter(screen, "score", "responses", len(labelled))
    with factuality_workers(config, AFTER_INTERRUPT, screen, needs_corpus) as workers, counter:
        results = counter.count(workers.scores((each, each.task) for each in labelled))
        scored = [_compared_response(*each) for each in results]
        about = _about(workers)
    return about | response_agreement(scored, config.run.seed, config.evaluation.bootstrap)


def _compare_preferences(config: Config, path: Path, screen: Screen) -> dict[str, Any]:
    labelled = read_preferences(path)
    if all(each.first_wins == HELPFUL["tie"] for each in labelled):
        raise DataError("pairs that are no ties", f"only ties in {path}", "add pairs of which one side is more helpful")
    counter = StepCounter(screen, "judge", "pairs", len(labelled))
    with judged(config, AFTER_INTERRUPT, screen, (each.pair for each in labelled)) as results, counter:
        compared = [ComparedPair.of(*each) for each in zip(labelled, counter.count(results), strict=True)]
    about = {"judge": {name: getattr(config.judge, name) for name in ("backend", "model", "samples")}}
    return about | preference_agreement(compared, config.run.seed, config.evaluation.bootstrap, config.pairs.min_judge_gap)


def _about(workers: FactualityWorkers) -> dict[str, Any]:
    threshold, identity = workers.described()
    return {"checker": identity, "threshold": threshold}


def _evidence(config: FactualityConfig, retrieved: int, claims: int) -> dict[str, Any]:
    """How many claims brought their evidence, for how many it was retrieved, and how."""
    names = ("corpus", "retriever", "query", "retrieve", "keep", "reranker")
    how = {name: getattr(config, name) for name in names} if retrieved else {}
    return {"given": claims - retrieved, "retrieved": retrieved, **how}


def _compared_response(labelled: LabelledResponse, score: FactScore | Missing) -> ComparedResponse:
    task = labelled.task
    return ComparedResponse(
        task.prompt.text,
        labelled.system,
        len(task.response.text.split()),
        labelled.supported,
        labelled.unsupported,
        score.precision if isinstance(score, FactScore) else None,
        score.unsupported if isinstance(score, FactScore) else 0,
        missing=not isinstance(score, FactScore),
    )


KINDS = {
    "claims": (_compare_claims, claims_table),
    "responses": (_compare_responses, responses_table),
    "preferences": (_compare_preferences, preferences_table),
}
