"""The learner on real Ray and real DeepSpeed: what it learns does not depend on how it is spread out, and gets out whole."""

import math

import pytest
import ray
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

BF16_FULL = {"lora": None, "dtype": "bfloat16"}


def from_disk(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()


def slow_logps(model, response):
    ids = [*response.prompt_token_ids, *response.token_ids]
    with torch.no_grad():
        logps = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    start = len(response.prompt_token_ids)
    return [logps[place - 1, ids[place]].item() for place in range(start, len(ids))]


def ask_rank_0(group, question):
    return ray.get(group.actors[0].__ray_call__.remote(question))


def gradient_norm(group):
    """What DeepSpeed measured, before clipping, at the last step."""
    return ask_rank_0(group, lambda rank: float(rank.engine.engine.get_global_grad_norm()))


def margin(model, examples):
    sides = [[sum(slow_logps(model, side)) for side in example.sequences] for example in examples]
    return sum(chosen - rejected for chosen, rejected in sides) / len(sides)


def largest_gap(some, others):
    return max((value.float() - others[name].float()).abs().max().item() for name, value in some.items())


@pytest.mark.parametrize("settings", [{"nll_weight": 1.0}, {"lora": None}], ids=["adapter", "all parameters"])
def test_an_update_is_the_same_however_it_is_spread(learner, make_examples, weights, model_path, settings):
    """Nine pairs in batches of four: three steps, the last with three copies of weight zero, over unequal ranks.

    Tolerances in float32: weights 0.3 % of the largest movement (Adam enlarges the noise of the smallest gradients, up to
    0.22 % over four seeds), loss and margin 1e-6, gradient norm 1e-5 of itself.
    """
    examples, before = make_examples(9), from_disk(model_path).state_dict()
    one = learner(**settings)
    assert ask_rank_0(one, lambda rank: rank.engine.layout.__name__) == "sharing_prompts"
    report, expected = one.train(examples, round=1), weights(one)
    movement = largest_gap(expected, before)
    assert movement > 1e-3
    norms = []
    for ranks, stage, micro, recompute in (
        (1, 0, 1, True),
        (1, 1, 2, False),
        (1, 3, 4, True),
        (2, 0, 2, False),
        (2, 1, 1, True),
        (2, 2, 2, False),
        (2, 3, 1, True),
    ):
        spread = {"workers": ranks, "zero_stage": stage, "micro_batch_pairs": micro, "gradient_checkpointing": recompute}
        group = learner(**spread, **settings)
        other = group.train(examples, round=1)
        assert largest_gap(weights(group), expected) < 3e-3 * movement, spread
        assert (other.loss, other.metrics["margin"]) == pytest.approx((report.loss, report.metrics["margin"]), abs=1e-6), spread
        assert (
            (other.steps, other.examples, other.tokens)
            == (report.steps, report.examples, report.tokens)
            == (3, 9, report.tokens)
        )
        if stage:  # Adam hides a gradient of the wrong scale; clipping does not
            norms.append(gradient_norm(group))
    assert norms == pytest.approx([norms[0]] * len(norms), rel=1e-5)


@pytest.mark.parametrize(("ranks", "stage", "part"), [(2, 1, "optimizer"), (1, 2, "optimizer"), (2, 3, "parameters")])
def test_offload_moves_things_and_changes_no_number(learner, make_examples, weights, tmp_path, ranks, stage, part):
    """On a CPU nothing moves, but DeepSpeed runs its own code for it. Tolerance: 1e-7, a rounding or two."""
    examples = make_examples(6)
    settings = {"workers": ranks, "zero_stage": stage, "micro_batch_pairs": 1}
    plain = learner(**settings)
    plain.train(examples, round=1)
    expected = weights(plain)
    group = learner(**settings, offload=part, checkpoint_steps=1)
    optimizer, parameters = ask_rank_0(
        group, lambda rank: (rank.engine.engine.zero_use_cpu_optimizer(), rank.engine.engine.zero_offload_param() is not None)
    )
    assert (optimizer, parameters) == (True, part == "parameters")
    report = group.train(examples, round=1, on_checkpoint=lambda step: tmp_path / str(step))
    assert largest_gap(weights(group), expected) < 1e-7
    resumed = learner(resume_from=tmp_path / "1", **settings, offload=part)
    assert resumed.train(examples, round=1) == report
    assert largest_gap(weights(resumed), expected) < 1e-7


def test_weights_and_folders_of_a_trained_adapter_all_give_the_learner_s_own_log_probabilities(
    learner, make_examples, weights, model_path, tmp_path
):
    examples = make_examples(8)
    group = learner(workers=2, zero_stage=3, micro_batch_pairs=2)
    seen = []
    group.train(examples, round=1, on_step=seen.append)
    assert (seen[-1].done, seen[-1].total) == (len(seen), len(seen))
    reports = [each.report for each in seen if each.report is not None]
    assert [each.step for each in reports] == list(range(1, len(reports) + 1)) and all(
        each.gradient_norm > 0 for each in reports
    )
    learned, other = group.canary(examples[0].sequences)
    added, _ = group.canary(examples[0].sequences, added=True)
    before, _ = group.canary(examples[0].sequences, initial=True)
    assert (len(other), added) == (len(examples[0].sequences[1].token_ids), pytest.approx(learned, abs=1e-5))
    assert before == pytest.approx(slow_logps(from_disk(model_path), examples[0].sequences[0]), abs=1e-4)
    assert learned != pytest.approx(slow_logps(from_disk(model_path), examples[0].sequences[0]), abs=1e-4)
    group.save(tmp_path / "adapter")
    group.save(tmp_path / "merged", merged=True)
    exported = weights(group)

    adapter = PeftModel.from_pretrained(from_disk(model_path), tmp_path / "adapter").eval()
    assert slow_logps(adapter, examples[0].sequences[0]) == pytest.approx(learned, abs=1e-5)
    by_peft = adapter.merge_and_unload().state_dict()
    assert set(exported) == set(by_peft) - {"lm_head.weight"}
    for name, value in exported.items():
        torch.testing.assert_close(value, by_peft[name], atol=1e-6, rtol=0)
    assert slow_logps(from_disk(tmp_path / "merged"), examples[0].sequences[0]) == pytest.approx(learned, abs=1e-5)
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").chat_template


@pytest.mark.parametrize(
    ("reference", "settings"), [("round", {}), ("initial", {}), ("initial", {"lora": None})], ids=["round", "initial", "copy"]
)
def test_reference_round_starts_each_round_at_log_two_and_reference_initial_does_not(
    learner, make_examples, model_path, tmp_path, reference, settings
):
    examples = make_examples(4)
    group = learner(reference=reference, **settings)
    group.train(examples, round=1)
    group.save(tmp_path / "trained", merged=True)
    second = group.train(examples, round=2)  # one step: its loss is that of the weights before it
    expected = 0.0
    if reference == "initial":
        expected = 0.1 * (margin(from_disk(tmp_path / "trained"), examples) - margin(from_disk(model_path), examples))
        assert expected > 1e-3
    assert second.metrics["margin"] == pytest.approx(expected, abs=1e-5)
    assert (second.loss == pytest.approx(math.log(2), abs=1e-6)) == (reference == "round")


def test_full_parameters_in_bfloat16_on_two_ranks_learn_the_pairs_and_export_every_tensor(
    learner, make_examples, weights, model_path
):
    examples = make_examples(8)
    group = learner(workers=2, zero_stage=2, micro_batch_pairs=1, epochs=6, reference="initial", **BF16_FULL)
    report = group.train(examples, round=1)
    assert (report.steps, report.examples) == (12, 8)
    assert group.train(examples, round=2).metrics["accuracy"] == 1.0
    exported = weights(group)
    assert set(exported) == set(from_disk(model_path).state_dict()) - {"lm_head.weight"}
    assert {value.dtype for value in exported.values()} == {torch.bfloat16}


@pytest.mark.parametrize(
    "settings",
    [{"reference": "initial"}, {"reference": "round"}, {"lora": None, "reference": "initial"}, {"lora": None}],
    ids=["adapter off", "adapter", "copy", "all parameters"],
)
def test_the_margin_before_the_first_step_is_zero_to_the_last_bit_in_bfloat16(learner, make_examples, settings):
    """It is the same computation: any noise in it would be in every margin."""
    group = learner(dtype="bfloat16", batch_pairs=12, micro_batch_pairs=2, workers=2, **settings)
    report = group.train(make_examples(11), round=1)
    assert (report.steps, report.metrics["margin"]) == (1, 0.0)
    assert report.loss == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize(("ranks", "stage"), [(1, 0), (1, 1), (2, 1), (2, 2), (2, 3)])
def test_small_gradients_do_not_vanish_in_a_large_sum_of_bfloat16(learner, ranks, stage):
    """One micro-batch of weight 1, and 32 of weight 1/500 after it: in bfloat16 each of these is less than half a step."""
    micro = 33 * ranks

    def norm(small):
        group = learner(
            dtype="bfloat16", workers=ranks, zero_stage=stage, micro_batch_pairs=1, batch_pairs=micro, grad_clip=1e9, lora=None
        )

        def step(rank, small):
            from flame_ray.engines.base import Continuation
            from flame_ray.engines.batch import left_padded

            parts = [left_padded([Continuation((3, 4, 5), (6, 7, 8))])] * 33
            weights = iter([1.0, *[small] * 32])
            rank.engine.step(parts, lambda logps, batch: (next(weights) * logps.sum(), {}), 1e-4)
            return float(rank.engine.engine.get_global_grad_norm())

        return ray.get([actor.__ray_call__.remote(step, small) for actor in group.actors], timeout=120)[0]

    assert norm(1 / 500) / norm(0.0) == pytest.approx(1 + 32 / 500, rel=0.005)
