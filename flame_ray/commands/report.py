"""`flame-ray report`: one HTML file about runs and fine-tunings, or a page on loopback that follows them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from flame_ray import __version__
from flame_ray.commands.out import check_out_file
from flame_ray.commands.report_live import LivePage, serve
from flame_ray.errors import ConfigError
from flame_ray.journal.run_folder import RunFolder, find_run
from flame_ray.journal.run_record import RunReader
from flame_ray.journal.sft_record import SftReader, is_fine_tuning
from flame_ray.report.page.answers import MOST_ANSWERS, drawn, packed
from flame_ray.report.page.page import Page, render
from flame_ray.report.page.records import RunRecord, SftRecord
from flame_ray.shown import say
from flame_ray.storage.atomic import write_file

FILE = "report.html"
Reader = RunReader | SftReader
Record = TypeVar("Record", RunRecord, SftRecord)


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """`out`: the file to write; None: report.html in the folder of the one run, or here for several.

    `answers`: how many the page holds at most, over all rounds and runs.
    """

    runs: tuple[str, ...]
    out: Path | None = None
    answers: int = MOST_ANSWERS


def report(request: ReportRequest, live: bool, port: int | None, console: Console) -> None:
    """Writes the file, or with `live` serves the page, on `port` if one is given. Raises ConfigError for what does not fit."""
    if live and request.out is not None:
        raise ConfigError("--live, which writes no file, or --out", "both", "leave one of the two out")
    if not live and port is not None:
        raise ConfigError("--port with --live", "--port alone", "add --live, or leave --port out")
    if live:
        serve_report(request, port or 0, console)
    else:
        write_report(request, console)


def write_report(request: ReportRequest, console: Console) -> None:
    """Writes the file, in place of an older one. Raises StorageError for a folder that is not a run's."""
    folders, out = _folders(request.runs), request.out or (Path(FILE) if len(request.runs) > 1 else None)
    if out is not None:
        check_out_file(out)
    readers = [reader_of(folder) for folder in folders]
    text = render(make_page(readers, request.answers))
    if out is None:
        folders[0].write_text(FILE, text)
    else:
        write_file(out, text.encode(), "--out")
    where = folders[0].storage.at(FILE) if out is None else out
    size = len(text.encode()) / 2**20
    say(console, f"written to {where} ({size:.1f} MiB)")


def serve_report(request: ReportRequest, port: int, console: Console) -> None:
    """Serves the page on 127.0.0.1 until Ctrl-C; `port` 0: any that is free. The page follows the runs."""
    readers = [reader_of(folder) for folder in _folders(request.runs)]

    def version() -> str:
        return "-".join(reader.version() for reader in readers)

    def make(found: str) -> str:
        return render(make_page(readers, request.answers, found))

    serve(LivePage(version, make), port, console)


def reader_of(folder: RunFolder) -> Reader:
    """Raises StorageError for a folder that neither `flame-ray run` nor `flame-ray sft` wrote."""
    return SftReader(folder) if is_fine_tuning(folder) else RunReader(folder)


def make_page(readers: Sequence[Reader], most_answers: int, version: str | None = None) -> Page:
    """What the page shows of these runs and fine-tunings now."""
    of_runs = [reader for reader in readers if isinstance(reader, RunReader)]
    of_tuned = [reader for reader in readers if isinstance(reader, SftReader)]
    ids = Counter(reader.id for reader in readers)
    records = tuple(_named(reader.record(), reader, ids) for reader in of_runs)
    tuned = tuple(_named(reader.record(), reader, ids) for reader in of_tuned)
    questions = list(dict.fromkeys(question for reader in of_runs for question in reader.questions()))
    chosen = drawn(questions, sum(len(record.trained) for record in records), most_answers)
    kept = set(chosen)
    sides = [side for reader, record in zip(of_runs, records, strict=True) for side in reader.sides(record, kept)]
    made = f"Made by flame-ray {__version__} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    answered = {question for side in sides for question in side.answers}
    asked = len(questions) - sum(question not in answered for question in chosen) if answered else 0
    return Page(records, packed(chosen, sides), asked, made, version, tuned)


def _named(record: Record, reader: Reader, ids: Counter[str]) -> Record:
    """Runs of one id, as a run and its copy are, are called by their folders."""
    return replace(record, id=reader.url) if ids[reader.id] > 1 else record


def _folders(runs: Sequence[str]) -> list[RunFolder]:
    """Raises ConfigError for a run that is named twice."""
    folders = [find_run(run, "the run to report on") for run in runs]
    urls = [folder.storage.url for folder in folders]
    if twice := next((url for url in urls if urls.count(url) > 1), None):
        raise ConfigError("each run once", f"{twice} twice", "leave one of the two out")
    return folders
