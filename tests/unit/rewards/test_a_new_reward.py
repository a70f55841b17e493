"""A third reward, the length of a response, goes through scoring, pairing, evaluation, tables and the journal unchanged."""

from typing import Any

import pytest

from flame_ray.config import Config, EvaluationConfig, PairsConfig
from flame_ray.controller.stages import ClusterStages
from flame_ray.controller.workers import RunPools
from flame_ray.evaluation.metrics import evaluate_responses
from flame_ray.journal.shards import load, save
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.pairs import build_pairs
from flame_ray.report.summary import round_summary
from flame_ray.report.tables import response_rows, reward_names
from flame_ray.rewards.base import by_group
from flame_ray.rewards.judge.actor import JudgeActor
from flame_ray.storage.cache import Cache
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Missing, Score, ScoredGroup
from tests.builders import make_group, make_prompt, make_response, make_round_report, make_score, make_training_report
from tests.doubles import FakePool

POEM = make_prompt("poem", "Write a poem.", fact_based=False)
FACTS = make_prompt("facts", "Which?", fact_based=True)
GROUPS = [
    make_group(*(make_response(text, prompt=prompt.id, index=index) for index, text in enumerate(texts)), prompt=prompt)
    for prompt, texts in [(POEM, ["one two", "one", "one two three", "never"]), (FACTS, ["a", "a b"])]
]


class LengthReward:
    """The words of a response to a prompt that needs no facts; "never" makes it fail."""

    name = "length"

    @staticmethod
    def applies_to(prompt):
        return not prompt.fact_based

    def score(self, groups):
        yield from by_group(groups, [self._score(each) for group in groups for each in group.responses_G])

    def _score(self, response):
        if response.text == "never":
            return Missing(response.id, "no length")
        return Score(response.id, float(len(response.text.split())))


class LengthPairs(PairsConfig):
    """What a new reward adds to the settings: the name of its kind of pair."""

    kinds: tuple[str, ...] = ("length", "instruction")  # type: ignore[assignment]


@pytest.fixture
def scored(tmp_path) -> list[ScoredGroup]:
    judge = FakePool(lambda method, group: [make_score(-each.id.index, id=each.id) for each in group.responses_G])
    length = FakePool(lambda method, group: next(LengthReward().score([group]))[1])
    rewards: Any = {JudgeActor: judge, LengthReward: length}
    workers: Any = RunPools(None, judge, rewards, None)  # type: ignore[arg-type]
    stages = ClusterStages(workers, Config(), Cache(tmp_path / "known"), Checkpoints(tmp_path), lambda *progress: None)
    return list(stages.score(GROUPS, 1))


def test_it_scores_the_prompts_that_it_applies_to(scored):
    poem, facts = scored
    lengths = [each.rewards["length"] for each in poem.scored_G]
    assert [each.value for each in lengths[:3]] == [2.0, 1.0, 3.0]
    assert lengths[3] == Missing(lengths[3].response_id, "no length")
    assert [set(each.rewards) for each in facts.scored_G] == [{"instruction"}] * 2


def test_it_orders_pairs_of_its_own_kind_and_its_failures_are_counted(scored):
    pairs = build_pairs(scored, LengthPairs())
    (pair,) = [pair for pair in pairs.pairs_D if pair.kind == "length"]
    assert (pair.chosen.text, pair.rejected.text, pair.chosen_score, pair.rejected_score) == ("one two three", "one", 3.0, 1.0)
    assert pairs.counts.by_kind["instruction"] == 2
    assert pairs.dropped == {"reward: no length": 1}
    summary = round_summary(make_round_report(pairs=pairs.counts, training=make_training_report()), {})
    assert summary["pairs"] == {"instruction": 2, "factuality": 0, "length": 1, "dropped": {"reward: no length": 1}}


def test_its_scores_are_in_the_tables_in_the_evaluation_and_in_the_journal(scored, tmp_path):
    flat = [each for group in scored for each in group.scored_G]
    columns = [(row["length_score"], row["length_missing"]) for row in response_rows(flat, reward_names(flat))]
    assert columns == [(2.0, None), (1.0, None), (3.0, None), (None, "no length"), (None, None), (None, None)]
    assert evaluate_responses([POEM] * 4, flat[:4], EvaluationConfig(), seed=0).missing == 1
    storage = Storage(tmp_path / "run")
    save(storage, "part", scored)
    assert load(storage, "part", ScoredGroup) == scored
