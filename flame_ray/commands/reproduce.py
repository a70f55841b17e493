"""`flame-ray reproduce`: tables of the FLAME paper, ours beside the paper's, from one store that all of them share.

Jobs run one after another. What the store has is not done again, and what was begun is resumed. What fails leaves its rows
without figures and with the reason, and the command ends with an error once the tables are printed.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from flame_ray.cluster.connect import LOCAL, cluster_address, connected
from flame_ray.cluster.interrupt import interruptible
from flame_ray.commands.agreement import agreement_with
from flame_ray.commands.evaluate import EvaluateRequest, evaluate
from flame_ray.commands.out import check_out_folder
from flame_ray.commands.pairs import pairs
from flame_ray.commands.run import run
from flame_ray.commands.sft import sft
from flame_ray.config import Config
from flame_ray.config.load import load_config
from flame_ray.controller.shared_folder import check_every_node
from flame_ray.errors import ConfigError, FlameError, Interrupted, NotShared
from flame_ray.evaluation.suites import make_suite
from flame_ray.evaluation.suites.alpaca import QUESTIONS
from flame_ray.evaluation.suites.data import data_path
from flame_ray.reproduction.measured_by import measured_by
from flame_ray.reproduction.named_files import contents
from flame_ray.reproduction.plan import Job, Plan, PlannedAgreement, PlannedEvaluation, PlannedStep, PlannedTable
from flame_ray.reproduction.plot import dots, svg
from flame_ray.reproduction.render import csv_text, markdown
from flame_ray.reproduction.results import FilledTable, Found, fill
from flame_ray.reproduction.store import NOT_DONE, Store
from flame_ray.reproduction.systems import SCALES, Scale
from flame_ray.reproduction.tables import AGREEMENT, tables_named, with_chat_model
from flame_ray.shown import say
from flame_ray.storage.atomic import write_file

AFTER_INTERRUPT = "give the same command again: what is done is kept, and what was begun is resumed"
AFTER_FAILURE = "correct what each says, and give the same command again: what is done is kept"
FIGURE = "figure-1"
BUILT_IN = {
    "alpaca-eval": "the built-in set of questions (`suites.alpaca=questions`)",
    "alpaca-fact": "the part that needs facts of the built-in set of questions (`suites.alpaca=questions`)",
}
BY_SCORE = ", where the judge's scores and no comparison decide which answer wins,"
LABELLED = "python tests/benchmarks/convert.py factscore makes it of FActScore's labelled answers"
Train = Callable[[Config, Console, str | None], Any]  # settings, where to print, and the id of the run to resume


@dataclass(frozen=True, slots=True)
class ReproduceRequest:
    """Which tables, at which scale, from how many seeds (None: as many as each table wants).

    `jobs` holds the job files of the scales, `out` takes the tables.
    """

    tables: tuple[str, ...]
    scale: str
    seeds: int | None
    jobs: Path
    store: Path
    out: Path
    only_print: bool = False
    settings: tuple[str, ...] = ()  # over those of every job file
    chat_model: str | None = None  # in the place of Llama-2-Chat

    def load(self, job: str, settings: tuple[str, ...]) -> Config:
        """A job file of the scale. What makes a system what it is comes last."""
        return load_config(self.jobs / self.scale / job, (*self.settings, *settings))


def check_store(config: Config, store: Path) -> None:
    """Raises NotShared if a node of the cluster does not see the store. A Ray of this machine alone is not asked."""
    if cluster_address(config.cluster) != LOCAL:
        with connected(config.cluster, f"reproduce-{os.getpid()}"):
            check_every_node(store, "--store")


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands that carry out the jobs."""

    sft: Train = sft
    run: Train = run
    evaluate: Callable[[Config, EvaluateRequest, Console, Console], Any] = evaluate
    agreement: Callable[[Config, Path, str, Path, Console, Console], Any] = agreement_with
    pairs: Callable[[str, Path, Console, str | None], Any] = pairs
    check_store: Callable[[Config, Path], None] = check_store


def reproduce(
    request: ReproduceRequest, console: Console, tables: Console, commands: Commands | None = None
) -> list[FilledTable]:
    """The tables, which are also written and printed. Raises Interrupted, and leaves what is done in the store.

    Raises NotShared before the first job if the store is not on all nodes of the cluster.
    Raises the first failure after that, with all others in its words, if it was to start jobs and a figure is missing.
    """
    named = list(dict.fromkeys(table for name in request.tables for table in tables_named(name)))
    chosen = with_chat_model(named, request.chat_model) if request.chat_model else named
    check_out_folder(request.out)
    check_out_folder(request.store, "--store")
    scale, store = SCALES[request.scale], Store(request.store)
    plan = Plan(scale, request.seeds, request.load, contents)
    planned = [plan.add(table) for table in chosen]
    absent = absent_data(plan)
    reasons = {suite: str(error) for suite, error in absent.items()}
    failed: dict[str, FlameError] = {}
    if not request.only_print:
        with interruptible(AFTER_INTERRUPT):
            failed = Carrier(store, commands or Commands(), reasons, console, tables).carry_out(plan)

    def find(key: str) -> Found:
        return found_in(store, plan, key, reasons)

    filled = [fill(each, find, store.values) for each in planned]
    notes = {each.table.name: [*_notes(each, stand_ins(plan, scale)), *measured_by(each, plan)] for each in planned}
    write_tables(filled, scale, notes, request.out, tables)
    if not request.only_print:
        raise_failures(failed, absent, filled)
    return filled


class Carrier:
    """Carries out the jobs of a plan. `absent`: by suite, why it cannot be asked."""

    def __init__(self, store: Store, commands: Commands, absent: Mapping[str, str], console: Console, tables: Console):
        self._store, self._commands, self._absent = store, commands, absent
        self._console, self._tables = console, tables
        self._failed: dict[str, FlameError] = {}
        self._is_checked = False

    def carry_out(self, plan: Plan) -> dict[str, FlameError]:
        """Does all jobs that can be done, and returns the failures by the jobs' keys. What needs such a job is left out."""
        for place, job in enumerate(plan.jobs.values(), start=1):
            if self._can_do(job, plan):
                self._check_store(job.config)
                jobs = (job, *(each for each in plan.beside(job) if self._can_do(each, plan)))
                names = ", ".join(each.key for each in jobs)
                say(self._console, f"job {place} of {len(plan.jobs)}: {names}")
                self._carry_out(jobs)
        return self._failed

    def _check_store(self, config: Config) -> None:
        """Once, before the first job: on a cluster whose nodes do not see the store, each job would fail after its start."""
        if not self._is_checked:
            self._commands.check_store(config, self._store.folder)
            self._is_checked = True

    def _can_do(self, job: Job, plan: Plan) -> bool:
        return not self._store.is_done(job) and not self._is_hopeless(job, plan)

    def _carry_out(self, jobs: Sequence[Job]) -> None:
        """By one call, which the jobs can share; if that fails, each by its own, so that a failure has its job."""
        try:
            self._do(jobs)
            for job in jobs:
                self._store.forget_failure(job.key)
        except Interrupted as error:
            raise Interrupted(error.expected, error.found, AFTER_INTERRUPT) from error
        except NotShared as error:  # of a node that has come since the check
            raise NotShared(error.expected, error.found, "set --store to a filesystem that every node mounts") from error
        except FlameError as error:
            if len(jobs) == 1:
                self._failed[jobs[0].key] = error
                self._store.fail(jobs[0].key, f"{jobs[0].key}: {error}")
                say(self._console, f"{jobs[0].key} failed: {error}")
            for job in jobs if len(jobs) > 1 else ():
                if not self._store.is_done(job):
                    self._carry_out((job,))

    def _is_hopeless(self, job: Job, plan: Plan) -> bool:
        """Whether its data is absent, or a job that it needs is not done."""
        is_absent = not isinstance(job, PlannedStep) and job.suite in self._absent
        return is_absent or not all(self._store.is_done(plan.jobs[key]) for key in job.needs)

    def _do(self, jobs: Sequence[Job]) -> None:
        job = jobs[0]
        if isinstance(job, PlannedStep):
            self._write_pairs(job)
            train = self._commands.sft if job.command == "sft" else self._commands.run
            train(self._placed(job), self._tables, job.key if self._store.is_begun(job.key) else None)
            return
        if isinstance(job, PlannedAgreement):
            labels, out = labelled_responses(job.config), self._store.agreement(job.key)
            self._commands.agreement(job.config, labels, "responses", out, self._console, self._tables)
            return
        self._evaluate([each for each in jobs if isinstance(each, PlannedEvaluation)])

    def _evaluate(self, jobs: Sequence[PlannedEvaluation]) -> None:
        """Suites of one model, which share its samplers."""
        model = str(self._store.models / jobs[0].model) if jobs[0].is_made else jobs[0].model
        against = next((job.against for job in jobs if job.against), None)
        folders = {job.suite: self._store.evaluation(job.key) for job in jobs}
        references = self._store.reference(against) if against else None
        request = EvaluateRequest(model, tuple(folders), apart=folders, references=references)
        self._commands.evaluate(jobs[0].config, request, self._console, self._tables)

    def _write_pairs(self, step: PlannedStep) -> None:
        """The pairs that a step trains on. Written again, they are the same."""
        if step.pairs:
            chosen, rejected = (str(self._store.models / key) for key in step.pairs)
            path = self._store.pairs(step)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._commands.pairs(chosen, path, self._console, rejected)

    def _placed(self, step: PlannedStep) -> Config:
        """The step's settings with the places that its key leaves out."""
        config = step.config.replaced("run", root=str(self._store.models), id=step.key, samples=str(self._store.samples))
        config = config.replaced("pairs", file=str(self._store.pairs(step))) if step.pairs else config
        return config.replaced("model", policy=self._store.model(step.after)) if step.after else config


def absent_data(plan: Plan) -> dict[str, FlameError]:
    """Of the suites that the plan asks, those whose data is not there, and which setting names it."""
    asked = {job.suite: job.config for job in plan.jobs.values() if not isinstance(job, PlannedStep)}
    absent = {}
    for suite, config in asked.items():
        try:
            labelled_responses(config) if suite == AGREEMENT else make_suite(suite, config)
        except FlameError as error:
            absent[suite] = error
    return absent


def raise_failures(failed: Mapping[str, FlameError], absent: Mapping[str, FlameError], filled: Sequence[FilledTable]) -> None:
    """Raises the first failure, with all of them in its words: of a job, or of data that a setting names and that is not there.

    Data that no setting names leaves its columns out, and is a failure where nothing else is in a table.
    """
    bare = {cell.missing for each in filled if not any(cell.ours for cell in each.cells) for cell in each.cells}
    named = {suite: error for suite, error in absent.items() if not isinstance(error, ConfigError) or str(error) in bare}
    errors = {**failed, **named}
    if errors:
        found = "; ".join(f"{name}: {error}" for name, error in errors.items()).rstrip(".")
        expected = "every job of the tables to succeed, on data that is there"
        raise type(next(iter(errors.values())))(expected, f"{len(errors)} that did not: {found}", AFTER_FAILURE)


def labelled_responses(config: Config) -> Path:
    """The file of people's counts. Raises ConfigError or DataError."""
    return data_path("labelled", config.suites.labelled, LABELLED)


def found_in(store: Store, plan: Plan, key: str, absent: Mapping[str, str]) -> Found:
    """A job's result, or why there is none: its data is absent, it failed, or a job that it needs did."""
    job = plan.jobs[key]
    found = store.found(job)
    if found != NOT_DONE:
        return found
    if not isinstance(job, PlannedStep) and job.suite in absent:
        return absent[job.suite]
    needed = [found_in(store, plan, each, absent) for each in job.needs]
    return next((each for each in needed if isinstance(each, str) and each != NOT_DONE), NOT_DONE)


def stand_ins(plan: Plan, scale: Scale) -> dict[str, str]:
    """What is asked in place of a suite of the paper, by its name: another suite, or questions of ours."""
    found = {suite: f"`{other}`" for suite, other in scale.stand_ins.items()}
    for job in plan.jobs.values():
        if isinstance(job, PlannedEvaluation) and job.suite in BUILT_IN and job.config.suites.alpaca == QUESTIONS:
            by_score = job.suite == "alpaca-eval" and job.config.suites.compare == "score"
            found[job.suite] = BUILT_IN[job.suite] + (BY_SCORE if by_score else "")
    return found


def write_tables(
    filled: Sequence[FilledTable], scale: Scale, notes: Mapping[str, Sequence[str]], out: Path, console: Console
) -> None:
    """Writes and prints the tables, and draws figure 1 if it is among them. `notes`: by a table's name, further ones."""
    for each in filled:
        text = markdown(each, [*notes[each.table.name], *scale.notes.get(each.table.name, ())])
        write_file(out / f"{each.table.name}.md", text.encode(), "--out")
        write_file(out / f"{each.table.name}.csv", csv_text([each]).encode(), "--out")
        say(console, text)
        if each.table.name == FIGURE:
            helpful, factual = (measure.name for measure in each.table.measures[:2])
            write_file(out / f"{FIGURE}.svg", svg(dots(each), factual, helpful).encode(), "--out")
    say(console, f"written to {out}")


def _notes(planned: PlannedTable, stand_ins: Mapping[str, str]) -> Iterator[str]:
    for asked in dict.fromkeys(measure.source for measure in planned.table.measures):
        if asked in stand_ins:
            stand_in = f"At this scale {stand_ins[asked]} stands in for `{asked}`"
            yield f"{stand_in}: our figures and the paper's are of different questions."
