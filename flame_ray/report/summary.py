"""Turns round reports into the entries of summary.json and into the closing table on the screen."""

from typing import Any

from rich.console import Console
from rich.table import Table

from flame_ray.config import Config
from flame_ray.types import FACTUALITY, INSTRUCTION, Evaluation, Interval, MetricIntervals, RoundReport, Selection

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
    """One entry of `rounds` in summary.json. Round 0 has no pairs and no training."""
    summary: dict[str, Any] = {"round": report.round, "evaluation": evaluation_summary(report.evaluation)}
    if report.pairs is not None and report.training is not None:
        kinds = dict.fromkeys((INSTRUCTION, FACTUALITY, *(pair.kind for pair in report.pairs.pairs_D)))
        pairs = report.pairs
        summary["pairs"] = {kind: pairs.count(kind) for kind in kinds} | {"dropped": pairs.dropped}
        summary["samples"] = {
            "responses": pairs.responses,
            "truncated": pairs.truncated,
            "truncated_share": pairs.truncated_share,
        }
        training = report.training
        summary["training"] = {
            "loss": training.loss,
            **training.metrics,
            "steps": training.steps,
            "pairs": training.examples,
            "tokens": training.tokens,
        }
    if report.change is not None:
        summary["change"] = metrics_summary(report.change)
    if report.selection is not None and report.development is not None:
        summary["development"] = evaluation_summary(report.development)
        summary["selection"] = _selection(report.selection)
    return summary | {"timings": timings, "weight_version": report.weight_version}


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
    """The metrics, with the number of prompts and of rewards that failed."""
    return metrics_summary(evaluation) | {"prompts": evaluation.prompts, "missing_rewards": evaluation.missing}


def metrics_summary(metrics: MetricIntervals) -> dict[str, Any]:
    """The mean of each metric under its name; `ci95` and `n` hold intervals and sample sizes under the same names."""
    intervals: dict[str, Interval] = {name: getattr(metrics, name) for name in EVALUATION_METRICS}
    return {
        **{name: interval.mean for name, interval in intervals.items()},
        "ci95": {name: [interval.low, interval.high] for name, interval in intervals.items()},
        "n": {name: interval.n for name, interval in intervals.items()},
    }


def print_closing_table(console: Console, rounds: list[RoundReport]) -> None:
    """Print the held-out metrics of each round, then their paired changes from round 0, with 95 % bootstrap intervals."""
    columns = [name for name in EVALUATION_METRICS if name != "f_at_k"]
    table = Table(title="Held-out prompts, greedy answers; mean [95 % bootstrap interval]")
    table.add_column("round", justify="right")
    for name in columns:
        table.add_column(EVALUATION_METRICS[name], justify="right")
    for report in rounds:
        table.add_row(str(report.round), *(_cell(getattr(report.evaluation, name)) for name in columns))
    changes = [(report.round, report.change) for report in rounds if report.change is not None]
    if changes:
        table.add_section()
        table.caption = "Below the line: the change from round 0, paired by prompt, over the prompts scored in both rounds"
    for round, change in changes:
        table.add_row(f"{round} - 0", *(_cell(getattr(change, name), "+") for name in columns))
    console.print(table)
    for report in rounds:
        if report.selection is not None:
            console.print(_selection_line(report.selection), highlight=False, soft_wrap=True)


def _selection_line(selection: Selection) -> str:
    """The development score of a round, and what became of the round."""
    fate = f", rolled back to round {selection.restart}" if selection.rolled_back else ""
    value = f"development score {_cell(selection.value)} (n {selection.value.n})"
    return f"round {selection.round}: {value}{fate}; best so far: round {selection.best}"


def _cell(interval: Interval, sign: str = "") -> str:
    if interval.mean is None:
        return "-"
    mean = f"{interval.mean:{sign}.3g}"
    if interval.low is None or interval.high is None:
        return mean
    return f"{mean} [{interval.low:.3g}, {interval.high:.3g}]"
