"""Runs that would make the same samples and scores in their first round make them once."""

import io
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from rich.console import Console

from flame_ray.commands.run import _record
from flame_ray.config import Config, Settings
from flame_ray.config.load import parse_config
from flame_ray.errors import StorageError
from flame_ray.journal.journal import Journal
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.shards import Shards
from flame_ray.journal.shared_samples import COMPLETE, SharedSamples, samples_key
from flame_ray.report.progress import Screen
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Group, Prompt, Split

PROMPTS = (Prompt("a", "question a"), Prompt("b", "question b"), Prompt("held out", "question", split=Split.HELDOUT))
WORKS = ("sample 1 a", "sample 1 b", "score 1 a", "score 1 b", "pair 1")


@dataclass
class Run:
    """A new run of so many rounds, which shares its samples under a key."""

    fake_stages: type
    metrics: object
    shared: SharedSamples
    rounds: int = 1
    done: Counter = field(default_factory=Counter)
    storage: Storage = field(default_factory=lambda: Storage(f"memory://{uuid.uuid4().hex}/run"))

    def process(self, **stages) -> None:
        journal = Journal(RunFolder(self.storage), "mine", Screen(Console(file=io.StringIO())), self.metrics)
        made = self.fake_stages(lambda unit: self.done.update([unit])).stages(**stages)
        config = parse_config({"run": {"rounds": self.rounds}}, "here")
        _record(journal, config, journal.wrap(self.shared.keeping(made, self.storage)), PROMPTS)

    @property
    def pairs(self):
        return Shards(self.storage).read_pairs(1)


@pytest.fixture
def new_run(fake_stages, metrics):
    root = Storage(f"memory://{uuid.uuid4().hex}/samples")

    def make(name: str, key: str = "key", root: Storage = root, **settings) -> Run:
        return Run(fake_stages, metrics, SharedSamples(root, key, name), **settings)

    return make


def test_a_second_run_takes_the_samples_and_scores_over_and_pairs_them_itself(new_run):
    first, second = new_run("first"), new_run("second")
    assert not first.shared.take_over(first.storage)
    first.process()
    assert [first.done[work] for work in WORKS] == [1] * 5
    assert second.shared.take_over(second.storage)
    second.process()
    assert [second.done[work] for work in WORKS] == [0, 0, 0, 0, 1]
    assert second.pairs == first.pairs
    assert second.storage.read("rounds/0001/responses.parquet") == first.storage.read("rounds/0001/responses.parquet")
    assert len([name for name in first.shared.root.names() if name.endswith(COMPLETE)]) == 1  # the second kept nothing


def test_a_run_with_another_key_makes_its_own(new_run):
    new_run("first").process()
    other = new_run("other", key="other")
    assert not other.shared.take_over(other.storage)


def test_later_rounds_are_of_other_weights_and_are_not_kept(new_run):
    first = new_run("first", rounds=2)
    first.process()
    kept = [name for name in first.shared.root.names() if not name.endswith(COMPLETE)]
    assert kept and all(name.startswith("key/first/rounds/0001/") for name in kept)
    second = new_run("second", rounds=2)
    second.shared.take_over(second.storage)
    second.process()
    assert (second.done["sample 1 a"], second.done["sample 2 a"], second.done["score 2 b"]) == (0, 1, 1)


def test_a_run_that_failed_before_all_was_paired_has_kept_nothing(new_run):
    def fails(groups_P, round):
        next(iter(groups_P))
        raise StorageError("a disk", "none", "buy one")

    first = new_run("first")
    with pytest.raises(StorageError):
        first.process(pair=fails)
    assert first.shared.root.names() == []


class Full(Storage):
    """Takes so many more files."""

    left = 1

    def write(self, name: str, data: bytes) -> None:
        if not self.left:
            raise StorageError("room", "none", "free some")
        self.left -= 1
        super().write(name, data)


def test_what_a_process_kept_in_half_is_not_taken_over_and_the_next_one_keeps_it_whole(new_run):
    url = f"memory://{uuid.uuid4().hex}/samples"
    first = new_run("first", root=Full(url))
    with pytest.raises(StorageError, match="expected room"):
        first.process()
    assert len(Storage(url).names()) == 1 and not first.shared.take_over(first.storage)
    first.shared = replace(first.shared, root=Storage(url))
    first.process()
    assert first.done["sample 1 a"] == 1
    second = new_run("second", root=Storage(url))
    assert second.shared.take_over(second.storage)
    assert [group.prompt.id for group in Shards(second.storage).stream(1, "sampled", Group)] == ["a", "b"]


def job(**sections) -> Config:
    return parse_config({"model": {"policy": "./model"}} | sections, "here")


@pytest.mark.parametrize(
    "sections",
    [
        {"learner": {"loss": "fdpo"}, "pairs": {"kinds": ["weighted"]}, "evaluation": {"bootstrap": 900}},
        {"run": {"name": "other", "root": "elsewhere", "rounds": 9, "samples": "there"}, "rollout": {"workers": 4}},
    ],
    ids=["what is learned", "places and workers"],
)
def test_runs_that_differ_in_what_follows_the_scores_have_one_key(sections):
    assert samples_key(job(**sections), {}) == samples_key(job(), {})


@pytest.mark.parametrize(
    "sections",
    [
        {"run": {"seed": 1}},
        {"model": {"policy": "./other"}},
        {"prompts": {"per_round": 3}},
        {"classify": {"threshold": 0.9}},
        {"rollout": {"temperature": 0.3}},
        {"factuality": {"retrieve": 3}},
        {"judge": {"backend": "preference"}},
    ],
    ids=str,
)
def test_whatever_decides_samples_or_scores_makes_another_key(sections):
    assert samples_key(job(**sections), {}) != samples_key(job(), {})


class LengthConfig(Settings):
    """The section of a reward that is new."""

    longest: int = 10


class WithLength(Config):
    length: LengthConfig = LengthConfig()


def test_the_section_of_a_new_reward_decides_too():
    assert samples_key(WithLength(length=LengthConfig(longest=3)), {}) != samples_key(WithLength(), {})


def test_other_contents_under_the_same_names_make_another_key():
    assert samples_key(job(), {}, ["1"]) != samples_key(job(), {}, ["2"])


def test_a_model_counts_by_its_commit_as_a_resumed_run_names_it_so():
    fresh, resumed = (job(model={"policy": policy}) for policy in ("a/model", "a/model@1"))
    assert samples_key(fresh, {"model.policy": "a/model@1"}) == samples_key(resumed, {"model.policy": "a/model@1"})
    assert samples_key(fresh, {"model.policy": "a/model@2"}) != samples_key(fresh, {"model.policy": "a/model@1"})
