"""`flame-ray agreement`: compares a checker, the whole factuality reward, the judge, or a classifier with human labels.

The checker decides at its own threshold, which was set beforehand; nothing is fitted to the file.
"""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console

from flame_ray.cluster.connect import check_address
from flame_ray.commands.factuality_pool import FactualityWorkers, factuality_workers
from flame_ray.commands.judge_pool import instruction_classifier, judged
from flame_ray.commands.out import check_out_file
from flame_ray.config import Config, FactualityConfig
from flame_ray.errors import ConfigError, DataError
from flame_ray.evaluation.agreement import ComparedClaim, ComparedResponse, claim_agreement, response_agreement
from flame_ray.evaluation.classification import ClassifiedText, classification_agreement
from flame_ray.evaluation.judgements import Judgements
from flame_ray.evaluation.labels import (
    HELPFUL,
    LabelledResponse,
    LabelledText,
    read_facts,
    read_preferences,
    read_responses,
    read_texts,
)
from flame_ray.evaluation.preferences import ComparedPair, preference_agreement
from flame_ray.prompts.embedding_classifier import EmbeddingClassifier, open_classifier, open_sentence_classifier
from flame_ray.report.agreement import claims_table, classification_table, preferences_table, responses_table
from flame_ray.report.progress import Screen
from flame_ray.shown import hide_secrets, say
from flame_ray.storage.atomic import write_file
from flame_ray.types import FactScore, Missing

AFTER_INTERRUPT = "run the command again"


def agreement_with(
    config: Config, labels: Path, kind: str, out: Path | None, console: Console, tables: Console
) -> dict[str, Any]:
    """The figures of a file of labels of this kind. Raises DataError before anything starts if a line is malformed."""
    check_address(config.cluster)
    if out is not None:
        check_out_file(out, {"--labels": labels})
    compare, table = KINDS[kind]
    found = compare(config, labels, Screen(console))
    tables.print(table(found))
    if out is not None:
        content = hide_secrets({"kind": kind, "labels": str(labels), **found})
        text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
        write_file(out, f"{text}\n".encode(), "--out")
        say(console, f"written to {out}")
    return found


def _compare_claims(config: Config, path: Path, screen: Screen) -> dict[str, Any]:
    labelled = read_facts(path, corpus="corpus" in config.factuality.model_fields_set)
    if len({each.supported for each in labelled}) < 2:
        raise DataError("claims of both labels", f"one label in {path}", "add claims of the other one")
    retrieved = sum(each.task.given is None for each in labelled)
    pool = factuality_workers(config, AFTER_INTERRUPT, screen, corpus=retrieved > 0)
    with pool as workers, closing(screen.begin("check")) as bar:
        verdicts = bar.counted(workers.verdicts(each.task for each in labelled), len(labelled))
        scored = [ComparedClaim.of(*each) for each in zip(labelled, verdicts, strict=True)]
        about = _about(workers)
    about |= {"evidence": _evidence(config.factuality, retrieved, len(labelled))}
    return about | claim_agreement(scored, config.run.seed, config.evaluation.bootstrap)


def _compare_responses(config: Config, path: Path, screen: Screen) -> dict[str, Any]:
    given = "corpus" in config.factuality.model_fields_set
    labelled = read_responses(path, corpus=given)
    needs_corpus = any(each.task.given is None for each in labelled)
    pool = factuality_workers(config, AFTER_INTERRUPT, screen, needs_corpus)
    with pool as workers, closing(screen.begin("score")) as bar:
        results = bar.counted(workers.scores((each, each.task) for each in labelled), len(labelled))
        scored = [_compared_response(*each) for each in results]
        about = _about(workers)
    return about | response_agreement(scored, config.run.seed, config.evaluation.bootstrap)


def _compare_preferences(config: Config, path: Path, screen: Screen) -> dict[str, Any]:
    labelled = read_preferences(path)
    if all(each.first_wins == HELPFUL["tie"] for each in labelled):
        raise DataError("pairs that are no ties", f"only ties in {path}", "add pairs of which one side is more helpful")
    judge = judged(config, AFTER_INTERRUPT, screen, (each.pair for each in labelled))
    with judge as results, closing(screen.begin("judge")) as bar:
        found = list(bar.counted(results, len(labelled)))
    compared = [ComparedPair.of(*each) for each in zip(labelled, found, strict=True)]
    judgements = Judgements()
    judgements.add(result for results_G in found for result in results_G)
    judgements.warn(str(path))
    about: dict[str, Any] = {"judge": {name: getattr(config.judge, name) for name in ("backend", "model", "samples")}}
    about["judgements"] = {"read": judgements.read, "unread": judgements.unread, "unread_share": judgements.share}
    return about | preference_agreement(compared, config.run.seed, config.evaluation.bootstrap, config.pairs.min_judge_gap)


def _compare_instructions(config: Config, path: Path, screen: Screen) -> dict[str, Any]:
    settings, labelled = config.classify, read_texts(path, "prompt")
    about: dict[str, Any] = {"texts": "instructions", "by": settings.by, "threshold": settings.threshold, "left_out": 0}
    if settings.by == "label":
        fix = "give --set classify.by=model, or embedding with classify.labels"
        raise ConfigError("a classifier to measure", "classify.by label, which trusts every label", fix)
    if settings.by == "embedding":
        return about | {"model": settings.embedder} | by_embedding(open_classifier(settings), labelled, settings.threshold)
    with instruction_classifier(config, AFTER_INTERRUPT, screen) as ask:
        found_P = ask([each.text for each in labelled])
    return about | {"model": config.judge.model or config.model.policy} | _classified(labelled, found_P, settings.threshold)


def by_embedding(classifier: EmbeddingClassifier, labelled: Sequence[LabelledText], threshold: float) -> dict[str, Any]:
    """The figures on the texts that the classifier was not trained on. Raises DataError if there is none."""
    unseen = [each for each in labelled if not classifier.was_trained_on(each.text)]
    if not unseen:
        found = f"all {len(labelled)} among its labels"
        raise DataError("texts that the classifier was not trained on", found, "name another file of labels")
    found_P = classifier.probabilities([each.text for each in unseen])
    return {"left_out": len(labelled) - len(unseen)} | _classified(unseen, found_P, threshold)


def _compare_sentences(config: Config, path: Path, screen: Screen) -> dict[str, Any]:
    labelled, config = read_texts(path, "sentence"), config.replaced("factuality", sentences="fact_based")
    factuality = config.factuality
    about: dict[str, Any] = {"texts": "sentences", "threshold": factuality.sentence_threshold, "left_out": 0}
    if factuality.sentence_labels:
        trained = by_embedding(open_sentence_classifier(factuality), labelled, factuality.sentence_threshold)
        return about | {"by": "embedding", "model": factuality.embedder} | trained
    pool = factuality_workers(config, AFTER_INTERRUPT, screen, corpus=False)
    with pool as workers, closing(screen.begin("classify")) as bar:
        probabilities = workers.sentence_probabilities(each.text for each in labelled)
        found_S = list(bar.counted(probabilities, len(labelled)))
    by = {"by": "model", "model": factuality.verifier_model or config.model.policy}
    return about | by | _classified(labelled, found_S, factuality.sentence_threshold)


def _classified(labelled: Sequence[LabelledText], found: Sequence[float], threshold: float) -> dict[str, Any]:
    texts = [ClassifiedText(each.fact_based, p, each.group) for each, p in zip(labelled, found, strict=True)]
    return classification_agreement(texts, threshold)


def _about(workers: FactualityWorkers) -> dict[str, Any]:
    threshold, identity = workers.described()
    return {"checker": identity, "threshold": threshold}


def _evidence(config: FactualityConfig, retrieved: int, claims: int) -> dict[str, Any]:
    """How many claims brought their evidence, for how many it was retrieved, and how."""
    names = ("corpus", "retriever", "query", "retrieve", "keep", "reranker")
    how = {name: getattr(config, name) for name in names} if retrieved else {}
    return {"given": claims - retrieved, "retrieved": retrieved, **how}


def _compared_response(labelled: LabelledResponse, score: FactScore | Missing) -> ComparedResponse:
    """Where the checker failed on some facts, the count of errors is unknown."""
    task = labelled.task
    return ComparedResponse(
        task.prompt.text,
        labelled.system,
        len(task.response.text.split()),
        labelled.supported,
        labelled.unsupported,
        score.precision if isinstance(score, FactScore) else None,
        score.unsupported if isinstance(score, FactScore) else 0,
        missing=not isinstance(score, FactScore) or score.failed > 0,
    )


KINDS = {
    "claims": (_compare_claims, claims_table),
    "responses": (_compare_responses, responses_table),
    "preferences": (_compare_preferences, preferences_table),
    "instructions": (_compare_instructions, classification_table),
    "sentences": (_compare_sentences, classification_table),
}
