"""Shows what people found in a run: as JSON values, and as tables with a column for each round."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flame_ray.evaluation.audit.estimate import RoundAudit
from flame_ray.report.summary import interval_text, number
from flame_ray.rewards.factuality.scores import wilson
from flame_ray.shown import printable
from flame_ray.types import Interval

ROWS = {  # finding -> its words in the table
    "own": "the run's own precision",
    "supported": "facts that people call supported",
    "precision": "precision, by people",
    "change": "  change from the first round",
    "debiased": "precision, verdicts corrected by people",
    "debiased_change": "  change from the first round",
    "sensitivity": "supported facts that the checker finds",
    "specificity": "other facts that the checker refuses",
    "left_out": "facts left out by the checker: they say nothing",
    "says_nothing": "other facts that say nothing",
    "unfaithful": "facts that distort the answer",
    "sound": "supported, say something, not distorted",
    "relevant": "facts that answer the instruction",
    "relevant_correct": "relevant correct facts a response",
    "relevant_correct_change": "  change from the first round",
}
COUNTED = (
    "supported",
    "sensitivity",
    "specificity",
    "left_out",
    "says_nothing",
    "unfaithful",
)  # findings whose numbers of facts the table shows
SIGNED = tuple(name for name in ROWS if name.endswith("change"))
COLUMNS = {
    "label": "label",
    "supported": "supported or not",
    "says_nothing": "says nothing",
    "faithful": "faithful",
    "relevant": "relevant",
}


def round_findings(audit: RoundAudit, own: dict[str, Any], left_out: tuple[int, int]) -> dict[str, Any]:
    """The findings of a round as JSON values. `own`: its evaluation in summary.json.

    `left_out`: how many facts the checker left out because they say nothing, and of how many.
    """
    found: dict[str, Any] = {field.name: _plain(getattr(audit, field.name)) for field in fields(audit)}
    name = "factual_precision"
    found["own"] = {"value": own[name], "ci95": own["ci95"][name], "n": own["n"][name]}
    empty, facts = left_out
    found["left_out"] = {"value": empty / facts, "ci95": list(wilson(empty, facts)), "n": facts} if facts else None
    return found


def print_audit(console: Console, audit: dict[str, Any]) -> None:
    """Print the findings for each round, then how far the readers agree, and what was left open."""
    console.print(_rounds_table(audit))
    if len(audit["readers"]) > 1:
        console.print(_agreement_table(audit["agreement"]))
    for note in audit["notes"]:
        console.print(f"note: {printable(note)}", highlight=False, markup=False, soft_wrap=True)


def _rounds_table(audit: dict[str, Any]) -> Table:
    rounds, readers = audit["rounds"], audit["readers"]
    names = ", ".join(printable(reader["name"]) for reader in readers)
    table = Table(title=Text(f"Audit of held-out facts, read by {names}; [95 % bootstrap interval over prompts]"))
    table.add_column("")
    for found in rounds:
        table.add_column(f"round {found['round']}", justify="right")
    table.add_row("facts read (of prompts)", *(f"{found['facts']} ({found['prompts']})" for found in rounds))
    for name, words in ROWS.items():
        if any(found[name] and found[name]["value"] is not None for found in rounds):
            table.add_row(words, *(finding_text(found[name], name) for found in rounds))
    return table


def _agreement_table(agreement: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="Agreement between readers, on the facts that both labelled")
    for heading in ("readers", "column", "facts", "same", "Cohen's kappa"):
        table.add_column(heading, justify="left" if heading in ("readers", "column") else "right")
    for each in agreement:
        figures = [number(each[name]) if each[name] is not None else "-" for name in ("share", "kappa")]
        readers = Text(" and ".join(map(printable, each["readers"])))
        table.add_row(readers, COLUMNS[each["column"]], str(each["n"]), *figures)
    return table


def _plain(value: Any) -> Any:
    if not isinstance(value, Interval):
        return value
    return {"value": value.mean, "ci95": [value.low, value.high], "n": value.n}


def finding_text(found: dict[str, Any] | None, name: str) -> str:
    if found is None or found["value"] is None:
        return "-"
    low, high = found["ci95"]
    text = interval_text(Interval(found["value"], low, high, found["n"]), "+" if name in SIGNED else "")
    return text + (f" (n {found['n']})" if name in COUNTED else "")
