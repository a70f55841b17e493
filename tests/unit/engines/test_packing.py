"""Sequences that share rows, against the same sequences alone."""

import random
from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from flame_ray.engines.base import Continuation
from flame_ray.engines.batch import left_padded
from flame_ray.engines.logps import token_logps
from flame_ray.engines.packing import check_layout, packed, sharing_prompts
from flame_ray.engines.policy import additive
from flame_ray.errors import EngineError

VOCAB = 97


def make_sequences(count, seed=0):
    rnd = random.Random(seed)

    def ids(most):
        return tuple(rnd.randrange(1, VOCAB) for _ in range(rnd.randrange(1, most)))

    return [Continuation(ids(9), ids(30)) for _ in range(count)]


@pytest.fixture(scope="module", params=["eager", "sdpa"])
def model(request):
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=VOCAB, num_key_value_heads=2, initializer_range=0.3, **shape)
    config._attn_implementation = request.param
    return LlamaForCausalLM(config)


def run(model, batch):
    """[N], as the engine runs a batch."""
    columns = batch.response_mask.shape[1]
    logits = model(
        input_ids=batch.token_ids,
        attention_mask=additive(batch.attention_mask, torch.float32),
        position_ids=batch.position_ids,
        use_cache=False,
        logits_to_keep=columns + 1,
    ).logits
    return batch.summed(token_logps(logits, batch.response_ids, batch.response_mask))


def test_each_sequence_is_in_one_row_whole_with_positions_of_its_own():
    sequences = make_sequences(30)
    batch = packed(sequences)
    longest = max(len(each.prompt_token_ids) + len(each.token_ids) for each in sequences)
    assert batch.token_ids.shape[1] == longest and len(batch.token_ids) < 0.7 * len(sequences)
    assert batch.response_lengths_N.tolist() == [len(each.token_ids) for each in sequences]
    first = longest - batch.response_mask.shape[1]
    for number, each in enumerate(sequences):
        start = first + int(batch.responses_NR[number].nonzero()[0]) - len(each.prompt_token_ids)
        ids = [*each.prompt_token_ids, *each.token_ids]
        place = batch.rows_N[number], slice(start, start + len(ids))
        assert batch.token_ids[place].tolist() == ids
        assert batch.position_ids[place].tolist() == list(range(len(ids)))


def test_the_longest_come_first_and_each_takes_the_first_row_that_has_room():
    def of_length(length):
        return Continuation((1,), (2,) * (length - 1))

    batch = packed([of_length(length) for length in (3, 7, 5, 2, 4)])
    assert batch.rows_N.tolist() == [2, 0, 1, 1, 2]  # 7; 5 and 2; 4 and 3
    assert batch.token_ids.shape == (3, 7)


@pytest.mark.parametrize("layout", [packed, sharing_prompts])
def test_log_probabilities_and_gradients_are_those_of_the_sequences_alone(model, layout):
    sequences = make_sequences(20)
    sequences += [replace(each, token_ids=sequences[place].token_ids[:4]) for place, each in enumerate(sequences[5:15])]

    def gradients(logps):
        model.zero_grad()
        (logps * torch.linspace(0.5, 1.5, len(sequences))).sum().backward()
        return [value.grad.clone() for value in model.parameters()]

    together, apart = run(model, layout(sequences)), run(model, left_padded(sequences))
    slow = torch.cat([run(model, left_padded([each])) for each in sequences])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together, slow, atol=1e-5, rtol=1e-5)
    for found, expected in zip(gradients(together), gradients(apart), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_what_a_neighbour_says_changes_nothing(model):
    one, other = Continuation((1, 2), (3, 4, 5)), Continuation((6, 7), (8, 9, 10))
    longest = Continuation((1,), tuple(range(1, 13)))
    first, _, _ = run(model, packed([one, other, longest]))
    changed, _, _ = run(model, packed([one, replace(other, prompt_token_ids=(50, 51), token_ids=(52, 53, 54)), longest]))
    assert packed([one, other, longest]).rows_N.tolist() == [1, 1, 0]  # they share the second row
    assert first.item() == changed.item()


def test_what_another_response_to_the_prompt_says_changes_nothing(model):
    one, other = Continuation((1, 2), (3, 4, 5)), Continuation((1, 2), (8, 9, 10))
    first, _ = run(model, sharing_prompts([one, other]))
    changed, _ = run(model, sharing_prompts([one, replace(other, token_ids=(52, 53, 54))]))
    _, last = run(model, sharing_prompts([replace(other, token_ids=(52, 53, 54)), one]))
    assert first.item() == changed.item()
    torch.testing.assert_close(last, first)


def test_a_prompt_is_computed_once_but_for_its_last_token():
    (row,) = sharing_prompts([Continuation((1, 2, 3), (4, 5)), Continuation((1, 2, 3), (6,))]).token_ids.tolist()
    assert row == [1, 2, 3, 4, 5, 3, 6]
    batch = sharing_prompts([Continuation((1, 2, 3), (4, 5)), Continuation((1, 2, 3), (6,)), Continuation((9,), (8,))])
    assert batch.token_ids.tolist() == [[1, 2, 3, 4, 5, 3, 6, 9, 8]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 4, 2, 3, 0, 1]]
    assert batch.responses_NR.sum(1).tolist() == batch.response_lengths_N.tolist() == [2, 1, 1]
    sees = [batch.attention_mask[0, 0, column].nonzero().flatten().tolist() for column in range(9)]
    assert sees == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 5], [0, 1, 5, 6], [7], [7, 8]]


def test_prompts_lie_in_as_many_rows_as_cost_the_least():
    def of_length(*lengths):
        """Two responses to each of some prompts, whose row alone would have so many columns."""
        for prompt, length in enumerate(lengths, start=1):
            yield Continuation((prompt, prompt), (3,) * (length - 4))
            yield Continuation((prompt, prompt), (4,))

    def shape(*lengths):
        return tuple(sharing_prompts(list(of_length(*lengths))).token_ids.shape)

    assert shape(100, 100, 100) == (3, 100)
    assert shape(300, 100, 100, 100) == (2, 300)
    assert shape(2000, 2000) == (2, 2000)


@pytest.mark.parametrize("layout", [packed, sharing_prompts])
def test_a_model_that_lets_sequences_see_each_other_is_refused_and_any_other_passes(model, layout):
    check_layout(layout, lambda batch: run(model, batch).detach(), "float32")

    def blind(batch):
        """Sees no mask that tells more than what is padding, and no position that starts anew."""
        is_alone = batch.attention_mask is not None and batch.attention_mask.dim() == 2
        columns = torch.arange(batch.token_ids.shape[1])
        return run(model, batch if is_alone else replace(batch, attention_mask=None, position_ids=columns[None])).detach()

    for dtype in ("float32", "bfloat16"):
        with pytest.raises(EngineError, match=r"set learner\.packing to false"):
            check_layout(layout, blind, dtype)
