"""Losses that read more of an example than its tokens, on real Ray and real DeepSpeed: the rest gets to every rank."""

import random
from dataclasses import replace

import pytest

from flame_ray.learner.data import graded_examples
from tests.builders import make_graded, make_response


def largest_gap(some, others):
    return max((value.float() - others[name].float()).abs().max().item() for name, value in some.items())


def with_gaps(examples):
    return [replace(each, fact_gap=each.index / 8, flipped=each.index % 2 == 0) for each in examples]


def with_masks(examples):
    rnd = random.Random(1)
    return [
        replace(each, counted=tuple(tuple(rnd.random() < 0.6 for _ in one.token_ids) for one in each.sequences))
        for each in examples
    ]


def singles(examples):
    """The chosen sides with a positive advantage, and the rejected ones with a negative."""
    graded = []
    for each in examples:
        for nth, one in enumerate(each.sequences):
            tokens = {"prompt_tokens": one.prompt_token_ids, "tokens": one.token_ids}
            graded.append(make_graded(make_response(prompt=f"p{each.index}", index=nth, **tokens), advantage=(1.0, -1.0)[nth]))
    return graded_examples(graded)


@pytest.mark.parametrize(
    ("loss", "made", "before"),
    [
        ("fdpo", with_gaps, {"margin": 0.0, "fact_gap": 0.5}),
        ("mask_dpo", with_masks, {"margin": 0.0}),
        ("grpo", singles, {"ratio": 1.0}),
    ],
)
def test_an_update_is_the_same_on_one_rank_and_split_over_two(learner, make_examples, weights, loss, made, before):
    """Each of nine pairs or eighteen responses. Tolerances as in test_update."""
    examples = made(make_examples(9))
    first = learner(loss=loss, batch_pairs=20).train(examples, round=1)  # one step: its metrics are those of before it
    assert {name: first.metrics[name] for name in before} == pytest.approx(before, abs=1e-5)
    one = learner(loss=loss)
    start, report = weights(one), one.train(examples, round=1)
    movement = largest_gap(weights(one), start)
    assert movement > 1e-3
    two = learner(loss=loss, workers=2, zero_stage=3, micro_batch_pairs=1)
    other = two.train(examples, round=1)
    assert (other.loss, other.metrics) == (pytest.approx(report.loss, abs=1e-6), pytest.approx(report.metrics, abs=1e-6))
    assert largest_gap(weights(two), weights(one)) < 3e-3 * movement


def test_where_no_token_counts_nothing_is_learned(learner, make_examples, weights):
    examples = [
        replace(each, counted=tuple((False,) * len(one.token_ids) for one in each.sequences)) for each in make_examples(4)
    ]
    group = learner(loss="mask_dpo")
    before = weights(group)
    group.train(examples, round=1)
    assert largest_gap(weights(group), before) == 0


def test_grpo_makes_responses_above_the_mean_likelier_and_those_below_it_less_likely(learner, make_examples):
    examples = singles(make_examples(6))
    group = learner(loss="grpo", epochs=4)
    sequences = [example.sequences[0] for example in examples]
    before = [sum(each) for each in group.canary(sequences)]
    group.train(examples, round=1)
    after = [sum(each) for each in group.canary(sequences)]
    gains = [(late - early) * example.advantage for early, late, example in zip(before, after, examples, strict=True)]
    assert sum(gains) > 0 and sum(gain > 0 for gain in gains) > len(gains) / 2
