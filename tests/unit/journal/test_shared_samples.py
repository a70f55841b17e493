"""Runs and fine-tunings that would make the same samples or scores make them once."""

import io
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from rich.console import Console

from flame_ray.commands.run import _record
from flame_ray.config import Config, Settings
from flame_ray.config.load import parse_config
from flame_ray.controller.sft_stages import elicitation_plan
from flame_ray.controller.stages import sampling_plan
from flame_ray.errors import StorageError
from flame_ray.journal import shards
from flame_ray.journal.journal import Journal
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.shards import Shards
from flame_ray.journal.shared_samples import SharedRound, SharedSamples, SharedScores, Shelf, samples_key, scores_key
from flame_ray.report.progress import Screen
from flame_ray.storage.filesystem import Storage
from flame_ray.types import FACTUALITY, INSTRUCTION, Group, Prompt, ScoredGroup, ScoredResponse, Split, VerdictLabel
from tests.builders import make_fact_score, make_missing, make_response, make_score

PROMPTS = (Prompt("a", "question a"), Prompt("b", "question b"), Prompt("held out", "question", split=Split.HELDOUT))


def shared_by(root: Storage, run: str, key: str = "") -> SharedRound:
    scores = {name: SharedScores(name, Shelf(root, name + key, run, ScoredGroup)) for name in (INSTRUCTION, FACTUALITY)}
    return SharedRound(SharedSamples(Shelf(root, "samples" + key, run, Group)), scores)


@dataclass
class Run:
    """A new run of so many rounds, whose prompts of these ids need facts. `fails`: the rewards that are missing."""

    fake_stages: type
    metrics: object
    shared: SharedRound
    rounds: int = 1
    needs_facts: str = "ab"
    fails: str = ""
    done: Counter = field(default_factory=Counter)
    storage: Storage = field(default_factory=lambda: Storage(f"memory://{uuid.uuid4().hex}/run"))

    def process(self, prompts=PROMPTS, **stages) -> None:
        journal = Journal(RunFolder(self.storage), "mine", Screen(Console(file=io.StringIO())), self.metrics)
        own = {"classify": self.classify, "score": self.score} | stages
        made = self.fake_stages(lambda unit: self.done.update([unit])).stages(**own)
        config = parse_config({"run": {"rounds": self.rounds}}, "here")
        _record(journal, config, journal.wrap(self.shared.keeping(made)), prompts)

    def classify(self, prompts_P, round):
        return tuple(replace(prompt, fact_based=prompt.id in self.needs_facts) for prompt in prompts_P)

    def score(self, groups_P, round):
        for group in groups_P:
            rewards = [INSTRUCTION, FACTUALITY] if group.prompt.fact_based else [INSTRUCTION]
            results = {name: self.shared.known(name, group) or self.scored(name, group) for name in rewards}
            of_each = [{name: results[name][at] for name in rewards} for at in range(len(group.responses_G))]
            yield ScoredGroup(group.prompt, tuple(map(ScoredResponse, group.responses_G, of_each)))

    def scored(self, reward, group):
        self.done.update([f"{reward} {group.responses_G[0].id.round} {group.prompt.id}"])
        if reward == self.fails:
            return tuple(make_missing(id=each.id) for each in group.responses_G)
        made = {
            INSTRUCTION: lambda id: make_score(id=id),
            FACTUALITY: lambda id: make_fact_score(VerdictLabel.SUPPORTED, id=id),
        }
        return tuple(made[reward](each.id) for each in group.responses_G)

    @property
    def work(self) -> set[str]:
        """What was sampled and scored."""
        return {unit for unit in self.done if unit.startswith(("sample", INSTRUCTION, FACTUALITY))}

    @property
    def pairs(self):
        return Shards(self.storage).read_pairs(1)


ALL = {f"{what} 1 {prompt}" for what in ("sample", INSTRUCTION, FACTUALITY) for prompt in "ab"}


@pytest.fixture
def new_run(fake_stages, metrics):
    url = f"memory://{uuid.uuid4().hex}/samples"

    def make(name: str, key: str = "", root: type[Storage] = Storage, **settings) -> Run:
        return Run(fake_stages, metrics, shared_by(root(url), name, key), **settings)

    return make


def test_a_second_run_takes_the_samples_and_scores_over_and_pairs_them_itself(new_run):
    first, second = new_run("first"), new_run("second")
    first.process(), second.process()
    assert first.work == ALL and second.work == set() and second.done["pair 1"] == 1
    assert second.pairs == first.pairs
    assert second.storage.read("rounds/0001/responses.parquet") == first.storage.read("rounds/0001/responses.parquet")
    assert not [name for name in second.shared.samples.shelf.root.names() if "/second/" in name]  # it had nothing new


def test_a_run_with_another_key_makes_its_own(new_run):
    new_run("first").process()
    other = new_run("other", key="other")
    other.process()
    assert other.work == ALL


@pytest.mark.parametrize(("first", "second", "new"), [("a", "ab", {f"{FACTUALITY} 1 b"}), ("ab", "a", set())])
def test_runs_with_other_classes_share_samples_and_judgements_and_the_facts_that_both_check(new_run, first, second, new):
    new_run("first", needs_facts=first).process()
    other, third = new_run("other", needs_facts=second), new_run("third")
    other.process(), third.process()
    assert other.work == new and third.work == set()


def test_a_prompt_of_the_same_id_with_another_text_is_sampled_anew(new_run):
    new_run("first").process()
    second = new_run("second")
    second.process((replace(PROMPTS[0], text="another question"), *PROMPTS[1:]))
    assert second.work == {f"{what} 1 a" for what in ("sample", INSTRUCTION, FACTUALITY)}


def test_other_responses_to_a_prompt_are_scored_anew(new_run):
    def sample(prompts_P, round):
        others_G = ((prompt, [make_response("another", prompt=prompt.id, index=at) for at in range(2)]) for prompt in prompts_P)
        return (Group(prompt, tuple(responses_G)) for prompt, responses_G in others_G)

    new_run("first").process()
    second = new_run("second")
    second.shared = replace(second.shared, samples=shared_by(Storage("memory://other"), "second").samples)
    second.process(sample=sample)
    assert second.work == ALL - {"sample 1 a", "sample 1 b"}


def test_later_rounds_are_of_other_weights_and_are_not_kept(new_run):
    first, second = new_run("first", rounds=2), new_run("second", rounds=2)
    first.process(), second.process()
    assert second.work == {unit.replace(" 1 ", " 2 ") for unit in ALL}


def test_a_reward_that_is_missing_is_had_another_time(new_run):
    new_run("first", fails=INSTRUCTION).process()
    second = new_run("second")
    second.process()
    assert second.work == {f"{INSTRUCTION} 1 a", f"{INSTRUCTION} 1 b"}


class Full(Storage):
    """Takes so many more files."""

    left = 3

    def write(self, name: str, data: bytes) -> None:
        if not self.left:
            raise StorageError("room", "none", "free some")
        self.left -= 1
        super().write(name, data)


def test_what_a_run_had_made_when_it_ended_is_taken_over_and_the_rest_is_made(new_run, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_RECORDS", 1)
    first, second = new_run("first", root=Full), new_run("second")
    with pytest.raises(StorageError, match="expected room"):
        first.process()
    second.process()
    assert second.work == ALL - {"sample 1 a", f"{INSTRUCTION} 1 a", f"{FACTUALITY} 1 a"}


def test_a_run_that_is_resumed_adds_to_what_it_has_kept(new_run, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_RECORDS", 1)
    first = new_run("first", root=Full)
    with pytest.raises(StorageError, match="expected room"):
        first.process()
    before = set(first.shared.samples.shelf.root.names())
    first.shared = new_run("first").shared
    first.process()
    assert before < set(first.shared.samples.shelf.root.names()) and first.done["sample 1 a"] == 1
    last = new_run("last")
    last.process()
    assert last.work == set()


def job(**sections) -> Config:
    return parse_config({"model": {"policy": "./model"}} | sections, "here")


def keys(config: Config, models: Mapping[str, str] | None = None, contents=()) -> dict[str, str]:
    """Of samples, of each reward, and of what is elicited."""
    samples = samples_key(config, sampling_plan(config, 1), models or {}, contents)
    scores = {name: scores_key(config, name, samples, models or {}, contents) for name in (INSTRUCTION, FACTUALITY)}
    return {"samples": samples, "elicited": samples_key(config, elicitation_plan(config), models or {}, contents)} | scores


REWARDS = {INSTRUCTION, FACTUALITY}


@pytest.mark.parametrize(
    ("sections", "changed"),
    [
        ({"learner": {"loss": "fdpo"}, "pairs": {"kinds": ["weighted"]}, "evaluation": {"bootstrap": 900}}, set()),
        ({"run": {"name": "other", "root": "elsewhere", "rounds": 9, "samples": "there"}, "rollout": {"workers": 4}}, set()),
        ({"classify": {"threshold": 0.0}, "prompts": {"per_round": 3}, "sft": {"others": "elicited"}}, set()),
        ({"model": {"policy": "./model", "max_length": 1024}}, REWARDS),
        ({"factuality": {"retrieve": 3}}, {FACTUALITY}),
        ({"verifier": {"max_length": 2048}}, {FACTUALITY}),
        ({"judge": {"backend": "preference"}}, {INSTRUCTION}),
        ({"rollout": {"samples": 3}}, {"samples"} | REWARDS),
        ({"sft": {"elicit": {"samples": 3}}}, {"elicited"}),
        ({"rollout": {"temperature": 0.3}}, {"samples", "elicited"} | REWARDS),
        ({"run": {"seed": 1}}, {"samples", "elicited"} | REWARDS),
        ({"model": {"policy": "./other"}}, {"samples", "elicited"} | REWARDS),
    ],
    ids=str,
)
def test_a_key_changes_with_what_decides_the_answers_and_with_nothing_else(sections, changed):
    before, after = keys(job()), keys(job(**sections))
    assert {name for name in before if before[name] != after[name]} == changed
    assert len(set(before.values())) == len(before)


class LengthConfig(Settings):
    """The section of a reward that is new."""

    longest: int = 10


class WithLength(Config):
    length: LengthConfig = LengthConfig()


def test_the_section_of_a_new_reward_decides_too():
    before, after = keys(WithLength()), keys(WithLength(length=LengthConfig(longest=3)))
    assert not set(before.values()) & set(after.values())


def test_other_contents_under_the_same_names_make_other_keys():
    assert not set(keys(job(), contents=["1"]).values()) & set(keys(job(), contents=["2"]).values())


def test_a_model_counts_by_its_commit_as_a_resumed_run_names_it_so():
    fresh, resumed = (job(model={"policy": policy}) for policy in ("a/model", "a/model@1"))
    assert keys(fresh, {"model.policy": "a/model@1"}) == keys(resumed, {"model.policy": "a/model@1"})
    assert keys(fresh, {"model.policy": "a/model@2"}) != keys(fresh, {"model.policy": "a/model@1"})


def test_the_judges_model_decides_its_scores_alone():
    one, other = (keys(job(), {"model.policy": "a/model", "judge.model": f"judge@{commit}"}) for commit in (1, 2))
    assert {name for name in one if one[name] != other[name]} == {INSTRUCTION}
