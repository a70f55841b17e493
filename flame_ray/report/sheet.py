"""Writes the sheet of an audit, which shows no round and no verdict: as a page that works offline, as JSONL, and as CSV."""

import csv
import io
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from flame_ray.evaluation.audit.labels import FLAGS
from flame_ray.shown import escaped, printable
from flame_ray.types import Passage

TO_FILL = ("label", *FLAGS)
CSV_COLUMNS = ("id", "prompt", "response", "sentence", "fact", *TO_FILL, "evidence", "run")
CELL = 32_000  # characters; spreadsheets cut longer cells
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with these a spreadsheet takes a text for a formula


@dataclass(frozen=True, slots=True)
class Item:
    """One fact as its readers see it."""

    id: str
    prompt: str
    response: str
    sentence: str  # of the response, from which the fact is; empty if it is not known
    fact: str
    evidence_K: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The facts of a run that people shall read, in the order of reading."""

    id: str
    run: str
    items: tuple[Item, ...]


def sheet_files(sheet: Sheet) -> dict[str, str]:
    """The content of each file of a sheet, by its name."""
    return {"sheet.html": page(sheet), "sheet.jsonl": jsonl(sheet), "sheet.csv": table(sheet)}


def jsonl(sheet: Sheet) -> str:
    """One JSON object a fact, with its evidence and the columns that readers fill."""
    return "".join(json.dumps(_row(sheet, item), ensure_ascii=False) + "\n" for item in sheet.items)


def table(sheet: Sheet) -> str:
    """A CSV table for spreadsheets. A byte order mark says that it is UTF-8; no text of a model acts as a formula."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, CSV_COLUMNS)
    writer.writeheader()
    for item in sheet.items:
        evidence = "\n\n".join(f"{each.title}\n{each.text}" for each in item.evidence_K)
        row = _row(sheet, item) | {"evidence": evidence}
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return f"\ufeff{out.getvalue()}"


def page(sheet: Sheet) -> str:
    """One HTML page with everything in it. Texts are data of the page, and its policy allows no script but its own."""
    template = files("flame_ray.report").joinpath("sheet.html").read_text(encoding="utf-8")
    passages = list(dict.fromkeys((each.title, each.text) for item in sheet.items for each in item.evidence_K))
    places = {passage: place for place, passage in enumerate(passages)}
    data = {
        "sheet": sheet.id,
        "run": sheet.run,
        "passages": [(_visible(title), _visible(text)) for title, text in passages],
        "items": [
            {
                "id": item.id,
                "prompt": _visible(item.prompt),
                "response": _visible(item.response),
                "sentence": _visible(item.sentence),
                "fact": _visible(item.fact),
                "evidence": [places[each.title, each.text] for each in item.evidence_K],
            }
            for item in sheet.items
        ],
    }
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")  # no text can end the script that holds it
    return template.replace("@@NONCE@@", sheet.id).replace("@@DATA@@", text)


def _row(sheet: Sheet, item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "prompt": item.prompt,
        "response": item.response,
        "sentence": item.sentence,
        "fact": item.fact,
        **dict.fromkeys(TO_FILL),
        "evidence": [{"title": each.title, "text": each.text} for each in item.evidence_K],
        "run": sheet.run,
    }


def _cell(value: str | None) -> str:
    """As JSON spells control codes out by itself, so does a cell, for who prints the table on a terminal."""
    text = value or ""
    text = escaped(f"'{text}" if text.startswith(FORMULA) else text, keep="\t\n")
    return text if len(text) <= CELL else f"{text[:CELL]} [cut; sheet.html has all of it]"


def _visible(text: str) -> str:
    """Text whose control codes are spelled out, line by line."""
    return "\n".join(printable(line) for line in text.splitlines())
