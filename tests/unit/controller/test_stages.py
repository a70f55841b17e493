"""The stages of a round, with pools that answer from a list: no actor, no cluster."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from flame_ray.cluster.interrupt import interruptible, signals_recorded
from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.controller import stages as stages_module
from flame_ray.controller.stages import CANARY_PAIRS, ClusterStages
from flame_ray.controller.workers import RunPools
from flame_ray.engines.base import AdapterFolder, Chunks, Continuation, ModelFolder, StoredModel
from flame_ray.errors import EngineError, Interrupted, ModelError, WorkLost
from flame_ray.learner.checkpoints import Checkpoints, Choice
from flame_ray.learner.train_state import Progress
from flame_ray.prompts.classify import classification_messages
from flame_ray.rewards.factuality.actor import FactualityActor
from flame_ray.rewards.judge.actor import JudgeActor
from flame_ray.storage.atomic import write_manifest
from flame_ray.storage.cache import Cache
from flame_ray.storage.local_copy import write_folder
from flame_ray.types import (
    CheckedSentence,
    FactScore,
    Group,
    Missing,
    PairSet,
    Prompt,
    Response,
    Selection,
    SideFacts,
    TrainingReport,
    VerdictLabel,
)
from flame_ray.weights import Agreement
from tests.builders import (
    make_fact_score,
    make_interval,
    make_pair,
    make_pair_set,
    make_response,
    make_score,
    make_scored,
    make_scored_group,
    make_step_report,
    make_training_report,
)
from tests.doubles import ByteTokens, FakePool

FACTS, POEM = Prompt("facts", "Which?", label=True, fact_based=True), Prompt("poem", "Write.", label=False, fact_based=False)


def response(prompt: Prompt, index: int = 0, round: int = 1, version: int = 0) -> Response:
    return make_response(
        f"answer {index}", prompt=prompt.id, index=index, round=round, prompt_tokens=(1, 2), tokens=(3, 4), version=version
    )


def group(prompt: Prompt, *versions: int, round: int = 1) -> Group:
    """A response from each of these weight versions."""
    return Group(prompt, tuple(response(prompt, index, round, version) for index, version in enumerate(versions)))


def pairs() -> PairSet:
    return make_pair_set(make_pair(response(FACTS, 1), response(FACTS, 0)))


def judged(method: str, item: Any) -> Any:
    """The judge: `item` is a group to score, or the chat of a prompt to classify."""
    if method == "choose":
        return (0.0, -3.0) if "Which?" in item[-1]["content"] else (-3.0, 0.0)
    return tuple(make_score(each.id.index, id=each.id) for each in item.responses_G)


def checked(method: str, item: Group) -> tuple[FactScore, ...]:
    return tuple(make_fact_score(id=each.id) for each in item.responses_G)


@dataclass
class FakeRollouts:
    """Gives the groups that it was told to, last one first."""

    groups: list[Group] = field(default_factory=list)
    asked: list[tuple] = field(default_factory=list)
    pushes: list[Any] = field(default_factory=list)

    def generate(self, prompts_P, plan, urgent: bool = False) -> Iterator[Group]:
        self.asked.append((tuple(prompts_P), plan, urgent))
        yield from reversed(self.groups)

    def push(self, push) -> Agreement:
        self.pushes.append(push)
        return Agreement(4, 0.01, 1.0, 1.0, 1.0, 0.02)


@dataclass
class FakeLearner:
    """Its canary counts how often it was trained; it does what `during` says while it trains."""

    during: Callable[[], None] = lambda: None
    trained: int = 0
    saved: list[tuple[Path, bool]] = field(default_factory=list)
    interrupted: list[int] = field(default_factory=list)
    checkpoints: Checkpoints | None = None
    restarted_from: list[Any] = field(default_factory=list)
    asked: list[tuple] = field(default_factory=list)
    learned: list[tuple] = field(default_factory=list)

    def restart(self) -> None:
        """It has the weights of the round that comes next."""
        self.trained = self.checkpoints.start()
        self.restarted_from.append(self.checkpoints.newest())

    def train(self, examples_D, round, on_step) -> TrainingReport:
        self.during()
        self.learned.append(tuple(examples_D))
        on_step(Progress(1, 1, 2, ended=False, report=make_step_report()))
        self.trained += 1
        return make_training_report(steps=2, pairs=len(examples_D))

    def canary(self, sequences, added, initial) -> list[list[float]]:
        self.asked.append((sequences, added, initial))
        return [[9.0 if initial else -float(self.trained)] * 2 for _ in sequences]

    def export(self) -> tuple[str, ...]:
        return f"weights {self.trained}", "and more"

    def save(self, folder: Path, merged: bool) -> None:
        self.saved.append((folder, merged))

    def interrupt(self, round: int) -> None:
        self.interrupted.append(round)


class Bound:
    """Stages with fakes around them."""

    def __init__(
        self, folder: Path, judge=judged, factuality=checked, decode=None, backend="backtranslation", known=None, **settings
    ):
        self.rollouts, self.learner = FakeRollouts(), FakeLearner()
        self.judge, self.factuality = FakePool(judge), FakePool(factuality)
        rewards: Any = {JudgeActor: self.judge, FactualityActor: self.factuality}
        self.heard: list[tuple] = []
        self.steps: list[tuple] = []
        self.folder = folder
        workers: Any = RunPools(self.rollouts, self.judge, rewards, self.learner)  # type: ignore[arg-type]
        config: Config = parse_config(settings | {"judge": {"backend": backend}}, "here")
        checkpoints, cache = Checkpoints(folder / "checkpoints"), Cache(folder / "classified.jsonl")
        self.learner.checkpoints = self.checkpoints = checkpoints
        self.stages = ClusterStages(
            workers, config, cache, checkpoints, self._hear, decode, lambda *told: self.steps.append(told), known
        )

    def _hear(self, *told) -> None:
        self.heard.append(told)


@pytest.fixture
def bound(tmp_path):
    return lambda **settings: Bound(tmp_path, **settings)


# Sampling


def test_groups_of_the_last_rounds_weights_pass(bound):
    made = bound(rollout={"samples": 2})
    made.rollouts.groups = [group(POEM, 1, 1, round=2), group(FACTS, 1, 1, round=2)]
    assert list(made.stages.sample([FACTS, POEM], 2)) == made.rollouts.groups[::-1]
    ((asked, plan, urgent),) = made.rollouts.asked
    assert (asked, plan.round, plan.samples, urgent) == ((FACTS, POEM), 2, 2, False)


@pytest.mark.parametrize(("staleness", "oldest", "passes"), [(0, 2, True), (0, 1, False), (1, 1, True), (1, 0, False)])
def test_a_group_that_is_too_old_is_refused_by_its_prompt_and_its_version(bound, staleness, oldest, passes):
    """Round 3 is sampled from version 2; the oldest response of a group decides."""
    made = bound(pipeline={"staleness": staleness})
    made.rollouts.groups = [group(FACTS, 2, oldest, 2, round=3)]
    if passes:
        assert len(list(made.stages.sample([FACTS], 3))) == 1
    else:
        with pytest.raises(EngineError, match=rf"at most {staleness} versions behind; found version {oldest} for prompt facts"):
            list(made.stages.sample([FACTS], 3))


# Scoring


def test_a_prompt_that_needs_facts_has_both_rewards_and_any_other_the_judges_alone(bound):
    made = bound()
    first, second = made.stages.score([group(FACTS, 0, 0), group(POEM, 0)], 1)
    assert [scored.rewards["instruction"].value for scored in first.scored_G] == [0.0, 1.0]
    ids = [each.id for each in group(FACTS, 0, 0).responses_G]
    assert [scored.rewards["factuality"].response_id for scored in first.scored_G] == ids
    assert [set(scored.rewards) for scored in second.scored_G] == [{"instruction"}]
    assert [item.prompt.id for _, item in made.factuality.asked] == ["facts"]


def test_what_is_known_of_a_reward_is_not_asked_again_and_the_other_reward_is(bound):
    kept = {"instruction": [make_score(7.0), make_score(8.0)]}
    made = bound(known=lambda reward, group: kept.get(reward) if group.prompt == FACTS else None)
    facts, poem = made.stages.score([group(FACTS, 0, 0), group(POEM, 0, 0)], 1)
    assert [each.rewards["instruction"].value for each in facts.scored_G] == [7.0, 8.0]
    assert all(isinstance(each.rewards["factuality"], FactScore) for each in facts.scored_G)
    assert [item.prompt for _, item in made.judge.asked] == [POEM] and [
        each.rewards["instruction"].value for each in poem.scored_G
    ] == [0, 1]


def test_a_group_is_scored_before_the_next_one_comes(bound):
    drawn: list[str] = []
    groups_P = (drawn.append(prompt.id) or group(prompt, 0) for prompt in (FACTS, POEM))
    for scored in bound().stages.score(groups_P, 1):
        assert drawn[-1] == scored.prompt.id


def test_no_more_groups_wait_for_their_scores_than_memory_is_meant_for(bound, monkeypatch):
    monkeypatch.setattr(stages_module, "MOST_PENDING", 5)
    made = bound(judge=None)
    drawn: list[int] = []
    scores = made.stages.score((drawn.append(i) or group(POEM, 0) for i in range(100)), 1)
    reader = Thread(target=next, args=(scores,), daemon=True)
    reader.start()
    reader.join(0.1)
    assert len(drawn) == 5
    made.judge.settle(0, judged)
    reader.join(10)
    assert not reader.is_alive()


def lost(method: str, item: Any):
    raise WorkLost("a judge worker that survives score of prompt poem", "5 workers were lost", "leave it out")


def test_a_group_that_brings_down_its_workers_has_no_reward_and_does_not_stop_the_run(bound):
    made = bound(judge=lost)
    (scored,) = made.stages.score([group(FACTS, 0, 0)], 1)
    missing = [Missing(each.id, "worker lost") for each in group(FACTS, 0, 0).responses_G]
    assert [each.rewards["instruction"] for each in scored.scored_G] == missing
    assert all(isinstance(each.rewards["factuality"], FactScore) for each in scored.scored_G)
    (unchecked,) = bound(factuality=lost).stages.score([group(FACTS, 0, 0)], 1)
    assert [each.rewards["factuality"] for each in unchecked.scored_G] == missing


def test_any_other_failure_of_a_reward_stops_the_run(bound):
    def broken(method: str, item: Any):
        raise EngineError("a reward", "none", "look")

    with pytest.raises(EngineError, match="a reward"):
        list(bound(factuality=broken).stages.score([group(FACTS, 0)], 1))


# Pairing


@pytest.mark.parametrize(("loss", "chosen"), [("dpo", 1), ("fdpo", 0)])
def test_pairs_are_turned_round_to_the_more_factual_side_for_the_loss_that_needs_it(bound, loss, chosen):
    made = bound(learner={"loss": loss}, pairs={"kinds": ["instruction"]})
    scores = [make_fact_score(VerdictLabel.SUPPORTED), make_fact_score(VerdictLabel.CONTRADICTED)]
    scored_G = [
        make_scored(each, judge=float(each.id.index), facts=scores[each.id.index]) for each in group(FACTS, 0, 0).responses_G
    ]
    (pair,) = made.stages.stages().pair([make_scored_group(*scored_G, prompt=FACTS)], 1).pairs_D
    assert (pair.chosen.id.index, pair.flipped) == (chosen, loss == "fdpo")


def test_for_grpo_single_responses_are_graded_trained_on_and_sampled_as_the_canary(bound):
    made = bound(learner={"loss": "grpo"})
    scores = [make_fact_score(VerdictLabel.SUPPORTED), make_fact_score(VerdictLabel.CONTRADICTED)]
    scored_G = [make_scored(each, facts=scores[each.id.index]) for each in group(FACTS, 0, 0).responses_G]
    found = made.stages.stages().pair([make_scored_group(*scored_G, prompt=FACTS)], 1)
    assert [each.advantage for each in found.graded_D] == [1.0, -1.0]
    assert made.stages.train(found, 1).examples == 2
    assert made.learner.asked[0][0] == (Continuation((1, 2), (3, 4)),)  # of equal tokens


def test_for_nll_the_best_responses_are_trained_on_once_each(bound):
    made = bound(learner={"loss": "nll"})
    scores = [make_fact_score(VerdictLabel.SUPPORTED), make_fact_score(VerdictLabel.CONTRADICTED)]
    scored_G = [
        make_scored(each, judge=2.0 - each.id.index, facts=scores[each.id.index]) for each in group(FACTS, 0, 0).responses_G
    ]
    found = made.stages.stages().pair([make_scored_group(*scored_G, prompt=FACTS)], 1)
    assert [(each.kind, each.response.id.index) for each in found.graded_D] == [("instruction", 0)]
    assert found.dropped == {"factuality: judge gap too large": 1}  # the filters of pairs hold too
    assert made.stages.train(found, 1).examples == 1
    (example,) = made.learner.learned[0]
    assert example.sequences == (Continuation((1, 2), (3, 4)),)


# Training, and weights to the samplers


NO_PAIRS = PairSet((), {"instruction: tie": 9})


def test_a_round_without_a_pair_leaves_the_weights_and_says_what_was_dropped(bound, caplog):
    made = bound()
    made.stages.skip(NO_PAIRS, 2)
    assert (made.learner.learned, made.learner.saved, made.rollouts.pushes) == ([], [], [])
    assert "round 2 is skipped, as it has no pairs to train on (dropped: {'instruction: tie': 9})" in caplog.text


@pytest.mark.parametrize(("staleness", "oldest", "passes"), [(0, 1, True), (0, 0, False), (1, 1, True), (1, 0, False)])
def test_after_a_skipped_round_samples_are_of_the_weights_before_it(bound, staleness, oldest, passes):
    """Rounds 2 and 3 are skipped, so that round 4 starts from version 1."""
    made = bound(pipeline={"staleness": staleness})
    for round in (2, 3):
        made.stages.skip(NO_PAIRS, round)
    made.rollouts.groups = [group(FACTS, oldest, 1, round=4)]
    if passes:
        assert len(list(made.stages.sample([FACTS], 4))) == 1
    else:
        with pytest.raises(EngineError, match="found version 0 for prompt facts"):
            list(made.stages.sample([FACTS], 4))


def test_a_round_after_a_skipped_one_compares_samplers_that_still_have_the_weights_before_it(bound):
    made = bound()
    made.stages.train(pairs(), 1)
    made.stages.sync(1)
    made.stages.skip(NO_PAIRS, 2)
    made.stages.train(pairs(), 3)
    made.stages.sync(3)
    push = made.rollouts.pushes[-1]
    assert (push.version, push._canary.earlier[1], push._canary.expected) == (3, [[-1.0] * 2], [[-2.0] * 2])


@pytest.mark.parametrize("lora", [None, {}])
def test_a_first_round_that_was_skipped_leaves_the_initial_weights_to_compare_with(bound, lora):
    made = bound(learner={"lora": lora})
    made.stages.skip(NO_PAIRS, 1)
    made.stages.train(pairs(), 2)
    made.stages.sync(2)
    assert made.rollouts.pushes[0]._canary.earlier.keys() == {0}


def test_after_a_roll_back_a_skipped_round_leaves_the_weights_that_were_rolled_back_to(bound):
    made = bound(run={"select": "best", "rounds": 4})
    trained(made, 1, 2)
    made.stages.deliver(chosen(2, best=1, restart=1))
    made.stages.skip(NO_PAIRS, 3)
    made.rollouts.groups = [group(FACTS, 1, 1, round=4)]
    assert len(list(made.stages.sample([FACTS], 4))) == 1


def test_a_loss_that_counts_sentences_gets_the_tokens_of_those_that_decide(bound):
    tokens = ByteTokens("", "", "", "True.", " Wrong.")  # the two tokens of each response are 3 and 4
    sentences = CheckedSentence("True.", True), CheckedSentence("Wrong.", False)
    (pair,) = pairs().pairs_D
    checked_pair = replace(pair, chosen_facts=SideFacts(0.5, sentences), rejected_facts=SideFacts(0.5, sentences))
    for decode, counted in ((tokens.decode, ((True, False), (False, True))), (None, ())):
        made = bound(decode=decode)
        made.stages.train(make_pair_set(checked_pair), 1)
        assert [example.counted for example in made.learner.learned[0]] == [counted]


def test_the_learners_steps_are_heard_of(bound):
    made = bound()
    assert made.stages.train(pairs(), 2).examples == 1
    assert made.heard == [("train", 2, 1, 2)]
    assert made.steps == [(2, make_step_report())]


class CountedPool:
    """Says what is done to it, beside what the learner is doing."""

    def __init__(self, name: str, events: list[str]):
        self.name, self._events = name, events

    def __getattr__(self, action: str):
        return lambda: self._events.append(f"{self.name} {action}")


def watched(made: Bound, **pipeline: bool) -> list[str]:
    """What happens in a round from its training to its push."""
    events: list[str] = []
    pools = {name: CountedPool(name, events) for name in ("rollout", "judge", "factuality")}
    made.rollouts.pool = pools["rollout"]
    workers: Any = RunPools(
        made.rollouts, pools["judge"], {JudgeActor: pools["judge"], FactualityActor: pools["factuality"]}, made.learner
    )
    config = parse_config({"pipeline": pipeline}, "here")
    stages = ClusterStages(workers, config, Cache(made.folder / "c.jsonl"), made.checkpoints, lambda *told: None)
    train, push = made.learner.train, made.rollouts.push
    made.learner.train = lambda *args: events.append("train") or train(*args)
    made.rollouts.push = lambda *args: events.append("push") or push(*args)
    stages.train(pairs(), 1)
    stages.save(1)
    stages.sync(1)
    return events


def test_idle_workers_are_released_before_training_and_back_for_the_push_each_pool_with_its_least_first(bound):
    each = ("rollout", "judge", "factuality")
    assert watched(bound(), release_idle=True) == [
        *(f"{name} release" for name in each),
        "train",
        *(f"{name} take_back" for name in each),
        "push",
        *(f"{name} wait_ready" for name in each),
        *(f"{name} grow" for name in each),
    ]


def test_workers_stay_while_the_learner_trains_where_nobody_asked_to_release_them(bound):
    assert watched(bound()) == ["train", "push"]


def test_a_learner_that_is_asked_to_stop_stores_where_it_stands(bound):
    made = bound()

    def stop() -> None:
        raise Interrupted("a run that ends by itself", "SIGTERM", "go on")

    made.learner.during = stop
    with pytest.raises(Interrupted):
        made.stages.train(pairs(), 2)
    assert made.learner.interrupted == [2]


def test_a_signal_is_heard_at_the_next_step_and_the_learner_stores_where_it_stands(bound):
    made = bound()
    made.learner.during = lambda: os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Interrupted), interruptible("go on"), signals_recorded():
        made.stages.train(pairs(), 2)
    assert made.learner.interrupted == [2]
    assert made.heard == [("train", 2, 1, 2)]


def test_a_learner_that_fails_otherwise_is_not_asked_for_its_state(bound):
    made = bound()

    def fail() -> None:
        raise ModelError("a model", "none", "give one")

    made.learner.during = fail
    with pytest.raises(ModelError):
        made.stages.train(pairs(), 2)
    assert made.learner.interrupted == []


@pytest.mark.parametrize(
    ("settings", "folders"),
    [
        ({}, [("adapter", False)]),
        ({"run": {"save_merged": True}}, [("adapter", False), ("merged", True)]),
        ({"learner": {"lora": None}}, [("merged", True)]),
    ],
)
def test_a_round_saves_its_adapter_and_the_whole_model_if_asked_or_if_there_is_no_adapter(bound, settings, folders):
    made = bound(**settings)
    made.stages.save(3)
    root = made.folder / "checkpoints" / "round-0003"
    assert made.learner.saved == [(root / name, merged) for name, merged in folders]


@pytest.mark.parametrize(
    ("settings", "name", "dtype"),
    [
        ({}, "adapter", "float32"),
        ({"run": {"save_merged": True}}, "merged", None),
        ({"learner": {"lora": None}}, "merged", None),
    ],
)
def test_a_sampler_that_joins_after_a_push_through_the_object_store_finds_the_weights_on_storage(bound, settings, name, dtype):
    learner = {"dtype": "float32"} | settings.get("learner", {})
    made = bound(**(settings | {"learner": learner, "model": {"dtype": "float32"}}))
    made.stages.choose_canary(pairs())
    made.stages.sync(2)
    (push,) = made.rollouts.pushes
    assert push._stored == StoredModel(made.folder / "checkpoints" / "round-0002" / name, dtype)


def test_the_samplers_are_brought_to_the_weights_after_training_with_the_canary_of_before(bound):
    made = bound(learner={"canary_tolerance": 0.25})
    made.stages.train(pairs(), 2)
    synced = made.stages.sync(2)
    assert (synced.version, synced.check[:55]) == (2, "moved as the learner did (slope 1.00 +- 0.04 over 4 tok")
    assert (synced.slope, synced.gap) == (1.0, 0.01) and synced.seconds is not None
    (push,) = made.rollouts.pushes
    canary = push._canary
    assert (push.version, push.weights) == (2, Chunks(("weights 1", "and more")))
    assert canary.sequences == (Continuation((1, 2), (3, 4)),)  # both sides of the one pair
    assert (canary.expected, canary.tolerance) == ([[-1.0, -1.0]], 0.25)
    assert canary.earlier == {1: [[0.0, 0.0]], 0: [[9.0, 9.0]]}


def test_the_canary_is_both_sides_of_pairs_of_several_prompts(bound):
    made = bound()
    several = [
        make_pair(*(make_response(prompt=f"p{k % 20}", index=index, tokens=(k, index + 1)) for index in (0, 1)))
        for k in range(40)
    ]
    made.stages.choose_canary(PairSet(tuple(several), {}))
    sequences = made.stages._canary
    assert len(sequences) == len(set(sequences)) == 2 * CANARY_PAIRS
    assert {one.token_ids[0] for one in sequences} == set(range(20 - CANARY_PAIRS, 20))  # the first pairs of as many prompts


@pytest.mark.parametrize(
    ("backend", "dtype", "added"),
    [("lora", "bfloat16", True), ("lora", "float32", False), ("object_store", "bfloat16", False)],
)
def test_the_learner_answers_as_samplers_compute_that_are_sent_an_adapter_or_merged_weights(bound, backend, dtype, added):
    """The learner is in bfloat16, where an adapter's small part is rounded away."""
    made = bound(weights={"backend": backend}, model={"dtype": dtype})
    made.stages.train(pairs(), 1)
    made.stages.sync(1)
    assert [(each[1], each[2]) for each in made.learner.asked] == [(added, True), (added, False)]


@pytest.mark.parametrize(
    ("settings", "weights", "name"),
    [
        ({"weights": {"backend": "lora"}}, AdapterFolder, "adapter"),
        ({"weights": {"backend": "checkpoint"}, "run": {"save_merged": True}}, ModelFolder, "merged"),
    ],
)
def test_weights_may_go_through_the_folder_that_the_round_has_written(bound, settings, weights, name):
    made = bound(**settings)
    made.stages.train(pairs(), 2)
    made.stages.sync(2)
    assert made.rollouts.pushes[0].weights == weights(str(made.folder / "checkpoints" / "round-0002" / name))


@pytest.mark.parametrize(("settings", "known"), [({}, {0: [[9.0, 9.0]]}), ({"lora": None}, {})], ids=["adapter", "all"])
def test_a_resumed_run_syncs_with_the_learners_answer_of_the_initial_model_where_it_still_has_that(bound, settings, known):
    made = bound(learner=settings)
    made.stages.choose_canary(pairs())
    made.stages.sync(4)
    assert made.rollouts.pushes[0].version == 4
    assert made.rollouts.pushes[0]._canary.earlier == known


def test_weights_without_a_canary_are_not_sent(bound):
    made = bound()
    with pytest.raises(EngineError, match="a canary"):
        made.stages.sync(1)
    assert made.rollouts.pushes == []


# The best round


def chosen(round: int, best: int, restart: int) -> Selection:
    return Selection(round, best, restart, make_interval(0.25, low=0.125, high=0.5, n=48), make_interval(0.0625))


def trained(made: Bound, *rounds: int) -> None:
    """Rounds with an adapter and a state on the disk; the learner has the weights of the last."""
    for round in rounds:
        for name in ("adapter", "state"):
            with write_folder(made.checkpoints.round(round) / name) as folder:
                (folder / "model.safetensors").write_text(f"{name} of round {round}")
                write_manifest(folder)
    made.learner.trained = rounds[-1]
    made.stages.choose_canary(pairs())


def test_a_round_that_is_the_best_is_delivered_with_what_decided_and_goes_on(bound):
    made = bound(run={"select": "best"}, evaluation={"recall_at": 3})
    trained(made, 1, 2)
    made.stages.deliver(chosen(2, best=2, restart=2))
    best = made.folder / "best"
    assert (best / "adapter" / "model.safetensors").read_text() == "adapter of round 2"
    assert json.loads((best / "best.json").read_text()) == {
        "round": 2,
        "models": ["adapter"],
        "policy": "smollm2-135m",
        "metric": "f_at_k",
        "recall_at": 3,
        "recall_weight": 1.0,
        "on": "development prompts",
        "value": {"mean": 0.25, "ci95": [0.125, 0.5], "n": 48},
        "change": {"mean": 0.0625, "ci95": [None, None], "n": 1},
    }
    assert made.checkpoints.choice() == Choice(2, 2, 2)
    assert (made.rollouts.pushes, made.learner.restarted_from) == ([], [])


def test_a_round_that_is_rolled_back_leaves_the_best_one_to_the_learner_and_the_samplers(bound):
    made = bound(run={"select": "best", "rounds": 3})
    trained(made, 1, 2)
    made.stages.deliver(chosen(2, best=1, restart=1))
    assert made.learner.restarted_from == [made.checkpoints.state(1)]
    (push,) = made.rollouts.pushes
    assert (push.version, push.weights) == (1, Chunks(("weights 1", "and more")))
    canary = push._canary  # the samplers have version 2
    assert (canary.earlier[2], canary.expected) == ([[-2.0, -2.0]], [[-1.0, -1.0]])
    assert not (made.folder / "best").exists()  # round 1 was delivered after round 1
    made.stages.train(pairs(), 3)
    made.stages.sync(3)
    assert made.rollouts.pushes[1]._canary.earlier[1] == [[-1.0, -1.0]]  # the version that the samplers have then


def test_a_first_round_that_is_rolled_back_leaves_the_initial_model(bound):
    made = bound(run={"select": "best", "rounds": 3}, weights={"backend": "lora"})
    trained(made, 1)
    made.stages.deliver(chosen(1, best=0, restart=0))
    assert made.learner.restarted_from == [None]
    adapter = made.checkpoints.round(0) / "adapter"
    assert made.learner.saved == [(adapter, False)]
    assert (made.rollouts.pushes[0].version, made.rollouts.pushes[0].weights) == (0, AdapterFolder(str(adapter)))


def test_after_the_last_round_nothing_is_brought_back_because_nothing_comes_after_it(bound):
    made = bound(run={"select": "best", "rounds": 2})
    trained(made, 1, 2)
    made.stages.deliver(chosen(2, best=1, restart=1))
    assert made.checkpoints.choice() == Choice(2, 1, 1)
    assert (made.rollouts.pushes, made.learner.restarted_from) == ([], [])


@pytest.mark.parametrize("resumed", [False, True])
def test_samples_of_the_round_that_was_rolled_back_to_are_not_too_old(bound, resumed):
    made = bound(run={"select": "best", "rounds": 3})
    trained(made, 1, 2)
    made.stages.deliver(chosen(2, best=1, restart=1))
    made = bound(run={"select": "best", "rounds": 3}) if resumed else made
    made.rollouts.groups = [group(FACTS, 1, 1, round=3)]
    assert len(list(made.stages.sample([FACTS], 3))) == 1
    made.rollouts.groups = [group(FACTS, 0, 1, round=3)]
    with pytest.raises(EngineError, match="found version 0"):
        list(made.stages.sample([FACTS], 3))


def test_development_answers_decide_only_where_the_settings_ask_for_the_best_round(bound):
    last, best = bound(), bound(run={"select": "best"})
    best.rollouts.groups = [group(FACTS, 0, round=0)]
    developed = {0: best.stages.stages().develop([FACTS], 0)}
    assert best.heard == [("develop", 0, 0, 1, "1 answered"), ("develop", 0, 1, 1, "1 answered")]
    assert best.stages.select(developed, None).best == 0
    assert last.stages.select({0: last.stages.stages().develop([], 0)}, None) is None
    last.stages.deliver(None)
    assert last.checkpoints.choice() is None and not (last.folder / "best").exists()


# Evaluating and classifying


def test_held_out_answers_are_greedy_urgent_and_in_the_order_of_their_prompts_whoever_is_done_first(bound):
    made = bound(rollout={"max_tokens": 17})
    made.rollouts.groups = [group(FACTS, 3), group(POEM, 3)]
    heldout = made.stages.evaluate([FACTS, POEM], 3)
    assert [scored.response.id.prompt_id for scored in heldout.scored_P] == ["facts", "poem"]
    ((_, plan, urgent),) = made.rollouts.asked
    assert (plan.samples, plan.temperature, plan.max_tokens, urgent) == (1, 0.0, 17, True)
    done, notes = [told[2] for told in made.heard], [told[4] for told in made.heard]
    assert {told[:2] + told[3:4] for told in made.heard} == {("evaluate", 3, 2)}
    assert done == sorted(done) and done[-1] == 2 and 0 in done  # done is what is scored, and not what is answered
    assert notes == sorted(notes) and notes[-1] == "2 answered"
    assert heldout.evaluation.prompts == 2


@pytest.mark.parametrize("stream", [True, False])
def test_where_sampler_and_rewards_would_slow_each_other_all_held_out_answers_are_sampled_before_one_is_scored(bound, stream):
    made = bound(pipeline={"stream": stream})
    scored_before: list[int] = []

    def generate(*asked, **how):
        for prompt in (FACTS, POEM):
            scored_before.append(len(made.judge.asked))
            yield group(prompt, 1)

    made.rollouts.generate = generate
    made.stages.evaluate([FACTS, POEM], 1)
    assert scored_before == ([0, 1] if stream else [0, 0])


def win_chances(method: str, item: Group) -> tuple:
    """A pairwise judge, which scores nobody who is alone."""
    return tuple(make_score(0.75 - each.id.index / 2, id=each.id) for each in item.responses_G) if item.responses_G[1:] else ()


def compared(made: Bound) -> list[list[tuple[int, str]]]:
    """The round and the text of all answers that the judge was given, by call; those of one call have one round."""
    groups = [item.responses_G for _, item in made.judge.asked]
    assert all(len({(each.id.round, each.id.prompt_id) for each in group}) == 1 for group in groups)
    assert all([each.id.index for each in group] == list(range(len(group))) for group in groups)
    return [[(each.id.round, each.text) for each in group] for group in groups]


def answered(text: str, round: int) -> Group:
    return Group(POEM, (make_response(text, prompt=POEM.id, round=round),))


def test_a_judge_that_compares_scores_an_evaluation_against_the_answers_of_round_zero(bound):
    made = bound(judge=win_chances, backend="pairwise")
    for round, text in enumerate(("a", "b")):
        made.rollouts.groups = [answered(text, round)]
        (scored,) = made.stages.evaluate([POEM], round).scored_P
        assert (scored.response.text, scored.rewards["instruction"].value) == (text, 0.75)
    assert compared(made) == [[(0, "a"), (0, "a")], [(1, "b"), (1, "a")]]
    resumed = bound(judge=win_chances, backend="pairwise")
    resumed.stages.know_first([make_scored(answered("a", 0).responses_G[0])])
    resumed.rollouts.groups = [answered("b", 1)]
    resumed.stages.evaluate([POEM], 1)
    assert compared(resumed) == [[(1, "b"), (1, "a")]]


def test_other_judges_and_samples_of_a_round_are_given_no_answer_beside_their_own(bound):
    made = bound()
    for round in (0, 1):
        made.rollouts.groups = [answered("a", round)]
        made.stages.evaluate([POEM], round)
    assert compared(made) == [[(0, "a")], [(1, "a")]]
    made = bound(judge=win_chances, backend="pairwise")
    list(made.stages.score([group(POEM, 0, 0)], 1))
    assert compared(made) == [[(1, "answer 0"), (1, "answer 1")]]


def test_an_evaluation_may_be_longer_than_the_samples(bound):
    made = bound(rollout={"max_tokens": 17}, evaluation={"max_tokens": 40})
    made.rollouts.groups = [group(FACTS, 0)]
    made.stages.evaluate([FACTS], 0)
    assert made.rollouts.asked[0][1].max_tokens == 40


def test_what_is_remembered_of_the_classes_is_counted(bound, monkeypatch):
    counted: list[tuple] = []
    monkeypatch.setattr(stages_module, "count_lookups", lambda cache, hits, misses: counted.append((cache, hits, misses)))
    made = bound()
    for texts in (["Which?"], ["Which?", "Write."]):
        made.stages.classify([Prompt(text, text) for text in texts], 1)
    assert counted == [("classes", 0, 1), ("classes", 1, 1)]


def test_a_prompt_is_classified_by_the_model_once_and_then_remembered(bound):
    made = bound()
    decided = made.stages.classify([Prompt("a", "Which?", label=True), Prompt("b", "Write.", label=False)], 1)
    assert [prompt.fact_based for prompt in decided] == [True, False]
    again = bound(judge=None).stages.classify([Prompt("c", "Which?"), Prompt("d", "Write.")], 2)
    assert [prompt.fact_based for prompt in again] == [True, False]
    assert made.judge.asked == [("choose", classification_messages(text)) for text in ("Which?", "Write.")]


def test_labels_are_trusted_where_the_settings_say_so(bound):
    made = bound(classify={"by": "label"}, judge=None)
    assert [prompt.fact_based for prompt in made.stages.classify([FACTS, POEM], 1)] == [True, False]
