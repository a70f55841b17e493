"""Shows a scored response with its facts on the screen: supported facts in green, all others in red.

What a model wrote must not act on the screen. Its markup, its control codes for the terminal and its signs that change the
direction of the text are shown as plain characters.
"""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flame_ray.shown import printable


def record_table(record: dict[str, Any]) -> RenderableType:
    """One record of `flame-ray score`: its score, its prompt, and its facts with verdicts and the passages that decided."""
    head = Text(f"line {record['line']}  {_score(record)}", style="bold")
    parts: list[RenderableType] = [head, Text(printable(record["prompt"]), style="dim")]
    if record["facts"]:
        parts.append(_facts_table(record))
    if empty := sum(not sentence["verifiable"] for sentence in record["sentences"]):
        parts.append(Text(f"{empty} of {len(record['sentences'])} sentences had nothing to verify", style="dim"))
    return Group(*parts, "")


def _facts_table(record: dict[str, Any]) -> Table:
    titles = {passage["id"]: passage["title"] for passage in record["evidence"]}
    table = Table(show_edge=False, pad_edge=False, box=None)
    for title in ("verdict", "score", "fact", "evidence"):
        table.add_column(title, justify="right" if title == "score" else "left", overflow="fold")
    for fact in record["facts"]:
        colour = {"supported": "green", "says_nothing": "dim"}.get(fact["verdict"], "red")
        score = "-" if fact["score"] is None else f"{fact['score']:.2f}"
        passage = fact["passage_id"] or "-"
        place = f"{titles[passage]}: {passage}" if titles.get(passage) else passage
        cells = (fact["verdict"].replace("_", " "), score, printable(fact["text"]), printable(place))
        table.add_row(*(Text(cell, style=colour) for cell in cells))
    return table


def _score(record: dict[str, Any]) -> str:
    if record["missing"] is not None:
        return f"missing: {printable(record['missing'])}"
    if record["abstained"]:
        return "abstains: states nothing checkable"
    if record["precision"] is None:
        return "no fact counts"
    low, high = record["interval"]
    share = f"{record['supported']} of {record['counted']} facts supported"
    if record["relevant_supported"] < record["supported"]:
        share += f", {record['relevant_supported']} of them relevant"
    return f"precision {record['precision']:.2f} [{low:.2f}, {high:.2f}], {share}"
