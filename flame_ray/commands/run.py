"""`flame-ray run`: check, place, loop, record.

Whatever can be known to fail is found before any actor is placed. A new run's folder is created once all actors are ready.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ray
from rich.console import Console

from flame_ray.cluster.capacity import check_capacity, roles
from flame_ray.cluster.connect import check_address, connected
from flame_ray.cluster.figures import namespace
from flame_ray.cluster.interrupt import interruptible
from flame_ray.cluster.submitted import ROOT, require_lasting
from flame_ray.commands.contents import run_contents
from flame_ray.commands.job_command import job_command
from flame_ray.commands.sharing import shared_round
from flame_ray.config import Config, EngineWorkers
from flame_ray.config.load import parse_config
from flame_ray.config.rewards import LEAST_VERIFIER_LENGTH
from flame_ray.controller.shared_folder import check_shared
from flame_ray.controller.stages import ClusterStages
from flame_ray.controller.watch import all_of, watch
from flame_ray.controller.workers import Scope, start_workers
from flame_ray.doctor.disks import checkpoint_room
from flame_ray.engines.chat import ChatTokenizer
from flame_ray.engines.models import (
    KnownModel,
    check_attention_heads,
    check_chat,
    check_checker_model,
    check_judge_model,
    check_template,
    check_trainable,
    look_up,
    text_of_tokens,
)
from flame_ray.engines.origin import origin_of
from flame_ray.engines.text_config import check_positions, longest
from flame_ray.errors import ConfigError, DataError, Interrupted, StorageError
from flame_ray.journal.environment import describe_code, describe_environment
from flame_ray.journal.journal import Journal
from flame_ray.journal.run_folder import RESERVE_BYTES, RunFolder, check_not_hidden, run_id
from flame_ray.journal.shards import Shards
from flame_ray.journal.telemetry import Metrics
from flame_ray.journal.trackers import check_trackers, tracking
from flame_ray.learner.checkpoints import BEST, Checkpoints
from flame_ray.learner.given_pairs import given_pair_set
from flame_ray.learner.masks import Decode
from flame_ray.pairs import factual_first
from flame_ray.prompts.classify import classification_cache
from flame_ray.prompts.decide import check_labels
from flame_ray.prompts.embedding_classifier import check_classifier, check_sentence_labels
from flame_ray.prompts.given_pairs import SETTING as PAIRS_FILE
from flame_ray.prompts.given_pairs import read_given_pairs
from flame_ray.prompts.lengths import check_classification, fitting
from flame_ray.prompts.load import LoadedPrompts, check_development, digests, load_prompts, prompt_digests
from flame_ray.report.progress import CONNECT, Screen
from flame_ray.report.summary import print_closing_table
from flame_ray.rewards.factuality.corpus import check_corpus
from flame_ray.rewards.factuality.names import pinned_models
from flame_ray.round import Stages, on_given_pairs, run_rounds
from flame_ray.shown import say
from flame_ray.storage.cache import Cache
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.lease import Lease
from flame_ray.types import HeldOut, PairSet, Prompt, RoundReport, Split

log = logging.getLogger(__name__)
MANY = 1000  # held-out prompts: fewer are never too many


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run reads: its models, and its prompts."""

    policy: KnownModel
    judge: KnownModel
    prompts: LoadedPrompts
    models: Mapping[str, str]  # by setting, hub ids with their commits, so that a resumed run finds the same
    pairs: PairSet | None = None  # those of pairs.file
    contents: Mapping[str, str] = field(default_factory=dict)  # by setting, what tells what is read

    @property
    def digests(self) -> dict[str, Mapping[str, str]]:
        """By name and source, what tells the content of the data."""
        pairs_D = self.pairs.pairs_D if self.pairs else ()
        texts_D = ((each.prompt_id, each.kind, each.chosen.text, each.rejected.text) for each in pairs_D)
        pairs = digests((PAIRS_FILE, each) for each in texts_D)
        return {"prompts": prompt_digests(self.prompts.prompts), "pairs": pairs, "contents": self.contents}

    @property
    def noted(self) -> dict[str, Any]:
        """What environment.json says of them."""
        return {"models": self.models, "origin": asdict(origin_of(self.policy))} | self.digests


def run(config: Config, console: Console, resume: str | None = None) -> list[RoundReport]:
    """Run a job and return the report of each round. Raises a FlameError, which the journal records, if the run cannot go on.

    `resume` is the id of a run under run.root, or the path or URL of a run's folder.
    """
    with interruptible("nothing is written yet: start the run again") as advise:
        return _run(config, console, resume, advise)


def _run(config: Config, console: Console, resume: str | None, advise: Callable[[str], None]) -> list[RoundReport]:
    check_address(config.cluster)
    job_command(config)  # refuses a job of another command
    config, path = locate_run(config, resume)
    name, folder = path.rpartition("/")[2], RunFolder(Storage(path))
    checkpoints, screen = Checkpoints(folder.checkpoints, config.run.keep_checkpoints), Screen(console)
    advice = f"continue with --resume {resume or name}"
    with ExitStack() as stack:
        if resume:
            advise(advice)
            folder.check_resumable(config)
            config = _as_it_began(config, folder.models())
            stack.enter_context(take_lease(folder))
            folder.note_code(describe_code(), from_round=checkpoints.trained() + 1)
        with closing(screen.begin("check the job")):
            inputs = _check(config, folder, is_new=not resume)
            shared = shared_round(config, inputs.policy, inputs.judge, inputs.models, name)
            classified = classification_cache(inputs.judge.identity(config.judge_variables))
        ray_here = connected(config.cluster, namespace(name, os.getpid()))
        dashboard = stack.enter_context(screen.entering(CONNECT, ray_here))
        check_capacity(config)
        scope = stack.enter_context(Scope(config))
        with closing(screen.begin("start actors")) as bar:
            asks = _asks_judge(config, classified, inputs.prompts.prompts)
            workers = start_workers(scope, inputs.policy.ref, inputs.judge.ref, checkpoints, asks)
            bar.end(f"ready; dashboard {dashboard or 'off'}")
        with closing(screen.begin("prepare the folder")):
            check_shared(folder.storage, workers.learner, workers.rollouts)
            if not resume:
                stack.enter_context(take_lease(folder))
                folder.create(config, describe_environment(ray.cluster_resources()) | inputs.noted)
                advise(advice)
        choice = checkpoints.choice()
        chosen = choice.round if choice else -1
        trackers = screen.entering("start the trackers", tracking(config, folder, name, screen))
        metrics = Metrics(name, stack.enter_context(trackers))
        scope.event_loop.start(watch(all_of(workers, scope.verifiers), metrics.workers))
        journal = Journal(folder, name, screen, metrics, checkpoints.trained(), chosen)
        journal.left_out = inputs.prompts.left_out
        decode = _decoder(config, inputs.policy.folder)
        known = shared.known if shared else None
        stages = ClusterStages(workers, config, classified, checkpoints, journal.advance, decode, journal.stepped, known)
        with closing(screen.begin("resume")):
            made = _resumed(stages, folder, checkpoints)
        made = on_given_pairs(made, inputs.pairs) if inputs.pairs else made
        recorded = journal.wrap(shared.keeping(made) if shared else made, config.pipeline.stream)
        reports = _record(journal, config, recorded, inputs.prompts.prompts)
    print_closing_table(console, reports)
    best = f"; the best round is in {folder.storage.at(BEST)}" if config.run.select == "best" else ""
    say(console, f"run {name}: {folder.storage.url}{best}{_skipped(reports)}")
    return reports


def locate_run(config: Config, resume: str | None) -> tuple[Config, str]:
    """The run's folder, and the settings with its root.

    Raises ConfigError if that root does not suit the settings, or if a new run's folder could not hold them as they are.
    """
    if resume is not None and not resume.strip("./ "):
        fix = "give the id of a run under run.root, or a run's folder; leave --resume out to start a new run"
        raise ConfigError("--resume with a run's id or folder", repr(resume), fix)
    if resume is None or "/" not in resume:
        require_lasting("run.root", config.run.root, ROOT)
        if resume is None:
            check_not_hidden(config)
        return config, f"{config.run.root.rstrip('/')}/{resume or run_id(config)}"
    require_lasting("--resume", resume, "--resume /shared/path/RUN, or s3://bucket/path/RUN")
    path = resume.rstrip("/")
    tree = config.model_dump(mode="json")
    tree["run"]["root"] = path.rpartition("/")[0]
    return parse_config(tree, f"--resume {resume}"), path


@contextmanager
def take_lease(folder: RunFolder) -> Iterator[None]:
    """Own the run for the block, and note that it runs, the submitted job that does, and an end that no journal has written.

    If another process takes the run over, this one exits at once: any further write would go into the other's run.
    """
    with Lease(folder.storage, on_lost=lambda: os._exit(StorageError.exit_code)):
        folder.note_running()  # before the last submission changes: the summary is then that one's
        folder.note_submission()
        try:
            yield
        except BaseException as error:
            folder.note_end(error)
            raise


def _check(config: Config, folder: RunFolder, is_new: bool) -> Inputs:
    """Check the models, the prompts, the corpus and the disk before anything is placed."""
    if config.sft.sources:
        raise ConfigError("a job for `flame-ray run`", "sft.sources, answers to learn from", "use `flame-ray sft` for this job")
    check_trackers(config.run.trackers)
    folder.check_place(is_new)
    loaded = load_prompts(config.prompts)
    check_classifier(config.classify)
    check_sentence_labels(config.factuality)
    check_labels(config.classify, loaded.prompts)
    check_development(loaded.prompts, config.run)
    check_corpus(config.factuality.corpus, config.factuality.title_column, config.factuality.text_column)
    policy = look_up(config.model.policy, config.model)
    if is_new:
        check_template(policy.folder, config.model)
    judge = look_up(config.judge.model, config.model, "judge.model") if config.judge.model else policy
    check_chat(judge.folder, config.model, config.judge_variables, "judge.chat_template_kwargs")
    verifier = policy
    if config.factuality.checker_model and config.factuality.checker != "small":
        verifier = look_up(config.factuality.checker_model, config.model, "factuality.checker_model")
    check_checker_model(config.factuality)
    check_judge_model(config.judge)
    check_trainable(policy.folder)
    from flame_ray.engines.policy import check_loads  # takes seconds

    check_loads(policy)
    served = {"rollout": policy, "judge": judge, "verifier": verifier}
    for name, role in roles(config).items():
        if isinstance(role, EngineWorkers):
            check_attention_heads(served[name].folder, role.tensor_parallel, name)
    if config.factuality.asks_verifier:
        check_positions(verifier.folder, LEAST_VERIFIER_LENGTH, verifier.ref.setting)
    if config.classify.by == "model":
        check_classification(judge.folder, config)
    loaded = fitting(loaded, policy.folder, config)
    check_development(loaded.prompts, config.run)
    _check_held_out(config, loaded)
    if is_new:
        folder.check_room(RESERVE_BYTES + checkpoint_room(config, policy))
    models = {"model.policy": policy.ref.pinned, "judge.model": judge.ref.pinned, **pinned_models(config.factuality)}
    inputs = Inputs(policy, judge, loaded, models, _given_pairs(config, policy, loaded), run_contents(config))
    if not is_new:
        for name, setting in (("prompts", "prompts.sources"), ("pairs", PAIRS_FILE)):
            folder.check_unchanged(name, setting, inputs.digests[name])
        folder.check_contents(inputs.contents)
    return inputs


def _asks_judge(config: Config, classified: Cache, prompts_P: Sequence[Prompt]) -> bool:
    """Whether the judge's model is to classify a prompt that it has not classified before. Where engines share GPUs it is to be
    there in any case: an engine measures the free memory when it starts.
    """
    texts = {prompt.text for prompt in prompts_P}
    is_missing = config.classify.by == "model" and len(classified.get(tuple(texts))) < len(texts)
    return is_missing or config.pipeline.colocated


def _given_pairs(config: Config, policy: KnownModel, loaded: LoadedPrompts) -> PairSet | None:
    """The pairs of pairs.file, without those on prompts that measure or choose. Raises DataError if none is left."""
    if config.pairs.file is None:
        return None
    measuring = {prompt.text for prompt in loaded.prompts if prompt.split is not Split.TRAIN}
    by_factuality = config.learner.loss_kind.compares_factuality
    given, chat = read_given_pairs(config.pairs.file, by_factuality), ChatTokenizer(policy.folder, config.model)
    most = longest(policy.folder, config.model)
    pairs = given_pair_set(given, chat, most.tokens, measuring)
    pairs = factual_first(pairs) if by_factuality else pairs
    if not pairs.pairs_D:
        found = ", ".join(f"{count} {reason}" for reason, count in pairs.dropped.items())
        raise DataError(f"pairs to train on in {config.pairs.file}", f"none; {found}", f"{most.fix}, or give others")
    return pairs


def _check_held_out(config: Config, loaded: LoadedPrompts) -> None:
    """Warn of so many held-out prompts that a round takes longer to measure than to sample."""
    held_out = sum(prompt.split is Split.HELDOUT for prompt in loaded.prompts)
    sampled = config.prompts.per_round * config.rollout.samples
    if held_out > max(sampled, MANY):
        log.warning(
            "every round answers and scores %d held-out prompts, and only %d responses to learn from: set heldout_limit in "
            "prompts.sources",
            held_out,
            sampled,
        )


def _as_it_began(config: Config, models: Mapping[str, str]) -> Config:
    """The settings with the models (by setting) that the run began with, though a branch on the hub has moved since."""
    tree = config.model_dump(mode="json")
    for setting, name in models.items():
        section, key = setting.split(".")
        if tree[section][key] is not None:
            tree[section][key] = name
    return parse_config(tree, "the settings of the run that is resumed")


def _resumed(stages: ClusterStages, folder: RunFolder, checkpoints: Checkpoints) -> Stages:
    """Give the samplers the learner's weights, of the last trained round or of the one that it was rolled back to, before
    anything is sampled; and the stages the answers of round 0.
    """
    shards = Shards(folder.storage)
    for kind in ("heldout", "dev"):
        if shards.has(0, kind):
            stages.know_first(shards.read(0, kind, HeldOut).scored_P)
    if trained := checkpoints.trained():
        stages.choose_canary(shards.read_pairs(trained))
        stages.save(checkpoints.start())
        stages.sync(checkpoints.start())
    return stages.stages()


def _record(journal: Journal, config: Config, stages: Stages, prompts: tuple[Prompt, ...]) -> list[RoundReport]:
    train_P = [prompt for prompt in prompts if prompt.split is Split.TRAIN]
    heldout_P = [prompt for prompt in prompts if prompt.split is Split.HELDOUT]
    dev_P = [prompt for prompt in prompts if prompt.split is Split.DEV and config.run.select == "best"]
    reports: list[RoundReport] = []
    try:
        for report in run_rounds(stages, train_P, heldout_P, config.run.rounds, config.pipeline.staleness, dev_P):
            journal.report(report)
            reports.append(report)
        _check_trained(reports)
    except Interrupted as error:
        journal.write("interrupted", str(error))
        raise
    except BaseException as error:
        journal.write("failed", f"{type(error).__name__}: {error}")
        raise
    journal.write("complete")
    return reports


def _check_trained(reports: Sequence[RoundReport]) -> None:
    """Raise DataError if every round was skipped: the model is what it was."""
    rounds = [report for report in reports if report.pairs is not None]
    if rounds and all(report.is_skipped for report in rounds):
        dropped = sum((Counter(report.pairs.dropped) for report in rounds if report.pairs), Counter[str]())
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.most_common()) or "nothing"
        raise DataError(
            "at least one preference pair to train on (for learner.loss grpo: a group whose rewards differ)",
            f"none in {len(rounds)} rounds, all of which were skipped; dropped: {reasons}",
            "start a new run that samples more or longer responses, or loosens the filters in `pairs`",
        )


def _skipped(reports: Sequence[RoundReport]) -> str:
    """How many rounds were skipped, for the last line on the screen."""
    skipped = [str(report.round) for report in reports if report.is_skipped]
    return f"; without pairs, and so skipped: round {', '.join(skipped)}" if skipped else ""


def _decoder(config: Config, policy: Path) -> Decode | None:
    """What a loss that counts sentences needs, to find them among the tokens."""
    return text_of_tokens(policy, config.model) if config.learner.loss_kind.reads_sentences else None
