"""`flame-ray audit`: draws facts of a run's held-out answers for people to read, and says what their labels show.

The sheet hides round and verdict. The key that tells them lies apart from it: `audit/<sheet>/` is for the readers,
`audit/keys/` is not. No file that exists is written again, so that nobody's labels are lost.
"""

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from flame_ray.errors import ConfigError, DataError
from flame_ray.evaluation.audit.draw import HeldOutFact, draw
from flame_ray.evaluation.audit.estimate import ReadFact, audit_rounds
from flame_ray.evaluation.audit.labels import Reader, read_labels, reader_names, sheet_of
from flame_ray.evaluation.audit.readers import ReaderAgreement, agreements
from flame_ray.evaluation.clusters import ClusterBootstrap
from flame_ray.journal.held_out import HeldOutTables
from flame_ray.journal.run_folder import SUMMARY, RunFolder, find_run
from flame_ray.journal.telemetry import audit_text
from flame_ray.report.audit import print_audit, round_findings
from flame_ray.report.sheet import Item, Sheet, sheet_files
from flame_ray.rewards.factuality.corpus import read_corpus
from flame_ray.shown import say
from flame_ray.storage.atomic import sha256_of
from flame_ray.types import Passage, VerdictLabel

KEYS, RESULT, FIGURES = "audit/keys", "audit/result.json", "audit/audit.prom"
AUDITED = "the run to audit"
BOOTSTRAP = ClusterBootstrap(resamples=2000, seed=0)


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """How to draw. `rounds`: `all`, or names of rounds, such as `first,last` or `0,2`."""

    facts_per_round: int = 200
    rounds: str = "first,last"
    seed: int = 0
    whole_records: bool = False  # show what the corpus has under the same title, beside the passages that the run retrieved


def audit(run: str, labels: list[Path], drawing: dict[str, Any], tables: Console) -> None:
    """Draws a sheet, or reads labels of one. `drawing`: the fields of a DrawRequest that were given, which labels exclude."""
    if not labels:
        draw_sheet(run, DrawRequest(**drawing), tables)
    elif drawing:
        found = ", ".join(f"--{name.replace('_', '-')}" for name in drawing)
        raise ConfigError("--labels alone: the sheet is drawn already", f"also {found}", "leave out one or the other")
    else:
        read_back(run, labels, tables)


def draw_sheet(run: str, request: DrawRequest, tables: Console) -> str:
    """Writes a sheet and its key, unless they are there, and returns its id. Prints the findings of an earlier audit."""
    folder = find_run(run, AUDITED)
    held_out = HeldOutTables(folder)
    rounds = _rounds(request.rounds, held_out.rounds)
    drawn = draw([fact for round in rounds for fact in held_out.facts(round)], request.facts_per_round, request.seed)
    about = {"run": held_out.run_id, "settings": asdict(request)}
    sheet = _digest(about | {"facts": [asdict(fact) for fact in drawn]})
    facts = {f"{sheet}-{number:0{len(str(len(drawn)))}}": fact for number, fact in enumerate(drawn, start=1)}
    items = [held_out.item(id, fact) for id, fact in facts.items()]
    if request.whole_records:
        items = with_records(items, folder.settings()["factuality"])
    key = about | {"rows": [{"id": id} | asdict(fact) for id, fact in facts.items()]}
    _write_once(folder, sheet_files(Sheet(sheet, held_out.run_id, tuple(items))), f"audit/{sheet}")
    _write_once(folder, {f"{sheet}.json": json.dumps(key, indent=1, ensure_ascii=False) + "\n"}, KEYS)
    _say(tables, f"sheet {sheet}: {len(drawn)} facts of the rounds {', '.join(map(str, rounds))} of {held_out.run_id}")
    _say(tables, f"for the readers: {folder.storage.at(f'audit/{sheet}')} (sheet.html; or sheet.csv, sheet.jsonl)")
    _say(tables, f"not for them, since it tells the rounds and the verdicts: {folder.storage.at(KEYS)}")
    _say(tables, f"then: flame-ray audit {run} --labels <file of a reader>")
    if audit := folder.read_json(RESULT, None):
        print_audit(tables, audit)
    return sheet


def _digest(value: dict[str, Any]) -> str:
    """The id of a sheet: another draw or run has another one. Its letter keeps spreadsheets from taking it for a number."""
    return f"s{hashlib.sha256(json.dumps(value).encode()).hexdigest()[:8]}"


def _write_once(folder: RunFolder, texts: dict[str, str], place: str) -> None:
    """Writes what is not there yet: an existing file may hold labels."""
    for name, text in texts.items():
        if not folder.storage.exists(f"{place}/{name}"):
            folder.write_text(f"{place}/{name}", text)


def with_records(items: list[Item], factuality: dict[str, Any]) -> list[Item]:
    """The same facts with the rest of the records that they are about: titles that have half of their passages or more."""
    titles = {title for item in items for title in _subjects(item)}
    records: dict[str, list[Passage]] = defaultdict(list)
    for passage in read_corpus(factuality["corpus"], factuality["title_column"], factuality["text_column"]):
        if passage.title in titles:
            records[passage.title].append(passage)
    return [replace(item, evidence_K=_with(item, records)) for item in items]


def _with(item: Item, records: dict[str, list[Passage]]) -> tuple[Passage, ...]:
    more = [passage for title in _subjects(item) for passage in records[title]]
    return tuple({(each.title, each.text): each for each in (*item.evidence_K, *more)}.values())


def _subjects(item: Item) -> list[str]:
    counts = Counter(passage.title for passage in item.evidence_K)
    return [title for title, count in counts.items() if 2 * count >= len(item.evidence_K)]


def read_back(run: str, paths: list[Path], tables: Console) -> dict[str, Any]:
    """The findings, which are printed, and stored: in audit/, also for Prometheus, and in summary.json.

    Raises DataError for bad labels.
    """
    folder = find_run(run, AUDITED)
    held_out = HeldOutTables(folder)
    sheet, key = _key(folder, held_out.run_id, paths[0])
    names = reader_names(paths)
    readers = [read_labels(path, name, sheet, held_out.run_id, key.keys()) for path, name in zip(paths, names, strict=True)]
    _check_distinct(paths)
    about = [_about(reader, path) for reader, path in zip(readers, paths, strict=True)]
    found = {"run": held_out.run_id, "sheet": sheet, "readers": about} | _findings(held_out, folder.summary(), key, readers)
    folder.write_json(RESULT, found)
    folder.write_text(FIGURES, audit_text(found))
    folder.write_json(SUMMARY, folder.summary() | {"audit": found})
    print_audit(tables, found)
    _say(tables, f"written to {folder.storage.at(RESULT)}")
    return found


def _findings(
    held_out: HeldOutTables, summary: dict[str, Any], key: dict[str, HeldOutFact], readers: list[Reader]
) -> dict[str, Any]:
    """What the labels of all readers show: of each round, of each two readers, and what is still open."""
    rounds = sorted({fact.round for fact in key.values()})
    facts = [fact for round in rounds for fact in held_out.facts(round)]
    answered = {round: held_out.answered(round) for round in rounds}
    audits = audit_rounds(facts, _read_facts(key, readers), answered, BOOTSTRAP)
    own = {each["round"]: each["evaluation"] for each in summary["rounds"]}
    agreement = agreements(readers)
    return {
        "rounds": [round_findings(each, own[each.round], held_out.left_out(each.round)) for each in audits],
        "agreement": [asdict(each) for each in agreement],
        "notes": _notes(readers, agreement, rounds, [each.round for each in audits]),
    }


def _rounds(words: str, existing: list[int]) -> list[int]:
    """The rounds that an option names."""
    if words.strip() == "all":
        return existing
    names = {str(round): round for round in existing} | {"first": existing[0], "last": existing[-1]}
    asked = [word.strip() for word in words.split(",")]
    if unknown := [word for word in asked if word not in names]:
        has = ", ".join(map(str, existing))
        raise ConfigError("--rounds all, or rounds such as first,last", f"{unknown[0]!r}", f"choose among the rounds {has}")
    return sorted({names[word] for word in asked})


def _key(folder: RunFolder, run_id: str, path: Path) -> tuple[str, dict[str, HeldOutFact]]:
    """The sheet that a file of labels belongs to, and the facts behind its rows."""
    sheet, where = sheet_of(path)
    name = f"{KEYS}/{sheet}.json"
    if not sheet or "/" in sheet or not folder.storage.exists(name):
        known = [each.rpartition("/")[2].removesuffix(".json") for each in folder.storage.names(KEYS)]
        has = f"whose sheets are {', '.join(known)}" if known else "which has none yet"
        fix = "give the run that the sheet was drawn from; the first row of the file names it in `run`"
        raise DataError(f"labels of a sheet of {run_id}, {has}", f"{where}: a row of {sheet or 'no sheet'}", fix)
    rows = json.loads(folder.storage.read(name))["rows"]
    return sheet, {row["id"]: _fact(row) for row in rows}


def _fact(row: dict[str, Any]) -> HeldOutFact:
    columns = {name: value for name, value in row.items() if name not in ("id", "verdict")}
    return HeldOutFact(**columns, verdict=VerdictLabel(row["verdict"]))


def _check_distinct(paths: list[Path]) -> None:
    """Raises DataError for one file given twice: a reader always agrees with their own labels."""
    seen: dict[str, Path] = {}
    for path in paths:
        if (other := seen.setdefault(sha256_of(path), path)) is not path:
            raise DataError("a file of each reader", f"{other} and {path} with the same content", "give each file once")


def _read_facts(key: dict[str, HeldOutFact], readers: list[Reader]) -> list[ReadFact]:
    """The facts that have a label, each with the answers of all its readers."""
    answers = {id: tuple(reader.answers[id] for reader in readers if id in reader.answers) for id in key}
    return [ReadFact(key[id], given) for id, given in answers.items() if any(answer.label for answer in given)]


def _about(reader: Reader, path: Path) -> dict[str, Any]:
    labelled = sum(answer.label is not None for answer in reader.answers.values())
    return {"name": reader.name, "file": str(path), "sha256": sha256_of(path), "labels": labelled}


def _notes(readers: list[Reader], agreement: list[ReaderAgreement], drawn: list[int], read: list[int]) -> list[str]:
    """What is open, and what to do about it."""
    notes = [f"{note}; they do not count there: fill them, and give the file again" for r in readers for note in r.notes]
    notes += [
        f"{' and '.join(each.readers)} labelled no fact in common: let both label some, and their agreement can be told"
        for each in agreement
        if not each.n
    ]
    missing = [round for round in drawn if round not in read]
    return notes + [f"no fact of round {round} has a label: go on reading" for round in missing]


def _say(console: Console, line: str) -> None:
    say(console, line)
