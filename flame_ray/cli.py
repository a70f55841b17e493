"""The command line: the signature of each command, whose work is in `commands/`.

A failure that a user can mend is one message on stderr, with the exit code of its kind. All else is a bug and shows its trace.
"""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flame_ray import __version__
from flame_ray.cluster.connect import prepare_ray
from flame_ray.cluster.interrupt import interruptible
from flame_ray.cluster.submitted import last_words, require_lasting
from flame_ray.commands import completion, on_cluster, to_the_hub
from flame_ray.commands.options import (
    BadLine,
    Checker,
    Commands,
    Corpus,
    Decompose,
    Format,
    Job,
    JobFile,
    Kind,
    Listing,
    ScaleName,
    Set,
    WorkersOption,
    job_argument,
    refuse_empty,
)
from flame_ray.config import Config
from flame_ray.config.load import load_config
from flame_ray.errors import ConfigError, FlameError, PlacementError
from flame_ray.report.console import PlainConsole, show_traces, standard_output
from flame_ray.shown import ShownFormatter, shown

app = typer.Typer(cls=Commands, pretty_exceptions_enable=False, no_args_is_help=True)
app.add_typer(on_cluster.app)
app.add_typer(to_the_hub.app)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Online factuality alignment of language models, on Ray, vLLM and DeepSpeed."""


@app.command()
def run(
    job: JobFile,
    set_: Set = None,
    resume: Annotated[str | None, typer.Option("--resume", help="Resume an unfinished run: its id, or its folder.")] = None,
) -> None:
    """Run a job: rounds of sampling, scoring, pairing, training and evaluation."""
    config = _config(job, set_)
    with interruptible("nothing is written yet: start the run again"):  # to import the command takes seconds
        from flame_ray.commands.run import run as run_job

        run_job(config, _tables(), resume)


@app.command()
def sft(
    job: Annotated[Path, job_argument("jobs/sft.yaml")],
    set_: Set = None,
    resume: Annotated[str | None, typer.Option("--resume", help="Resume an unfinished run: its id, or its folder.")] = None,
) -> None:
    """Fine-tune a model on answers: people's, or its own where facts are asked for."""
    config = _config(job, set_)
    with interruptible("nothing is written yet: start the run again"):
        from flame_ray.commands.sft import sft as fine_tune

        fine_tune(config, _tables(), resume)


@app.command()
def doctor(job: JobFile, set_: Set = None) -> None:
    """Check whether a job can run here, without starting anything. Exits with 5 if it cannot run as it is."""
    config = _config(job, set_)
    from flame_ray.commands.doctor import doctor as examine

    if not examine(config, _tables()):
        raise typer.Exit(PlacementError.exit_code)


@app.command()
def score(
    responses: Annotated[
        Path, typer.Option("--responses", help="A JSONL file with `prompt` and `response`; other columns are kept.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Where the records go. An existing file is resumed.")],
    corpus: Corpus = None,
    checker: Checker = None,
    decompose: Decompose = None,
    workers: WorkersOption = None,
    job: Job = None,
    set_: Set = None,
    format_: Annotated[Format, typer.Option("--format", help="table: also print the records.")] = Format.JSONL,
    on_bad_line: Annotated[
        BadLine,
        typer.Option(
            "--on-bad-line",
            help="skip: report a malformed line and continue, up to score.max_bad_lines. fail: refuse the file.",
        ),
    ] = BadLine.SKIP,
) -> None:
    """Score responses for factuality. Each record holds the facts, their evidence and verdicts, and the precision."""
    config = _config(job, set_, corpus=corpus, checker=checker, decompose=decompose, workers=workers)
    from flame_ray.commands.score import ScoreRequest, score_file

    request = ScoreRequest(responses, out, on_bad_line is BadLine.FAIL, format_ is Format.TABLE)
    score_file(config, request, PlainConsole(stderr=True), _tables())


@app.command()
def agreement(
    labels: Annotated[
        Path, typer.Option("--labels", help="A JSONL file with people's labels; jobs/README.md describes the formats.")
    ],
    kind: Annotated[
        Kind,
        typer.Option(
            "--kind",
            help="claims: each with `evidence`, or with `prompt` and --corpus. responses: with counts of facts. "
            "preferences: with two answers and the more helpful one. instructions, sentences: with whether each is fact-based.",
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Also write the figures to this file, as JSON.")] = None,
    corpus: Corpus = None,
    checker: Checker = None,
    decompose: Decompose = None,
    workers: WorkersOption = None,
    job: Job = None,
    set_: Set = None,
) -> None:
    """Measure how well a checker, the factuality reward, the judge or a classifier agrees with people; with 95 % intervals."""
    config = _config(job, set_, corpus=corpus, checker=checker, decompose=decompose, workers=workers)
    from flame_ray.commands.agreement import agreement_with

    agreement_with(config, labels, kind.value, out, PlainConsole(stderr=True), _tables())


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A built-in name, a folder, a hub id, or a run's folder or id.")],
    suite: Annotated[
        list[str],
        typer.Option(
            "--suite",
            help="A suite, such as factbook or biography; jobs/README.md lists them. May be repeated.",
            autocompletion=completion.suites,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder to write the results to.")] = Path("evaluations"),
    corpus: Corpus = None,
    checker: Checker = None,
    job: Job = None,
    set_: Set = None,
) -> None:
    """Evaluate a model on benchmarks. What was evaluated before with the same settings is not done again."""
    config = _config(job, set_, corpus=corpus, checker=checker)
    from flame_ray.commands.evaluate import EvaluateRequest
    from flame_ray.commands.evaluate import evaluate as evaluate_model

    evaluate_model(config, EvaluateRequest(model, tuple(suite), out), PlainConsole(stderr=True), _tables())


@app.command()
def reproduce(
    table: Annotated[
        list[str], typer.Argument(help="1 to 11, figure-1, directions or methods.", autocompletion=completion.tables)
    ],
    scale: Annotated[ScaleName, typer.Option("--scale", help="paper: for a GPU cluster. cpu: for two cores.")],
    store: Annotated[
        Path, typer.Option("--store", help="The folder of all models and evaluations, which tables share.")
    ] = Path("reproduced/store"),
    seeds: Annotated[int | None, typer.Option(min=1, help="Models of a system. Default: 1; directions, methods: 3.")] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder to write the tables to.")] = Path("reproduced"),
    jobs: Annotated[Path, typer.Option("--jobs", help="The folder that holds the scale's job files.")] = Path("jobs"),
    only_print: Annotated[bool, typer.Option("--only-print", help="Start nothing: print what the store has.")] = False,
    chat_model: Annotated[str | None, typer.Option("--chat-model", help="A model in the place of Llama-2-Chat.")] = None,
    set_: Set = None,
) -> None:
    """Reproduce tables of the FLAME paper, ours beside the paper's. What the store has is not done again."""
    _config(jobs / scale.value / "evaluate.yaml", set_)
    from flame_ray.commands.reproduce import ReproduceRequest
    from flame_ray.commands.reproduce import reproduce as reproduce_tables

    given = ReproduceRequest(tuple(table), scale.value, seeds, jobs, store, out, only_print, tuple(set_ or ()), chat_model)
    reproduce_tables(given, PlainConsole(stderr=True), _tables())


@app.command()
def audit(
    run: Annotated[str, typer.Argument(help="A finished run: its id under runs/, or its folder.")],
    labels: Annotated[
        list[Path] | None, typer.Option("--labels", help="A reader's labels (JSONL or CSV). Repeat it for each reader.")
    ] = None,
    facts_per_round: Annotated[
        int | None, typer.Option("--facts-per-round", min=1, help="How many facts of each round to draw; 200 by default.")
    ] = None,
    rounds: Annotated[str | None, typer.Option("--rounds", help="Rounds: all, or such as 0,2. Default: first,last.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Another seed draws another sheet; 0 by default.")] = None,
    whole_records: Annotated[
        bool,
        typer.Option("--whole-records", help="Show readers all that the corpus has on a subject, not only what was retrieved."),
    ] = False,
) -> None:
    """Draw facts of a run's held-out answers for people to label blindly; with --labels, say what the labels show."""
    from flame_ray.commands.audit import audit as audit_run

    drawing = {"facts_per_round": facts_per_round, "rounds": rounds, "seed": seed, "whole_records": whole_records or None}
    audit_run(run, labels or [], {name: value for name, value in drawing.items() if value is not None}, _tables())


@app.command()
def pairs(
    run: Annotated[
        str, typer.Argument(help="A run of flame-ray run, or with --over one of flame-ray sft: its id, or its folder.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The JSONL file to write, with `prompt`, `chosen` and `rejected`.")],
    over: Annotated[
        str | None,
        typer.Option("--over", help="A second fine-tuning: answers that RUN elicited are chosen over those that this one did."),
    ] = None,
) -> None:
    """Write preference pairs in TRL's format. They train elsewhere, or here by --set pairs.file=..."""
    from flame_ray.commands.pairs import pairs as write_pairs

    write_pairs(run, out, PlainConsole(stderr=True), over)


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(help="One run or several, finished or not: ids under runs/, or folders.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The file to write. By default report.html in the run's folder; here for several."),
    ] = None,
    answers: Annotated[
        int | None, typer.Option("--answers", min=0, help="How many answers the page holds at most; 10000 by default.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Write nothing: serve a page on 127.0.0.1 that follows the runs.")
    ] = False,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="With --live: this port; any free one by default.")
    ] = None,
) -> None:
    """Show runs as one HTML file, which works offline: figures, pairs, timeline, audit, and answers with their facts."""
    from flame_ray.commands.report import ReportRequest
    from flame_ray.commands.report import report as show

    request = ReportRequest(tuple(runs), out, **({} if answers is None else {"answers": answers}))
    show(request, live, port, _tables())


@app.command()
def index(corpus: Corpus = None, job: Job = None, set_: Set = None) -> None:
    """Build a corpus's index on this machine before a run needs it. A large one takes longer than actors may to start."""
    config = _config(job, set_, corpus=corpus)
    from flame_ray.commands.index import build_index

    typer.echo(shown(build_index(config.factuality)))


@app.command()
def self_instruct(
    job: Annotated[Path, job_argument("jobs/self-instruct.yaml")],
    out: Annotated[Path, typer.Option("--out", help="The JSONL file to write. An existing one is continued.")],
    set_: Set = None,
) -> None:
    """Make new instructions with the job's model, from seeds and without near-duplicates. They serve as prompts of a run."""
    config = _config(job, set_)
    from flame_ray.commands.self_instruct import self_instruct as make

    make(config, out, PlainConsole(stderr=True))


@app.command()
def judge_examples(
    out: Annotated[Path, typer.Option("--out", help="The JSONL file to write, with `prompt` and `answer`.")],
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="A JSONL file of grades: `prompt`, `response`, `rationale`, `score` (0 to 5)."),
    ] = None,
    ranked: Annotated[
        str | None,
        typer.Option("--ranked", help="Message trees, as OpenAssistant's: judge.model grades their ranked answers."),
    ] = None,
    language: Annotated[str, typer.Option("--language", help="With --ranked: keep only trees in this language.")] = "en",
    job: Job = None,
    set_: Set = None,
) -> None:
    """Make examples of judging by the rubric, to fine-tune a model on: from people's grades, or from their ranks."""
    if (labels is None) == (ranked is None):
        found = "both" if labels else "neither"
        raise ConfigError("either --labels or --ranked", found, "give grades, or trees whose answers are ranked")
    config = _config(job, set_)
    from flame_ray.commands.judge_examples import judge_examples as make
    from flame_ray.commands.judge_examples import ranked_examples

    if labels:
        make(labels, out, PlainConsole(stderr=True))
    elif ranked:
        ranked_examples(config, ranked, language, out, PlainConsole(stderr=True))


@app.command()
def train_checker(
    job: Annotated[Path, job_argument("jobs/train-checker.yaml")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write the weights and their card to.")],
    set_: Set = None,
) -> None:
    """Train the small checker, and compare it with the lexical one on labels that it was not trained on.

    It has a model for prose and one for records; `train_checker.records.labels` in the job asks for the second.
    """
    config = _config(job, set_)
    if config.train_checker.records.labels:
        from flame_ray.commands.train_reader import train_reader_command as train
    else:
        from flame_ray.commands.train_checker import train_checker as train

    train(config, out, PlainConsole(stderr=True), _tables())


@app.command()
def train_judge(
    job: Annotated[Path, job_argument("jobs/train-judge.yaml")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write the weights and their card to.")],
    set_: Set = None,
) -> None:
    """Train the judge of preferences, and measure it on pairs of answers that it was not trained on."""
    config = _config(job, set_)
    from flame_ray.commands.train_judge import train_judge_command

    train_judge_command(config, out, PlainConsole(stderr=True), _tables())


@app.command()
def settings(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A section, such as learner, or a setting, such as learner.lr; all if left out.",
            autocompletion=completion.names_of_settings,
        ),
    ] = None,
    format_: Annotated[Listing, typer.Option("--format", help="json: for programs.")] = Listing.TEXT,
) -> None:
    """List settings: what each may be, its default, whether a resumed run may change it, and what it means."""
    from flame_ray.commands.settings import list_settings

    list_settings(name, format_ is Listing.JSON, _tables())


def _config(job: Path | None, set_: list[str] | None, **shorthands: str | int | None) -> Config:
    """A shorthand overrides --set, which overrides the job. Ray reads its environment when it is imported: it is set here."""
    short = [f"factuality.{name}={json.dumps(value)}" for name, value in shorthands.items() if value is not None]
    if cache := os.environ.get("FLAME_RAY_CACHE"):
        require_lasting("FLAME_RAY_CACHE", cache, "/path/on/each/node")
    config = load_config(job, (*(set_ or ()), *short))
    prepare_ray(config.cluster)
    return config


def _tables() -> Console:
    return standard_output()


def main() -> None:
    show_traces()
    handler = logging.StreamHandler()
    handler.setFormatter(ShownFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("flame_ray.cluster.waiting").setLevel(logging.INFO)  # a line for each 30 s of a wait
    try:
        refuse_empty(sys.argv[1:])
        app(standalone_mode=True, prog_name="flame-ray")
    except FlameError as error:
        typer.echo(f"flame-ray: {error}{last_words(error.exit_code)}", err=True)
        sys.exit(error.exit_code)
