"""What a job lacks here and what would fit, said before anything is placed: what `flame-ray doctor` prints.

In: settings. Out: checks, each ok, a warning or a problem, with what was expected, what was found and what to do. Loads no
model and starts no Ray: it joins a cluster that is named, and else describes this machine.

    look -> site                          versions, auth, package      what is here
    models -> shape -> estimate -> plan   data                         what the job names
    fit (site, plan), disks (plan)                                     what does not fit, and what would
    show                                                               all of it, printed
"""

from rich.console import Console

from flame_ray.cluster.capacity import roles
from flame_ray.cluster.connect import cluster_address
from flame_ray.config import Config
from flame_ray.doctor import estimate
from flame_ray.doctor.auth import find_auth
from flame_ray.doctor.capacity import check_devices, check_engine_gpus, check_host, check_placement, check_split
from flame_ray.doctor.checks import Check, Level, Site
from flame_ray.doctor.data import find_corpus, find_prompts
from flame_ray.doctor.disks import find_room
from flame_ray.doctor.memory import Plan
from flame_ray.doctor.models import find_model
from flame_ray.doctor.package import find_package
from flame_ray.doctor.probe import find_site
from flame_ray.doctor.render import show
from flame_ray.doctor.shape import ModelShape
from flame_ray.doctor.versions import find_versions


def doctor(config: Config, console: Console) -> bool:
    """Look, and print what was found; whether there is no problem."""
    with console.status("looking"):
        found = examine(config)
    return show(console, *found)


def examine(config: Config) -> tuple[list[Check], Plan | None, Site]:
    """Every check; the plan is None when a model's shape is not known."""
    site, joined = find_site(config)
    on_gpu = any(role.gpus for role in roles(config).values())
    checks = [*find_versions(on_gpu, site), joined, *check_placement(config, site), *check_engine_gpus(config)]
    policy_check, policy = find_model(config.model.policy, config.model, "model.policy")
    judge_check, judge = policy_check, policy
    if config.judge.model:
        judge_check, judge = find_model(config.judge.model, config.model, "judge.model")
    verifier_checks, verifier = _find_verifier(config)
    corpus_check, corpus_bytes = find_corpus(config)
    plan = estimate.estimate(config, policy, judge, corpus_bytes, verifier) if policy and judge else None
    checks += _memory(config, policy, judge, corpus_bytes, verifier, site) + find_room(config, plan)
    checks += [policy_check, *check_split(config, policy), *([judge_check] if config.judge.model else []), *verifier_checks]
    checks += [*find_prompts(config), corpus_check]
    checks += [find_package(config), find_auth(cluster_address(config.cluster))]
    return checks, plan, site


def _find_verifier(config: Config) -> tuple[list[Check], ModelShape | None]:
    """The model of the verifiers, where it is one of their own; one whose shape is not known counts as the policy's."""
    if not (name := config.factuality.verifier_model):
        return [], None
    check, shape = find_model(name, config.model, "factuality.checker_model")
    return [check], shape


def _memory(
    config: Config,
    policy: ModelShape | None,
    judge: ModelShape | None,
    corpus_bytes: int,
    verifier: ModelShape | None,
    site: Site,
) -> list[Check]:
    if policy is None or judge is None:
        found = "no config.json that could be read, or one of an unknown kind"
        return [Check(Level.WARNING, "memory", "the shape of both models", found, "see the model's line, and check again")]

    def plan_of(other: Config) -> Plan:
        return estimate.estimate(other, policy, judge, corpus_bytes, verifier)

    return [check_host(config, plan_of, site), *check_devices(config, plan_of, site)]
