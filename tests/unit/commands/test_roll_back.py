"""A run whose second round is worse: it goes on from the first one, and comes out the same wherever its process dies."""

import io
import json
import uuid
from dataclasses import dataclass, field

import pytest
from rich.console import Console

from flame_ray.commands.run import _record, _resumed
from flame_ray.config import Config, EvaluationConfig, RunConfig
from flame_ray.config.load import parse_config
from flame_ray.evaluation.selection import select
from flame_ray.journal.journal import Journal
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.shards import Shards
from flame_ray.learner.checkpoints import Choice
from flame_ray.report.progress import Screen
from flame_ray.storage.filesystem import Storage
from flame_ray.types import HeldOut, Prompt, RoundReport, Selection, Split, VerdictLabel
from tests.builders import make_evaluation, make_interval, make_response, make_scored
from tests.doubles import FakeStages
from tests.unit.commands.test_resume import FakeCheckpoints, Killed, Life, MortalStorage, _timeless

SUPPORTED = {0: 1, 1: 2, 2: 1, 3: 3, 4: 3}  # facts of four that a development answer has right, by round
DEV_P = tuple(Prompt(name, f"question {name}", split=Split.DEV) for name in ("c", "d"))
PROMPTS = (Prompt("a", "question a"), *DEV_P, Prompt("held out", "question", split=Split.HELDOUT))


@dataclass
class Disk(FakeCheckpoints):
    """What outlives a process. `started`: the round whose weights each round's training started from."""

    rounds: set[int] = field(default_factory=set)
    started: dict[int, int] = field(default_factory=dict)
    best: int | None = None


class ChoosingStages(FakeStages):
    """`at`: the round whose weights the learner has; `serving`: the version that the samplers have."""

    def __init__(self, work, disk: Disk, barren=()):
        super().__init__(work, disk.rounds, barren)
        self._disk, self.at, self.serving = disk, disk.start(), 0

    def train(self, pairs, round):
        is_new = round not in self.trained
        report = super().train(pairs, round)
        if is_new:
            self._disk.started[round], self.at = self.at, round
        return report

    def sync(self, round: int):
        assert self.at == round  # the weights are those that their version says
        self.serving = round
        return super().sync(round)

    def evaluate(self, prompts_P, round: int) -> HeldOut:
        assert self.serving == round
        return super().evaluate(prompts_P, round)

    def develop(self, prompts_P, round: int) -> HeldOut:
        assert self.serving == round
        self._work(f"develop {round}")
        facts = [VerdictLabel.SUPPORTED] * SUPPORTED[round] + [VerdictLabel.CONTRADICTED] * (4 - SUPPORTED[round])
        scored_P = tuple(  # with a false fact more in the second answer: where all change alike, nothing says how sure that is
            make_scored(make_response(prompt=prompt.id, round=round), facts=[*facts, *[VerdictLabel.CONTRADICTED] * place])
            for place, prompt in enumerate(prompts_P)
        )
        share = make_interval(SUPPORTED[round] / 4, n=len(prompts_P))
        evaluation = make_evaluation(prompts=len(prompts_P), f_at_k=share, abstention_rate=make_interval(0.0))
        return HeldOut(scored_P, evaluation)

    def select(self, developed, before: Selection | None) -> Selection:
        return select(developed, before, RunConfig(select="best"), EvaluationConfig(bootstrap=100))

    def deliver(self, selection: Selection) -> None:
        """In the order of `ClusterStages.deliver`."""
        if selection.best == selection.round:
            self._work(f"deliver {selection.round}")
            self._disk.best = selection.round
        self._work(f"choose {selection.round}")
        self._disk.choice = Choice(selection.round, selection.best, selection.restart)
        if selection.rolled_back:
            self._work(f"roll {selection.round} back")
            self.at = selection.restart
            self.sync(selection.restart)

    def _responses(self, prompt, round, samples):
        return tuple(
            make_response(f"answer {round}/{index}", round=round, prompt=prompt.id, index=index, version=self.serving)
            for index in range(samples)
        )


class Run:
    """A run of three rounds; what it leaves outlives its processes."""

    def __init__(self, metrics, barren=(), rounds: int = 3):
        self.storage, self.disk = Storage(f"memory://{uuid.uuid4().hex}/run"), Disk()
        self.screen = io.StringIO()
        self._metrics, self._barren = metrics, barren
        self._config: Config = parse_config({"run": {"rounds": rounds, "select": "best"}}, "here")

    def process(self, moments: int = 10**9) -> tuple[list[RoundReport] | None, Life]:
        """One process, which dies after so many moments or brings the run to its end; None: it died."""
        life, disk = Life(moments), self.disk
        folder = RunFolder(MortalStorage(self.storage.url, life))
        screen = Screen(Console(file=self.screen, width=200))
        try:
            chosen = disk.choice.round if disk.choice else -1
            journal = Journal(folder, "mine", screen, self._metrics, disk.trained(), chosen)
            stages = _resumed(ChoosingStages(life.work, disk, self._barren), folder, disk)
            return _record(journal, self._config, journal.wrap(stages), PROMPTS), life
        except Killed:
            life.left = 0
            return None, life

    def contents(self) -> dict[str, object]:
        """Every file but the timeline; without what says how long something took."""
        files = {name: self.storage.read(name) for name in self.storage.names() if name != "timeline.json"}
        lines = [_timeless(json.loads(line)) for line in files["metrics.jsonl"].splitlines()]
        return files | {"summary.json": _timeless(json.loads(files["summary.json"])), "metrics.jsonl": lines}


@pytest.fixture
def whole(metrics) -> tuple[Run, list[RoundReport], list[str]]:
    """A run that nobody killed, its reports, and all that its process did."""
    run = Run(metrics)
    reports, life = run.process()
    return run, reports, life.spent


def test_a_round_that_falls_is_rolled_back_and_the_next_one_starts_from_the_best(whole):
    run, reports, _ = whole
    assert [(report.selection.best, report.selection.restart) for report in reports] == [(0, 0), (1, 1), (1, 1), (3, 3)]
    assert run.disk.started == {1: 0, 2: 1, 3: 1}
    assert run.disk.best == 3
    sampled = {row.chosen.weight_version for row in Shards(run.storage).read_pairs(3).pairs_D}
    assert sampled == {1}


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long)])
def test_wherever_its_process_dies_around_a_roll_back_the_run_makes_the_same_choices_and_comes_out_the_same(
    whole, metrics, every
):
    _, reports, moments = whole
    assert {"develop", "deliver", "choose", "roll"} <= {moment.split()[0] for moment in moments}
    for moment in range(moments.index("train 2"), moments.index("train 3") + 2, every):
        run = Run(metrics)
        assert run.process(moment)[0] is None
        assert run.process()[0] == reports, moments[moment]
        assert run.contents() == whole[0].contents(), moments[moment]
        assert run.disk == whole[0].disk, moments[moment]


def test_the_run_says_on_the_screen_what_was_chosen(whole):
    told = [line.split(" s  ")[1] for line in whole[0].screen.getvalue().splitlines() if " select " in line]
    assert told == [
        "development score 0.250: round 0 is the best so far",
        "development score 0.500, +0.236 [0.222, 0.250] from the best before: round 1 is the best so far",
        "development score 0.250, -0.236 [-0.250, -0.222] from the best before: rolled back to round 1",
        "development score 0.750, +0.236 [0.222, 0.250] from the best before: round 3 is the best so far",
    ]


def test_the_summary_says_which_round_is_the_best_and_which_one_was_rolled_back(whole):
    summary = json.loads(whole[0].storage.read("summary.json"))
    assert summary["best_round"] == 3
    assert [entry["selection"]["rolled_back"] for entry in summary["rounds"]] == [False, False, True, False]
    assert summary["rounds"][2]["selection"] == {
        "best_round": 1,
        "next_round_starts_from": 1,
        "rolled_back": True,
        "abstains_too_often": False,
        "value": {"mean": 0.25, "ci95": [None, None], "n": 2},
        "change": {
            "mean": pytest.approx(-17 / 72),
            "ci95": [-0.25, pytest.approx(-2 / 9)],
            "n": 2,
        },  # F1@4 falls by 1/4 and by 2/9
    }
    assert summary["rounds"][2]["development"]["f_at_k"] == 0.25


def test_the_development_answers_have_tables_of_their_own(whole):
    names = {name.rpartition("/")[2] for name in whole[0].storage.names("rounds/0002")}
    assert {"dev.json.gz", "dev_responses.parquet", "dev_facts.parquet"} <= names


def test_groups_of_the_round_that_was_rolled_back_to_are_not_called_stale(whole):
    assert "stale" not in whole[0].screen.getvalue()
