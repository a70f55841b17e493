"""Log-probabilities of tokens, against torch's log_softmax."""

import math

import pytest
import torch

from flame_ray.engines import logps
from flame_ray.engines.logps import head_logps, token_logps


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
    (token_logps(logits, ids, mask).sum(-1) * weights).sum().backward()
    ours, logits.grad = logits.grad, None
    slow = logits[:, :-1].log_softmax(-1).gather(-1, ids[..., None])[..., 0] * mask
    (slow.sum(-1) * weights).sum().backward()
    torch.testing.assert_close(ours, logits.grad)


def test_masked_columns_do_not_count_even_where_their_logits_are_infinite():
    logits = torch.zeros(1, 3, 4)
    logits[0, 0] = float("-inf")
    result = token_logps(logits, torch.tensor([[0, 1]]), torch.tensor([[False, True]])).sum(-1)
    assert result.item() == pytest.approx(-math.log(4))


@pytest.mark.parametrize("dtype, near", [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_an_output_layer_that_does_not_learn_gives_the_same_slopes_without_logits(monkeypatch, dtype, near):
    """In parts that do not divide the tokens."""
    monkeypatch.setattr(logps, "TOKENS_A_PRODUCT", 7)
    monkeypatch.setattr(logps, "TOKENS_IN_CORE", 3)
    made = torch.Generator().manual_seed(1)
    hidden, weight = torch.randn(17, 8, generator=made), torch.randn(101, 8, generator=made)
    ids, weights = torch.randint(0, 101, (17,), generator=made), torch.randn(17, generator=made)
    exact = hidden.to(dtype).double().requires_grad_()
    expected = (exact @ weight.to(dtype).double().T).log_softmax(-1).gather(-1, ids[:, None])[:, 0]
    (expected * weights).sum().backward()
    ours = hidden.to(dtype).requires_grad_()
    found = head_logps(ours, weight.to(dtype), ids)
    (found * weights).sum().backward()
    assert found.dtype == torch.float32 and ours.grad.dtype == dtype
    torch.testing.assert_close(found.double(), expected, atol=near, rtol=near)
    torch.testing.assert_close(ours.grad.double(), exact.grad, atol=near, rtol=near)
    with torch.no_grad():
        assert torch.equal(head_logps(ours, weight.to(dtype), ids), found)
