"""Plans tables: their steps and evaluations, each under a key of all that its result depends on, so that equal ones are one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from flame_ray.config import Config
from flame_ray.config.load import lasting
from flame_ray.reproduction.systems import Evaluated, Scale, Step, System
from flame_ray.reproduction.tables import AGREEMENT, EQUAL_LENGTH, JUDGE_SCORE, WIN_RATE, Contrast, Measure, Table
from flame_ray.storage.atomic import json_digest

Load = Callable[[str, tuple[str, ...]], Config]  # a job file of the scale, with settings over it
Contents = Callable[[Config, str | None], Mapping[str, str]]  # what tells the content of the files that settings name


def no_files(config: Config, suite: str | None) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """The making of a model. `config` says nothing of places: where it starts from `after`, its policy is that step's key.

    `pairs`: the keys of two fine-tunings, whose models' own answers are the chosen and the rejected sides of its pairs. Then
    `config` names their keys for the file.
    """

    key: str
    command: Literal["sft", "run"]
    job: str
    config: Config
    after: str | None
    pairs: tuple[str, str] | None

    @property
    def needs(self) -> tuple[str, ...]:
        return (*((self.after,) if self.after else ()), *(self.pairs or ()))


@dataclass(frozen=True, slots=True)
class PlannedEvaluation:
    """A model on a suite. `model`: a name, or, if `is_made`, the key of the step that makes it.

    `against`: the evaluation whose answers these are compared with; None: what the suite's own data holds.
    """

    key: str
    suite: str
    model: str
    is_made: bool
    config: Config
    against: str | None

    @property
    def needs(self) -> tuple[str, ...]:
        return (*((self.model,) if self.is_made else ()), *((self.against,) if self.against else ()))


@dataclass(frozen=True, slots=True)
class PlannedAgreement:
    """A factuality reward on the responses that people have labelled."""

    key: str
    config: Config
    suite: ClassVar[str] = AGREEMENT
    needs: ClassVar[tuple[str, ...]] = ()


Job = PlannedStep | PlannedEvaluation | PlannedAgreement


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A figure of a table. `keys`: whose results it is found in, one for each seed; none if the row has no such figure.

    `lacks`: why it can have none; `is_baseline`: a win rate over itself.
    """

    system: str
    measure: Measure
    keys: tuple[str, ...] = ()
    lacks: str | None = None
    is_baseline: bool = False


@dataclass(frozen=True, slots=True)
class PlannedContrast:
    """A figure of one system minus that of another. `keys`: the evaluations of both, seed by seed."""

    first: str
    second: str
    measure: Measure
    keys: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PlannedTable:
    table: Table
    cells: tuple[PlannedCell, ...]
    contrasts: tuple[PlannedContrast, ...] = ()


class Plan:
    """The jobs of tables by their keys, each after those that it needs.

    `seeds`: how many models of each system are made; None: as many as each table wants. `load` reads a job file of the scale.
    `contents`: by setting, what tells the content of the files that a step, or the evaluation on a suite, reads.
    """

    def __init__(self, scale: Scale, seeds: int | None, load: Load, contents: Contents = no_files):
        self.jobs: dict[str, Job] = {}
        self._scale, self._seeds, self._load, self._contents = scale, seeds, load, contents
        self._evaluated: dict[Evaluated, Config] = {}
        self._made: dict[tuple[Step, int, str | None], PlannedStep] = {}
        self._asked: dict[tuple[System, str | None, str, str | None], PlannedEvaluation] = {}

    def add(self, table: Table) -> PlannedTable:
        """Adds the jobs of a table that no other has asked for."""
        cells = tuple(self._cell(table, system, each) for system in table.rows for each in table.measures)
        found = (self._contrast(table, pair, each) for pair in table.contrasts for each in table.measures)
        return PlannedTable(table, cells, tuple(each for each in found if each))

    def beside(self, job: Job) -> list[PlannedEvaluation]:
        """The later evaluations of the same model that one call can make with this one: other suites, by the same settings."""
        if not isinstance(job, PlannedEvaluation):
            return []
        jobs = list(self.jobs.values())
        found = {job.suite: job}
        for other in jobs[jobs.index(job) + 1 :]:
            if isinstance(other, PlannedEvaluation) and (other.model, other.config) == (job.model, job.config):
                found.setdefault(other.suite, other)
        return list(found.values())[1:]

    def _contrast(self, table: Table, pair: Contrast, measure: Measure) -> PlannedContrast | None:
        """None where one of the two has no such figure, or no value for each prompt, or where the win rate compares them."""
        is_win_over_one = measure.figure == WIN_RATE and table.baseline in pair
        lacks = any(system.name in self._scale.lacks for system in pair)
        applies = all(self._applies(system, measure) for system in pair)
        if not measure.is_mean or is_win_over_one or lacks or not applies:
            return None
        keys = [tuple(self._key(table, system, measure, seed) for system in pair) for seed in self._seeds_of(table)]
        first, second = (system.name for system in pair)
        return PlannedContrast(first, second, measure, tuple((a, b) for a, b in keys))

    def _cell(self, table: Table, system: System, measure: Measure) -> PlannedCell:
        if lacks := self._scale.lacks.get(system.name):
            return PlannedCell(system.name, measure, lacks=lacks)
        if not self._applies(system, measure):
            return PlannedCell(system.name, measure)
        if measure.figure in (WIN_RATE, EQUAL_LENGTH) and system == table.baseline:
            return PlannedCell(system.name, measure, is_baseline=True)
        keys = dict.fromkeys(self._key(table, system, measure, seed) for seed in self._seeds_of(table))
        return PlannedCell(system.name, measure, tuple(keys))

    def _applies(self, system: System, measure: Measure) -> bool:
        """Whether the row has such a figure: of its last step of that kind, or of its evaluation."""
        step = next((each for each in reversed(system.steps) if each.command == measure.source), None)
        if measure.is_of_step and step is None:
            return False
        if measure.applies is None:
            return True
        return measure.applies(self._load(step.job, step.settings) if step else self._config_of(system.evaluated))

    def _seeds_of(self, table: Table) -> range:
        return range(self._seeds or table.seeds)

    def _key(self, table: Table, system: System, measure: Measure, seed: int) -> str:
        """The key of the job that gives a figure, which is added if it is new."""
        if measure.source == AGREEMENT:
            return self._agreement(system).key
        steps = self._steps(system, seed)
        if measure.is_of_step:
            return next(step.key for step in reversed(steps) if step.command == measure.source)
        suite, against = self._scale.stand_ins.get(measure.source, measure.source), None
        is_alone = system == table.baseline and measure != JUDGE_SCORE  # the baseline is scored beside itself
        if measure.against_baseline and table.baseline and not is_alone:
            against = self._evaluation(table.baseline, self._steps(table.baseline, seed), suite, None).key
        return self._evaluation(system, steps, suite, against).key

    def _steps(self, system: System, seed: int) -> list[PlannedStep]:
        steps: list[PlannedStep] = []
        for step in system.steps:
            steps.append(self._step(step, seed, steps[-1].key if steps else None))
        return steps

    def _step(self, step: Step, seed: int, after: str | None) -> PlannedStep:
        """A step from the model of another, or from the model before any tuning."""
        asked = (step, seed, after)
        if asked not in self._made:
            self._made[asked] = self._planned(step, seed, after)
            self.jobs.setdefault(self._made[asked].key, self._made[asked])
        return self._made[asked]

    def _planned(self, step: Step, seed: int, after: str | None) -> PlannedStep:
        first = self._load(step.job, step.settings)
        settings = [*step.settings, f"run.seed={first.run.seed + seed}", f"run.name={step.command}", "run.save_merged=true"]
        if after:
            settings += [f"model.policy={after}", "model.revision=null"]
        pairs = None
        if step.pairs:
            chosen, rejected = (self._step(each, seed, None).key for each in step.pairs)
            pairs = chosen, rejected
            settings.append(f"pairs.file={chosen}-over-{rejected}.jsonl")
        config = self._load(step.job, tuple(settings))
        key = f"{step.command}-{json_digest(_computed(config) | self._files(first, None))}"
        return PlannedStep(key, step.command, step.job, config, after, pairs)

    def _evaluation(self, system: System, steps: Sequence[PlannedStep], suite: str, against: str | None) -> PlannedEvaluation:
        asked = (system, steps[-1].key if steps else None, suite, against)
        if asked not in self._asked:
            self._asked[asked] = self._planned_evaluation(*asked)
            self.jobs.setdefault(self._asked[asked].key, self._asked[asked])
        return self._asked[asked]

    def _planned_evaluation(self, system: System, made: str | None, suite: str, against: str | None) -> PlannedEvaluation:
        job = self._scale.jobs.get(suite, system.evaluated.job)
        config = self._config_of(replace(system.evaluated, job=job))
        model = made or system.model or config.model.policy
        files = self._files(config, suite) | self._folder_of(system, config)
        key = f"{suite}-{json_digest([suite, model, against, _evaluates(config) | files])}"
        return PlannedEvaluation(key, suite, model, made is not None, config, against)

    def _agreement(self, system: System) -> PlannedAgreement:
        config = self._config_of(system.evaluated)
        key = f"{AGREEMENT}-{json_digest(_evaluates(config) | self._files(config, AGREEMENT))}"
        planned = PlannedAgreement(key, config)
        self.jobs.setdefault(planned.key, planned)
        return planned

    def _files(self, config: Config, suite: str | None) -> dict[str, Any]:
        """The part of a key that changes with the files; nothing if none is named."""
        found = self._contents(config, suite)
        return {"files": dict(found)} if found else {}

    def _folder_of(self, system: System, config: Config) -> dict[str, Any]:
        """The same of a model that the system names, where that is a folder."""
        if system.model is None:
            return {}
        found = self._contents(config.replaced("model", policy=system.model), None)
        return {"model": found["model.policy"]} if "model.policy" in found else {}

    def _config_of(self, evaluated: Evaluated) -> Config:
        if evaluated not in self._evaluated:
            self._evaluated[evaluated] = self._load(evaluated.job, evaluated.settings)
        return self._evaluated[evaluated]


def _computed(config: Config) -> dict[str, Any]:
    """The settings that decide what is computed: nothing of places, workers, and devices."""
    return lasting(config.model_dump(mode="json"))


def _evaluates(config: Config) -> dict[str, Any]:
    """The same of an evaluation, also what a resumed run may change."""
    return _computed(config) | {"suites": config.suites.model_dump(), "score": config.score.model_dump()}
