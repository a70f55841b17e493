"""The order of a round's work on one rank, with an engine that only counts: what is done, and what a resume leaves out."""

import json
import random
from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from flame_ray.config import LearnerConfig
from flame_ray.engines.batch import left_padded
from flame_ray.errors import DataError, EngineError, StorageError
from flame_ray.learner.data import pair_examples
from flame_ray.learner.losses import LossOutput
from flame_ray.learner.losses.dpo import Dpo
from flame_ray.learner.train_state import Progress, read_train_state
from flame_ray.learner.training import Training, learning_rate
from flame_ray.storage.atomic import verify_manifest
from tests.builders import make_pair, make_response

CONFIG = LearnerConfig(batch_pairs=4, micro_batch_pairs=2, lr=1e-3, lr_final=1e-4, lr_round_factor=0.5)


class CountingEngine:
    """Stands in for a DeepSpeedEngine of one rank. Its weight is how many examples it was trained on.

    An example's log-probabilities are its index and -index under the reference, and 1 higher or lower when it is trained.
    """

    rank, world, layout = 0, 1, staticmethod(left_padded)
    gradient_norm = 0.25

    def __init__(self):
        self.weight, self.has_moments, self.average = 0, False, 0.0
        self.referred, self.rates, self.drawn, self.minimised = [], [], [], []
        self.seen_by_reference, self.seen_by_steps, self.asked_for_reference = [], [], []

    def logps(self, batch, reference=False):
        self.asked_for_reference.append(reference)
        self.referred += batch.indices_D[batch.weights_D > 0].tolist()
        self.seen_by_reference.append(batch)
        return torch.cat([batch.indices_D, -batch.indices_D]).float()

    def step(self, batches, objective, lr):
        self.has_moments = True
        self.rates.append(lr)
        self.drawn.append(torch.rand(()).item())
        minimised, sums = 0.0, {}
        for batch in batches:
            self.weight += int(batch.weights_D.sum())
            self.seen_by_steps.append(batch)
            signs = torch.ones(len(batch.rows_N))
            signs[len(batch.indices_D) :] = -1
            loss, reported = objective((batch.indices_D.repeat(len(signs) // len(batch.indices_D)) + 1) * signs, batch)
            minimised += loss
            sums = {name: value + sums.get(name, 0) for name, value in reported.items()}
        self.minimised.append(minimised.item())
        return sums

    def forget_moments(self):
        self.has_moments = False

    def update_average(self, decay):
        self.average = decay * self.average + (1 - decay) * self.weight

    def sum_over_ranks(self, values):
        return values

    def save_state(self, folder):
        (folder / "engine.json").write_text(json.dumps([self.weight, self.has_moments, self.average]))

    def load_state(self, folder):
        self.weight, self.has_moments, self.average = json.loads((folder / "engine.json").read_text())


def make_examples(count, seed=0):
    rnd = random.Random(seed)

    def response(number, index):
        ids = tuple(rnd.randrange(1, 9) for _ in range(rnd.randrange(1, 5)))
        return make_response("", prompt=f"prompt-{number}", index=index, tokens=ids)

    return pair_examples([make_pair(response(number, 0), response(number, 1)) for number in range(count)])


def training(resume_from=None, config=CONFIG, loss=Dpo(0.1)):  # noqa: B008  (it is frozen)
    engine = CountingEngine()
    return engine, Training(engine, loss, config, 3, resume_from)


def advance(learner, units):
    """The optimizer steps that are done after each of so many units."""
    return [learner.advance().step for _ in range(units)]


def test_a_round_computes_the_reference_of_every_example_once_and_then_takes_its_steps():
    engine, learner = training()
    begun = learner.begin(make_examples(10), round=1)
    assert begun == Progress(0, 0, 6, ended=False)  # three reference batches of four pairs, three steps
    followed = [learner.advance() for _ in range(6)]
    assert [(each.done, each.step) for each in followed] == [(1, 0), (2, 0), (3, 0), (4, 1), (5, 2), (6, 3)]
    assert {each.total for each in followed} == {6} and [each.ended for each in followed] == [False] * 5 + [True]
    assert sorted(engine.referred) == list(range(10))
    assert [each.report and each.report.step for each in followed] == [None, None, None, 1, 2, 3]
    step = followed[-1].report
    assert (step.loss, step.metrics["margin"]) == (pytest.approx(0.5981389), pytest.approx(0.1 * 2))
    assert (step.learning_rate, step.gradient_norm) == (engine.rates[-1], 0.25)
    report = learner.finish()
    assert sum(each.report.tokens for each in followed[3:]) == report.tokens
    assert (report.steps, report.examples, engine.weight) == (3, 10, 10)
    assert report.metrics == pytest.approx({"accuracy": 1.0, "margin": 0.1 * 2})  # beta (1 + 1), above the reference
    assert report.loss == pytest.approx(0.5981389)  # ln(1 + exp(-0.2))
    shares = [4 / 10, 4 / 10, 2 / 10]  # a step counts by its examples: the last batch is half full
    assert engine.minimised == pytest.approx([3 * share * report.loss for share in shares])
    assert not engine.has_moments  # the next round starts from the weights alone


def test_each_prompt_counts_once_in_the_loss_and_its_metrics_however_many_pairs_it_gave():
    """Ten pairs of one prompt and two of two others, in batches of four: light pairs count no more beside light ones."""
    many = [make_pair(make_response("", index=0), make_response("", index=index)) for index in range(1, 11)]
    pairs = [*many, *(make_pair(prompt=name) for name in ("chad", "fiji"))]
    examples = [replace(example, sequences=example.sequences[:1]) for example in pair_examples(pairs)]
    engine, learner = training(loss=Likelihood())
    learner.begin(examples, round=1)
    report = learner.finish()
    prompts = {0: range(10), 1: [10], 2: [11]}  # examples of each prompt; their log-probabilities are 1 to 12
    means = [sum(index + 1 for index in indices) / len(indices) for indices in prompts.values()]
    assert report.loss == pytest.approx(-sum(means) / 3)
    assert sum(engine.minimised) / 3 == pytest.approx(report.loss)  # what the three steps minimise is that mean


def test_a_pair_is_compared_with_its_whole_reference_whatever_it_weighs():
    _, learner = training()
    pairs = [make_pair(make_response("", index=0), make_response("", index=index)) for index in range(1, 5)]
    learner.begin(pair_examples(pairs), round=1)
    assert learner.finish().metrics["margin"] == pytest.approx(0.1 * 2)  # beta (1 + 1), as for a pair of weight 1


def test_a_resumed_round_skips_the_reference_pass_and_the_steps_that_are_done(tmp_path):
    before, learner = training()
    learner.begin(make_examples(10), round=2)
    advance(learner, 4)
    learner.save(tmp_path / "state")
    advance(learner, 2)
    verify_manifest(tmp_path / "state")

    engine, resumed = training(tmp_path / "state")
    assert resumed.begin(make_examples(10), round=2) == Progress(1, 4, 6, ended=False)
    assert (engine.weight, engine.has_moments) == (4, True)
    assert advance(resumed, 2) == [2, 3]
    assert resumed.finish() == learner.finish()
    assert (engine.weight, engine.referred) == (10, [])
    assert engine.rates == before.rates[1:] == pytest.approx([0.7e-3 / 2, 0.4e-3 / 2])
    assert engine.drawn == before.drawn[1:]  # as dropout would


def test_the_state_of_a_finished_round_returns_its_report_and_lets_the_next_round_begin(tmp_path):
    _, learner = training()
    learner.begin(make_examples(5), round=1)
    report = learner.finish()
    learner.save(tmp_path / "state")
    assert not (tmp_path / "state" / "reference.safetensors").exists()

    engine, resumed = training(tmp_path / "state")
    assert resumed.begin(make_examples(5), round=1).ended
    assert (resumed.finish(), engine.rates) == (report, [])
    assert resumed.begin(make_examples(8, seed=1), round=2).total == 4
    assert resumed.finish().examples == 8


def test_a_state_from_before_the_first_round_lets_it_begin(tmp_path):
    training()[1].save(tmp_path / "state")
    assert training(tmp_path / "state")[1].begin(make_examples(5), round=1).total == 4


def test_a_state_written_in_the_reference_pass_is_that_of_the_round_before(tmp_path):
    _, learner = training()
    learner.begin(make_examples(5), round=1)
    report = learner.finish()
    learner.begin(make_examples(6), round=2)
    advance(learner, 1)
    learner.save(tmp_path / "state")
    resumed = training(tmp_path / "state")[1]
    assert resumed.begin(make_examples(5), round=1).ended
    assert resumed.finish() == report
    assert resumed.begin(make_examples(6), round=2) == Progress(0, 0, 4, ended=False)


def test_other_examples_are_refused_naming_the_state_and_its_own_are_still_accepted(tmp_path):
    _, learner = training()
    learner.begin(make_examples(10), round=1)
    advance(learner, 4)
    learner.save(tmp_path / "state")
    resumed = training(tmp_path / "state")[1]
    with pytest.raises(EngineError, match=str(tmp_path / "state")):
        resumed.begin(make_examples(10, seed=1), round=1)
    assert resumed.begin(make_examples(10), round=1).done == 4


def test_a_round_without_examples_and_a_report_without_a_round_are_refused():
    learner = training()[1]
    with pytest.raises(DataError, match="round 4"):
        learner.begin([], round=4)
    with pytest.raises(EngineError, match="call begin first"):
        learner.finish()


def test_a_state_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file/state"):
        training()[1].save(tmp_path / "file" / "state")


class Likelihood:
    """Supervised fine-tuning: the negative log-likelihood of one sequence an example."""

    needs_reference: ClassVar[bool] = False

    def __call__(self, logps, reference, batch):
        return LossOutput(-logps, {"likelihood": logps.exp()})


def test_a_loss_that_needs_no_reference_skips_the_reference_pass_and_reports_its_own_metrics(tmp_path):
    engine, learner = training(loss=Likelihood())
    examples = [replace(example, sequences=example.sequences[:1]) for example in make_examples(8)]
    assert learner.begin(examples, round=1) == Progress(0, 0, 2, ended=False)
    assert advance(learner, 1) == [1]
    learner.save(tmp_path / "state")
    report = learner.finish()
    assert (engine.referred, engine.weight, report.examples) == ([], 8, 8)
    assert report.tokens == sum(example.response_tokens for example in examples)
    assert (report.loss, set(report.metrics)) == (-4.5, {"likelihood"})  # log-probabilities 1 to 8

    _, resumed = training(tmp_path / "state", loss=Likelihood())
    assert resumed.begin(examples, round=1) == Progress(1, 1, 2, ended=False)
    assert resumed.finish() == report


def test_the_likelihood_of_the_chosen_side_is_added_where_the_settings_say_so():
    engine, learner = training(config=CONFIG.model_copy(update={"nll_weight": 2.0}))
    plain, usual = training()
    examples = make_examples(4)
    for each in (learner, usual):
        each.begin(examples, round=1)
    assert learner.finish() == usual.finish()
    nats = [(example.index + 1) / len(example.sequences[0].token_ids) for example in examples]
    assert engine.minimised[0] - plain.minimised[0] == pytest.approx(2.0 * -sum(nats) / 4, rel=1e-5)


# What a round is compared with


def references(rounds, loss=Dpo(0.1), **settings):  # noqa: B008  (it is frozen)
    """What the reports of these rounds say, and the engine."""
    engine, learner = training(config=CONFIG.model_copy(update=settings), loss=loss)
    said = []
    for round in rounds:
        learner.begin(make_examples(8, seed=round), round)
        said.append(learner.finish().reference)
    return said, engine


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("round", ["round 0", "round 1", "round 2"]),
        ("initial", ["initial"] * 3),
        ("average", [f"average to round {n}, decay 0.25" for n in range(3)]),
    ],
)
def test_a_report_says_what_its_round_was_compared_with(reference, said):
    found, engine = references((1, 2, 3), reference=reference, average_decay=0.25)
    assert found == said
    assert set(engine.asked_for_reference) == {reference != "round"}
    assert engine.has_moments == (reference == "initial")  # any other reference makes the next round another objective


def test_after_a_round_that_was_rolled_back_the_round_before_it_is_named():
    assert references((1, 3))[0] == ["round 0", "round 1"]


def test_each_round_s_weights_come_into_the_average_once():
    """8, 16 and 24 examples: 0.75 x 8 = 6; 0.25 x 6 + 0.75 x 16 = 13.5; 0.25 x 13.5 + 0.75 x 24."""
    assert references((1, 2, 3), reference="average", average_decay=0.25)[1].average == 21.375
    assert references((1, 2, 3), average_decay=0.25)[1].average == 0.0


def test_a_resumed_round_has_the_same_reference_and_the_same_average(tmp_path):
    config = CONFIG.model_copy(update={"reference": "average"})
    engine, learner = training(config=config)
    for round in (1, 2):
        learner.begin(make_examples(8), round)
        advance(learner, 3)
        learner.save(tmp_path / f"state-{round}")
        report = learner.finish()
    other, resumed = training(tmp_path / "state-2", config=config)
    resumed.begin(make_examples(8), 2)
    assert (resumed.finish(), other.average) == (report, engine.average)


def test_a_loss_without_a_reference_says_so():
    _, learner = training(loss=Likelihood())
    learner.begin([replace(example, sequences=example.sequences[:1]) for example in make_examples(4)], round=1)
    assert learner.finish().reference == "none"


# The learning rate within a round, and from round to round


def rates(round, steps, **settings):
    config = LearnerConfig(**{"lr": 1e-3, "lr_final": 1e-4, **settings})
    return [learning_rate(config, round, step / steps) for step in range(steps)]


def test_a_round_s_rates_fall_in_equal_parts_and_would_reach_the_final_rate_after_the_last_step():
    assert rates(1, 4) == pytest.approx([1e-3, 7.75e-4, 5.5e-4, 3.25e-4])


@pytest.mark.parametrize("steps", [1, 2, 16])
def test_no_step_is_wasted_at_a_rate_of_zero(steps):
    assert all(rate > 0 for rate in rates(2, steps, lr_final=0.0))


def test_a_round_of_one_step_takes_the_first_rate():
    assert rates(1, 1) == [1e-3]


def test_every_round_has_the_same_rates_unless_a_factor_is_set():
    assert rates(3, 4) == rates(1, 4)


def test_each_round_s_rates_are_those_of_the_round_before_times_the_factor():
    first, second, third = (rates(round, 3, lr_round_factor=0.5) for round in (1, 2, 3))
    assert first == rates(1, 3)
    assert second == pytest.approx([rate / 2 for rate in first])
    assert third == pytest.approx([rate / 4 for rate in first])


# The reference pass


def same(one, other):
    pairs = [(getattr(one, name), getattr(other, name)) for name in one.__slots__]
    return all(a is b is None or a.equal(b) for a, b in pairs)


def test_reference_and_steps_see_the_very_same_batches_in_every_epoch():
    """In a batch of another shape a bfloat16 model gives other numbers: noise of .2 nats a pair before any training."""
    engine, learner = training(config=CONFIG.model_copy(update={"epochs": 2}))
    learner.begin(make_examples(10), round=1)
    learner.finish()
    first, second = engine.seen_by_steps[:6], engine.seen_by_steps[6:]
    assert all(same(one, other) for one, other in zip(engine.seen_by_reference, first, strict=True))
    assert sorted(b.indices_D.tolist() for b in second) == sorted(b.indices_D.tolist() for b in first)
    assert [b.indices_D.tolist() for b in second] != [b.indices_D.tolist() for b in first]
    assert sorted(engine.referred) == list(range(10))


def test_the_reference_of_an_example_does_not_depend_on_its_weight():
    _, learner = training()
    _, weighted = training()
    examples = make_examples(8)
    learner.begin(examples, round=1)
    weighted.begin([replace(example, weight=0.25) for example in examples], round=1)
    assert weighted.finish().metrics == pytest.approx(learner.finish().metrics)


def test_a_step_counts_by_the_weight_of_its_examples():
    """So an example of weight 1/6 counts a sixth of one of weight 1, whichever batches they are in."""
    engine, learner = training()
    examples = [replace(example, weight=1.0 if example.index < 4 else 1 / 6) for example in make_examples(8)]
    learner.begin(examples, round=1)
    loss = learner.finish().loss
    weights = [sum(part.weights_D.sum().item() for part in engine.seen_by_steps[k : k + 2]) for k in (0, 2)]
    assert engine.minimised == pytest.approx([2 * loss * weight / sum(weights) for weight in weights])
    assert weights[0] != pytest.approx(weights[1])


# So many steps


@pytest.mark.parametrize(("steps", "trained"), [(2, 8), (3, 10), (6, 20)])
def test_a_round_may_take_exactly_so_many_steps_in_as_many_epochs_as_that_takes(steps, trained):
    """Ten examples in batches of four: three steps an epoch, the last of them of two."""
    engine, learner = training(config=CONFIG.model_copy(update={"steps": steps}), loss=Likelihood())
    examples = [replace(example, sequences=example.sequences[:1]) for example in make_examples(10)]
    assert learner.begin(examples, round=1).total == steps
    assert learner.finish().steps == steps
    assert engine.rates == pytest.approx(rates(1, steps))
    assert engine.weight == trained


def test_the_report_has_the_mean_loss_of_each_step(tmp_path):
    engine, learner = training(loss=Likelihood())
    examples = [replace(example, sequences=example.sequences[:1]) for example in make_examples(10)]
    learner.begin(examples, round=1)
    advance(learner, 2)
    learner.save(tmp_path / "state")
    report = learner.finish()
    batches = [[part.indices_D[part.weights_D > 0] for part in engine.seen_by_steps[k : k + 2]] for k in (0, 2, 4)]
    assert report.step_losses == pytest.approx([-(torch.cat(batch).float() + 1).mean().item() for batch in batches])
    resumed = training(tmp_path / "state", loss=Likelihood())[1]
    resumed.begin(examples, round=1)
    assert resumed.finish() == report


# So many seconds


class StepClock:
    """A clock that an engine moves on by what its work takes."""

    def __init__(self):
        self.time = 1_000_000.0

    def __call__(self):
        return self.time


class TimedEngine(CountingEngine):
    """A reference batch of two takes 1 s, a step 4 s. As rank 1 of two, it hears from rank 0 what these took."""

    def __init__(self, clock, rank=0):
        super().__init__()
        self.clock, self.rank, self.heard = clock, rank, []

    def logps(self, batch, reference=False):
        self.clock.time += 1
        return super().logps(batch, reference)

    def step(self, batches, objective, lr):
        self.clock.time += 4
        return super().step(batches, objective, lr)

    def sum_over_ranks(self, values):
        if self.rank and values.dtype == torch.float64:
            assert values.tolist() == [0.0]  # its own clock does not count
            return torch.tensor([self.heard.pop(0)], dtype=torch.float64)
        return values


def timed(seconds, resume_from=None, rank=0, loss=Dpo(0.1), **settings):  # noqa: B008  (it is frozen)
    clock = StepClock()
    engine = TimedEngine(clock, rank)
    config = CONFIG.model_copy(update={"seconds": seconds, **settings})
    return engine, Training(engine, loss, config, 3, resume_from, clock)


def test_a_round_of_so_many_seconds_goes_on_until_its_steps_and_its_reference_pass_have_taken_them():
    """Ten pairs in batches of four: a reference pass of 2 + 2 + 2 s, then steps of 4 s: 10, 14, 18, 22 s."""
    engine, learner = timed(21.0)
    assert learner.begin(make_examples(10), round=1) == Progress(0, 0, 21, ended=False)
    followed = [learner.advance() for _ in range(7)]
    assert [each.done for each in followed] == [2, 4, 6, 10, 14, 18, 21]
    assert [each.step for each in followed] == [0, 0, 0, 1, 2, 3, 4]
    assert [each.ended for each in followed] == [False] * 6 + [True]
    report = learner.finish()
    assert (report.steps, report.seconds, report.examples, len(report.step_losses)) == (4, 22.0, 10, 4)
    assert engine.weight == 10 + 2  # an epoch, and the first batch of the next one, which has another order


def test_the_rates_of_such_a_round_fall_by_the_share_of_the_seconds_after_the_reference_pass():
    engine, learner = timed(22.0)
    learner.begin(make_examples(10), round=1)
    learner.finish()
    assert engine.rates == pytest.approx([1e-3 - 0.9e-3 * share for share in (0, 4 / 16, 8 / 16, 12 / 16)])


@pytest.mark.parametrize("seconds", [0.5, 6.0])
def test_one_step_is_done_at_its_full_rate_even_if_the_reference_pass_took_all_the_seconds(seconds):
    engine, learner = timed(seconds)
    learner.begin(make_examples(10), round=1)
    assert (learner.finish().steps, engine.rates) == (1, [1e-3])


def test_seconds_between_two_units_of_work_do_not_count():
    engine, learner = timed(22.0)
    learner.begin(make_examples(10), round=1)
    while not learner.advance().ended:
        engine.clock.time += 100
    report = learner.finish()
    assert (report.steps, report.seconds) == (4, 22.0)


def test_a_resumed_round_spends_the_seconds_that_are_left_and_ends_as_if_undisturbed(tmp_path):
    before, learner = timed(30.0)
    learner.begin(make_examples(10), round=2)
    advance(learner, 5)
    learner.save(tmp_path / "state")
    report = learner.finish()
    state = read_train_state(tmp_path / "state")
    assert (state.step, state.steps, state.seconds, state.reference_seconds) == (2, None, 14.0, 6.0)

    engine, resumed = timed(30.0, tmp_path / "state")
    assert resumed.begin(make_examples(10), round=2) == Progress(2, 14, 30, ended=False)
    assert resumed.finish() == report and report.steps == 6
    assert engine.rates == before.rates[2:] and engine.drawn == before.drawn[2:]
    assert (engine.weight, engine.referred) == (20, [])
    resumed.save(tmp_path / "end")
    _, later = timed(30.0, tmp_path / "end")
    assert later.begin(make_examples(10), round=2).ended and later.finish() == report
    assert later.begin(make_examples(4), round=3) == Progress(0, 0, 30, ended=False)


def test_a_state_is_refused_where_the_round_has_other_seconds_or_so_many_steps(tmp_path):
    _, learner = timed(30.0)
    learner.begin(make_examples(10), round=1)
    advance(learner, 4)
    learner.save(tmp_path / "state")
    with pytest.raises(EngineError, match=r"and 30 s of .* and 40 s"):
        timed(40.0, tmp_path / "state")[1].begin(make_examples(10), round=1)
    with pytest.raises(EngineError, match=r"and 30 s of .* and 3 steps"):
        training(tmp_path / "state")[1].begin(make_examples(10), round=1)


def test_all_ranks_stop_at_the_step_at_which_rank_0_does():
    """Rank 1 has a clock of its own, by which two steps would be enough."""
    engine, learner = timed(8.0, rank=1, loss=Likelihood())
    engine.heard = [3.0, 3.0, 3.0]
    engine.world, examples = 2, [replace(each, sequences=each.sequences[:1]) for each in make_examples(8)]
    learner.begin(examples, round=1)
    report = learner.finish()
    assert (report.steps, report.seconds, engine.heard) == (3, 9.0, [])


def test_a_round_of_so_many_steps_counts_no_seconds():
    assert timed(None)[1].begin(make_examples(10), round=1).total == 6
    _, learner = timed(None)
    learner.begin(make_examples(10), round=1)
    assert learner.finish().seconds is None
