"""Pairs to tensors, against a slow independent computation: one sequence at a time, unpadded, the whole vocabulary."""

import random
from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from flame_ray.errors import DataError
from flame_ray.learner.data import collate, global_batches, left_padded, micro_batches, padded, rank_slice, slots
from flame_ray.learner.losses.dpo import dpo_loss, response_logps
from flame_ray.types import Pair, Response, ResponseId

VOCAB = 97


def make_pairs(count, seed=0):
    rnd = random.Random(seed)

    def response(number, index, prompt):
        ids = tuple(rnd.randrange(1, VOCAB) for _ in range(rnd.randrange(1, 12)))
        return Response(ResponseId(1, f"prompt-{number}", index), "", prompt, ids, (0.0,) * len(ids), "stop", 0)

    pairs = []
    for number in range(count):
        prompt = tuple(rnd.randrange(1, VOCAB) for _ in range(rnd.randrange(2, 9)))
        pairs.append(Pair("factuality", response(number, 0, prompt), response(number, 1, prompt), 1.0, 0.0))
    return pairs


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config).eval()


def run(model, batch):
    columns = batch.response_mask.shape[1]
    logits = model(
        input_ids=batch.token_ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        logits_to_keep=columns + 1,
    ).logits
    return response_logps(logits, batch.response_ids, batch.response_mask)


def slow_logp(model, response):
    total = 0.0
    ids = [*response.prompt_token_ids, *response.token_ids]
    logits = model(torch.tensor([ids])).logits[0]
    for position in range(len(response.prompt_token_ids), len(ids)):
        scores = logits[position - 1].double()
        total += (scores[ids[position]] - torch.log(torch.exp(scores).sum())).item()
    return total


def test_log_probabilities_of_both_sides_equal_a_slow_reference(model):
    pairs = make_pairs(7)
    with torch.no_grad():
        fast = run(model, collate(slots(pairs)))
        slow = [slow_logp(model, pair.chosen) for pair in pairs] + [slow_logp(model, pair.rejected) for pair in pairs]
    torch.testing.assert_close(fast.double(), torch.tensor(slow).double(), atol=1e-4, rtol=0)


def test_padding_with_copies_of_weight_zero_changes_neither_loss_nor_gradient(model):
    pairs = make_pairs(3)

    def gradient(slots_D):
        model.zero_grad()
        batch = collate(slots_D)
        loss, _ = dpo_loss(run(model, batch), torch.zeros(2 * len(slots_D)), 0.1, batch.weights_D, 3.0)
        loss.backward()
        return loss.detach(), model.model.layers[0].mlp.up_proj.weight.grad.clone()

    (loss, grad), (padded_loss, padded_grad) = gradient(slots(pairs)), gradient(padded(slots(pairs), 4))
    torch.testing.assert_close(loss, padded_loss)
    torch.testing.assert_close(grad, padded_grad, atol=1e-5, rtol=1e-4)


def test_every_sequence_ends_in_the_last_column_and_only_response_tokens_are_scored():
    batch = left_padded([((5, 6, 7), (8, 9)), ((5,), (4, 3, 2))])
    assert batch.token_ids.tolist() == [[5, 6, 7, 8, 9], [0, 5, 4, 3, 2]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1], [0, 1, 1, 1, 1]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 4], [0, 0, 1, 2, 3]]
    assert batch.response_mask.tolist() == [[False, True, True], [True, True, True]]
    assert batch.response_ids.tolist() == [[7, 8, 9], [4, 3, 2]]


def test_chosen_rows_come_first_and_each_pair_keeps_its_own_prompt():
    pairs = make_pairs(5)
    batch = collate(slots(pairs))
    for row, side in enumerate([pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]):
        ids = batch.token_ids[row][batch.attention_mask[row].bool()].tolist()
        assert ids == [*side.prompt_token_ids, *side.token_ids]


def test_sides_with_unequal_prompts_are_refused_by_name():
    pair = make_pairs(1)[0]
    other = replace(pair, rejected=replace(pair.rejected, prompt_token_ids=(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)))
    with pytest.raises(DataError, match="1/prompt-0/1"):
        collate(slots([other]))


def test_an_empty_response_is_refused():
    with pytest.raises(DataError, match="empty"):
        left_padded([((1,), ())])


def test_batches_are_the_same_for_the_same_seed_and_differ_for_another():
    def order(seed):
        return [slot.index for batch in global_batches(make_pairs(20), 4, seed) for slot in batch]

    assert order("0/1/0") == order("0/1/0") != order("0/2/0")
    assert sorted(order(3)) == list(range(20))


def test_the_last_batch_is_filled_with_copies_that_weigh_nothing():
    batches = global_batches(make_pairs(10), 4, seed=0)
    assert [len(batch) for batch in batches] == [4, 4, 4]
    assert [sum(slot.weight for slot in batch) for batch in batches] == [4, 4, 2]
    assert sorted(slot.index for batch in batches for slot in batch if slot.weight) == list(range(10))


@pytest.mark.parametrize("world", [1, 2, 4])
def test_ranks_share_a_batch_without_loss_or_overlap_and_in_equal_parts(world):
    batch = global_batches(make_pairs(10), 8, seed=0)[1]
    parts = [rank_slice(batch, rank, world) for rank in range(world)]
    assert {len(part) for part in parts} == {8 // world}
    assert sorted(slot.index for part in parts for slot in part) == sorted(slot.index for slot in batch)


def test_micro_batches_hold_the_slots_in_order_with_their_weights():
    slots_D = padded(slots(make_pairs(3)), 4)
    first, second = micro_batches(slots_D, 2)
    assert first.indices_D.tolist() == [0, 1]
    assert second.weights_D.tolist() == [1.0, 0.0]


def test_a_batch_that_does_not_divide_over_the_ranks_is_refused():
    with pytest.raises(ValueError, match="does not divide"):
        rank_slice(slots(make_pairs(3)), 0, 2)
