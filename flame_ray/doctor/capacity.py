"""Whether a job fits a place: what it asks for, and what its actors will hold, against what is there. Pure.

In: settings, a `Site`, and the estimate of what any settings take. Out: checks, whose advice is the mildest change that fits.
Looks at nothing itself, and knows neither Ray nor a model's files.
"""

from collections.abc import Callable, Iterator, Mapping

from flame_ray.cluster.capacity import Demand, demands, in_words, roles
from flame_ray.config import Config, JudgeConfig, RolloutConfig, VerifierConfig, Workers
from flame_ray.doctor.checks import Check, Level, Site, in_units
from flame_ray.doctor.memory import Plan
from flame_ray.doctor.shape import ModelShape
from flame_ray.doctor.smaller import config_changes, role_changes, what_fits

USUAL_GPU = 80e9
FULL = 0.95  # of a machine's memory: from there on Ray kills workers
NOTHING = "no smaller setting fits"
PlanOf = Callable[[Config], Plan]


def check_placement(config: Config, site: Site) -> list[Check]:
    """What all roles ask for together; where `min_workers` can begin without the rest, that is a warning."""
    return [_placed(demand, site) for demand in demands(config, site.capacity)]


def _placed(demand: Demand, site: Site) -> Check:
    level = Level.OK if demand.all_fit else Level.WARNING if demand.least_fit else Level.PROBLEM
    found = in_words(demand.all)
    return Check(level, f"{demand.resource}s", f"at most {demand.have:g} ({site.name})", found, demand.fix)


def check_engine_gpus(config: Config) -> list[Check]:
    """Where a job is on GPUs, an engine asks for as many as it is split over, or for a share of the one that it is on."""
    gpus, split = config.rollout.gpus, config.rollout.tensor_parallel
    as_it_should = gpus == split or (split == 1 and 0 < gpus < 1)
    if as_it_should or not any(role.gpus for role in roles(config).values()):
        return []
    fix = f"set rollout.gpus={split}" + (f", or rollout.tensor_parallel={gpus:g}" if gpus > 1 and gpus % 1 == 0 else "")
    return [Check(Level.WARNING, "rollout.gpus", f"{split}, its tensor_parallel", f"{gpus:g}", fix)]


def check_split(config: Config, policy: ModelShape | None) -> list[Check]:
    """vLLM shares out the attention heads over an engine's GPUs, evenly or not at all."""
    split = config.rollout.tensor_parallel
    if policy is None or policy.heads % split == 0:
        return []
    fits = ", ".join(str(number) for number in range(1, policy.heads + 1) if policy.heads % number == 0)
    expected = f"a divisor of the model's {policy.heads} attention heads"
    return [Check(Level.PROBLEM, "rollout.tensor_parallel", expected, str(split), f"set it to one of {fits}")]


def check_host(config: Config, plan_of: PlanOf, site: Site) -> Check:
    """The machine's memory, or all nodes' together: a cluster may still grow, so it can only be warned of."""
    have, largest = (FULL * amount for amount in (sum(site.nodes), max(site.nodes, default=0.0)))

    def fits(other: Config) -> bool:
        plan = plan_of(other)
        return plan.host <= have and max(need.host.total for need in plan.needs) <= largest

    need = plan_of(config).host
    expected, found = f"about {in_units(need)} for all roles (estimate)", f"{in_units(have / FULL)} ({site.name})"
    if not fits(config):
        level = Level.WARNING if site.free is None else Level.PROBLEM
        otherwise = f"{NOTHING}: take {in_units(need / FULL)} in all, or a smaller model"
        return Check(level, "memory", expected, found, _smaller(config, config_changes(config), fits) or otherwise)
    if site.free is not None and need > site.free:
        found = f"{found}, of which {in_units(site.free)} are free now"
        return Check(Level.WARNING, "memory", expected, found, "end what else runs, or wait")
    return Check(Level.OK, "memory", expected, found)


def check_devices(config: Config, plan_of: PlanOf, site: Site) -> list[Check]:
    """Each role on GPUs, against its share of one: however many it asks for, an actor uses one, or those it is split over."""
    return [_device(config, need.role, plan_of, site) for need in plan_of(config).needs if need.gpus]


def _device(config: Config, name: str, plan_of: PlanOf, site: Site) -> Check:
    """Where no GPU's memory is known, the advice is for one of 80 GB."""
    gpu = site.gpu or USUAL_GPU

    def budget(other: Config) -> float:
        return device_share(roles(other)[name], config.pipeline.colocated) * gpu

    def fits(other: Config) -> bool:
        return plan_of(other).need(name).device.total <= budget(other)

    need, role = plan_of(config).need(name), roles(config)[name]
    least = need.device.total
    in_turns = config.pipeline.colocated
    if (
        isinstance(role, RolloutConfig | JudgeConfig | VerifierConfig)
        and role.gpus < min(1.0, role.gpu_memory)
        and not in_turns
    ):
        expected, fix = f"gpu_memory of at most {role.gpus:g}, its gpus", f"set {name}.gpu_memory={role.gpus:g}"
        return Check(Level.PROBLEM, f"{name} GPU", expected, f"{role.gpu_memory:g}", fix)
    on = "for an actor" if need.split == 1 else f"on each of an actor's {need.split} GPUs"
    expected = f"about {in_units(least)} {on} (estimate)"
    changes = ({name: change} for change in role_changes(role))
    enough = f"take GPUs of {in_units(least / budget(config) * gpu)} or more"
    fix = enough if fits(config) else _smaller(config, changes, fits) or f"{NOTHING}: {enough}, or a smaller model"
    if site.gpu is None:
        found = f"no GPU whose memory is known ({site.name})"
        return Check(Level.WARNING, f"{name} GPU", expected, found, fix if fits(config) else f"for GPUs of 80 GB: {fix}")
    found = f"{in_units(budget(config))}, its share of {in_units(gpu)}"
    return Check(Level.OK if fits(config) else Level.PROBLEM, f"{name} GPU", expected, found, fix)


def device_share(role: Workers, in_turns: bool = False) -> float:
    """How much of a GPU an actor may take: its fraction of one, and an engine no more than its `gpu_memory`.

    `in_turns`: colocated, where the fractions only place the actors, and the learner has the GPU for itself in its turn.
    """
    fraction = 1.0 if in_turns else min(1.0, role.gpus)
    return min(fraction, role.gpu_memory) if isinstance(role, RolloutConfig | JudgeConfig | VerifierConfig) else fraction


def _smaller(config: Config, changes: Iterator[Mapping], fits: Callable[[Config], bool]) -> str:
    """The mildest change of settings that fits, as words; "" when none does."""
    changed = what_fits(config, changes, fits)
    return f"set {', '.join(changed)}" if changed else ""
