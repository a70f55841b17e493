"""The likelihood of answers, against numbers worked out by hand, and against transformers' own loss."""

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from flame_ray.engines.base import Continuation
from flame_ray.learner.collate import collate, micro_batches
from flame_ray.learner.data import Example, global_batches
from flame_ray.learner.losses import StepObjective
from flame_ray.learner.losses.nll import Nll
from tests.unit.learner.forward import summed_logps

LOGPS = [-6.0, -4.0, -99.0, -50.0]  # of two pairs: their chosen, then their rejected sides


def test_the_loss_is_in_nats_a_token_and_of_a_pair_the_chosen_side_counts(minimise):
    loss, gradient, sums = minimise(Nll(), LOGPS, [0.0] * 4, lengths=[3, 8, 5, 5])
    assert loss == pytest.approx((2.0 + 0.5) / 2)
    assert sums == pytest.approx({"loss": 2.5})
    assert gradient == pytest.approx([-1 / 3 / 2, -1 / 8 / 2, 0, 0])


def test_weighed_by_its_tokens_an_answer_counts_as_many_times_as_it_has_tokens(minimise):
    loss, gradient, sums = minimise(Nll(), LOGPS, [0.0] * 4, lengths=[3, 8, 5, 5], weights=[3.0, 8.0])
    assert loss == pytest.approx((6 + 4) / (3 + 8))
    assert gradient == pytest.approx([-1 / 11, -1 / 11, 0, 0])  # of every token alike
    assert sums["loss"] / 11 == pytest.approx(loss)


def test_the_reference_changes_nothing(minimise):
    assert minimise(Nll(), LOGPS, [0.0] * 4) == minimise(Nll(), LOGPS, [-3.0, 1.0, 2.0, 5.0])


def make_model():
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(vocab_size=97, num_key_value_heads=2, initializer_range=0.3, **shape)).eval()


def make_examples(count):
    def ids(number):
        return tuple(torch.randint(1, 97, (number,)).tolist())

    torch.manual_seed(1)
    sequences = [Continuation(ids(2 + place % 5), ids(1 + 3 * place % 11)) for place in range(count)]
    return [Example(place, (each,), float(len(each.token_ids))) for place, each in enumerate(sequences)]


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return [value.grad.clone() for value in model.parameters()]


def test_loss_and_gradient_of_a_step_are_those_of_transformers_loss_over_the_answers_alone():
    """The slow way: unpadded, a sequence at a time, labels of -100 on the instruction."""
    model, examples = make_model(), make_examples(10)
    (batch,) = global_batches(examples, 10, seed=0)
    tokens = sum(example.response_tokens for example in examples)
    fast = sum(
        StepObjective(Nll(), torch.zeros(10, 1), tokens)(summed_logps(model, part), part)[0] for part in micro_batches(batch, 2)
    )
    slow = sum(labelled_loss(model, example.sequences[0]) * example.response_tokens for example in examples) / tokens
    assert fast.item() == pytest.approx(slow.item(), abs=1e-6)
    for found, expected in zip(gradients(model, fast), gradients(model, slow), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def labelled_loss(model, sequence):
    ids = torch.tensor([[*sequence.prompt_token_ids, *sequence.token_ids]])
    labels = ids.clone()
    labels[0, : len(sequence.prompt_token_ids)] = -100
    loss = model(ids, labels=labels).loss
    torch.testing.assert_close(loss, cross_entropy(model(ids).logits[0, :-1], labels[0, 1:]))
    return loss


def test_answers_to_one_instruction_go_to_batches_of_their_own():
    """They share no sequence, and ten answers to one instruction in a batch would make it a poor sample of the data."""
    same = [Example(place, (Continuation((1, 2), (place + 3,)),), 1.0) for place in range(4)]
    others = [Example(place, (Continuation((place,), (1,)),), 1.0) for place in range(4, 40)]
    batches = global_batches([*same, *others], 4, seed=0)
    assert max(sum(each.index < 4 for each in batch) for batch in batches) < 4
    assert sorted(each.index for batch in batches for each in batch) == list(range(40))
    assert len(collate(batches[0]).token_ids) == 4
