"""Checks that a job fits a site: its CPUs, GPUs and memory. The advice is the mildest change of settings that fits. Pure."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from flame_ray.cluster.capacity import Demand, Request, demands, in_words, needs_node, requests, roles, too_large
from flame_ray.config import Config, EngineWorkers, LearnerConfig, LoraConfig, Workers
from flame_ray.doctor.checks import Check, Level, Site, in_units
from flame_ray.doctor.estimate import Plan
from flame_ray.doctor.models import ModelShape

USUAL_GPU = 80e9
FULL = 0.95  # the share of a machine's memory at which Ray kills workers
MAX_RANKS = 512
NOTHING = "no smaller setting fits"
PlanOf = Callable[[Config], Plan]


def check_placement(config: Config, site: Site, only: Collection[str] = ()) -> list[Check]:
    """Check what all roles ask for together, or those in `only`, and that a node can hold each worker.

    It is a warning if only the `min_workers` of each role fit, or if nodes must come.
    """
    nodes = site.fixed_nodes
    alone = {request.role: (request, too_large(request, nodes)) for request in requests(config, only) if nodes}
    return [
        *(_placed(demand, site) for demand in demands(config, site.capacity, only)),
        *(_without_node(request, need, site) for request, need in alone.values() if need),
    ]


def _without_node(request: Request, need: str, site: Site) -> Check:
    expected = f"a node with {need}, for one worker"
    return Check(Level.PROBLEM, f"{request.role} node", expected, f"none so large ({site.name})", needs_node(request))


def _placed(demand: Demand, site: Site) -> Check:
    level = Level.OK if demand.all_fit else Level.WARNING if demand.least_fit or site.scaling else Level.PROBLEM
    found = in_words(demand.all)
    if site.scaling and level is Level.WARNING:
        expected = f"{demand.have:g} now, and what the autoscaler adds ({site.name})"
        fix = "nothing, if a node type can hold each actor; a run that waits for nodes prints which requests none can hold"
        return Check(level, f"{demand.resource}s", expected, found, fix)
    return Check(level, f"{demand.resource}s", f"at most {demand.have:g} ({site.name})", found, demand.fix)


def check_engine_gpus(config: Config) -> list[Check]:
    """On GPUs, an engine must ask for as many GPUs as it is divided over, or for a share of one.

    Samplers without a GPU are a warning too: a reward model may be small enough for a CPU.
    """
    if not any(role.gpus for role in roles(config).values()):
        return []
    engines = [(name, role) for name, role in roles(config).items() if isinstance(role, EngineWorkers)]
    return [check for name, role in engines for check in _engine_gpus(name, role)]


def _engine_gpus(name: str, role: EngineWorkers) -> Iterator[Check]:
    gpus, split = role.gpus, role.tensor_parallel
    if gpus == split or (split == 1 and gpus < 1 and (gpus or name != "rollout")):
        return
    fix = f"set {name}.gpus={split}" + (f", or {name}.tensor_parallel={gpus:g}" if gpus > 1 and gpus % 1 == 0 else "")
    yield Check(Level.WARNING, f"{name}.gpus", f"{split}, its tensor_parallel", f"{gpus:g}", fix)


def check_weights(config: Config) -> list[Check]:
    """On a CPU, vLLM applies an adapter so slowly that sampling takes several times as long as with merged weights."""
    if config.weights.backend != "lora" or config.rollout.gpus:
        return []
    expected = "a way that merges the adapter, for samplers without a GPU"
    fix = "set weights.backend=object_store, which samples some 6 times faster and keeps the update"
    return [Check(Level.WARNING, "weights.backend", expected, "lora", fix)]


def check_tensor_parallel(role: str, workers: EngineWorkers, model: ModelShape | None) -> list[Check]:
    """vLLM must be able to divide the attention heads of a role's model evenly over an engine's GPUs."""
    split = workers.tensor_parallel
    if model is None or model.heads % split == 0:
        return []
    fits = ", ".join(str(number) for number in range(1, model.heads + 1) if model.heads % number == 0)
    expected = f"a divisor of the model's {model.heads} attention heads"
    return [Check(Level.PROBLEM, f"{role}.tensor_parallel", expected, str(split), f"set it to one of {fits}")]


def check_host(config: Config, plan_of: PlanOf, site: Site) -> Check:
    """Check the memory of the machine, or of all nodes together. A cluster may still grow, so there it is only a warning."""
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
    """Check each role's GPU memory. An actor uses one GPU, or those it is divided over, however many it asks for."""
    return [_device(config, need.role, plan_of, site) for need in plan_of(config).needs if need.gpus]


def _device(config: Config, name: str, plan_of: PlanOf, site: Site) -> Check:
    """If no GPU's memory is known, the advice is for a GPU of 80 GB."""
    gpu = site.gpu or USUAL_GPU

    def budget(other: Config) -> float:
        return device_share(roles(other)[name]) * gpu

    def fits(other: Config) -> bool:
        return plan_of(other).need(name).device.total <= budget(other)

    need, role = plan_of(config).need(name), roles(config)[name]
    least = need.device.total
    if isinstance(role, EngineWorkers) and role.gpus < min(1.0, role.gpu_memory):
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


def device_share(role: Workers) -> float:
    """The share of a GPU that an actor may use in its turn: what it asks for, and for an engine at most `gpu_memory`."""
    fraction = min(1.0, role.gpus)
    return min(fraction, role.gpu_memory) if isinstance(role, EngineWorkers) else fraction


def _smaller(config: Config, changes: Iterator[Mapping], fits: Callable[[Config], bool]) -> str:
    """The first change of settings that fits, in words; "" if none does."""
    changed = what_fits(config, changes, fits)
    return f"set {', '.join(changed)}" if changed else ""


def role_changes(role: Workers) -> Iterator[dict[str, Any]]:
    """Changes of one role's settings that need less of its GPU, the mildest first."""
    if isinstance(role, LearnerConfig):
        yield from learner_changes(role)
    elif isinstance(role, EngineWorkers):
        larger = [share for share in (0.8, 0.85, 0.9, 0.95) if role.gpu_memory < share <= role.gpus]
        for sequences in [role.max_sequences, *(fewer for fewer in (64, 16) if fewer < role.max_sequences)]:
            yield from ({"gpu_memory": share, "max_sequences": sequences} for share in (role.gpu_memory, *larger))


def learner_changes(learner: LearnerConfig) -> Iterator[dict[str, Any]]:
    """Changes that need less memory, the mildest first: micro-batch, checkpointing, ZeRO stage, offload, ranks, LoRA."""
    checkpointing = (False, True) if not learner.gradient_checkpointing else (True,)
    stages = range(learner.zero_stage, 4) if learner.workers > 1 else (learner.zero_stage,)
    for stage in stages:
        for recompute in checkpointing:
            for micro in _smaller_micro_batches(learner):
                yield {"micro_batch_pairs": micro, "gradient_checkpointing": recompute, "zero_stage": stage}
    least: dict[str, Any] = {"micro_batch_pairs": 1, "gradient_checkpointing": True}
    if learner.gpus:
        yield least | {"zero_stage": max(learner.zero_stage, 2), "offload": "optimizer"}
        for ranks in _more_ranks(learner):
            yield least | {"zero_stage": 3, "workers": ranks}
    if learner.lora is None:
        yield least | {"lora": LoraConfig()}
        if learner.gpus:
            yield least | {"zero_stage": 3, "lora": LoraConfig()}


def _smaller_micro_batches(learner: LearnerConfig) -> list[int]:
    share = learner.batch_pairs // learner.workers
    return [pairs for pairs in range(learner.micro_batch_pairs, 0, -1) if share % pairs == 0]


def _more_ranks(learner: LearnerConfig) -> list[int]:
    return [ranks for ranks in range(learner.workers + 1, MAX_RANKS + 1) if learner.batch_pairs % ranks == 0]


def config_changes(config: Config) -> Iterator[dict[str, dict[str, Any]]]:
    """Changes that need less of a machine's memory: first of the learner, then of KV caches, then one worker a role."""
    learner: dict[str, Any] = {}
    for learner in learner_changes(config.learner) if not config.learner.gpus else ():
        yield {"learner": learner}
    one = {"workers": 1, "min_workers": None}
    yield {"learner": learner, "rollout": {"kv_cache_gib": 1.0}, "judge": {"kv_cache_gib": 1.0}}
    engine = {"kv_cache_gib": 1.0, **one}
    yield {"learner": learner, "rollout": engine, "judge": engine, "factuality": one}
    yield {"learner": learner | one, "rollout": engine, "judge": engine, "factuality": one}


def with_changes(config: Config, changes: Mapping[str, Mapping[str, Any]]) -> Config:
    sections: dict[str, Workers] = {name: getattr(config, name).model_copy(update=dict(new)) for name, new in changes.items()}
    return config.model_copy(update=sections)


def what_fits(config: Config, changes: Iterable[Mapping[str, Mapping[str, Any]]], fits: Callable[[Config], bool]) -> list[str]:
    """The settings of the first change that fits, as `section.key=value`; [] if no change fits."""
    for change in changes:
        if fits(with_changes(config, change)):
            return [
                f"{section}.{key}={_as_setting(value)}"
                for section, new in change.items()
                for key, value in new.items()
                if value != getattr(getattr(config, section), key)
            ]
    return []


def _as_setting(value: Any) -> str:
    """Write a value as `--set` reads it."""
    if isinstance(value, LoraConfig):
        return f"{{r: {value.r}, alpha: {value.alpha}}}"
    return "null" if value is None else str(value).lower()
