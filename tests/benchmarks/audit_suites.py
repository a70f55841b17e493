"""Lets readers label facts of the answers that models gave to a suite, blind to model and verdict, and says what they found.

    python -m tests.benchmarks.audit_suites draw OUT NAME=ANSWERS NAME=ANSWERS [--facts 150] [--corpus factbook]
    python -m tests.benchmarks.audit_suites read OUT LABELS [LABELS ...]

ANSWERS is the answers.jsonl that `flame-ray evaluate` wrote. The first model is what the others are compared with. OUT/readers
is for the readers; OUT/key.json, which tells model and verdict, is not. As in `flame-ray audit`, the evidence is that of the
checker and the whole record of the country.
"""

# ruff: noqa: T201
import argparse
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from flame_ray.commands.audit import BOOTSTRAP, with_records
from flame_ray.evaluation.audit.draw import HeldOutFact, draw
from flame_ray.evaluation.audit.estimate import ReadFact, audit_rounds
from flame_ray.evaluation.audit.labels import read_labels, reader_names
from flame_ray.evaluation.audit.readers import agreements
from flame_ray.report.sheet import Item, Sheet, sheet_files
from flame_ray.types import Interval, Passage, VerdictLabel

Rows = list[dict]
RUN, SHEET = "suites", "facts"
LEFT_OUT = (VerdictLabel.ERROR, VerdictLabel.SAYS_NOTHING)


def facts_of(model: int, rows: Rows) -> list[HeldOutFact]:
    """The facts of a model's answers that count, or that are not found; `round` is the model's place."""
    return [
        HeldOutFact(
            model, row["id"], f"{model}/{row['id']}", place, fact["text"], fact["sentence"], VerdictLabel(fact["verdict"])
        )
        for row in rows
        for place, fact in enumerate(row["facts"])
        if VerdictLabel(fact["verdict"]) not in LEFT_OUT
    ]


def item(id: str, fact: HeldOutFact, row: dict) -> Item:
    passages = tuple(Passage(each["id"], each["title"], each["text"]) for each in row["evidence"])
    return Item(id, row["prompt"], row["response"], row["sentences"][fact.sentence]["text"], fact.text, passages)


def draw_sheet(out: Path, named: dict[str, Rows], per_model: int, corpus: str) -> None:
    by_id = [{row["id"]: row for row in rows} for rows in named.values()]
    all_facts = [fact for model, rows in enumerate(named.values()) for fact in facts_of(model, rows)]
    drawn = {f"{SHEET}-{place:04d}": fact for place, fact in enumerate(draw(all_facts, per_model, seed=0), start=1)}
    items = [item(id, fact, by_id[fact.round][fact.prompt_id]) for id, fact in drawn.items()]
    items = with_records(items, {"corpus": corpus, "title_column": "title", "text_column": "text"})
    (out / "readers").mkdir(parents=True)
    for name, text in sheet_files(Sheet(SHEET, RUN, tuple(items))).items():
        (out / "readers" / name).write_text(text, encoding="utf-8")
    answered = [sum(row["supported"] is not None for row in rows) for rows in named.values()]
    key = {
        "models": list(named),
        "answered": answered,
        "drawn": {id: asdict(fact) for id, fact in drawn.items()},
        "facts": [asdict(fact) for fact in all_facts],
    }
    (out / "key.json").write_text(json.dumps(key), encoding="utf-8")
    print(f"{len(drawn)} facts of {len(named)} models: {dict(Counter(fact.round for fact in drawn.values()))}")


def read_back(out: Path, paths: list[Path]) -> None:
    key = json.loads((out / "key.json").read_text(encoding="utf-8"))
    drawn = {id: _fact(row) for id, row in key["drawn"].items()}
    readers = [read_labels(path, name, SHEET, RUN, drawn) for path, name in zip(paths, reader_names(paths), strict=True)]
    read = [
        ReadFact(fact, tuple(reader.answers[id] for reader in readers if id in reader.answers)) for id, fact in drawn.items()
    ]
    read = [each for each in read if any(answer.label for answer in each.answers)]
    found = audit_rounds([_fact(row) for row in key["facts"]], read, dict(enumerate(key["answered"])), BOOTSTRAP)
    for audit in found:
        print(f"\n{key['models'][audit.round]}: {audit.facts} facts of {audit.prompts} prompts")
        for name, value in asdict(audit).items():
            if isinstance(value, dict):
                print(f"  {name:24} {_shown(Interval(**value))}")
    for each in agreements(readers):
        print(f"{each.readers[0]} and {each.readers[1]}, {each.column}: {each.share}, kappa {each.kappa}, n {each.n}")


def _fact(row: dict) -> HeldOutFact:
    return HeldOutFact(**row | {"verdict": VerdictLabel(row["verdict"])})


def _shown(value: Interval) -> str:
    if value.mean is None or value.low is None or value.high is None:
        return f"{value.mean} n {value.n}"
    return f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}] n {value.n}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("draw", "read"))
    parser.add_argument("out", type=Path)
    parser.add_argument("given", nargs="+")
    parser.add_argument("--facts", type=int, default=150, help="of each model")
    parser.add_argument("--corpus", default="factbook")
    asked = parser.parse_args()
    if asked.what == "read":
        return read_back(asked.out, [Path(each) for each in asked.given])
    named = dict(each.split("=", 1) for each in asked.given)
    # By line feeds alone: an answer may hold other signs that end a line.
    read = {name: [json.loads(line) for line in Path(path).read_text().split("\n") if line] for name, path in named.items()}
    draw_sheet(asked.out, read, asked.facts, asked.corpus)


if __name__ == "__main__":
    main()
