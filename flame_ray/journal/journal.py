"""Wraps each stage from outside: what an earlier process has done is given back, what is new is stored before it counts.

In: `Stages`. Out: `Stages` that do the same, once, and leave a record: shards, Parquet tables a round, metrics.jsonl,
summary.json. Times each stage, shows it and sets its gauges. The stages do not know.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from flame_ray.journal.run_folder import RunDirectory
from flame_ray.journal.shards import Shards
from flame_ray.journal.telemetry import Metrics
from flame_ray.journal.timeline import RunningStage, Timeline
from flame_ray.prompts.classify import accuracy
from flame_ray.report.progress import Screen
from flame_ray.report.summary import round_summary
from flame_ray.report.tables import (
    evaluation_line,
    evidence_rows,
    fact_rows,
    pair_rows,
    prompt_rows,
    response_rows,
    sentence_rows,
    training_line,
)
from flame_ray.round import Stages
from flame_ray.types import (
    FACTUALITY,
    Group,
    HeldOut,
    PairSet,
    Prompt,
    PromptSet,
    RoundReport,
    ScoredGroup,
    ScoredResponse,
    TrainingReport,
)

Item = TypeVar("Item")


class Journal:
    """One run's record. `wrap` gives the stages to run; `report` takes each finished round; `write` says how the run stands.

    `trained`: the last round whose training the learner's state holds.
    """

    def __init__(self, run: RunDirectory, run_id: str, screen: Screen, metrics: Metrics, trained: int = 0):
        self._run, self._id = run, run_id
        self._shards, self._trained = Shards(run.storage), trained
        self._timeline = Timeline(run, screen, metrics)
        self._metrics = metrics
        self._rounds: list[dict[str, Any]] = []

    @property
    def advance(self) -> Callable[[str, int, int, int | None], None]:
        return self._timeline.advance

    def wrap(self, stages: Stages) -> Stages:
        return Stages(
            draw=stages.draw,
            classify=self._classify(stages.classify),
            sample=self._sample(stages.sample),
            score=self._score(stages.score),
            pair=self._pair(stages.pair),
            train=self._train(stages.train),
            save=self._save(stages.save),
            sync=self._sync(stages.sync),
            evaluate=self._evaluate(stages.evaluate),
        )

    def report(self, report: RoundReport) -> None:
        """A round is finished: it enters the summary, and the next begins."""
        self._metrics.evaluation(report.evaluation)
        self._rounds.append(round_summary(report, self._timeline.seconds(report.round)))
        self._run.write_lines("metrics.jsonl", self._rounds)
        self.write("running")

    def write(self, status: str, error: str | None = None) -> None:
        """summary.json as of now."""
        summary = {
            "run_id": self._id,
            "status": status,
            "wall_seconds": round(self._timeline.wall_seconds(), 1),
            "rounds": self._rounds,
        }
        self._run.write_json("summary.json", summary | ({"error": error} if error else {}))
        if status != "running":
            self._timeline.close(status)

    def _classify(self, classify: Callable) -> Callable:
        def classified(prompts_P: Sequence[Prompt], round: int) -> Sequence[Prompt]:
            kind = "prompts" if round else "heldout_prompts"
            if self._shards.has(round, kind):
                return self._shards.read(round, kind, PromptSet).prompts_P
            with self._timeline.stage("classify", round) as stage:
                decided = tuple(classify(prompts_P, round))
                stage.note(_classified(decided))
            self._table(round, kind, prompt_rows(decided))
            self._shards.write(round, kind, PromptSet(decided))
            return decided

        return classified

    def _sample(self, sample: Callable) -> Callable:
        def sampled(prompts_P: Sequence[Prompt], round: int) -> Iterator[Group]:
            done = {group.prompt.id for group in self._shards.stream(round, "sampled", Group)}
            yield from self._shards.stream(round, "sampled", Group)
            left = [prompt for prompt in prompts_P if prompt.id not in done]
            with self._timeline.stage("sample", round) as stage:
                groups_P = stage.counted(sample(left, round), len(prompts_P), len(done))
                for group in self._shards.store(round, "sampled", groups_P):
                    stage.add(responses=len(group.responses_G), tokens=sum(len(r.token_ids) for r in group.responses_G))
                    stage.add(**_stale(group, round))
                    yield group

        return sampled

    def _score(self, score: Callable) -> Callable:
        def scored(groups_P: Iterable[Group], round: int) -> Iterator[ScoredGroup]:
            done = {group.prompt.id for group in self._shards.stream(round, "scored", ScoredGroup)}
            yield from self._shards.stream(round, "scored", ScoredGroup)
            with self._timeline.stage("score", round) as stage:
                fresh = (group for group in _timed(groups_P, stage) if group.prompt.id not in done)
                for group in self._shards.store(round, "scored", stage.counted(score(fresh, round), None, len(done))):
                    checked = sum(FACTUALITY in each.rewards for each in group.scored_G)
                    stage.add(judged=len(group.scored_G), checked_for_facts=checked)
                    yield group

        return scored

    def _pair(self, pair: Callable) -> Callable:
        def paired(groups_P: Iterable[ScoredGroup], round: int) -> PairSet:
            if self._shards.has(round, "pairs"):
                self._forget(round)
                return self._shards.read(round, "pairs", PairSet)
            with self._timeline.stage("pair", round) as stage:
                pairs = pair(_timed(groups_P, stage), round)
                stage.note(_paired(pairs))
            self._responses(round, "", [each for group in self._in_order(round) for each in group.scored_G])
            self._table(round, "pairs", pair_rows(pairs))
            self._shards.write(round, "pairs", pairs)
            self._forget(round)
            return pairs

        return paired

    def _forget(self, round: int) -> None:
        """What the streams of a paired round held is in the tables by now."""
        for kind in ("sampled", "scored"):
            self._shards.remove(round, kind)

    def _train(self, train: Callable) -> Callable:
        def trained(pairs: PairSet, round: int) -> TrainingReport:
            if round <= self._trained and self._shards.has(round, "training"):
                return self._shards.read(round, "training", TrainingReport)
            with self._timeline.stage("train", round) as stage:
                report = train(pairs, round)
                stage.note(training_line(report))
            self._shards.write(round, "training", report)
            return report

        return trained

    def _save(self, save: Callable) -> Callable:
        def saved(round: int) -> None:
            if round < self._trained or self._shards.has(round, "heldout"):
                return
            with self._timeline.stage("save", round) as stage:
                save(round)
                stage.note(f"checkpoints/round-{round:04d}")

        return saved

    def _sync(self, sync: Callable) -> Callable:
        def synced(round: int) -> int:
            if round <= self._trained:  # the samplers were brought to the learner's state when the run was resumed
                return round
            with self._timeline.stage("sync", round) as stage:
                version = sync(round)
                stage.note(f"version {version}, verified on every rollout worker")
            return version

        return synced

    def _evaluate(self, evaluate: Callable) -> Callable:
        def evaluated(prompts_P: Sequence[Prompt], round: int) -> HeldOut:
            if self._shards.has(round, "heldout"):
                return self._shards.read(round, "heldout", HeldOut)
            with self._timeline.stage("evaluate", round) as stage:
                heldout = evaluate(prompts_P, round)
                stage.note(evaluation_line(heldout.evaluation))
            self._responses(round, "heldout_", heldout.scored_P)
            self._shards.write(round, "heldout", heldout)
            return heldout

        return evaluated

    def _in_order(self, round: int) -> list[ScoredGroup]:
        return sorted(self._shards.stream(round, "scored", ScoredGroup), key=lambda group: group.prompt.id)

    def _responses(self, round: int, prefix: str, scored_PG: Sequence[ScoredResponse]) -> None:
        self._table(round, f"{prefix}responses", response_rows(scored_PG))
        self._table(round, f"{prefix}sentences", sentence_rows(scored_PG))
        self._table(round, f"{prefix}facts", fact_rows(scored_PG))
        self._table(round, f"{prefix}evidence", evidence_rows(scored_PG))

    def _table(self, round: int, name: str, rows: list[dict[str, Any]]) -> None:
        self._run.write_table(f"rounds/{round:04d}/{name}.parquet", rows)


def _timed(stream: Iterable[Item], stage: RunningStage) -> Iterator[Item]:
    """A stage's time begins with what it is given, as long as nothing has come of it."""
    for item in stream:
        if not stage.counts:
            stage.restart()
        yield item


def _stale(group: Group, round: int) -> dict[str, int]:
    """Sampled while the last round trained (`pipeline.staleness`)."""
    is_stale = any(response.weight_version < round - 1 for response in group.responses_G)
    return {"stale_groups": 1} if is_stale else {}


def _classified(prompts_P: Sequence[Prompt]) -> str:
    found = accuracy(prompts_P)
    fact_based = sum(bool(prompt.fact_based) for prompt in prompts_P)
    labelled = (
        f"; agrees with {found.correct} of {found.labelled} labels ({found.correct / found.labelled:.1%})"
        if found.labelled
        else ""
    )
    return f"{fact_based} of {len(prompts_P)} prompts need facts{labelled}"


def _paired(pairs: PairSet) -> str:
    dropped = ", ".join(f"{count} {reason}" for reason, count in pairs.dropped.items())
    return f"{len(pairs.pairs_D)} pairs; dropped: {dropped or 'none'}"
