"""A whole run: check, place, loop, record. What `flame-ray run` calls.

In: a `Config`. Out: a folder under run.root, and the reports of its rounds. What can be known to fail is found before
anything is placed; a folder is made only once every actor is ready.
"""

import hashlib
import logging
from pathlib import Path

import ray
from rich.console import Console

from flame_ray.config import Config
from flame_ray.engines.models import cache_dir, check_prompts, fingerprint, load_tokenizer, resolve_model
from flame_ray.prompts.classify import classification_messages
from flame_ray.prompts.load import load_prompts
from flame_ray.report.summary import print_closing_table
from flame_ray.rewards.corpus import load_corpus
from flame_ray.round import run_rounds
from flame_ray.runtime.cache import Cache
from flame_ray.runtime.cluster import check_capacity, connected
from flame_ray.runtime.environment import describe_environment
from flame_ray.runtime.journal import Journal
from flame_ray.runtime.metrics import Metrics
from flame_ray.runtime.progress import Screen
from flame_ray.runtime.rundir import RESERVE_BYTES, RunDirectory, run_id
from flame_ray.runtime.stages import ClusterStages
from flame_ray.runtime.workers import start_workers
from flame_ray.types import Prompt, RoundReport, Split

log = logging.getLogger(__name__)


def run(config: Config, console: Console) -> list[RoundReport]:
    """Carry out a job; raises a FlameError, after recording it, when it cannot go on."""
    name = run_id(config)
    path = config.run.root / name
    policy, judge_model, prompts = _preflight(config, path)
    screen = Screen(console)
    with connected(config.cluster, name) as dashboard:
        check_capacity(config)
        screen.begin("start actors")
        try:
            workers = start_workers(config, policy, judge_model)
        finally:
            screen.close()
        screen.end(f"ready; dashboard {dashboard or 'off'}")
        run_directory = RunDirectory.create(path, config, describe_environment(ray.cluster_resources()))
        journal = Journal(run_directory, name, screen, Metrics(name))
        stages = ClusterStages(
            workers, config, _classification_cache(judge_model), run_directory.checkpoint, screen.advance
        ).stages()
        reports = _record(journal, config, journal.wrap(stages), prompts)
    print_closing_table(console, reports)
    console.print(f"run {name}: {path}", highlight=False, soft_wrap=True)
    return reports


def _preflight(config: Config, path: Path) -> tuple[Path, Path, tuple[Prompt, ...]]:
    """Model folders and prompts, checked together with the corpus and the disk."""
    prompts = load_prompts(config.prompts)
    load_corpus(config.factuality.corpus, config.factuality.title_column, config.factuality.text_column)
    policy = resolve_model(config.model.policy, config.model)
    judge_model = resolve_model(config.judge.model, config.model, "judge.model") if config.judge.model else policy
    load_tokenizer(judge_model, config.model)
    check_prompts(policy, prompts, config.model, max(config.rollout.max_tokens, config.evaluation.max_tokens or 0))
    model_bytes = sum(file.stat().st_size for file in policy.glob("*.safetensors"))
    RunDirectory.check(path, RESERVE_BYTES + config.run.rounds * model_bytes * config.run.save_merged)
    return policy, judge_model, prompts


def _record(journal: Journal, config: Config, stages, prompts: tuple[Prompt, ...]) -> list[RoundReport]:
    train_P = [prompt for prompt in prompts if prompt.split is Split.TRAIN]
    heldout_P = [prompt for prompt in prompts if prompt.split is Split.HELDOUT]
    reports: list[RoundReport] = []
    try:
        for report in run_rounds(stages, train_P, heldout_P, config.run.rounds):
            journal.report(report)
            reports.append(report)
    except BaseException as error:
        journal.write("failed", f"{type(error).__name__}: {error}")
        raise
    journal.write("complete")
    return reports


def _classification_cache(judge_model: Path) -> Cache:
    """Named after the model and the question, so that a change of either asks again."""
    key = hashlib.sha256((fingerprint(judge_model) + repr(classification_messages(""))).encode()).hexdigest()[:16]
    return Cache(cache_dir() / "classify" / f"{key}.jsonl")
