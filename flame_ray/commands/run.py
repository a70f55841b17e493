"""A whole run: check, place, loop, record. What `flame-ray run` calls.

In: a `Config`, and the id of a run to go on with. Out: a folder under run.root, and the reports of its rounds. What can be
known to fail is found before anything is placed; a new run's folder is made only once every actor is ready.
"""

import hashlib
import os
from contextlib import ExitStack
from pathlib import Path

import ray
from rich.console import Console

from flame_ray.cluster.capacity import check_capacity
from flame_ray.cluster.connect import connected
from flame_ray.cluster.interrupt import interruptible
from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.controller.stages import ClusterStages
from flame_ray.controller.workers import Workers, start_workers
from flame_ray.doctor.disks import checkpoint_room
from flame_ray.engines.models import check_prompts, check_split, fingerprint, load_tokenizer, resolve_model
from flame_ray.errors import Interrupted, StorageError
from flame_ray.journal.environment import describe_environment
from flame_ray.journal.journal import Journal
from flame_ray.journal.run_folder import RESERVE_BYTES, RunDirectory, run_id
from flame_ray.journal.shards import Shards
from flame_ray.journal.telemetry import Metrics
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.prompts.classify import classification_messages
from flame_ray.prompts.load import load_prompts
from flame_ray.report.progress import Screen
from flame_ray.report.summary import print_closing_table
from flame_ray.rewards.factuality.corpus import check_corpus
from flame_ray.round import Stages, run_rounds
from flame_ray.storage.cache import Cache, cache_dir, node_file
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.lease import Lease
from flame_ray.types import PairSet, Prompt, RoundReport, Split


def run(config: Config, console: Console, resume: str | None = None) -> list[RoundReport]:
    """Carry out a job; raises a FlameError, after recording it, when it cannot go on.

    `resume`: the id of a run under run.root, or its folder's path or URL.
    """
    config, path = _located(config, resume)
    name, folder = path.rpartition("/")[2], RunDirectory(Storage(path))
    checkpoints, go_on = Checkpoints(folder.checkpoints, config.run.keep_checkpoints), f"go on with --resume {resume or name}"
    with ExitStack() as stack:
        if resume:
            folder.check_resumable(config)
            stack.enter_context(_owned(folder))
        policy, judge_model, prompts = _preflight(config, folder, is_new=not resume)
        dashboard = stack.enter_context(connected(config.cluster, f"{name}-{os.getpid()}"))
        advise = stack.enter_context(interruptible(go_on if resume else "nothing is written yet: start it again"))
        check_capacity(config)
        screen = Screen(console)
        workers = _place(config, screen, policy, judge_model, checkpoints, dashboard)
        stack.callback(workers.close)
        if not resume:
            stack.enter_context(_owned(folder))
            folder.create(config, describe_environment(ray.cluster_resources()))
            advise(go_on)
        journal = Journal(folder, name, screen, Metrics(name), checkpoints.trained())
        stages = ClusterStages(workers, config, _classification_cache(judge_model), checkpoints, journal.advance)
        reports = _record(journal, config, journal.wrap(_resumed(stages, folder, checkpoints.trained())), prompts)
    print_closing_table(console, reports)
    console.print(f"run {name}: {folder.storage.url}", highlight=False, soft_wrap=True)
    return reports


def _located(config: Config, resume: str | None) -> tuple[Config, str]:
    """Where the run is; a folder that is gone on with has its own root. Raises ConfigError if that one does not do."""
    if resume is None or "/" not in resume:
        return config, f"{config.run.root.rstrip('/')}/{resume or run_id(config)}"
    path = resume.rstrip("/")
    tree = config.model_dump(mode="json")
    tree["run"]["root"] = path.rpartition("/")[0]
    return parse_config(tree, f"--resume {resume}"), path


def _owned(folder: RunDirectory) -> Lease:
    """If another process takes the run, this one ends where it stands: every further write would be into another's run."""
    return Lease(folder.storage, on_lost=lambda: os._exit(StorageError.exit_code))


def _preflight(config: Config, folder: RunDirectory, is_new: bool) -> tuple[Path, Path, tuple[Prompt, ...]]:
    """Model folders and prompts, checked together with the corpus and the disk."""
    prompts = load_prompts(config.prompts)
    check_corpus(config.factuality.corpus, config.factuality.title_column, config.factuality.text_column)
    policy = resolve_model(config.model.policy, config.model)
    judge_model = resolve_model(config.judge.model, config.model, "judge.model") if config.judge.model else policy
    load_tokenizer(judge_model, config.model)
    if config.factuality.checker_model and config.factuality.checker != "small":
        resolve_model(config.factuality.checker_model, config.model, "factuality.checker_model")
    check_split(policy, config.rollout.tensor_parallel)
    check_prompts(policy, prompts, config.model, max(config.rollout.max_tokens, config.evaluation.max_tokens or 0))
    if is_new:
        folder.check_new(RESERVE_BYTES + checkpoint_room(config, policy))
    else:
        folder.check_room(RESERVE_BYTES)
    return policy, judge_model, prompts


def _place(
    config: Config, screen: Screen, policy: Path, judge_model: Path, checkpoints: Checkpoints, dashboard: str
) -> Workers:
    bar = screen.begin("start actors")
    try:
        workers = start_workers(config, policy, judge_model, checkpoints)
    except BaseException:
        bar.close()
        raise
    bar.end(f"ready; dashboard {dashboard or 'off'}")
    return workers


def _resumed(stages: ClusterStages, folder: RunDirectory, trained: int) -> Stages:
    """Before anything is sampled, the samplers get the weights of the last round that was trained."""
    if trained:
        stages.choose_canary(Shards(folder.storage).read(trained, "pairs", PairSet))
        stages.save(trained)
        stages.sync(trained)
    return stages.stages()


def _record(journal: Journal, config: Config, stages: Stages, prompts: tuple[Prompt, ...]) -> list[RoundReport]:
    train_P = [prompt for prompt in prompts if prompt.split is Split.TRAIN]
    heldout_P = [prompt for prompt in prompts if prompt.split is Split.HELDOUT]
    reports: list[RoundReport] = []
    try:
        for report in run_rounds(stages, train_P, heldout_P, config.run.rounds, config.pipeline.staleness):
            journal.report(report)
            reports.append(report)
    except Interrupted as error:
        journal.write("interrupted", str(error))
        raise
    except BaseException as error:
        journal.write("failed", f"{type(error).__name__}: {error}")
        raise
    journal.write("complete")
    return reports


def _classification_cache(judge_model: Path) -> Cache:
    """Named after the model and the question, so that a change of either asks again."""
    key = hashlib.sha256((fingerprint(judge_model) + repr(classification_messages(""))).encode()).hexdigest()[:16]
    return Cache(node_file(cache_dir() / "classify" / key))
