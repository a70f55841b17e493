"""Wraps each stage from outside: times it, shows it, sets its gauges, and writes what it made. The stages do not know.

In: `Stages`. Out: `Stages` that do the same and leave a record: Parquet tables a round, metrics.jsonl, summary.json.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from flame_ray.prompts.classify import accuracy
from flame_ray.report.summary import round_summary
from flame_ray.report.tables import evaluation_line, fact_rows, pair_rows, prompt_rows, response_rows
from flame_ray.round import Stages
from flame_ray.runtime.metrics import Metrics
from flame_ray.runtime.progress import Screen
from flame_ray.runtime.rundir import RunDirectory
from flame_ray.types import HeldOut, PairSet, Prompt, Response, RoundReport, ScoredResponse, TrainingReport


class Journal:
    """One run's record. `wrap` gives the stages to run; `report` takes each finished round; `write` says how the run stands."""

    def __init__(self, run: RunDirectory, run_id: str, screen: Screen, metrics: Metrics):
        self._run, self._id, self._screen, self._metrics = run, run_id, screen, metrics
        self._round = 0
        self._started = time.monotonic()
        self._timings: dict[int, dict[str, float]] = defaultdict(dict)
        self._rounds: list[dict[str, Any]] = []

    def wrap(self, stages: Stages) -> Stages:
        watch = self._watch
        return Stages(
            draw=watch("draw", stages.draw, lambda prompts_P: f"{len(prompts_P)} prompts"),
            classify=watch("classify", stages.classify, self._classified),
            sample=watch("sample", stages.sample, self._sampled),
            score=watch("score", stages.score, self._scored),
            pair=watch("pair", stages.pair, self._paired),
            train=watch("train", stages.train, self._trained),
            sync=watch("sync", stages.sync, lambda version: f"version {version}, verified on every rollout worker"),
            save=watch("save", stages.save, lambda _: f"checkpoints/round-{self._round:04d}"),
            evaluate=watch("evaluate", stages.evaluate, self._evaluated),
        )

    def report(self, report: RoundReport) -> None:
        """A round is finished: it enters the summary, and the next begins."""
        self._metrics.evaluation(report.evaluation)
        summary = round_summary(report, self._timings[self._round])
        self._rounds.append(summary)
        self._run.append_json("metrics.jsonl", summary)
        self.write("running")
        self._round += 1

    def write(self, status: str, error: str | None = None) -> None:
        """summary.json as of now."""
        summary = {
            "run_id": self._id,
            "status": status,
            "wall_seconds": round(time.monotonic() - self._started, 1),
            "rounds": self._rounds,
        }
        self._run.write_json("summary.json", summary | ({"error": error} if error else {}))

    def _watch(self, name: str, stage: Callable, keep: Callable[[Any], str]) -> Callable:
        def watched(*args: Any) -> Any:
            self._screen.begin(f"round {self._round} {name}")
            self._metrics.stage(name, self._round, running=True)
            start = time.monotonic()
            try:
                result = stage(*args)
            finally:
                self._screen.close()
                self._metrics.stage(name, self._round, running=False)
            timings = self._timings[self._round]
            timings[name] = round(timings.get(name, 0.0) + time.monotonic() - start, 2)
            self._screen.end(keep(result))
            return result

        return watched

    def _table(self, name: str, rows: list[dict[str, Any]]) -> None:
        self._run.write_table(f"rounds/{self._round:04d}/{name}.parquet", rows)

    def _classified(self, prompts_P: Sequence[Prompt]) -> str:
        self._table("prompts", prompt_rows(prompts_P))
        found = accuracy(prompts_P)
        fact_based = sum(bool(prompt.fact_based) for prompt in prompts_P)
        labelled = (
            f"; agrees with {found.correct} of {found.labelled} labels ({found.correct / found.labelled:.1%})"
            if found.labelled
            else ""
        )
        return f"{fact_based} of {len(prompts_P)} prompts need facts{labelled}"

    def _sampled(self, responses_PG: Sequence[Response]) -> str:
        tokens = sum(len(response.token_ids) for response in responses_PG)
        return f"{len(responses_PG)} responses, {tokens} tokens"

    def _scored(self, scored_PG: Sequence[ScoredResponse]) -> str:
        self._table("responses", response_rows(scored_PG))
        self._table("facts", fact_rows(scored_PG))
        facts = [scored.fact for scored in scored_PG if scored.fact is not None]
        return f"{len(facts)} checked for facts, {len(scored_PG)} judged"

    def _paired(self, pairs: PairSet) -> str:
        self._table("pairs", pair_rows(pairs))
        dropped = ", ".join(f"{count} {reason}" for reason, count in pairs.dropped.items())
        return f"{len(pairs.pairs_D)} pairs; dropped: {dropped or 'none'}"

    def _trained(self, report: TrainingReport) -> str:
        return f"{report.steps} steps, loss {report.loss:.3f}, accuracy {report.accuracy:.2f}"

    def _evaluated(self, heldout: HeldOut) -> str:
        self._table("heldout_responses", response_rows(heldout.scored_P))
        self._table("heldout_facts", fact_rows(heldout.scored_P))
        return evaluation_line(heldout.evaluation)
