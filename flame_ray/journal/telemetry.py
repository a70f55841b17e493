"""Shows a run at Ray's Prometheus endpoint and to the trackers that it names, and its audit to Prometheus by a file."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flame_ray.cluster.figures import HITS, MISSES, Figure, ray_metric
from flame_ray.journal.trackers import Trackers
from flame_ray.report.summary import EVALUATION_METRICS, truncated_share
from flame_ray.types import Evaluation, FactScore, Group, Missing, PairSet, RewardResult, ScoredGroup, StepReport, Synced

EVALUATION = {  # name of the metric -> name of its figure, which ends in the unit
    "factual_precision": "flame_factual_precision_ratio",
    "correct_facts": "flame_correct_facts",
    "relevant_facts": "flame_relevant_facts",
    "erroneous_facts": "flame_erroneous_facts",
    "f_at_k": "flame_f_at_k_ratio",
    "abstention_rate": "flame_abstention_ratio",
    "instruction_score": "flame_instruction_score",
    "response_tokens": "flame_response_tokens",
}
ERROR = re.compile(r"(reward: [A-Z]\w*): .*", re.DOTALL)  # our own reasons begin with a small letter
FIGURES = (
    Figure("flame_round", "The newest round that has begun; 0 is before training"),
    Figure("flame_stage", "1 while the stage is running, else 0", ("stage",)),
    *(
        Figure(figure, f"Mean over prompts that measure (heldout) or choose (dev): {EVALUATION_METRICS[name]}", ("prompts",))
        for name, figure in EVALUATION.items()
    ),
    Figure("flame_sampled_responses_total", "Responses sampled for training"),
    Figure("flame_sampled_tokens_total", "Their tokens"),
    Figure("flame_truncated_responses_total", "Those that the token limit cut off"),
    Figure("flame_staleness_versions", "Versions of the weights that the last group is behind"),
    Figure("flame_reward_mean", "Mean reward of the round so far", ("reward", "source")),
    Figure("flame_missing_rewards_total", "Rewards that failed", ("reward", "source")),
    Figure("flame_pairs", "Pairs, or single responses, that the last round learns from", ("kind",)),
    Figure("flame_dropped_pairs", "What the last round dropped", ("reason",)),
    Figure("flame_pair_yield_ratio", "Pairs, or single responses, of the last round for each of its responses"),
    Figure("flame_truncated_ratio", "The share of the last round's responses that the token limit cut off"),
    Figure("flame_loss", "Mean loss of the last optimizer step"),
    Figure("flame_loss_metric", "What else the loss tells of that step: its margin, its accuracy, ...", ("metric",)),
    Figure("flame_gradient_norm", "The gradient's norm in that step, before it was cut"),
    Figure("flame_learning_rate", "The rate of that step"),
    Figure("flame_step_seconds", "The time of that step"),
    Figure("flame_learner_steps_total", "Optimizer steps"),
    Figure("flame_learner_tokens_total", "Response tokens of these steps"),
    Figure("flame_weight_version", "The version of the weights that the samplers serve"),
    Figure("flame_canary_slope_ratio", "How far the worst sampler moved for each nat of the learner's movement"),
    Figure("flame_canary_gap_nats", "Mean distance of its log-probabilities from the learner's, a token"),
    Figure("flame_weight_transfer_seconds", "The time of the last push of weights"),
    Figure("flame_workers", "Workers that serve", ("role",)),
    Figure("flame_queue_items", "Items that wait for a worker", ("role",)),
    Figure("flame_worker_deaths_total", "Workers that died", ("role",)),
    Figure("flame_worker_replacements_total", "Workers that were replaced, also because their node was about to go", ("role",)),
)
AUDIT = Figure("flame_audit_ratio", "What people found in the last audit of a run that has ended", ("finding", "round"))
FOUND = ("own", "precision", "debiased", "sensitivity", "specificity")  # in audit/result.json, of each round
EXPORTED = (*FIGURES, HITS, MISSES, AUDIT)  # the caches count HITS and MISSES; AUDIT is in a file


class Metrics:
    """The figures of one run. `make` is Ray's way of showing one; the unit tests have their own."""

    def __init__(self, run_id: str, trackers: Trackers = Trackers(), make: Callable[[Figure, str], Any] = ray_metric):  # noqa: B008
        self._metrics = {figure.name: make(figure, run_id) for figure in FIGURES}
        self._trackers = trackers
        self._means = _Means()
        self._shown: set[tuple[str, ...]] = set()  # figures that have had a value, each with the values of its tags
        self._round = 0
        self._labels: dict[str, set[str]] = {}  # figure -> values of its tag that the last round showed
        self._counted: dict[tuple[str, str], int] = {}  # (figure, role) -> what was counted so far

    def stage(self, name: str, round: int, running: bool) -> None:
        """With a round collected ahead, stages of the round before it begin and end after its first ones."""
        if running:
            self._round = max(self._round, round)
            self._set("flame_round", self._round)
        self._set("flame_stage", float(running), stage=name)

    def evaluation(self, evaluation: Evaluation, prompts: str = "heldout") -> None:
        for name, figure in EVALUATION.items():
            self._set(figure, getattr(evaluation, name).mean, prompts=prompts)

    def sampled(self, group: Group, behind: int) -> None:
        """`behind`: so many versions of the weights."""
        self._count("flame_sampled_responses_total", len(group.responses_G))
        self._count("flame_sampled_tokens_total", sum(len(each.token_ids) for each in group.responses_G))
        self._count("flame_truncated_responses_total", sum(each.truncated for each in group.responses_G))
        self._set("flame_staleness_versions", behind)

    def scored(self, round: int, group: ScoredGroup, is_new: bool = True) -> None:
        """`is_new`: no earlier process has counted the group; it is in the means of its round either way."""
        source = group.prompt.source or "unknown"
        for reward, source_before in self._means.begin(round):
            self._set("flame_reward_mean", None, reward=reward, source=source_before)
        for reward, result in (each for scored in group.scored_G for each in scored.rewards.items()):
            if isinstance(result, Missing):
                self._count("flame_missing_rewards_total", int(is_new), reward=reward, source=source)
            elif (value := _value(result)) is not None:
                self._set("flame_reward_mean", self._means.add((reward, source), value), reward=reward, source=source)

    def paired(self, pairs: PairSet) -> None:
        counts = pairs.counts
        self._set_all("flame_pairs", "kind", counts.by_kind)
        self._set_all("flame_dropped_pairs", "reason", by_kind(counts.dropped))
        pairs_a_response = sum(counts.by_kind.values()) / counts.responses if counts.responses else None
        self._set("flame_pair_yield_ratio", pairs_a_response)
        self._set("flame_truncated_ratio", truncated_share(counts))

    def step(self, round: int, number: int, report: StepReport, is_new: bool) -> None:
        """`number`: of the step in the run. `is_new`: no earlier process has told the trackers of it."""
        self._set("flame_loss", report.loss)
        for name, value in report.metrics.items():
            self._set("flame_loss_metric", value, metric=name)
        self._set("flame_gradient_norm", report.gradient_norm)
        self._set("flame_learning_rate", report.learning_rate)
        self._set("flame_step_seconds", report.seconds)
        self._count("flame_learner_steps_total", 1)
        self._count("flame_learner_tokens_total", report.tokens)
        if is_new:
            self._trackers.log("train", number, report.figures | {"round": round})

    def synced(self, synced: Synced) -> None:
        found = {
            "flame_weight_version": synced.version,
            "flame_canary_slope_ratio": synced.slope,
            "flame_canary_gap_nats": synced.gap,
            "flame_weight_transfer_seconds": synced.seconds,
        }
        for name, value in found.items():
            self._set(name, value)

    def round(self, summary: Mapping[str, Any]) -> None:
        """The entry of summary.json of a round that no earlier process has told the trackers of."""
        self._trackers.log("round", summary["round"], dict(_numbers(summary)))

    def workers(self, role: str, serving: int, queued: int, deaths: int, replacements: int) -> None:
        """How the workers of a role stand; `deaths` and `replacements` are of the whole process."""
        self._set("flame_workers", serving, role=role)
        self._set("flame_queue_items", queued, role=role)
        for name, count in (("flame_worker_deaths_total", deaths), ("flame_worker_replacements_total", replacements)):
            self._count(name, count - self._counted.get((name, role), 0), role=role)
            self._counted[name, role] = count

    def _set(self, name: str, value: float | None, **tags: str) -> None:
        """A gauge goes on showing what it was last set to: where there is no value any more, that is NaN."""
        labels = (name, *tags.values())
        if value is not None:
            self._metrics[name].set(float(value), tags)
            self._shown.add(labels)
        elif labels in self._shown:
            self._metrics[name].set(float("nan"), tags)

    def _count(self, name: str, value: float, **tags: str) -> None:
        if value > 0:
            self._metrics[name].inc(float(value), tags)

    def _set_all(self, name: str, tag: str, found: Mapping[str, float]) -> None:
        """Those of the round before that this one has not are 0 now."""
        values = dict.fromkeys(self._labels.get(name, ()), 0.0) | dict(found)
        for label, value in values.items():
            self._set(name, value, **{tag: label})
        self._labels[name] = set(values)


def audit_text(audit: Mapping[str, Any]) -> str:
    """An audit in Prometheus' text format. No process of the run is left to show it, so something else must read a file.

    >>> print(audit_text({"run": "mine", "rounds": [{"round": 2, "precision": {"value": 0.5}}]}).splitlines()[-1])
    ray_flame_audit_ratio{run="mine",finding="precision",round="2"} 0.5
    """
    lines = [f"# HELP ray_{AUDIT.name} {AUDIT.help}", f"# TYPE ray_{AUDIT.name} gauge"]
    for each in audit["rounds"]:
        for finding in FOUND:
            if (value := (each.get(finding) or {}).get("value")) is not None:
                tags = {"run": audit["run"], "finding": finding, "round": str(each["round"])}
                shown = ",".join(f"{name}={json.dumps(tag, ensure_ascii=False)}" for name, tag in tags.items())
                lines.append(f"ray_{AUDIT.name}{{{shown}}} {value}")
    return "\n".join(lines) + "\n"


class _Means:
    """Means of values by name, begun anew with each round."""

    def __init__(self) -> None:
        self._round = 0
        self._sums: dict[tuple[str, str], tuple[float, int]] = {}

    def begin(self, round: int) -> tuple[tuple[str, str], ...]:
        """The names of the round before, if this one is another."""
        if round == self._round:
            return ()
        before = tuple(self._sums)
        self._round, self._sums = round, {}
        return before

    def add(self, name: tuple[str, str], value: float) -> float:
        """The mean of the name so far."""
        total, count = self._sums.get(name, (0.0, 0))
        self._sums[name] = total + value, count + 1
        return (total + value) / (count + 1)


def by_kind(dropped: Mapping[str, int]) -> dict[str, int]:
    """What was dropped, by reasons that tags and names of curves may be: of an error its class alone, as its words may quote a
    model or a prompt.

    >>> by_kind({"factuality: tie": 1, "reward: ValueError: about 'Hi'": 2, "reward: ValueError: about 'Ho'": 1})
    {'factuality: tie': 1, 'reward: ValueError': 3}
    """
    found: Counter[str] = Counter()
    for reason, count in dropped.items():
        found[ERROR.sub(r"\1", reason)] += count
    return dict(found)


def _value(result: RewardResult) -> float | None:
    """None: a response that states nothing has no precision."""
    return result.precision if isinstance(result, FactScore) else getattr(result, "value", None)


def _numbers(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a tree with their paths, without intervals and how many values each has.

    >>> dict(_numbers({"round": 1, "evaluation": {"tokens": 4.5, "n": {"tokens": 9}}, "pairs": {"a": 2}}))
    {'evaluation/tokens': 4.5, 'pairs/a': 2.0}
    """
    for name, value in tree.items():
        if isinstance(value, Mapping) and name not in ("n", "ci95"):
            yield from _numbers(by_kind(value) if name == "dropped" else value, f"{above}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and name != "round":
            yield f"{above}{name}", float(value)
