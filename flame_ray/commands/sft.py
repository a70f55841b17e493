"""`flame-ray sft`: supervised fine-tuning, from demonstrations to a model that vLLM serves.

Whatever can be known to fail is found before anything is placed or written.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from typing import Any

import ray
from rich.console import Console

from flame_ray.cluster.capacity import check_capacity, sft_roles
from flame_ray.cluster.connect import check_address, connected
from flame_ray.cluster.figures import namespace
from flame_ray.cluster.interrupt import interruptible
from flame_ray.commands.contents import sft_contents
from flame_ray.commands.job_command import job_command
from flame_ray.commands.run import locate_run, take_lease
from flame_ray.commands.sharing import shared_samples
from flame_ray.config import Config
from flame_ray.controller.sft_stages import SftClusterStages, elicitation_plan
from flame_ray.doctor.disks import checkpoint_room
from flame_ray.elicitation.prompts import check_seeds, check_sources
from flame_ray.engines.chat import ChatTokenizer
from flame_ray.engines.models import (
    KnownModel,
    check_attention_heads,
    check_chat,
    check_template,
    check_trainable,
    look_up,
)
from flame_ray.engines.origin import origin_of
from flame_ray.engines.text_config import longest
from flame_ray.errors import ConfigError
from flame_ray.journal.environment import describe_code, describe_environment
from flame_ray.journal.run_folder import RESERVE_BYTES, RunFolder
from flame_ray.journal.sft_journal import ROUND, SftJournal
from flame_ray.journal.telemetry import Metrics
from flame_ray.journal.trackers import check_trackers, tracking
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.prompts.classify import classification_cache
from flame_ray.prompts.demonstrations import digests_of, load_demonstrations
from flame_ray.prompts.embedding_classifier import check_classifier
from flame_ray.report.progress import CONNECT, Screen
from flame_ray.report.summary import print_sft_table
from flame_ray.sft import Mixture, run_sft
from flame_ray.shown import say
from flame_ray.storage.filesystem import Storage
from flame_ray.types import DemonstrationSet, SftReport


@dataclass(frozen=True, slots=True)
class SftInputs:
    """What a fine-tuning reads: the model that it trains, the one that classifies its seeds, and its demonstrations."""

    policy: KnownModel
    judge: KnownModel
    demonstrations: DemonstrationSet
    contents: Mapping[str, str] = field(default_factory=dict)  # by setting, what tells the content of what it only names

    @property
    def models(self) -> dict[str, str]:
        """What a resumed run needs to find the same models, though a branch on the hub has moved."""
        return {"model.policy": self.policy.ref.pinned, "judge.model": self.judge.ref.pinned}

    @property
    def noted(self) -> dict[str, Any]:
        """What environment.json says of them."""
        told = {"models": self.models, "origin": asdict(origin_of(self.policy))}
        return told | {"demonstrations": digests_of(self.demonstrations.demonstrations), "contents": self.contents}


def sft(config: Config, console: Console, resume: str | None = None) -> SftReport:
    """Fine-tune as the job says. Raises a FlameError, which the journal records, if the run cannot go on.

    `resume` is the id of a run under run.root, or the path or URL of a run's folder.
    """
    with interruptible("nothing is written yet: start the run again") as advise:
        return _sft(config, console, resume, advise)


def _sft(config: Config, console: Console, resume: str | None, advise: Callable[[str], None]) -> SftReport:
    check_address(config.cluster)
    job_command(config)  # refuses a job of another command
    config, path = locate_run(config, resume)
    name, folder = path.rpartition("/")[2], RunFolder(Storage(path))
    checkpoints, screen = Checkpoints(folder.checkpoints), Screen(console)
    advice = f"continue with --resume {resume or name}"
    with ExitStack() as stack:
        if resume:
            advise(advice)
            folder.check_resumable(config)
            stack.enter_context(take_lease(folder))
            folder.note_code(describe_code(), from_round=checkpoints.trained() + 1)
        with closing(screen.begin("check the job")):
            inputs = check_sft(config, folder, is_new=not resume)
            shared = shared_samples(config, elicitation_plan(config), inputs.policy, name)
        ray_here = connected(config.cluster, namespace(name, os.getpid()))
        stack.enter_context(screen.entering(CONNECT, ray_here))
        for role in sft_roles(config):  # one after another
            check_capacity(config, only=(role,))
        if not resume:
            stack.enter_context(take_lease(folder))
            folder.create(config, describe_environment(ray.cluster_resources()) | inputs.noted)
            advise(advice)
        tracked = tracking(config, folder, name, screen)
        trackers = stack.enter_context(screen.entering("start the trackers", tracked))
        metrics = Metrics(name, trackers)
        journal = SftJournal(folder, name, screen, metrics, checkpoints.trained() >= ROUND)
        cache = classification_cache(inputs.judge.identity(config.judge_variables))
        made = SftClusterStages(
            config,
            inputs.policy,
            inputs.judge,
            cache,
            checkpoints,
            folder.storage,
            advance=journal.advance,
            stepped=journal.stepped,
            note_shown=journal.note_shown,
            show_workers=metrics.workers,
            shared=shared,
        )
        with journal.recorded(), made as stages:
            report = run_sft(journal.wrap(stages.stages()), inputs.demonstrations.demonstrations, mixture_of(config))
        journal.complete(report, inputs.demonstrations.left_out)
    print_sft_table(console, report)
    say(console, f"run {name}: {folder.storage.url}; the model is in {report.model}")
    return report


def check_sft(config: Config, folder: RunFolder, is_new: bool) -> SftInputs:
    """Check the settings, the demonstrations, the models and the disk before anything is placed."""
    if config.learner.loss_kind.trains_on != "answers":
        fix = "set learner.loss to nll in the job, or use `flame-ray run`"
        raise ConfigError("learner.loss nll, which learns from answers", config.learner.loss, fix)
    check_trackers(config.run.trackers)
    folder.check_place(is_new)
    demonstrations = load_demonstrations(config.sft.sources)
    if not is_new:
        folder.check_unchanged("demonstrations", "sft.sources", digests_of(demonstrations.demonstrations))
    check_classifier(config.classify)
    check_seeds(config, demonstrations.demonstrations)
    began = {} if is_new else folder.models()
    policy = look_up(began.get("model.policy", config.model.policy), config.model)
    from flame_ray.engines.policy import check_loads  # takes seconds

    check_loads(policy)
    check_trainable(policy.folder)
    if is_new:
        check_template(policy.folder, config.model)
    ChatTokenizer(policy.folder, config.model)
    judge = policy
    if "judge" in sft_roles(config):
        if config.judge.model:
            judge = look_up(began.get("judge.model", config.judge.model), config.model, "judge.model")
        check_chat(judge.folder, config.model, config.judge_variables, "judge.chat_template_kwargs")
    _check_elicitation(config, policy)
    once = config.replaced("run", rounds=1)
    if is_new:
        folder.check_room(RESERVE_BYTES + checkpoint_room(once, policy))
    contents = sft_contents(config)
    if not is_new:
        folder.check_contents(contents)
    return SftInputs(policy, judge, demonstrations, contents)


def mixture_of(config: Config) -> Mixture:
    return Mixture(config.sft.fact_based, config.sft.others, config.sft.elicit.weight)


def _check_elicitation(config: Config, policy: KnownModel) -> None:
    """What the elicitation needs: room for an instruction, an embedder, a corpus."""
    if not config.sft.elicits:
        return
    elicit = config.sft.elicit
    check_attention_heads(policy.folder, config.rollout.tensor_parallel)
    if elicit.max_tokens + 1 >= (most := longest(policy.folder, config.model)).tokens:
        expected = "sft.elicit.max_tokens well below what the model reads, which examples need too"
        raise ConfigError(expected, f"{elicit.max_tokens} and {most}", f"{most.fix}, or lower sft.elicit.max_tokens")
    check_sources(config)
