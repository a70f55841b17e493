"""The command line.

An expected failure is one message on stderr and the exit code of its kind; anything else is a bug and shows its trace.
"""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from flame_ray import __version__
from flame_ray.config.load import load_config
from flame_ray.errors import FlameError, PlacementError
from flame_ray.runtime.prepare import prepare_ray

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
WIDTH = 150


@app.callback()
def root() -> None:
    """Online factuality alignment of language models, on Ray, vLLM and DeepSpeed."""


@app.command()
def run(
    job: Annotated[Path, typer.Argument(help="a job file, such as jobs/quickstart.yaml")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="override a setting: section.key=value")] = None,
    resume: Annotated[str | None, typer.Option("--resume", help="go on with an unfinished run: its id, or its folder")] = None,
) -> None:
    """Run a job: rounds of sampling, scoring, pairing, training and evaluation."""
    config = load_config(job, tuple(set_ or ()))
    prepare_ray(config.cluster)
    from rich.console import Console

    from flame_ray.runtime.run import run as run_job

    console = Console()
    run_job(config, console if console.is_terminal else Console(width=WIDTH), resume)


@app.command()
def doctor(
    job: Annotated[Path, typer.Argument(help="a job file, such as jobs/quickstart.yaml")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="override a setting: section.key=value")] = None,
) -> None:
    """Say what a job lacks here and what would fit, placing nothing. Exits with 5 if it cannot run as it is."""
    config = load_config(job, tuple(set_ or ()))
    prepare_ray(config.cluster)
    from rich.console import Console

    from flame_ray.runtime.doctor import doctor as examine

    console = Console()
    if not examine(config, console if console.is_terminal else Console(width=WIDTH)):
        raise typer.Exit(PlacementError.exit_code)


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
