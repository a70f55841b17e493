"""Round reports -> the entries of summary.json and the closing table. Pure, but for printing."""

from typing import Any

from rich.console import Console
from rich.table import Table

from flame_ray.types import FACTUALITY, INSTRUCTION, Evaluation, Interval, RoundReport

COLUMNS = {
    "factual_precision": "factual precision",
    "correct_facts": "correct facts",
    "erroneous_facts": "erroneous facts",
    "abstention_rate": "abstentions",
    "instruction_score": "instruction score",
    "response_tokens": "tokens",
}


def round_summary(report: RoundReport, timings: dict[str, float]) -> dict[str, Any]:
    """One item of summary.json's `rounds`; round 0 has an evaluation and timings only."""
    summary: dict[str, Any] = {"round": report.round, "evaluation": evaluation_summary(report.evaluation)}
    if report.pairs is not None and report.training is not None:
        kinds = dict.fromkeys((INSTRUCTION, FACTUALITY, *(pair.kind for pair in report.pairs.pairs_D)))
        summary["pairs"] = {kind: report.pairs.count(kind) for kind in kinds} | {"dropped": report.pairs.dropped}
        training = report.training
        summary["training"] = {
            "loss": training.loss,
            **training.metrics,
            "steps": training.steps,
            "pairs": training.examples,
            "tokens": training.tokens,
        }
    return summary | {"timings": timings, "weight_version": report.weight_version}


def evaluation_summary(evaluation: Evaluation) -> dict[str, Any]:
    """Means by name, with `ci95` and `n` by the same names."""
    intervals: dict[str, Interval] = {name: getattr(evaluation, name) for name in COLUMNS}
    return {
        **{name: interval.mean for name, interval in intervals.items()},
        "prompts": evaluation.prompts,
        "missing_rewards": evaluation.missing,
        "ci95": {name: [interval.low, interval.high] for name, interval in intervals.items()},
        "n": {name: interval.n for name, interval in intervals.items()},
    }


def print_closing_table(console: Console, rounds: list[RoundReport]) -> None:
    """Held-out figures by round, each with its 95 % bootstrap interval."""
    table = Table(title="Held-out prompts, greedy answers; mean [95 % bootstrap interval]")
    table.add_column("round", justify="right")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    for report in rounds:
        table.add_row(str(report.round), *(_cell(getattr(report.evaluation, name)) for name in COLUMNS))
    console.print(table)


def _cell(interval: Interval) -> str:
    if interval.mean is None:
        return "-"
    if interval.low is None or interval.high is None:
        return f"{interval.mean:.3g}"
    return f"{interval.mean:.3g} [{interval.low:.3g}, {interval.high:.3g}]"
