"""A learner's state on disk, with real DeepSpeed: a resume must not be seen in the numbers, whoever resumes.

States are compared by their own files: float32 masters and moments, bit by bit unless a tolerance is named.
"""

import pytest
import torch
from safetensors import safe_open

from flame_ray.config import LoraConfig
from flame_ray.errors import EngineError, StorageError
from flame_ray.learner.train_state import read_train_state
from flame_ray.storage.atomic import verify_manifest

BF16_FULL = {"lora": None, "dtype": "bfloat16"}
DROPOUT = {"lora": LoraConfig(r=3, alpha=6, dropout=0.2)}
EXAMPLES = 9  # in batches of four: three steps


def tensors(folder):
    with safe_open(folder / "state.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def gap(folder, other):
    some, others = tensors(folder), tensors(other)
    assert set(some) == set(others)
    return max((value - others[name]).abs().max().item() for name, value in some.items())


def train_two_rounds(group, make_examples, folder):
    """The second round leaves its state after each step, and at its end."""
    group.train(make_examples(5, seed=9), round=1)
    report = group.train(make_examples(EXAMPLES), round=2, on_checkpoint=lambda step: folder / f"step-{step}")
    group.save_state(folder / "end")
    return report


@pytest.mark.parametrize(
    "settings",
    [
        {"workers": 1, "zero_stage": 0, **DROPOUT},
        pytest.param({"workers": 2, "zero_stage": 0, **BF16_FULL}, marks=pytest.mark.long),
        {"workers": 1, "zero_stage": 1, **BF16_FULL},
        pytest.param({"workers": 2, "zero_stage": 2, "weight_decay": 0.1, **DROPOUT}, marks=pytest.mark.long),
        {"workers": 2, "zero_stage": 3, **BF16_FULL},
    ],
    ids=lambda settings: f"{settings['workers']} ranks, stage {settings['zero_stage']}",
)
def test_a_round_resumed_after_any_step_ends_bit_by_bit_as_if_undisturbed(learner, make_examples, tmp_path, settings):
    settings = {"micro_batch_pairs": 1, "checkpoint_steps": 1, **settings}
    report = train_two_rounds(learner(**settings), make_examples, tmp_path)
    assert gap(tmp_path / "step-3", tmp_path / "end") == 0
    resumed = learner(resume_from=tmp_path / "step-1", **settings)
    for step in (1, 2):
        if step == 2:
            resumed.load_state(tmp_path / "step-2")  # the ranks that have trained on from step 1
        again = tmp_path / f"again-{step}"
        assert (
            resumed.train(make_examples(EXAMPLES), round=2, on_checkpoint=lambda step, to=again: to / f"step-{step}") == report
        )
        assert sorted(path.name for path in again.iterdir()) == [f"step-{later}" for later in range(step + 1, 4)]
        for later in range(step + 1, 4):
            assert gap(again / f"step-{later}", tmp_path / f"step-{later}") == 0


def test_ranks_of_a_round_of_so_many_seconds_stop_at_one_step_and_a_resume_spends_what_is_left(
    learner, make_examples, tmp_path
):
    """True at any speed: on a slow machine one step may be all."""
    settings = {"workers": 2, "zero_stage": 2, "micro_batch_pairs": 1, "checkpoint_steps": 1, "seconds": 1.0}
    examples = make_examples(EXAMPLES)
    report = learner(**settings).train(examples, 1, on_checkpoint=lambda step: tmp_path / f"step-{step}")
    assert report.seconds >= 1.0 and report.steps == len(report.step_losses) >= 1
    first, last = (read_train_state(tmp_path / f"step-{step}") for step in (1, report.steps))
    assert 0 < first.reference_seconds < first.seconds <= last.seconds == report.seconds

    resumed = learner(resume_from=tmp_path / "step-1", **settings).train(examples, 1)
    assert resumed.seconds >= 1.0
    both = min(report.steps, resumed.steps, 2)  # the rates of later steps depend on the time
    assert resumed.step_losses[:both] == report.step_losses[:both]
    assert learner(resume_from=tmp_path / f"step-{report.steps}", **settings).train(examples, 1) == report


def averages(folder):
    with safe_open(folder / "average.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize(
    "settings",
    [
        {"workers": 1, "zero_stage": 0},
        {"workers": 2, "zero_stage": 3},
        {"workers": 1, "zero_stage": 1, **BF16_FULL},
        pytest.param({"workers": 2, "zero_stage": 3, **BF16_FULL}, marks=pytest.mark.long),
    ],
    ids=str,
)
def test_the_average_of_the_rounds_is_a_reference_that_a_resume_has_bit_by_bit(learner, make_examples, tmp_path, settings):
    settings = {"micro_batch_pairs": 1, "checkpoint_steps": 1, "reference": "average", "average_decay": 0.25, **settings}
    group = learner(**settings)
    group.save_state(tmp_path / "start")
    report = train_two_rounds(group, make_examples, tmp_path)
    assert report.reference == "average to round 1, decay 0.25"
    start, first, end = (averages(tmp_path / name) for name in ("start", "step-1", "end"))
    initial, last = tensors(tmp_path / "start"), tensors(tmp_path / "end")
    for name, value in start.items():
        assert value.equal(initial[f"{name}:fp32"])
        assert end[name].equal(0.25 * first[name] + (1 - 0.25) * last[f"{name}:fp32"])
    resumed = learner(resume_from=tmp_path / "step-2", **settings)
    assert resumed.train(make_examples(EXAMPLES), round=2) == report
    resumed.save_state(tmp_path / "again")
    assert gap(tmp_path / "again", tmp_path / "end") == 0
    assert all(value.equal(end[name]) for name, value in averages(tmp_path / "again").items())


@pytest.mark.parametrize(
    "settings",
    [
        {"zero_stage": 0},
        {"zero_stage": 1, "dtype": "bfloat16"},
        {"workers": 2, "zero_stage": 3},
        {"zero_stage": 1, **BF16_FULL},
        pytest.param({"workers": 2, "zero_stage": 3, **BF16_FULL}, marks=pytest.mark.long),
    ],
    ids=str,
)
def test_the_average_is_used_for_the_reference_alone(learner, make_examples, weights, settings):
    """With nothing kept of earlier rounds it is the round's own start: the same numbers as `round`, weights included."""
    found = []
    for reference in ("round", "average"):
        group = learner(reference=reference, average_decay=0.0, micro_batch_pairs=1, **settings)
        group.train(make_examples(5, seed=9), round=1)
        report = group.train(make_examples(EXAMPLES), round=2)
        found.append((report.loss, report.metrics, weights(group)))
    (loss, metrics, exact), (other_loss, other_metrics, other) = found
    assert (loss, metrics) == (other_loss, other_metrics)
    assert all(value.equal(other[name]) for name, value in exact.items())


@pytest.mark.parametrize(
    ("writer", "reader"),
    [((1, 1), (2, 3)), ((2, 3), (1, 0)), ((1, 0), (2, 1)), ((2, 2), (1, 3))],
    ids=lambda group: "{} ranks at stage {}".format(*group),
)
@pytest.mark.parametrize("settings", [{}, {"lora": None}], ids=["adapter", "all parameters"])
def test_another_number_of_ranks_at_another_stage_resumes_a_state(learner, make_examples, tmp_path, writer, reader, settings):
    """What it loads is the state bit by bit; what it then learns is within 0.1 % of the largest movement (float32)."""
    written, read = (
        {"workers": ranks, "zero_stage": stage, "micro_batch_pairs": 1, "checkpoint_steps": 1, **settings}
        for ranks, stage in (writer, reader)
    )
    report = train_two_rounds(learner(**written), make_examples, tmp_path)
    resumed = learner(resume_from=tmp_path / "step-1", **read)
    resumed.save_state(tmp_path / "loaded")
    assert gap(tmp_path / "loaded", tmp_path / "step-1") == 0
    assert read_train_state(tmp_path / "loaded").sums == read_train_state(tmp_path / "step-1").sums
    found = resumed.train(make_examples(EXAMPLES), round=2)
    resumed.save_state(tmp_path / "other")
    movement = max(
        (value - tensors(tmp_path / "end")[name]).abs().max().item()
        for name, value in tensors(tmp_path / "step-1").items()
        if name.endswith(":fp32")
    )
    assert gap(tmp_path / "other", tmp_path / "end") < 1e-3 * movement
    assert found.loss == pytest.approx(report.loss, abs=1e-6)
    assert found.metrics["margin"] == pytest.approx(report.metrics["margin"], abs=1e-6)
    state = read_train_state(tmp_path / "other")
    assert (state.ranks, state.zero_stage, state.round, state.report) == (*reader, 2, found)


@pytest.mark.parametrize(("ranks", "stage"), [(2, 2), (1, 0)])  # without ZeRO, DeepSpeed takes an empty step at start
def test_a_state_holds_moments_and_reference_inside_a_round_only_and_always_a_manifest(
    learner, make_examples, tmp_path, ranks, stage
):
    group = learner(workers=ranks, zero_stage=stage, micro_batch_pairs=1, checkpoint_steps=2, dtype="bfloat16")
    group.save_state(tmp_path / "start")
    train_two_rounds(group, make_examples, tmp_path)
    kinds = {path.name: {name.rpartition(":")[2] for name in tensors(path)} for path in tmp_path.iterdir()}
    assert kinds == {"start": {"fp32"}, "step-2": {"fp32", "exp_avg", "exp_avg_sq"}, "end": {"fp32"}}
    assert [path.parent.name for path in tmp_path.rglob("reference.safetensors")] == ["step-2"]
    assert {value.dtype for value in tensors(tmp_path / "step-2").values()} == {torch.float32}
    with safe_open(tmp_path / "step-2" / "state.safetensors", "pt") as file:
        assert file.metadata() == {"adam_steps": "2"}
    for path in tmp_path.iterdir():
        verify_manifest(path)


def test_a_finished_round_s_state_gives_its_report_and_serves_the_next_round(learner, make_examples, tmp_path):
    settings = {"workers": 2, "zero_stage": 3, "micro_batch_pairs": 2, "dtype": "bfloat16"}
    group = learner(**settings)
    report = train_two_rounds(group, make_examples, tmp_path)
    third = group.train(make_examples(6, seed=1), round=3)
    group.save_state(tmp_path / "third")
    resumed = learner(resume_from=tmp_path / "end", **settings)
    units = []
    assert resumed.train(make_examples(EXAMPLES), 2, lambda done, of: units.append(done)) == report
    assert units == []
    assert resumed.train(make_examples(6, seed=1), round=3) == third
    resumed.save_state(tmp_path / "again")
    assert gap(tmp_path / "again", tmp_path / "third") == 0


def test_a_state_is_refused_with_other_examples_or_another_adapter_and_its_folder_named(learner, make_examples, tmp_path):
    train_two_rounds(learner(checkpoint_steps=1), make_examples, tmp_path)
    with pytest.raises(EngineError, match=str(tmp_path / "step-1")):
        learner(resume_from=tmp_path / "step-1").train(make_examples(EXAMPLES, seed=1), round=2)
    for other in ({"lora": LoraConfig(r=4)}, {"lora": None}):
        with pytest.raises(StorageError, match=str(tmp_path / "step-1")):
            learner(resume_from=tmp_path / "step-1", **other)
