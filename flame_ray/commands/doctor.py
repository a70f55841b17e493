"""`flame-ray doctor`: says what a job lacks here and what would fit, before anything is placed.

It loads no weights and starts no Ray: it joins the cluster that the settings name, or else describes this machine.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from rich.console import Console

from flame_ray.cluster.capacity import roles, sft_roles
from flame_ray.cluster.connect import cluster_address
from flame_ray.config import Config, EngineWorkers
from flame_ray.doctor.capacity import (
    PlanOf,
    check_devices,
    check_engine_gpus,
    check_host,
    check_placement,
    check_tensor_parallel,
    check_weights,
)
from flame_ray.doctor.checks import Check, Level, Site, refused
from flame_ray.doctor.data import (
    find_corpus,
    find_demonstrations,
    find_given_pairs,
    find_prompts,
    longest_demonstration,
    longest_prompt,
)
from flame_ray.doctor.disks import find_room
from flame_ray.doctor.estimate import Plan, estimate
from flame_ray.doctor.models import ModelShape, find_model
from flame_ray.doctor.package import find_package
from flame_ray.doctor.probe import find_auth, find_site, find_versions
from flame_ray.doctor.render import render
from flame_ray.engines.models import check_checker_model, check_judge_model
from flame_ray.errors import ConfigError, DataError, ModelError
from flame_ray.evaluation.labels import read_claims, read_preferences
from flame_ray.journal.run_folder import check_not_hidden
from flame_ray.journal.trackers import check_trackers
from flame_ray.prompts.embedding_classifier import check_sentence_labels
from flame_ray.rewards.factuality.corpus import check_corpus, load_corpus


def doctor(config: Config, console: Console) -> bool:
    """Examine a job and print the report. Returns whether there is no problem."""
    with console.status("looking"):
        report = examine(config)
    return render(console, *report)


def examine(config: Config) -> tuple[list[Check], Plan | None, Site]:
    """Every check, the plan (None if a model's shape is not known), and the site."""
    site, site_check = find_site(config)
    model_checks, shapes = _find_models(config)
    found = _examine_sft(config, shapes, site) if config.sft.sources else _examine_run(config, shapes, site)
    on_gpu = any(role.gpus for role in roles(config).values())
    checks = [*find_versions(on_gpu, site), site_check, *check_engine_gpus(config), *found.needs]
    checks += [*find_room(config, found.plan), *model_checks, *_check_refused(config), *found.data, *_check_training(config)]
    checks += [find_package(config), find_auth(cluster_address(config.cluster))]
    return checks, found.plan, site


@dataclass(frozen=True, slots=True)
class _Examined:
    """What a command asks of a site and of its data. `plan`: None if a model's shape is not known."""

    needs: list[Check]
    data: list[Check]
    plan: Plan | None


def _examine_run(config: Config, shapes: dict[str, ModelShape | None], site: Site) -> _Examined:
    """Of `flame-ray run`, whose actors are all there at once."""
    corpus_check, corpus_bytes = find_corpus(config)
    plan_of = _planner(shapes, corpus_bytes, longest_prompt(config))
    needs = [*check_placement(config, site), *check_weights(config), *_check_memory(config, plan_of, site)]
    data = [*find_prompts(config), *find_given_pairs(config), corpus_check]
    return _Examined(needs, data, plan_of(config) if plan_of else None)


def _examine_sft(config: Config, shapes: dict[str, ModelShape | None], site: Site) -> _Examined:
    """Of `flame-ray sft`, whose roles come one after another."""
    once = config.replaced("run", rounds=1)
    plan_of, names = _planner(shapes, 0, *(longest_demonstration(config) or ())), sft_roles(config)
    needs: list[Check] = []
    for name in names:
        alone = partial(_of_role, plan_of, name) if plan_of else None
        checks = [*check_placement(config, site, only=(name,)), *_check_memory(once, alone, site)]
        needs += [check if name in check.name else replace(check, name=f"{check.name}, {name}") for check in checks]
    shows_passages = config.sft.elicits and config.sft.elicit.passages
    data = [find_demonstrations(config), *([find_corpus(config)[0]] if shows_passages else [])]
    plan = plan_of(once) if plan_of else None
    return _Examined(needs, data, plan and replace(plan, needs=tuple(plan.need(name) for name in names)))


def _of_role(plan_of: PlanOf, name: str, config: Config) -> Plan:
    plan = plan_of(config)
    return replace(plan, needs=(plan.need(name),))


def _find_models(config: Config) -> tuple[list[Check], dict[str, ModelShape | None]]:
    """Check each model, and find its shape by the role that serves it."""
    check, policy = find_model(config.model.policy, config.model, "model.policy")
    checks, shapes = [check], {"policy": policy, "judge": policy, "verifier": None}
    if config.judge.model:
        check, shapes["judge"] = find_model(config.judge.model, config.model, "judge.model")
        checks.append(check)
    if name := config.factuality.verifier_model:
        check, shapes["verifier"] = find_model(name, config.model, "factuality.checker_model")
        checks.append(check)
    served = {"rollout": policy, "judge": shapes["judge"], "verifier": shapes["verifier"] or policy}
    engines = ((name, role) for name, role in roles(config).items() if isinstance(role, EngineWorkers))
    split = (check_tensor_parallel(name, role, served[name]) for name, role in engines)
    return [*checks, *chain.from_iterable(split)], shapes


def _check_refused(config: Config) -> list[Check]:
    """A problem for each setting that a run refuses at its start: what its folder would hide, and what is not installed or
    not there.
    """
    checks = []
    for name, check in (
        ("secrets", partial(check_not_hidden, config)),
        ("run.trackers", partial(check_trackers, config.run.trackers)),
        ("factuality.checker_model", partial(check_checker_model, config.factuality)),
        ("factuality.sentence_labels", partial(check_sentence_labels, config.factuality)),
        ("judge.preferences", partial(check_judge_model, config.judge)),
    ):
        try:
            check()
        except (ConfigError, DataError, ModelError) as error:
            checks.append(refused(name, error))
    return checks


def _check_training(config: Config) -> list[Check]:
    """The files that train-checker or train-judge reads, if the job has a section for it."""
    checker, records, checks = config.train_checker, config.train_checker.records, []
    if records.labels:
        from flame_ray.reward_training.record_training import labelled_subjects  # here, because it imports torch

        checks.append(
            _check_files(
                "train_checker.records.labels",
                records.labels,
                lambda name: labelled_subjects([Path(name)], load_corpus(records.corpus)),
            )
        )
    elif "train_checker" in config.model_fields_set:
        checks.append(_check_files("train_checker.labels", checker.labels, lambda name: read_claims(Path(name))))
        checks.append(_check_files("train_checker.twins", checker.twins, check_corpus))
    if "train_judge" in config.model_fields_set:
        labels = config.train_judge.labels
        checks.append(_check_files("train_judge.labels", labels, lambda name: read_preferences(Path(name))))
    return checks


def _check_files(setting: str, names: Collection[str], read: Callable[[str], object]) -> Check:
    try:
        for name in names:
            read(name)
    except DataError as error:
        return refused(setting, error)
    if not names and setting.endswith("labels"):
        return Check(Level.PROBLEM, setting, "files of labels to train on", "none", f"name them in {setting}")
    return Check(Level.OK, setting, "files that can be read", ", ".join(names) or "none")


def _planner(
    shapes: dict[str, ModelShape | None], corpus_bytes: int, prompt: int | None = None, answer: int | None = None
) -> PlanOf | None:
    """Estimates the plan of any settings. None if the policy's or the judge's shape is not known."""
    policy, judge = shapes["policy"], shapes["judge"]
    if policy is None or judge is None:
        return None
    return lambda config: estimate(config, policy, judge, corpus_bytes, shapes["verifier"], prompt, answer)


def _check_memory(config: Config, plan_of: PlanOf | None, site: Site) -> list[Check]:
    if plan_of is None:
        found = "no config.json that could be read, or an architecture that transformers does not know"
        return [Check(Level.WARNING, "memory", "the shape of both models", found, "see the model's line, and check again")]
    return [check_host(config, plan_of, site), *check_devices(config, plan_of, site)]
