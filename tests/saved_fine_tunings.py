"""A fine-tuning's folder as its journal writes it, with texts that try to act on a page; and one that a signal has ended."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from flame_ray.config.load import parse_config
from flame_ray.errors import Interrupted
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.sft_journal import ROUND, SftJournal
from flame_ray.report.progress import Screen
from flame_ray.sft import Mixture, SftStages, run_sft
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Demonstration, SftTraining, ShownCounts, StepReport
from tests.builders import make_demonstration, make_group, make_prompt, make_response, make_training_report
from tests.doubles import FakeClock, FakeMetrics
from tests.saved_runs import MADE


def make_saved_fine_tuning(
    root: Path,
    name: str = "tuned",
    *,
    source: str = "seeds.jsonl",
    reason: str = "repeated",
    steps: int = 4,
    settings: Mapping[str, Any] | None = None,
    ends_in_training: bool = False,
) -> RunFolder:
    """Six seeds, of which the model answers three itself; `source` and `reason` are texts of users. The loss is 1, 1/2, .."""
    run = RunFolder(Storage(root / name))
    sections = {"sft": {"sources": [{"source": source}], "fact_based": "elicited"}, "learner": {"loss": "nll"}}
    run.create(parse_config(sections | dict(settings or {}), "here"), {**MADE, "models": {"model.policy": "smollm2-135m"}})
    clock = FakeClock()
    journal = SftJournal(run, name, Screen(Console(file=io.StringIO()), clock.now), FakeMetrics())

    def elicit(prompts_P, seeds_D):
        journal.note_shown(ShownCounts(len(prompts_P), 15, 0, examples_left_out=1, passages_left_out=0))
        for prompt in prompts_P:
            clock.sleep(9)
            whole, cut = make_response(prompt=prompt.id), make_response(prompt=prompt.id, index=1, finish_reason="length")
            yield make_group(whole, cut, prompt=prompt)

    def train(demonstrations_D: list[Demonstration]) -> SftTraining:
        for step in range(1, steps + 1):
            clock.sleep(20)
            journal.stepped(ROUND, StepReport(step, 1 / step, {}, 1e-3 / step, tokens=10, seconds=2.0, gradient_norm=2.0))
        if ends_in_training:
            raise Interrupted("a signal", "SIGTERM", "resume it")
        report = make_training_report(loss=0.52, steps=steps, tokens=150)
        return SftTraining(report, {source: 3, "elicited": 3}, {source: 90, "elicited": 60}, too_long=1)

    def classify(prompts_P):
        return [make_prompt(each.id, each.text, fact_based=number < 3) for number, each in enumerate(prompts_P)]

    seeds = [make_demonstration(make_prompt(f"p{n}", f"Question {n}?"), f"answer {n}", source=source) for n in range(6)]
    stages = journal.wrap(SftStages(classify, elicit, train, lambda: "checkpoints/round-0001/adapter"))
    mixture = Mixture("elicited", "human")
    if not ends_in_training:
        journal.complete(run_sft(stages, seeds, mixture), {reason: 2})
        return run
    with pytest.raises(Interrupted), journal.recorded():
        run_sft(stages, seeds, mixture)
    return run
