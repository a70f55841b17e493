"""Measures flame-ray beside its peers on the same work, and prints the table: `make bench`.

    python -m tests.benchmarks.bench [--only ROW ...] [--quick] [--turns 3] [--out runs/bench]

The sides of a row take turns in one run, each in a process of its own. --quick does little work, once: it shows that all rows
run, and its figures mean nothing. The table, its JSON and the logs go to a folder of their own below --out.
"""

# ruff: noqa: T201
import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.bench import machine, render
from tests.benchmarks.bench.process import PEERS, REPOSITORY, Starter
from tests.benchmarks.bench.samples import Result, Row
from tests.benchmarks.bench.table import ROWS
from tests.benchmarks.bench.turns import Start, measure
from tests.benchmarks.bench.work import make_work

LEAST_TURNS = 3  # for a median with a spread


def measured(rows: Sequence[Row], turns: int, start: Start, busy: Callable[[], float]) -> Iterator[Result]:
    """The rows one after the other, with what others did on the machine before and after each."""
    for row in rows:
        before, began = busy(), time.monotonic()
        result = measure(row, row.turns or turns, start)
        yield replace(result, took_s=time.monotonic() - began, busy_before=before, busy_after=busy())


def write(out: Path, results: Sequence[Result], about: machine.Machine, is_quick: bool) -> None:
    """After each row, so that a bench that is stopped keeps what it has."""
    table = "\n".join((render.HEAD, *(render.markdown(result) for result in results), "", render.notes(results)))
    (out / "bench.md").write_text(table + "\n")
    (out / "bench.json").write_text(render.as_json(results, about, os.getloadavg(), is_quick))


def words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=sorted(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--turns", type=int, default=LEAST_TURNS)
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    return parser.parse_args()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped: the sides are ended with it"))
    asked = words()
    turns = 1 if asked.quick else max(LEAST_TURNS, asked.turns)
    out = (asked.out / datetime.now(UTC).strftime("%Y%m%d-%H%M%S")).resolve()
    out.mkdir(parents=True)
    about = machine.describe(PEERS, REPOSITORY)
    with TemporaryDirectory(prefix="work-", dir=out) as folder:
        work = make_work(Path(folder), asked.quick)
        rows = [ROWS[name](work) for name in asked.only or ROWS]
        print(render.HEAD, flush=True)
        results: list[Result] = []
        for result in measured(rows, turns, Starter(work.to_json(), work.logs), machine.busy):
            print(render.markdown(result), flush=True)
            results.append(result)
            write(out, results, about, asked.quick)
    print(f"\n{render.notes(results)}\n\n{sum(each.took_s for each in results) / 60:.0f} min; {out / 'bench.md'}, bench.json")
    if asked.quick:
        print("--quick: these figures show only that the rows run")


if __name__ == "__main__":
    main()
