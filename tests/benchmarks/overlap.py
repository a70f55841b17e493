"""What a round costs when sampling and training overlap.

    python -m tests.benchmarks.overlap

NOT a GPU figure. Sampling, scoring and training are doubles that sleep, so that they have resources of their own as on a
cluster; round.py, the pools on a real Ray, the journal and its timeline are the package's own. Printed, all from one run each:
the rounds' mean cost with `pipeline.staleness` 0 and 1, its ratio to the longer of sampling and training, and the timeline.
"""

# ruff: noqa: T201
import io
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import ray
from rich.console import Console

from flame_ray.cluster.event_loop import EventLoop
from flame_ray.cluster.pool import Limits, WorkerPool
from flame_ray.config import Config
from flame_ray.journal.journal import Journal
from flame_ray.journal.run_folder import RunFolder
from flame_ray.report.progress import Screen
from flame_ray.rollout.pool import RolloutPool
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.round import Stages, run_rounds
from flame_ray.storage.filesystem import Storage
from flame_ray.types import (
    INSTRUCTION,
    Evaluation,
    Graded,
    Group,
    HeldOut,
    Interval,
    MetricIntervals,
    PairSet,
    Prompt,
    Response,
    ResponseId,
    Score,
    ScoredGroup,
    ScoredResponse,
    Synced,
    TrainingReport,
)
from tests.doubles import FakeMetrics

ROUNDS, PROMPTS, WORKERS, BATCH = 4, 64, 4, 4
BATCH_S, SCORE_S, TRAIN_S = 2.0, 0.05, 7.0  # sampling: 64 / 4 / 4 batches a worker, 8 s in all
WIDTH = 96


class SleepingSampler:
    def ready(self):
        return 0

    def generate(self, prompts_P, plan):
        for position, prompt in enumerate(prompts_P):
            time.sleep(BATCH_S / len(prompts_P))
            id = ResponseId(plan.round, prompt.id, 0)
            yield position, Group(prompt, (Response(id, "text", (1,), (2,), "stop", 0),))


class Rollouts(Protocol):
    """What a round needs of a `RolloutPool`."""

    def generate(self, prompts_P: Sequence[Prompt], plan: SamplingPlan) -> Iterator[Group]: ...


def stages(rollouts: Rollouts) -> Stages:
    nothing = Interval(None, None, None, 0)

    def score(groups_P, round):
        for group in groups_P:
            time.sleep(SCORE_S)
            scored_G = (ScoredResponse(each, {INSTRUCTION: Score(each.id, 0.0)}) for each in group.responses_G)
            yield ScoredGroup(group.prompt, tuple(scored_G))

    def pair(groups_P, round):
        responses = [scored.response for group in groups_P for scored in group.scored_G]
        return PairSet((), {}, graded_D=(Graded(responses[0], 0.0, 0.0),))

    def train(pairs, round):
        time.sleep(TRAIN_S)
        return TrainingReport(1, 0, 0, 0.7, {})

    return Stages(
        draw=lambda prompts_P, round: prompts_P,
        classify=lambda prompts_P, round: prompts_P,
        sample=lambda prompts_P, round: rollouts.generate(prompts_P, SamplingPlan(round, 0, 1, 8, 1.0)),
        score=score,
        pair=pair,
        skip=lambda pairs, round: None,
        train=train,
        save=lambda round: None,
        sync=Synced,
        evaluate=lambda prompts_P, round: HeldOut((), Evaluation(*([nothing] * 8), prompts=0, missing=0)),
        compare=lambda before, after: MetricIntervals(*([nothing] * 8)),
        develop=lambda prompts_P, round: HeldOut((), Evaluation(*([nothing] * 8), prompts=0, missing=0)),
        select=lambda developed, before: None,
        deliver=lambda selection: None,
    )


def measure(staleness: int, rounds: int = ROUNDS) -> list[dict]:
    """The spans of so many rounds whose sampling workers are on Ray."""
    event_loop = EventLoop()
    remote = ray.remote(num_cpus=0)(SleepingSampler)
    pool = WorkerPool("rollout", lambda *_: remote.remote(), Limits(WORKERS, WORKERS, BATCH), event_loop)
    pool.wait_ready()
    spans = recorded(RolloutPool(pool), staleness, rounds)
    pool.close()
    event_loop.close()
    return spans


def recorded(rollouts: Rollouts, staleness: int, rounds: int) -> list[dict]:
    """The spans of so many rounds, from the timeline that the journal writes."""
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Storage(Path(folder) / "run"))
        run.create(Config(), {})
        journal = Journal(run, "overlap", Screen(Console(file=io.StringIO())), FakeMetrics())
        prompts = tuple(Prompt(f"p{i:03d}", "a question") for i in range(PROMPTS))
        for report in run_rounds(journal.wrap(stages(rollouts)), prompts, (), rounds, staleness):
            journal.report(report)
        return run.read_json("timeline.json", [])


def lasted(spans: list[dict], first: str, last: str) -> float:
    """Mean seconds of a round from the start of one stage to the end of another."""
    starts = {span["round"]: span["start"] for span in spans if span["stage"] == first and span["round"]}
    ends = {span["round"]: span["end"] for span in spans if span["stage"] == last and span["round"]}
    return sum(ends[round] - starts[round] for round in starts) / len(starts)


def draw(spans: list[dict]) -> None:
    end = max(span["end"] for span in spans)
    for name in ("sample", "score", "train"):
        line = [" "] * WIDTH
        for span in spans:
            if span["stage"] == name:
                first, last = (round(span[edge] / end * (WIDTH - 1)) for edge in ("start", "end"))
                line[first : last + 1] = str(span["round"]) * (last + 1 - first)
        print(f"{name:>7} |{''.join(line)}|")
    print(f"{'':>7}  0 s{'':>{WIDTH - 11}}{end:5.1f} s")


def main() -> None:
    ray.init(address="local", num_cpus=8, include_dashboard=False, log_to_driver=False)
    found = [measure(staleness) for staleness in (0, 1)]
    alone = lasted(found[0], "sample", "score"), lasted(found[0], "train", "train")
    print(f"alone (staleness 0): sampling and scoring {alone[0]:.2f} s a round, training {alone[1]:.2f} s")
    for staleness, spans in enumerate(found):
        ends = sorted(span["end"] for span in spans if span["stage"] == "train")
        cost = (ends[-1] - ends[0]) / (len(ends) - 1)
        print(f"staleness {staleness}: a round costs {cost:.2f} s (n {len(ends) - 1}), {cost / max(alone):.2f} x the longer")
        draw(spans)
    ray.shutdown()


if __name__ == "__main__":
    main()
