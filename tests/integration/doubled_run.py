"""A run of doubles in a real Ray, again and again until standard input ends: a process whose figures a test can scrape.

Usage: python -m tests.integration.doubled_run FOLDER, with RAY_ADDRESS.
"""

import io
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from flame_ray.cluster.connect import connected
from flame_ray.cluster.figures import count_lookups, namespace
from flame_ray.commands.run import _record
from flame_ray.config import ClusterConfig
from flame_ray.config.load import parse_config
from flame_ray.controller.watch import all_of, tell_once
from flame_ray.controller.workers import RunPools
from flame_ray.journal.journal import Journal
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.telemetry import Metrics
from flame_ray.report.progress import Screen
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Prompt, Split, Synced
from tests.builders import make_step_report
from tests.doubles import FakeStages

RUN = "doubled"
PROMPTS = (Prompt("train", "question", source="factbook"), Prompt("held out", "question", split=Split.HELDOUT))


def once(metrics: Metrics, folder: Path) -> None:
    """A run of one round, with two steps of the learner."""
    journal = Journal(RunFolder(Storage(folder)), RUN, Screen(Console(file=io.StringIO())), metrics)
    fake = FakeStages()

    def train(pairs: Any, round: int) -> Any:
        for step in (1, 2):
            journal.stepped(round, make_step_report(step))
        return fake.train(pairs, round)

    def sync(round: int) -> Synced:
        return Synced(round, "", slope=1.0, gap=0.01, seconds=0.5)

    stages = journal.wrap(fake.stages(train=train, sync=sync))
    _record(journal, parse_config({"run": {"rounds": 1}}, "here"), stages, PROMPTS)


def workers() -> Any:
    """As a run has them, a sampler of which died."""
    pool = SimpleNamespace(name="rollout", actors=["a"], queued=3, deaths=1, moves=0)
    judge = SimpleNamespace(name="judge", actors=["a"], queued=0, deaths=0, moves=0)
    learner = SimpleNamespace(ranks=2, deaths=0, restarts=0)
    return RunPools(SimpleNamespace(pool=pool), judge, {}, learner)  # type: ignore[arg-type]


def main(folder: Path) -> None:
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    with connected(ClusterConfig(), namespace(RUN, os.getpid())):
        metrics, number = Metrics(RUN), 0
        while not ended.wait(1.0):  # so that a rate has more than one value to compare
            tell_once(all_of(workers(), None), metrics.workers)
            count_lookups("classes", hits=3, misses=1)
            once(metrics, folder / str(number := number + 1))
            metrics.stage("sample", 1, running=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
