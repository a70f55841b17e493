"""Records of scored responses -> tables for a screen: supported facts in green, all others in red. Pure.

What a model wrote is shown and never obeyed: no markup of the screen's library, no control code of the terminal, no sign
that turns the direction of the text.
"""

import unicodedata
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

COLOURS = {"supported": "green"}
WRONG = "red"
# Signs that reorder what stands around them (Unicode 9.0, annex 9), in which a false fact could look like a true one.
TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def shown(text: str) -> str:
    """Text with its control codes spelled out; line breaks become spaces.

    >>> shown("red: \\x1b[31m, bell: \\x07")
    'red: \\\\x1b[31m, bell: \\\\x07'
    """
    text = " ".join(text.split())
    return "".join(_spelled(char) if unicodedata.category(char) in ("Cc", "Cs") or char in TURNS else char for char in text)


def record_table(record: dict[str, Any]) -> RenderableType:
    """One response: its prompt, what it is worth, each fact with its verdict and the passage that decided, and how many
    sentences had nothing to verify.
    """
    head = Text(f"line {record['line']}  ", style="bold").append(Text(_worth(record), style="bold"))
    parts: list[RenderableType] = [head, Text(shown(record["prompt"]), style="dim")]
    if record["facts"]:
        parts.append(_facts(record))
    if empty := sum(not sentence["verifiable"] for sentence in record["sentences"]):
        parts.append(Text(f"{empty} of {len(record['sentences'])} sentences had nothing to verify", style="dim"))
    return Group(*parts, "")


def _facts(record: dict[str, Any]) -> Table:
    titles = {passage["id"]: passage["title"] for passage in record["evidence"]}
    table = Table(show_edge=False, pad_edge=False, box=None)
    for title in ("verdict", "score", "fact", "evidence"):
        table.add_column(title, justify="right" if title == "score" else "left", overflow="fold")
    for fact in record["facts"]:
        colour = COLOURS.get(fact["verdict"], WRONG)
        score = "-" if fact["score"] is None else f"{fact['score']:.2f}"
        passage = fact["passage_id"] or "-"
        place = f"{titles[passage]}: {passage}" if titles.get(passage) else passage
        words = (fact["verdict"].replace("_", " "), score, shown(fact["text"]), shown(place))
        table.add_row(*(Text(word, style=colour) for word in words))
    return table


def _worth(record: dict[str, Any]) -> str:
    if record["missing"] is not None:
        return f"missing: {shown(record['missing'])}"
    if record["abstained"]:
        return "abstains: states nothing checkable"
    if record["precision"] is None:
        return "no fact counts"
    low, high = record["interval"]
    share = f"{record['supported']} of {record['counted']} facts supported"
    return f"precision {record['precision']:.2f} [{low:.2f}, {high:.2f}], {share}"


def _spelled(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"
