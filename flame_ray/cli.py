"""The command line.

An expected failure is one message on stderr and the exit code of its kind; anything else is a bug and shows its trace.
"""

import json
import logging
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flame_ray import __version__
from flame_ray.cluster.connect import prepare_ray
from flame_ray.config import Config
from flame_ray.config.load import load_config
from flame_ray.errors import FlameError, PlacementError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
WIDTH = 150

Set = Annotated[list[str] | None, typer.Option("--set", help="override a setting: section.key=value")]
Job = Annotated[Path | None, typer.Option("--job", help="a job file whose settings hold; without one, the defaults")]
Decompose = Annotated[str | None, typer.Option("--decompose", help="short for --set factuality.decompose=...")]
Checker = Annotated[str | None, typer.Option("--checker", help="short for --set factuality.checker=...")]
Corpus = Annotated[str | None, typer.Option("--corpus", help="short for --set factuality.corpus=...")]
Workers = Annotated[int | None, typer.Option("--workers", help="short for --set factuality.workers=...")]


class Format(StrEnum):
    JSONL = "jsonl"
    TABLE = "table"


class BadLine(StrEnum):
    SKIP = "skip"
    FAIL = "fail"


class Kind(StrEnum):
    CLAIMS = "claims"
    RESPONSES = "responses"


@app.callback()
def root() -> None:
    """Online factuality alignment of language models, on Ray, vLLM and DeepSpeed."""


@app.command()
def run(
    job: Annotated[Path, typer.Argument(help="a job file, such as jobs/quickstart.yaml")],
    set_: Set = None,
    resume: Annotated[str | None, typer.Option("--resume", help="go on with an unfinished run: its id, or its folder")] = None,
) -> None:
    """Run a job: rounds of sampling, scoring, pairing, training and evaluation."""
    config = load_config(job, tuple(set_ or ()))
    prepare_ray(config.cluster)
    from rich.console import Console

    from flame_ray.commands.run import run as run_job

    console = Console()
    run_job(config, console if console.is_terminal else Console(width=WIDTH), resume)


@app.command()
def doctor(
    job: Annotated[Path, typer.Argument(help="a job file, such as jobs/quickstart.yaml")],
    set_: Set = None,
) -> None:
    """Say what a job lacks here and what would fit, placing nothing. Exits with 5 if it cannot run as it is."""
    config = load_config(job, tuple(set_ or ()))
    prepare_ray(config.cluster)
    from rich.console import Console

    from flame_ray.commands.doctor import doctor as examine

    console = Console()
    if not examine(config, console if console.is_terminal else Console(width=WIDTH)):
        raise typer.Exit(PlacementError.exit_code)


@app.command()
def score(
    responses: Annotated[Path, typer.Option("--responses", help="JSONL with `prompt` and `response`; other columns are kept")],
    out: Annotated[Path, typer.Option("--out", help="where the records go; one that was begun is gone on with")],
    corpus: Corpus = None,
    checker: Checker = None,
    decompose: Decompose = None,
    workers: Workers = None,
    job: Job = None,
    set_: Set = None,
    format_: Annotated[Format, typer.Option("--format", help="table: print the records, supported facts green")] = Format.JSONL,
    on_bad_line: Annotated[
        BadLine, typer.Option("--on-bad-line", help="skip: report a malformed line and go on; fail: refuse the file")
    ] = BadLine.SKIP,
) -> None:
    """Score responses: one record a line with its facts, their evidence and verdicts, and the share that is supported."""
    config = _factuality(job, set_, corpus=corpus, checker=checker, decompose=decompose, workers=workers)
    from rich.console import Console

    from flame_ray.commands.score import ScoreRequest, score_file

    console = Console()
    request = ScoreRequest(responses, out, on_bad_line is BadLine.FAIL, format_ is Format.TABLE)
    score_file(config, request, Console(stderr=True), console if console.is_terminal else Console(width=WIDTH))


@app.command()
def agreement(
    labels: Annotated[Path, typer.Option("--labels", help="JSONL with human labels; see README.md for both formats")],
    kind: Annotated[Kind, typer.Option("--kind", help="claims with evidence, or responses with counts of facts")],
    out: Annotated[Path | None, typer.Option("--out", help="write the figures there as JSON")] = None,
    corpus: Corpus = None,
    checker: Checker = None,
    decompose: Decompose = None,
    workers: Workers = None,
    job: Job = None,
    set_: Set = None,
) -> None:
    """Compare a checker, or the whole reward, with human labels; 95 % bootstrap intervals."""
    config = _factuality(job, set_, corpus=corpus, checker=checker, decompose=decompose, workers=workers)
    from rich.console import Console

    from flame_ray.commands.agreement import agreement_with

    console = Console()
    tables = console if console.is_terminal else Console(width=WIDTH)
    agreement_with(config, labels, kind.value, out, Console(stderr=True), tables)


@app.command()
def index(corpus: Corpus = None, job: Job = None, set_: Set = None) -> None:
    """Build a corpus's index on this machine, where actors will find it: a large one takes longer than actors may."""
    config = _factuality(job, set_, corpus=corpus).factuality
    from flame_ray.engines.models import cache_dir
    from flame_ray.rewards.factuality.retrieve import open_passages, open_retriever

    passages = open_passages(config)
    open_retriever(config, passages)
    typer.echo(f"{len(passages)} passages of {config.corpus}, indexed for {config.retriever} in {cache_dir() / 'indexes'}")


@app.command()
def train_checker(
    job: Annotated[Path, typer.Argument(help="a job file, such as jobs/train-checker.yaml")],
    out: Annotated[Path, typer.Option("--out", help="the folder for the weights and their card")],
    set_: Set = None,
) -> None:
    """Train the small checker, and compare it with the lexical one on labels that were kept aside."""
    config = load_config(job, tuple(set_ or ()))
    from rich.console import Console

    from flame_ray.commands.train_checker import train_checker as train

    console = Console()
    train(config, out, Console(stderr=True), console if console.is_terminal else Console(width=WIDTH))


def _factuality(job: Path | None, set_: list[str] | None, **shorthands: str | int | None) -> Config:
    """Settings of which a shorthand overrides --set, and that overrides the job. Ray's environment is made ready."""
    short = [f"factuality.{name}={json.dumps(value)}" for name, value in shorthands.items() if value is not None]
    config = load_config(job, (*(set_ or ()), *short))
    prepare_ray(config.cluster)
    return config


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app(standalone_mode=True)
    except FlameError as error:
        typer.echo(f"flame-ray: {error}", err=True)
        sys.exit(error.exit_code)
