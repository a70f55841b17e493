"""Records a supervised fine-tuning, so that a later process can resume it. What it stores is that of a run's first round."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pyarrow as pa

from flame_ray.errors import Interrupted
from flame_ray.journal.lineage import write_cards
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.shards import Shards
from flame_ray.journal.step_log import StepLog
from flame_ray.journal.telemetry import Metrics
from flame_ray.journal.timeline import Timeline
from flame_ray.prompts.classify import accuracy
from flame_ray.report.progress import Screen
from flame_ray.report.summary import sft_summary
from flame_ray.report.tables import training_line
from flame_ray.sft import Demonstrations, Prompts, SftStages
from flame_ray.shown import without_secrets
from flame_ray.types import Group, Prompt, PromptSet, SftReport, SftTraining, ShownCounts, StepReport

ROUND = 1  # checkpoints and shards are numbered by rounds, and there is one
TABLE = f"rounds/{ROUND:04d}/demonstrations.parquet"
COLUMNS = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("prompt", pa.string()),
        ("answer", pa.string()),
        ("source", pa.string()),
        ("weight", pa.float64()),
        ("fact_based", pa.bool_()),
    ]
)


class SftJournal:
    """`trained`: whether the learner's state contains the whole training."""

    def __init__(self, run: RunFolder, run_id: str, screen: Screen, metrics: Metrics, trained: bool = False):
        self._run, self._id, self._trained = run, run_id, trained
        self._screen, self._shards, self._timeline = screen, Shards(run.storage), Timeline(run, screen, metrics)
        self._metrics, self._steps = metrics, StepLog(run.storage, metrics)

    def wrap(self, stages: SftStages) -> SftStages:
        """The same stages, recorded. A stage that an earlier process has finished returns what it stored."""
        return SftStages(
            classify=partial(self._classify, stages.classify),
            elicit=partial(self._elicit, stages.elicit),
            train=partial(self._train, stages.train),
            save=partial(self._save, stages.save),
        )

    def advance(self, done: int, total: int) -> None:
        """How many steps of the training are done."""
        self._timeline.advance("train", ROUND, done, total)

    @property
    def stepped(self) -> Callable[[int, StepReport], None]:
        return self._steps.add

    def note_shown(self, shown: ShownCounts) -> None:
        """What few-shot prompts show. A resumed process asks with fewer of them, so that the first one's count stays."""
        if not self._shards.has(ROUND, "shown"):
            self._shards.write(ROUND, "shown", shown)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Writes to summary.json how the block ends, unless it ends well: `complete` comes with the report."""
        try:
            yield
        except Interrupted as error:
            self._write("interrupted", {"error": without_secrets(str(error))})
            raise
        except BaseException as error:
            self._write("failed", {"error": without_secrets(f"{type(error).__name__}: {error}")})
            raise

    def complete(self, report: SftReport, left_out: dict[str, int]) -> None:
        """`left_out`: of the sources, by reason. The model gets its card."""
        timings = {"timings": self._timeline.seconds(ROUND)}
        shown = self._shards.read(ROUND, "shown", ShownCounts) if self._shards.has(ROUND, "shown") else None
        summary = sft_summary(report, left_out, shown) | timings
        self._metrics.round({"round": ROUND} | summary)
        self._write("complete", summary)
        write_cards(self._run, ROUND)

    def _write(self, status: str, more: dict[str, Any]) -> None:
        seconds = round(self._timeline.wall_seconds(), 1)
        self._run.write_json("summary.json", {"run_id": self._id, "status": status, "wall_seconds": seconds, **more})
        self._timeline.close(status)

    def _classify(self, classify: Callable[[Prompts], Prompts], prompts_P: Prompts) -> Prompts:
        if self._shards.has(ROUND, "prompts"):
            return self._shards.read(ROUND, "prompts", PromptSet).prompts_P
        with self._timeline.stage("classify", ROUND) as stage:
            decided = tuple(classify(prompts_P))
            stage.note(_classified(decided))
        self._shards.write(ROUND, "prompts", PromptSet(decided))
        return decided

    def _elicit(
        self, elicit: Callable[[Prompts, Demonstrations], Iterable[Group]], prompts_P: Prompts, seeds_D: Demonstrations
    ) -> Iterator[Group]:
        done = set()
        for group in self._shards.stream(ROUND, "elicited", Group):
            done.add(group.prompt.id)
            yield group
        if not (left := [prompt for prompt in prompts_P if prompt.id not in done]):
            return
        with self._timeline.stage("elicit", ROUND) as stage:
            groups_P = stage.counted(elicit(left, seeds_D), len(prompts_P), len(done))
            for group in self._shards.store(ROUND, "elicited", groups_P):
                stage.add(answers=len(group.responses_G), cut_off=sum(each.truncated for each in group.responses_G))
                self._metrics.sampled(group, behind=0)
                yield group

    def _train(self, train: Callable[[Demonstrations], SftTraining], demonstrations_D: Demonstrations) -> SftTraining:
        if self._trained and self._shards.has(ROUND, "training"):
            return self._shards.read(ROUND, "training", SftTraining)
        with closing(self._screen.begin("write the table")), self._run.table(TABLE, COLUMNS) as add:
            add([_row(each) for each in demonstrations_D])
        with self._timeline.stage("train", ROUND) as stage:
            training = train(demonstrations_D)
            stage.note(training_line(training.report))
        self._shards.write(ROUND, "training", training)
        return training

    def _save(self, save: Callable[[], str]) -> str:
        with self._timeline.stage("save", ROUND) as stage:
            model = save()
            stage.note(model)
        return model


def _row(demonstration: Any) -> dict[str, Any]:
    prompt = demonstration.prompt
    return {
        "prompt_id": prompt.id,
        "prompt": prompt.text,
        "answer": demonstration.answer,
        "source": demonstration.source,
        "weight": demonstration.weight,
        "fact_based": prompt.fact_based,
    }


def _classified(prompts_P: Sequence[Prompt]) -> str:
    found, needing = accuracy(prompts_P), sum(bool(prompt.fact_based) for prompt in prompts_P)
    agreement = f"; agrees with {found.correct} of {found.labelled} labels" if found.labelled else ""
    return f"{needing} of {len(prompts_P)} seeds need facts{agreement}"
