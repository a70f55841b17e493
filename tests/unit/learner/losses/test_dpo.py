"""The DPO maths, against numbers worked out by hand."""

import math

import pytest
import torch

from flame_ray.learner.losses.dpo import chosen_nll, dpo_loss, response_logps, token_logps


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_loss_equals_the_numbers_worked_out_by_hand():
    policy = torch.tensor([-10.0, -20.0, -12.0, -18.0])  # chosen 1, chosen 2, rejected 1, rejected 2
    reference = torch.tensor([-11.0, -19.0, -11.0, -19.0])
    loss, sums = dpo_loss(policy, reference, beta=0.5, weights_D=torch.ones(2), normaliser=2.0)
    # pair 1: 0.5 * ((-10 + 11) - (-12 + 11)) = 1; pair 2: 0.5 * ((-20 + 19) - (-18 + 19)) = -1
    expected = -(math.log(sigmoid(1.0)) + math.log(sigmoid(-1.0))) / 2
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    assert sums.stack().tolist() == pytest.approx([2 * expected, 1.0, 0.0, 2.0], abs=1e-6)


def test_loss_is_log_two_when_the_policy_is_the_reference():
    logps = torch.tensor([-3.0, -7.0])
    loss, sums = dpo_loss(logps, logps, 0.1, torch.ones(1), 1.0)
    assert loss.item() == pytest.approx(math.log(2))
    assert sums.accuracy == 0  # neither side has the higher implicit reward


def test_gradient_raises_the_chosen_side_and_lowers_the_rejected_side():
    policy = torch.tensor([-5.0, -5.0], requires_grad=True)
    loss, _ = dpo_loss(policy, torch.tensor([-5.0, -5.0]), 0.1, torch.ones(1), 1.0)
    loss.backward()
    assert policy.grad.tolist() == pytest.approx([-0.05, 0.05])  # beta * sigmoid(-margin), at margin 0


def test_a_pair_of_weight_zero_adds_nothing_but_stays_in_the_graph():
    policy = torch.tensor([-5.0, -1.0, -6.0, -9.0], requires_grad=True)
    reference = torch.zeros(4)
    loss, sums = dpo_loss(policy, reference, 0.1, torch.tensor([1.0, 0.0]), 1.0)
    alone, alone_sums = dpo_loss(policy[[0, 2]], reference[[0, 2]], 0.1, torch.ones(1), 1.0)
    loss.backward()
    assert loss.item() == pytest.approx(alone.item())
    assert sums.stack().tolist() == pytest.approx(alone_sums.stack().tolist())
    assert policy.grad[1] == policy.grad[3] == 0


def test_the_chosen_sides_likelihood_is_that_worked_out_by_hand_a_token_and_the_rejected_sides_does_not_enter():
    policy = torch.tensor([-10.0, -6.0, -99.0, -50.0], requires_grad=True)  # chosen 1, chosen 2, rejected 1, rejected 2
    loss = chosen_nll(policy, torch.tensor([5, 2, 3, 4]), torch.tensor([1.0, 0.0]), normaliser=4.0)
    loss.backward()
    assert loss.item() == pytest.approx(10 / 5 / 4)
    assert policy.grad.tolist() == pytest.approx([-1 / 5 / 4, 0, 0, 0])


def test_losses_of_micro_batches_add_up_to_the_loss_of_the_whole():
    generator = torch.Generator().manual_seed(0)
    policy, reference = torch.randn(8, generator=generator), torch.randn(8, generator=generator)
    whole, _ = dpo_loss(policy, reference, 0.3, torch.ones(4), 4.0)
    parts = [dpo_loss(policy[[i, i + 4]], reference[[i, i + 4]], 0.3, torch.ones(1), 4.0)[0] for i in range(4)]
    assert whole.item() == pytest.approx(sum(part.item() for part in parts))


def test_token_log_probabilities_are_those_of_a_log_softmax_in_float32_even_from_bfloat16():
    logits = torch.randn(3, 51, 101, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    ids = torch.randint(0, 101, (3, 50), generator=torch.Generator().manual_seed(2))
    everything = torch.ones(3, 50, dtype=torch.bool)
    expected = logits[:, :-1].double().log_softmax(-1).gather(-1, ids[..., None])[..., 0]
    found = token_logps(logits, ids, everything)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)


def test_gradient_of_token_log_probabilities_is_that_of_a_log_softmax():
    logits = torch.randn(2, 4, 17, generator=torch.Generator().manual_seed(1), requires_grad=True)
    ids, mask = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[False, True, True], [True, True, True]])
    weights = torch.tensor([1.0, -2.0])
    (response_logps(logits, ids, mask) * weights).sum().backward()
    ours, logits.grad = logits.grad, None
    slow = logits[:, :-1].log_softmax(-1).gather(-1, ids[..., None])[..., 0] * mask
    (slow.sum(-1) * weights).sum().backward()
    torch.testing.assert_close(ours, logits.grad)


def test_masked_columns_do_not_count_even_where_their_logits_are_infinite():
    logits = torch.zeros(1, 3, 4)
    logits[0, 0] = float("-inf")
    result = response_logps(logits, torch.tensor([[0, 1]]), torch.tensor([[False, True]]))
    assert result.item() == pytest.approx(-math.log(4))
