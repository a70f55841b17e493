"""Shows the results of `flame-ray evaluate`: a table on the screen, and the files of a suite's folder."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from flame_ray.evaluation.suites.base import Answered, SuiteResult, Values
from flame_ray.report.summary import interval_summary
from flame_ray.shown import hide_secrets, printable
from flame_ray.types import Interval


def suites_table(model: str, results: Sequence[SuiteResult]) -> Table:
    """A row for each figure, with its interval and the number of values behind it."""
    table = Table(title=Text(f"{printable(model)}: mean [95 % bootstrap interval]"))
    for heading in ("suite", "figure", "value", "n"):
        table.add_column(heading, justify="left" if heading in ("suite", "figure") else "right")
    for result in results:
        for place, (name, interval) in enumerate(result.figures.items()):
            is_last = place == len(result.figures) - 1
            suite = f"{result.suite} ({result.prompts})" if place == 0 else ""
            table.add_row(suite, name, _cell(interval), str(interval.n), end_section=is_last)
    notes = [note for result in results if (note := result_note(result))]
    table.caption = Text("; ".join(notes)) if notes else None
    return table


def result_note(result: SuiteResult) -> str:
    """How many answers could not be scored, and why, and what else was counted; an empty text if there is nothing."""
    note = counted_note(result.missing or {}, result.noted or {})
    return printable(f"{result.suite} ({result.prompts} prompts): {note}") if note else ""


def counted_note(missing: Mapping[str, int], noted: Mapping[str, int]) -> str:
    """
    >>> counted_note({"worker lost": 2}, {"contexts cut": 1})
    'not scored and left out: 2 worker lost; 1 contexts cut'
    """
    left_out = [f"not scored and left out: {_counts(missing)}"] if missing else []
    return "; ".join(left_out + ([_counts(noted)] if noted else []))


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counted.items(), key=lambda each: -each[1]))


def result_content(result: SuiteResult, about: dict[str, Any]) -> dict[str, Any]:
    """The content of result.json, which names no password."""
    figures = {name: interval_summary(interval) for name, interval in result.figures.items()}
    counted = {"missing": result.missing or {}, "noted": result.noted or {}}
    content = {"suite": result.suite, "prompts": result.prompts, **counted, "figures": figures}
    return hide_secrets(content | about)


def result_of_content(content: dict[str, Any]) -> SuiteResult:
    """The result that such a content describes."""
    figures = {name: _interval(each) for name, each in content["figures"].items()}
    return SuiteResult(content["suite"], content["prompts"], figures, content["missing"], content.get("noted", {}))


def _interval(content: dict[str, Any]) -> Interval:
    low, high = content["ci95"]
    return Interval(content["mean"], low, high, content["n"])


def answer_row(answered: Answered, columns: dict[str, Any], values: Values) -> dict[str, Any]:
    """A line of answers.jsonl, for a person to read. `columns` are the measure's; figures are the means of `values`."""
    response = answered.response
    return {
        "id": answered.prompt.id,
        "prompt": answered.prompt.text,
        "response": response.text,
        "tokens": len(response.token_ids),
        "truncated": response.truncated,
        "values": dict(values),
    } | columns


def _cell(interval: Interval) -> str:
    """
    >>> _cell(Interval(mean=0.5, low=0.25, high=0.75, n=8)), _cell(Interval(None, None, None, 0))
    ('0.500 [0.250, 0.750]', '-')
    """
    if interval.mean is None:
        return "-"
    digits = 1 if abs(interval.mean) >= 20 else 3
    bounds = "" if interval.low is None else f" [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
    return f"{interval.mean:.{digits}f}{bounds}"
