"""Records a run, so that a later process can resume it: stores the result of each stage, its tables and its timings.

`Journal.wrap` puts the recording around the stages. A wrapped stage returns the stored result if an earlier process has
finished it; otherwise it runs the stage and stores the result. The stages themselves know nothing of this.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa

from flame_ray.evaluation.judgements import Failures
from flame_ray.journal.lineage import write_cards
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.shards import Shards
from flame_ray.journal.sorted_groups import SortedGroups
from flame_ray.journal.step_log import StepLog
from flame_ray.journal.telemetry import Metrics
from flame_ray.journal.timeline import RunningStage, Timeline
from flame_ray.report import tables
from flame_ray.report.progress import Screen
from flame_ray.report.summary import round_summary, truncated_share
from flame_ray.round import Prompts, Stages
from flame_ray.shown import without_secrets
from flame_ray.types import (
    FACTUALITY,
    Group,
    HeldOut,
    PairSet,
    PromptSet,
    RoundReport,
    ScoredGroup,
    ScoredResponse,
    Selection,
    StepReport,
    Synced,
    TrainingReport,
)

Item = TypeVar("Item")
BATCH = 256  # prompts or pairs whose rows are in memory at a time; a row group of a table holds theirs


class Journal:
    """The record of one run. `trained`: the last round whose training the learner's state contains; `chosen`: the last round
    after which the best one was chosen, -1 if there is none.
    """

    def __init__(self, run: RunFolder, run_id: str, screen: Screen, metrics: Metrics, trained: int = 0, chosen: int = -1):
        self._run, self._id = run, run_id
        self._shards, self._trained, self._chosen = Shards(run.storage), trained, chosen
        self._restarts: dict[int, int] = {}  # round -> the round whose weights the next one starts from
        self._screen, self._timeline = screen, Timeline(run, screen, metrics)
        self._metrics, self._steps = metrics, StepLog(run.storage, metrics)
        self._told = {entry["round"] for entry in run.read_lines("metrics.jsonl")}  # rounds that the trackers have
        self.left_out: Mapping[str, int] = {}  # of the prompts, by reason
        self._rounds: list[dict[str, Any]] = []

    @property
    def advance(self) -> Callable[..., None]:
        return self._timeline.advance

    @property
    def stepped(self) -> Callable[[int, StepReport], None]:
        return self._steps.add

    def wrap(self, stages: Stages, stream: bool = True) -> Stages:
        """The same stages, recorded. Without `stream`, a round is scored once all of it is sampled."""
        return Stages(
            draw=stages.draw,
            classify=partial(self._classify, stages.classify),
            sample=partial(self._sample, stages.sample),
            score=partial(self._score, stages.score, stream),
            pair=partial(self._pair, stages.pair),
            skip=partial(self._skip, stages.skip),
            train=partial(self._train, stages.train),
            save=partial(self._save, stages.save),
            sync=partial(self._sync, stages.sync),
            evaluate=partial(self._evaluate, stages.evaluate, "evaluate", "heldout"),
            compare=stages.compare,
            develop=partial(self._evaluate, stages.develop, "develop", "dev"),
            select=stages.select,
            deliver=partial(self._deliver, stages.deliver),
        )

    def report(self, report: RoundReport) -> None:
        """Add a finished round to the gauges, to metrics.jsonl, to summary.json, and to the cards of its models."""
        self._metrics.evaluation(report.evaluation)
        if report.selection is not None and report.development is not None:
            self._metrics.evaluation(report.development, "dev")
        self._rounds.append(round_summary(report, self._timeline.seconds(report.round)))
        if report.round not in self._told:
            self._metrics.round(self._rounds[-1])
        self._run.write_lines("metrics.jsonl", self._rounds)
        self.write("running")
        write_cards(self._run, report.round)

    def write(self, status: str, error: str | None = None) -> None:
        """Write summary.json. A status other than `running` ends the timeline."""
        summary = {
            "run_id": self._id,
            "status": status,
            "wall_seconds": round(self._timeline.wall_seconds(), 1),
            **({"left_out": dict(self.left_out)} if self.left_out else {}),
            "rounds": self._rounds,
        }
        if self._rounds and "selection" in self._rounds[-1]:
            summary["best_round"] = self._rounds[-1]["selection"]["best_round"]
        self._run.write_json("summary.json", summary | ({"error": without_secrets(error)} if error else {}))
        if status != "running":
            self._timeline.close(status)

    def _classify(self, classify: Callable[[Prompts, int], Prompts], prompts_P: Prompts, round: int) -> Prompts:
        if not prompts_P:  # of a round on given pairs
            return prompts_P
        kind = "prompts" if round else "heldout_prompts"
        if self._shards.has(round, kind):
            return self._shards.read(round, kind, PromptSet).prompts_P
        with self._timeline.stage("classify", round) as stage:
            decided = tuple(classify(prompts_P, round))
            stage.note(tables.classified_line(decided))
        with self._writing(round):
            self._table(round, kind, tables.PROMPTS, [tables.prompt_rows(decided)])
            self._shards.write(round, kind, PromptSet(decided))
        return decided

    def _sample(self, sample: Callable[..., Iterable[Group]], prompts_P: Prompts, round: int) -> Iterator[Group]:
        done = set()
        for group in self._shards.stream(round, "sampled", Group):
            done.add(group.prompt.id)
            yield group
        left = [prompt for prompt in prompts_P if prompt.id not in done]
        with self._timeline.stage("sample", round) as stage:
            groups_P = stage.counted(sample(left, round), len(prompts_P), len(done))
            for group in self._shards.store(round, "sampled", groups_P):
                stage.add(responses=len(group.responses_G), tokens=sum(len(r.token_ids) for r in group.responses_G))
                behind = _behind(group, self._restarts.get(round - 1, round - 1))
                stage.add(**({"stale_groups": 1} if behind else {}))
                self._metrics.sampled(group, abs(behind))
                yield group

    def _score(
        self, score: Callable[..., Iterable[ScoredGroup]], stream: bool, groups_P: Iterable[Group], round: int
    ) -> Iterator[ScoredGroup]:
        done, failures, new_failures = set(), Failures(), Failures()  # the first are of the whole round
        for group in self._shards.stream(round, "scored", ScoredGroup):
            done.add(group.prompt.id)
            failures.add(group.scored_G)
            self._metrics.scored(round, group, is_new=False)
            yield group
        groups_P = groups_P if stream else self._all_sampled(groups_P, round)
        with self._timeline.stage("score", round) as stage:
            sampled_P = _noted(_without_waiting(groups_P, stage), stage)
            new = (group for group in sampled_P if group.prompt.id not in done)
            scored_P = stage.counted(score(new, round), None, len(done))
            for scored in self._shards.store(round, "scored", scored_P):
                failures.add(scored.scored_G)
                new_failures.add(scored.scored_G)
                checked = sum(FACTUALITY in each.rewards for each in scored.scored_G)
                stage.add(judged=len(scored.scored_G), checked_for_facts=checked)
                self._metrics.scored(round, scored)
                yield scored
            if unread := new_failures.judgements.unread:
                stage.add(unread_judgements=unread)
            if failed := new_failures.facts.failed:
                stage.add(failed_facts=failed)
            failures.warn(f"round {round}")

    def _all_sampled(self, groups_P: Iterable[Group], round: int) -> Iterator[Group]:
        """The same groups from their shards, once the last one is sampled."""
        deque(groups_P, maxlen=0)
        yield from self._shards.stream(round, "sampled", Group)

    def _pair(self, pair: Callable[..., PairSet], groups_P: Iterable[ScoredGroup], round: int) -> PairSet:
        if self._shards.has(round, "pairs"):
            self._drop_streams(round)
            self._metrics.paired(pairs := self._shards.read_pairs(round))
            return pairs
        with SortedGroups(self._run.storage.local) as sorted_P:
            with self._timeline.stage("pair", round) as stage:
                pairs = pair(sorted_P.passing(_without_waiting(groups_P, stage)), round)
                stage.note(_paired(pairs))
            with self._writing(round):
                batches = ([each for group in batch for each in group.scored_G] for batch in _batches(sorted_P))
                self._responses(round, "", sorted_P.rewards, batches)
        with self._writing(round):
            self._table(round, "pairs", tables.PAIRS, map(tables.pair_rows, _batches(pairs.pairs_D)))
            self._table(round, "graded", tables.GRADED, map(tables.graded_rows, _batches(pairs.graded_D)))
            self._shards.write_pairs(round, pairs)
            self._drop_streams(round)
        self._metrics.paired(pairs)
        return pairs

    def _drop_streams(self, round: int) -> None:
        """Remove the stored groups of a round once its tables hold them."""
        for kind in ("sampled", "scored"):
            self._shards.remove(round, kind)

    def _skip(self, skip: Callable[[PairSet, int], None], pairs: PairSet, round: int) -> None:
        """A resumed run finds the round without pairs again."""
        skip(pairs, round)
        self._restarts[round] = self._restarts.get(round - 1, round - 1)

    def _train(self, train: Callable[[PairSet, int], TrainingReport], pairs: PairSet, round: int) -> TrainingReport:
        if round <= self._trained and self._shards.has(round, "training"):
            return self._shards.read(round, "training", TrainingReport)
        with self._timeline.stage("train", round) as stage:
            report = train(pairs, round)
            stage.note(tables.training_line(report))
        self._shards.write(round, "training", report)
        return report

    def _save(self, save: Callable[[int], None], round: int) -> None:
        if round < self._trained or self._shards.has(round, "heldout"):
            return
        with self._timeline.stage("save", round) as stage:
            save(round)
            stage.note(f"checkpoints/round-{round:04d}")

    def _sync(self, sync: Callable[[int], Synced], round: int) -> Synced:
        if round <= self._trained:  # the samplers got the learner's weights when the run was resumed
            self._metrics.synced(Synced(round))
            return Synced(round)
        with self._timeline.stage("sync", round) as stage:
            synced = sync(round)
            stage.note(f"version {synced.version}, verified on every rollout worker: {synced.check}")
        self._metrics.synced(synced)
        return synced

    def _evaluate(
        self, evaluate: Callable[[Prompts, int], HeldOut], name: str, kind: str, prompts_P: Prompts, round: int
    ) -> HeldOut:
        if not prompts_P:  # of a run that has no development set
            return evaluate(prompts_P, round)
        if self._shards.has(round, kind):
            return self._shards.read(round, kind, HeldOut)
        with self._timeline.stage(name, round) as stage:
            answers = evaluate(prompts_P, round)
            stage.note(tables.evaluation_line(answers.evaluation))
            failures = Failures()
            failures.add(answers.scored_P)
            failures.warn(f"round {round}, {kind}")
        with self._writing(round):
            self._responses(round, f"{kind}_", tables.reward_names(answers.scored_P), [answers.scored_P])
            self._shards.write(round, kind, answers)
        return answers

    def _deliver(self, deliver: Callable[[Selection | None], None], selection: Selection | None) -> None:
        """A choice that an earlier process made was carried out then, or when the run was resumed."""
        if selection is None:
            return
        if selection.round > self._chosen:
            with self._timeline.stage("select", selection.round) as stage:
                deliver(selection)
                stage.note(tables.selection_line(selection))
        self._restarts[selection.round] = selection.restart

    def _responses(self, round: int, prefix: str, rewards: Sequence[str], batches: Iterable[Sequence[ScoredResponse]]) -> None:
        """The tables about responses. A prompt's responses are in one batch."""
        made = tables.response_tables(rewards)
        with ExitStack() as stack:
            adders = [stack.enter_context(self._run.table(_table(round, prefix + each.name), each.columns)) for each in made]
            for scored_PG in batches:
                for table, add in zip(made, adders, strict=True):
                    add(table.rows(scored_PG))

    def _writing(self, round: int) -> AbstractContextManager:
        """A bar for what is written after a stage. It is part of none, but may take long, as to an object store."""
        return closing(self._screen.begin(f"round {round} write"))

    def _table(self, round: int, name: str, columns: pa.Schema, batches: Iterable[tables.Rows]) -> None:
        with self._run.table(_table(round, name), columns) as add:
            for rows in batches:
                add(rows)


def _table(round: int, name: str) -> str:
    return f"rounds/{round:04d}/{name}.parquet"


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    remaining = iter(items)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def _without_waiting(stream: Iterable[Item], stage: RunningStage) -> Iterator[Item]:
    """Passes a stream on. Until the stage has a result, each item restarts its time: waiting for input does not count."""
    for item in stream:
        if not stage.counts:
            stage.restart()
        yield item


def _noted(groups_P: Iterable[Group], stage: RunningStage) -> Iterator[Group]:
    """Passes what is sampled on to a stage, whose reminders say how much that is."""
    for count, group in enumerate(groups_P, start=1):
        stage.bar.note = f"{count} sampled"
        yield group


def _behind(group: Group, newest: int) -> int:
    """How many versions the group is from the weights that its round starts from (see `pipeline.staleness`)."""
    return max((newest - response.weight_version for response in group.responses_G), key=abs, default=0)


def _paired(pairs: PairSet) -> str:
    dropped = ", ".join(f"{count} {reason}" for reason, count in pairs.dropped.items())
    of_all = truncated_share(pairs.counts)
    share = "" if of_all is None else f" ({of_all:.1%})"
    truncated = f"{pairs.truncated} of {pairs.responses} responses truncated{share}"
    what = "responses" if pairs.graded_D else "pairs"
    return f"{len(pairs.sides_D)} {what}; {truncated}; dropped: {dropped or 'none'}"
