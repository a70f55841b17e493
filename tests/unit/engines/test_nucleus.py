"""The nucleus from the largest logits is the one that sorting the vocabulary finds."""

import pytest
import torch
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p_pytorch

from flame_ray.engines.nucleus import ASKED, WIDTH, NucleusProcessor, keep_nucleus

VOCABULARY = 5000


def logits(rows: int, peak: float) -> torch.Tensor:
    made = torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(7))
    made[:, torch.arange(0, 400, 20)] += torch.linspace(0.5, 1, 20) * peak
    return made


def likelier(logits_BV: torch.Tensor) -> torch.Tensor:
    """By token, the probability of those that are likelier, in double precision."""
    largest, order = logits_BV.double().softmax(dim=1).sort(dim=1, descending=True)
    return torch.zeros_like(largest).scatter_(1, order, largest.cumsum(dim=1) - largest)


@pytest.mark.parametrize(("peak", "is_wide"), [(0.0, True), (12.0, False)])
@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
def test_it_is_the_one_that_sorting_finds(peak, is_wide, p):
    given, p_B = logits(4, peak), torch.full((4,), p)
    kept, before = keep_nucleus(given.clone(), p_B).isfinite(), likelier(given)
    assert kept[before < p - 1e-5].all() and not kept[before > p + 1e-5].any()
    assert ((kept.sum(dim=1) > WIDTH) == is_wide).all()
    assert (kept ^ apply_top_k_top_p_pytorch(given, None, p_B).isfinite()).sum() <= 4  # by rounding


def test_rows_that_fit_and_rows_that_do_not_may_stand_together():
    both = torch.cat([logits(2, 12.0), logits(2, 0.0)])
    p_B = torch.tensor([0.9, 0.5, 0.9, 0.95])
    assert torch.equal(keep_nucleus(both, p_B), apply_top_k_top_p_pytorch(both.clone(), None, p_B))


def test_the_likeliest_token_stays_and_a_vocabulary_may_be_smaller_than_what_is_looked_at():
    kept = keep_nucleus(torch.tensor([[0.0, 2.0, 1.0, -1.0]]), torch.tensor([1e-9]))
    assert kept.tolist() == [[-torch.inf, 2.0, -torch.inf, -torch.inf]]
    assert keep_nucleus(torch.zeros(1, 3), torch.tensor([0.999])).tolist() == [[0.0, 0.0, 0.0]]


def params(p: float | None) -> SamplingParams:
    return SamplingParams(extra_args={ASKED: p} if p else None)


def test_a_request_keeps_its_nucleus_when_it_moves_and_others_have_none():
    processor, given = NucleusProcessor(None, torch.device("cpu"), False), logits(3, 12.0)
    added = [(0, params(0.5), None, []), (1, params(None), None, []), (2, params(0.9), None, [])]
    processor.update_state(BatchUpdate(3, removed=[], added=added, moved=[]))
    first = processor.apply(given.clone())
    assert torch.equal(first[[0, 2]], keep_nucleus(given[[0, 2]], torch.tensor([0.5, 0.9])))
    assert torch.equal(first[1], given[1])

    processor.update_state(BatchUpdate(2, removed=[1], added=[], moved=[(2, 1, MoveDirectionality.UNIDIRECTIONAL)]))
    assert torch.equal(processor.apply(given[:2].clone()), keep_nucleus(given[:2], torch.tensor([0.5, 0.9])))
    processor.update_state(BatchUpdate(2, removed=[], added=[], moved=[(0, 1, MoveDirectionality.SWAP)]))
    assert torch.equal(processor.apply(given[:2].clone()), keep_nucleus(given[:2], torch.tensor([0.9, 0.5])))
    processor.update_state(BatchUpdate(0, removed=[0, 1], added=[], moved=[]))
    assert torch.equal(processor.apply(given.clone()), given)
