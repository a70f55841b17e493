"""The order of a round's work on one rank, with an engine that only counts: what is done, and what a resume leaves out."""

import json
import random

import pytest
import torch

from flame_ray.config import LearnerConfig
from flame_ray.errors import DataError, EngineError, StorageError
from flame_ray.learner.losses.dpo import DpoSums
from flame_ray.learner.training import Training
from flame_ray.storage.atomic import verify_manifest
from flame_ray.types import Pair, Response, ResponseId

CONFIG = LearnerConfig(batch_pairs=4, micro_batch_pairs=2, lr=1e-3, lr_final=1e-4, lr_round_factor=0.5)


class CountingEngine:
    """Stands in for a DeepSpeedEngine of one rank. Its weight is how many pairs it was trained on; each pair's loss is 1."""

    def __init__(self):
        self.weight, self.has_moments, self.referred, self.rates, self.drawn = 0, False, [], [], []

    def logps(self, batch, reference=False):
        self.referred += batch.indices_D.tolist()
        return torch.cat([batch.indices_D, -batch.indices_D]).float()

    def step(self, examples, normaliser, lr):
        for example in examples:
            chosen, rejected = example.reference_logps_2D.chunk(2)
            assert chosen.tolist() == (-rejected).tolist() == example.batch.indices_D.tolist()
        pairs = torch.stack([example.batch.weights_D.sum() for example in examples]).sum()
        assert normaliser == pairs
        self.weight += int(pairs)
        self.has_moments = True
        self.rates.append(lr)
        self.drawn.append(torch.rand(()).item())
        return DpoSums(pairs, pairs, pairs, pairs)

    def forget_moments(self):
        self.has_moments = False

    def sum_over_ranks(self, values):
        return values

    def save_state(self, folder):
        (folder / "engine.json").write_text(json.dumps([self.weight, self.has_moments]))

    def load_state(self, folder):
        self.weight, self.has_moments = json.loads((folder / "engine.json").read_text())


def make_pairs(count, seed=0):
    rnd = random.Random(seed)

    def response(number, index):
        ids = tuple(rnd.randrange(1, 9) for _ in range(rnd.randrange(1, 5)))
        return Response(ResponseId(1, f"prompt-{number}", index), "", (1, 2), ids, (0.0,) * len(ids), "stop", 0)

    return [Pair("factuality", response(number, 0), response(number, 1), 1.0, 0.0) for number in range(count)]


def training(resume_from=None):
    engine = CountingEngine()
    return engine, Training(engine, CONFIG, 0, 1, 3, resume_from)


def advance(learner, units):
    return [learner.advance() for _ in range(units)]


def test_a_round_refers_to_every_pair_once_and_then_takes_its_steps():
    engine, learner = training()
    units = learner.begin(make_pairs(10), round=1)
    assert units == range(6)  # three reference batches of four pairs, three steps
    assert advance(learner, 6) == [0, 0, 0, 1, 2, 3]
    assert sorted(engine.referred) == list(range(10))
    report = learner.finish()
    assert (report.steps, report.pairs, report.loss, engine.weight) == (3, 10, 1.0, 10)
    assert not engine.has_moments  # the next round starts from the weights alone


def test_a_resumed_round_leaves_out_the_reference_pass_and_the_steps_that_are_done(tmp_path):
    before, learner = training()
    learner.begin(make_pairs(10), round=2)
    advance(learner, 4)
    learner.save(tmp_path / "state")
    advance(learner, 2)
    verify_manifest(tmp_path / "state")

    engine, resumed = training(tmp_path / "state")
    assert resumed.begin(make_pairs(10), round=2) == range(4, 6)
    assert (engine.weight, engine.has_moments) == (4, True)
    assert advance(resumed, 2) == [2, 3]
    assert resumed.finish() == learner.finish()
    assert (engine.weight, engine.referred) == (10, [])
    assert engine.rates == before.rates[1:] == pytest.approx([0.55e-3 / 2, 1e-4 / 2])
    assert engine.drawn == before.drawn[1:]  # as dropout would


def test_a_state_of_a_finished_round_gives_its_report_without_a_step_and_lets_the_next_round_begin(tmp_path):
    _, learner = training()
    learner.begin(make_pairs(5), round=1)
    report = learner.finish()
    learner.save(tmp_path / "state")
    assert not (tmp_path / "state" / "reference.safetensors").exists()

    engine, resumed = training(tmp_path / "state")
    assert not resumed.begin(make_pairs(5), round=1)
    assert (resumed.finish(), engine.rates) == (report, [])
    assert resumed.begin(make_pairs(8, seed=1), round=2) == range(4)
    assert resumed.finish().pairs == 8


def test_a_state_from_before_the_first_round_lets_it_begin(tmp_path):
    training()[1].save(tmp_path / "state")
    assert training(tmp_path / "state")[1].begin(make_pairs(5), round=1) == range(4)


def test_a_state_written_in_the_reference_pass_is_that_of_the_round_before(tmp_path):
    _, learner = training()
    learner.begin(make_pairs(5), round=1)
    report = learner.finish()
    learner.begin(make_pairs(6), round=2)
    advance(learner, 1)
    learner.save(tmp_path / "state")
    resumed = training(tmp_path / "state")[1]
    assert not resumed.begin(make_pairs(5), round=1)
    assert resumed.finish() == report
    assert resumed.begin(make_pairs(6), round=2) == range(4)


def test_other_pairs_than_the_state_s_are_refused_by_its_folder_and_its_own_still_serve(tmp_path):
    _, learner = training()
    learner.begin(make_pairs(10), round=1)
    advance(learner, 4)
    learner.save(tmp_path / "state")
    resumed = training(tmp_path / "state")[1]
    with pytest.raises(EngineError, match=str(tmp_path / "state")):
        resumed.begin(make_pairs(10)[::-1], round=1)
    assert resumed.begin(make_pairs(10), round=1) == range(4, 6)


def test_a_round_without_pairs_and_a_report_without_a_round_are_refused():
    learner = training()[1]
    with pytest.raises(DataError, match="round 4"):
        learner.begin([], round=4)
    with pytest.raises(EngineError, match="call begin first"):
        learner.finish()


def test_a_state_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file/state"):
        training()[1].save(tmp_path / "file" / "state")
