"""Turns round reports into the entries of summary.json and into the closing table on the screen."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flame_ray.config import Config
from flame_ray.shown import printable
from flame_ray.types import (
    FACTUALITY,
    INSTRUCTION,
    Evaluation,
    Interval,
    MetricIntervals,
    PairCounts,
    RoundReport,
    Selection,
    SftReport,
    ShownCounts,
    TrainingReport,
)

ROUNDS_ABREAST = 3
EVALUATION_METRICS = {  # name -> heading in the closing table; the table leaves F@K out
    "factual_precision": "factual precision",
    "correct_facts": "correct facts",
    "relevant_facts": "relevant correct facts",
    "erroneous_facts": "erroneous facts",
    "f_at_k": "F@K",
    "abstention_rate": "abstentions",
    "instruction_score": "instruction score",
    "response_tokens": "tokens",
}


def round_summary(report: RoundReport, timings: dict[str, float]) -> dict[str, Any]:
    """One entry of `rounds` in summary.json. Round 0 has no pairs and no training, and a skipped one no training."""
    summary: dict[str, Any] = {"round": report.round, "evaluation": evaluation_summary(report.evaluation)}
    if report.is_skipped:
        summary["skipped"] = "no pairs"
    if (pairs := report.pairs) is not None:
        summary["pairs"] = {INSTRUCTION: 0, FACTUALITY: 0} | pairs.by_kind | {"dropped": pairs.dropped}
        summary["samples"] = {
            "responses": pairs.responses,
            "truncated": pairs.truncated,
            "truncated_share": truncated_share(pairs),
        }
    if (training := report.training) is not None:
        summary["training"] = {
            "loss": training.loss,
            **training.metrics,
            "steps": training.steps,
            "pairs": training.examples,
            "tokens": training.tokens,
            "reference": training.reference,
            **_seconds(training),
        }
    if report.change is not None:
        summary["change"] = metrics_summary(report.change)
    if report.selection is not None and report.development is not None:
        summary["development"] = evaluation_summary(report.development)
        summary["selection"] = _selection(report.selection)
    return summary | {"timings": timings, "weight_version": report.weight_version}


def sft_summary(report: SftReport, left_out: Mapping[str, int], shown: ShownCounts | None = None) -> dict[str, Any]:
    """summary.json of a supervised fine-tuning, beside how it ended. `left_out`: of the sources, by reason.

    `shown`: what the model was shown when it answered itself; None if it did not.
    """
    training = report.training
    return {
        "model": report.model,
        "seeds": {"instructions": report.seeds, "fact_based": report.fact_based},
        "elicited": asdict(report.elicited) | ({"shown": asdict(shown)} if shown else {}),
        "examples": {"by_source": training.by_source, "tokens_by_source": training.tokens_by_source},
        "left_out": {**left_out, "too long": training.too_long},
        "training": {
            "loss": training.report.loss,
            "steps": training.report.steps,
            "examples": training.report.examples,
            "tokens": training.report.tokens,
            "loss_by_step": list(training.report.step_losses),
            **_seconds(training.report),
        },
    }


def _seconds(training: TrainingReport) -> dict[str, float]:
    """Where they were counted."""
    return {} if training.seconds is None else {"seconds": training.seconds}


def print_sft_table(console: Console, report: SftReport) -> None:
    """Print what was learned, by its source."""
    training = report.training
    table = Table(title="Answers that were learned")
    for heading in ("source", "answers", "tokens"):
        table.add_column(heading, justify="left" if heading == "source" else "right")
    for source, count in training.by_source.items():
        table.add_row(Text(printable(source)), f"{count:,}", f"{training.tokens_by_source[source]:,}")
    console.print(table)
    words = f"{training.report.steps} steps, mean loss {training.report.loss:.3f} nats a token"
    console.print(words, highlight=False, markup=False)


def truncated_share(pairs: PairCounts) -> float | None:
    """The share of a round's responses that the token limit cut off."""
    return pairs.truncated / pairs.responses if pairs.responses else None


def _selection(selection: Selection) -> dict[str, Any]:
    """`change`: of the metric that decides, paired by prompt, from the best round before."""
    return {
        "best_round": selection.best,
        "next_round_starts_from": selection.restart,
        "rolled_back": selection.rolled_back,
        "abstains_too_often": selection.abstains_too_often,
        "value": interval_summary(selection.value),
        "change": interval_summary(selection.change) if selection.change else None,
    }


def delivered_summary(selection: Selection, config: Config) -> dict[str, Any]:
    """What best.json says of the round that it delivers, beside its number and the names of its models.

    `policy` is the initial model: an adapter belongs on it, and it is itself what round 0 delivers.
    """
    metric: dict[str, Any] = {"metric": config.run.select_by, "on": "development prompts"}
    if config.run.select_by == "f_at_k":
        metric |= {"recall_at": config.evaluation.recall_at, "recall_weight": config.evaluation.recall_weight}
    chosen = _selection(selection)
    return metric | {"value": chosen["value"], "change": chosen["change"], "policy": config.model.policy}


def interval_summary(interval: Interval) -> dict[str, Any]:
    return {"mean": interval.mean, "ci95": [interval.low, interval.high], "n": interval.n}


def evaluation_summary(evaluation: Evaluation) -> dict[str, Any]:
    """The metrics, with the number of prompts, of rewards that failed, and of facts on which the checker did."""
    failed = {"failed_facts": evaluation.failed_facts} if evaluation.failed_facts else {}
    return metrics_summary(evaluation) | {"prompts": evaluation.prompts, "missing_rewards": evaluation.missing} | failed


def metrics_summary(metrics: MetricIntervals) -> dict[str, Any]:
    """The mean of each metric under its name; `ci95` and `n` hold intervals and sample sizes under the same names."""
    intervals: dict[str, Interval] = {name: getattr(metrics, name) for name in EVALUATION_METRICS}
    return {
        **{name: interval.mean for name, interval in intervals.items()},
        "ci95": {name: [interval.low, interval.high] for name, interval in intervals.items()},
        "n": {name: interval.n for name, interval in intervals.items()},
    }


def interval_of(found: Mapping[str, Any], name: str) -> Interval:
    """A metric of a `metrics_summary` that was read back."""
    low, high = found["ci95"][name]
    return Interval(found[name], low, high, found["n"][name])


def print_closing_table(console: Console, rounds: list[RoundReport]) -> None:
    """Print the held-out metrics of each round, and under each its paired change from round 0, with 95 % bootstrap intervals.

    Rounds stand side by side, ROUNDS_ABREAST in a table, so that it fits a terminal of 100 columns.
    """
    for start in range(0, len(rounds), ROUNDS_ABREAST):
        console.print(_closing_table(rounds[start : start + ROUNDS_ABREAST]))


def _closing_table(rounds: Sequence[RoundReport]) -> Table:
    table = Table(title="Held-out prompts, greedy answers; mean [95 % bootstrap interval]")
    table.add_column()
    for report in rounds:
        table.add_column(f"round {report.round}{', skipped' if report.is_skipped else ''}", justify="right")
    is_changed = any(report.change is not None for report in rounds)
    for name, heading in EVALUATION_METRICS.items():
        if name != "f_at_k":
            table.add_row(
                heading, *(interval_text(getattr(report.evaluation, name)) for report in rounds), end_section=not is_changed
            )
            if is_changed:
                changes = ["" if each.change is None else interval_text(getattr(each.change, name), "+") for each in rounds]
                table.add_row("  change", *changes, end_section=True)
    if is_changed:
        table.caption = "Change: from round 0, paired by prompt, over the prompts scored in both rounds"
    return table


def interval_text(interval: Interval, sign: str = "") -> str:
    if interval.mean is None:
        return "-"
    if interval.low is None or interval.high is None:
        return number(interval.mean, sign)
    return f"{number(interval.mean, sign)} [{number(interval.low)}, {number(interval.high)}]"


def number(value: float, sign: str = "") -> str:
    """Two decimals, one from 10 on: summary.json has all of them.

    >>> number(0.3333, "+"), number(-45.12)
    ('+0.33', '-45.1')
    """
    return f"{value:{sign}.{1 if abs(value) >= 10 else 2}f}"
