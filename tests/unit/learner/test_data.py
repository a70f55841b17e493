"""Pairs to examples to tensors, against a slow computation: one sequence at a time, unpadded, the whole vocabulary."""

import random
from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from flame_ray.engines.base import Continuation
from flame_ray.engines.batch import left_padded
from flame_ray.engines.packing import packed, sharing_prompts
from flame_ray.errors import DataError
from flame_ray.learner.collate import collate, micro_batches
from flame_ray.learner.data import digest, filled_up, global_batches, graded_examples, pair_examples
from flame_ray.learner.losses import StepObjective
from flame_ray.learner.losses.dpo import Dpo
from flame_ray.types import FACTUALITY, INSTRUCTION, WEIGHTED, CheckedSentence, Pair, Response, SideFacts
from tests.builders import make_graded, make_pair, make_response
from tests.doubles import ByteTokens
from tests.unit.learner.forward import summed_logps

VOCAB = 97


def make_pairs(count, seed=0):
    rnd = random.Random(seed)

    def response(number, index, prompt):
        ids = tuple(rnd.randrange(1, VOCAB) for _ in range(rnd.randrange(1, 12)))
        return make_response("", prompt=f"prompt-{number}", index=index, prompt_tokens=prompt, tokens=ids)

    pairs = []
    for number in range(count):
        prompt = tuple(rnd.randrange(1, VOCAB) for _ in range(rnd.randrange(2, 9)))
        pairs.append(make_pair(response(number, 0, prompt), response(number, 1, prompt)))
    return pairs


def make_examples(count):
    return pair_examples(make_pairs(count))


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
        fast = summed_logps(model, collate(pair_examples(pairs)))
        slow = [slow_logp(model, pair.chosen) for pair in pairs] + [slow_logp(model, pair.rejected) for pair in pairs]
    torch.testing.assert_close(fast.double(), torch.tensor(slow).double(), atol=1e-4, rtol=0)


def test_padding_with_copies_of_weight_zero_changes_neither_loss_nor_gradient(model):
    examples = make_examples(3)

    def gradient(examples_D):
        model.zero_grad()
        batch = collate(examples_D)
        loss, _ = StepObjective(Dpo(0.1), torch.zeros(3, 2), 3.0)(summed_logps(model, batch), batch)
        loss.backward()
        return loss.detach(), model.model.layers[0].mlp.up_proj.weight.grad.clone()

    (loss, grad), (padded_loss, padded_grad) = gradient(examples), gradient(filled_up(examples, 4))
    torch.testing.assert_close(loss, padded_loss)
    torch.testing.assert_close(grad, padded_grad, atol=1e-5, rtol=1e-4)


def test_a_pair_weighs_one_divided_by_the_pairs_of_its_prompt():
    """Both kinds of pairs count."""
    sides = [make_response(f"answer {index}", index=index) for index in range(4)]
    peru = [make_pair(sides[0], side) for side in sides[1:]]
    pairs = [*peru, make_pair(sides[1], sides[0], kind=INSTRUCTION), make_pair(prompt="chad")]
    assert [example.weight for example in pair_examples(pairs)] == [0.25] * 4 + [1.0]


def test_both_kinds_of_pairs_may_count_alike_however_many_there_are():
    """FLAME, section 3.4. Three prompts give one instruction pair each, one of them two factuality pairs as well."""
    sides = [make_response(f"answer {index}", index=index) for index in range(3)]
    pairs = [
        *(make_pair(prompt=prompt, kind=INSTRUCTION) for prompt in ("peru", "chad", "fiji")),
        *(make_pair(sides[0], side) for side in sides[1:]),
    ]
    assert [example.weight for example in pair_examples(pairs, balance="kinds")] == pytest.approx([0.5, 0.5, 0.5, 0.75, 0.75])
    alone = pair_examples(pairs[:3], balance="kinds")
    assert [example.weight for example in alone] == pytest.approx([1.0] * 3), "one kind"


def test_an_example_knows_the_fact_gap_of_its_pair_and_whether_that_was_turned_round():
    pairs = [
        make_pair(factuality=(0.75, 0.25), flipped=True),
        make_pair(prompt="chad"),
        make_pair(prompt="fiji", factuality=(None, 1.0)),
    ]
    batch = collate(pair_examples(pairs))
    assert (batch.fact_gaps_D.tolist(), batch.flipped_D.tolist()) == ([0.5, 0.0, 0.0], [1.0, 0.0, 0.0])


def test_a_graded_response_is_an_example_of_one_sequence_and_each_prompt_counts_once():
    responses = [make_response(index=index, tokens=[index + 1]) for index in range(4)] + [make_response(prompt="chad")]
    graded = [make_graded(each, advantage=float(place)) for place, each in enumerate(responses)]
    examples = graded_examples(graded)
    assert [each.weight for each in examples] == [0.25] * 4 + [1.0]
    assert [each.sequences for each in examples[:4]] == [(Continuation((1,), (index + 1,)),) for index in range(4)]
    batch = collate(examples)
    assert (batch.advantages_D.tolist(), len(batch.rows_N)) == ([0.0, 1.0, 2.0, 3.0, 4.0], 5)


def test_a_response_that_is_the_best_by_two_rewards_is_one_example_of_the_weight_of_both():
    first, second = make_response("a", index=0), make_response("b", index=1)
    by_both = [make_graded(first, advantage=None, kind=kind) for kind in (INSTRUCTION, FACTUALITY)]
    by_one = [make_graded(make_response("c", prompt="chad"), kind=INSTRUCTION), make_graded(second, kind=WEIGHTED)]
    examples = graded_examples([*by_both, *by_one])
    assert [(each.index, each.weight, each.advantage) for each in examples] == [(0, 2 / 3, 0.0), (1, 1.0, 1.0), (2, 1 / 3, 1.0)]


# Sentences that count


LIMA = ByteTokens("Sure!", " Lima", " is", " the", " capital", ".", " It", " is", " small", ".", "<end>")


def side(index: int, first: bool | None = True, second: bool | None = False) -> tuple[Response, SideFacts]:
    """A response of three sentences; whether the second and the third hold."""
    sentences = ("Sure!", None), ("Lima is the capital.", first), ("It is small.", second)
    facts = SideFacts(0.5, tuple(CheckedSentence(*each) for each in sentences))
    return make_response("Sure! Lima is the capital. It is small.", index=index, tokens=LIMA.ids), facts


def masked_pair(kind: str = FACTUALITY) -> Pair:
    (chosen, chosen_facts), (rejected, rejected_facts) = side(0), side(1)
    return replace(make_pair(chosen, rejected, kind=kind), chosen_facts=chosen_facts, rejected_facts=rejected_facts)


@pytest.mark.parametrize("kind", [FACTUALITY, WEIGHTED])
def test_the_true_sentences_of_the_chosen_and_the_false_ones_of_the_rejected_side_count(kind):
    (example,) = pair_examples([masked_pair(kind)], LIMA.decode)
    true, false = example.counted
    assert true == (False, *[True] * 5, *[False] * 5)  # neither the greeting nor the end of the text
    assert false == (*[False] * 6, *[True] * 4, False)


def test_without_verdicts_or_where_another_reward_decides_the_whole_response_counts():
    unchecked = replace(masked_pair(), rejected_facts=None)
    for pair in (unchecked, masked_pair(INSTRUCTION)):
        assert pair_examples([pair], LIMA.decode)[0].counted == ()
    assert pair_examples([masked_pair()])[0].counted == ()


def test_a_response_counts_by_another_mask_in_each_example_and_runs_once():
    pairs = [masked_pair(), replace(masked_pair(), chosen=side(1)[0], rejected=side(2)[0]), masked_pair(INSTRUCTION)]
    batch = collate(pair_examples(pairs, LIMA.decode))
    assert len(batch.token_ids) == 1  # of the same tokens
    lengths = [5, 5, 11, 4, 4, 11]  # the chosen sides, then the rejected ones
    assert batch.counted_lengths_N.tolist() == lengths
    assert batch.response_lengths_N.tolist() == [11] * 6
    ones = torch.ones(1, 11)
    assert batch.summed(ones).tolist() == lengths


def test_masked_log_probabilities_and_their_gradient_equal_a_slow_reference(model):
    """Rows are padded to the longest response; the mask must stay with its tokens."""
    rnd = random.Random(4)
    examples = [
        replace(each, counted=tuple(tuple(rnd.random() < 0.5 for _ in one.token_ids) for one in each.sequences))
        for each in make_examples(5)
    ]
    parameters = [value for value in model.parameters() if value.requires_grad]
    fast = summed_logps(model, collate(examples))
    wanted = [(each.sequences[n], each.counted[n]) for n in (0, 1) for each in examples]
    slow = torch.stack([masked_logp(model, *each) for each in wanted])
    torch.testing.assert_close(fast, slow, atol=1e-4, rtol=0)
    signs = torch.tensor([1.0] * 5 + [-1.0] * 5)
    gradients = [torch.autograd.grad((each * signs).sum(), parameters) for each in (fast, slow)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


def masked_logp(model, one, counted):
    ids = [*one.prompt_token_ids, *one.token_ids]
    logps = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)
    start = len(one.prompt_token_ids)
    return sum((logps[start + n - 1, id] for n, id in enumerate(one.token_ids) if counted[n]), torch.zeros(()))


def test_without_masks_the_sum_is_to_the_last_bit_that_of_the_whole_response():
    """In a batch where rows are shared, for several shapes."""
    torch.manual_seed(0)
    for count in (1, 2, 5, 16):
        batch = collate(make_examples(count))
        logps = torch.randn(batch.response_mask.shape).masked_fill(~batch.response_mask, 0.0)
        assert batch.summed(logps).equal(logps.sum(-1)[batch.rows_N])


def test_chosen_rows_come_first_and_each_pair_keeps_its_own_prompt():
    pairs = make_pairs(5)
    batch = collate(pair_examples(pairs))
    assert batch.rows_N.tolist() == list(range(10))
    for row, side in enumerate([pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]):
        ids = batch.token_ids[row][batch.attention_mask[row].bool()].tolist()
        assert ids == [*side.prompt_token_ids, *side.token_ids]


def test_sides_with_unequal_prompts_are_refused_by_name():
    pair = make_pairs(1)[0]
    other = replace(pair, rejected=replace(pair.rejected, prompt_token_ids=(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)))
    with pytest.raises(DataError, match="1/prompt-0/1"):
        pair_examples([other])


def test_batches_are_the_same_for_the_same_seed_and_differ_for_another():
    def order(seed):
        return [example.index for batch in global_batches(make_examples(20), 4, seed) for example in batch]

    assert order(1) == order(1) != order(2)
    assert sorted(order(3)) == list(range(20))


def test_the_last_batch_is_filled_with_copies_that_weigh_nothing():
    batches = global_batches(make_examples(10), 4, seed=0)
    assert [len(batch) for batch in batches] == [4, 4, 4]
    assert [sum(example.weight for example in batch) for batch in batches] == [4, 4, 2]
    assert sorted(example.index for batch in batches for example in batch if example.weight) == list(range(10))


@pytest.mark.parametrize(("world", "size"), [(1, 8), (1, 2), (2, 2), (4, 2), (4, 1)])
def test_ranks_share_a_batch_without_loss_or_overlap_and_in_equal_parts(world, size):
    batch = global_batches(make_examples(10), 8, seed=0)[1]
    shares = [micro_batches(batch, size, rank, world) for rank in range(world)]
    assert {len(share) for share in shares} == {8 // (world * size)}
    parts = [part for share in shares for part in share]
    assert sorted(index for part in parts for index in part.indices_D.tolist()) == sorted(one.index for one in batch)
    assert sum(part.weights_D.sum() for part in parts) == 2


def test_a_batch_that_does_not_divide_over_the_ranks_is_refused():
    with pytest.raises(ValueError, match="does not divide"):
        micro_batches(make_examples(3), 1, 0, 2)


@pytest.mark.parametrize("sides", [1, 2])
def test_examples_of_like_lengths_share_a_forward_pass_where_rows_are_not_packed(sides):
    sized = zip(make_examples(8), (3, 30, 4, 31, 5, 32, 6, 33), strict=True)
    batch = [replace(each, sequences=(Continuation((1, each.index), (2,) * length),) * sides) for each, length in sized]
    parts = [part.response_lengths_N.tolist() for rank in range(2) for part in micro_batches(batch, 2, rank, world=2)]
    assert sorted(sorted(set(lengths)) for lengths in parts) == [[3, 4], [5, 6], [30, 31], [32, 33]]


# Sequences that several examples share


def shared_pairs(prompts=5, responses=4, pairs=5, seed=0):
    """As the pairs of a round are: several of a prompt, of few responses."""
    rnd = random.Random(seed)
    made = []
    for number in range(prompts):
        prompt = tuple(rnd.randrange(1, VOCAB) for _ in range(rnd.randrange(2, 9)))
        sides = [
            make_response(
                "",
                prompt=f"prompt-{number}",
                index=k,
                prompt_tokens=prompt,
                tokens=tuple(rnd.choices(range(1, VOCAB), k=k + 2)),
            )
            for k in range(responses)
        ]
        made += [make_pair(*rnd.sample(sides, 2)) for _ in range(pairs)]
    return made


def test_a_prompts_examples_are_in_the_same_batch_or_in_two_that_follow_each_other():
    examples = pair_examples(shared_pairs(prompts=12, pairs=6))
    batches = global_batches(examples, 8, seed=1)
    for number in range(12):
        places = [k for k, batch in enumerate(batches) for one in batch if one.index // 6 == number and one.weight]
        assert len(places) == 6 and max(places) - min(places) <= 1


def test_each_distinct_sequence_runs_once_in_a_forward_pass():
    examples = pair_examples(shared_pairs(pairs=8))
    for batch in global_batches(examples, 8, seed=1):
        (part,) = micro_batches(batch, 8)
        assert len(part.token_ids) == len({one for example in batch for one in example.sequences}) <= 4
        sequences_N = [*(example.sequences[0] for example in batch), *(example.sequences[1] for example in batch)]
        for row, sequence in zip(part.rows_N.tolist(), sequences_N, strict=True):
            ids = part.token_ids[row][part.attention_mask[row].bool()].tolist()
            assert ids == [*sequence.prompt_token_ids, *sequence.token_ids]
        assert part.response_lengths_N.tolist() == [len(one.token_ids) for one in sequences_N]


@pytest.mark.parametrize("layout", [left_padded, sharing_prompts])
def test_the_gradient_is_that_of_every_pair_alone(model, layout):
    """The slow way: each side of each pair unpadded, in a pass of its own, with pairs of unequal weight and a filler."""
    examples = [replace(each, weight=0.2 + each.index % 3) for each in pair_examples(shared_pairs())]
    normaliser, reference = sum(each.weight for each in examples), -torch.rand(len(examples), 2)
    parameters = list(model.parameters())

    def gradients(parts):
        model.zero_grad()
        for part in parts:
            StepObjective(Dpo(0.3), reference, normaliser, nll_weight=0.5)(summed_logps(model, part), part)[0].backward()
        return [value.grad.clone() for value in parameters]

    batches = global_batches(examples, 8, seed=2)
    parts = [part for batch in batches for part in micro_batches(batch, 4, layout=layout)]
    fast = gradients(parts)
    assert sum(len(part.token_ids) for part in parts) < 0.8 * 2 * len(examples)

    model.zero_grad()
    for example in examples:
        chosen, rejected = (summed_logps(model, collate([replace(example, sequences=(one,))]))[0] for one in example.sequences)
        margin = 0.3 * (chosen - reference[example.index, 0] - rejected + reference[example.index, 1])
        nll = -chosen / len(example.sequences[0].token_ids)
        (example.weight / normaliser * (-torch.nn.functional.logsigmoid(margin) + 0.5 * nll)).backward()
    for found, value in zip(fast, parameters, strict=True):
        assert (found - value.grad).norm() < 1e-5 * value.grad.norm()  # single elements near 0 differ by rounding


def test_an_example_of_one_sequence_is_a_row_of_its_own():
    """As those of a loss that compares nothing."""
    examples = [replace(example, sequences=example.sequences[:1]) for example in make_examples(3)]
    batch = collate(examples)
    assert (len(batch.token_ids), len(batch.weights_D), batch.indices_D.tolist()) == (3, 3, [0, 1, 2])


PAIR = make_pairs(1)[0]


@pytest.mark.parametrize(
    "other",
    [
        [replace(PAIR, chosen=replace(PAIR.chosen, token_ids=(2, 3)))],
        [replace(PAIR, rejected=replace(PAIR.rejected, token_ids=(2, 3)))],
        [replace(PAIR, chosen=PAIR.rejected, rejected=PAIR.chosen)],
        [PAIR, PAIR],
    ],
    ids=["another chosen text", "another rejected text", "turned round", "one more"],
)
def test_other_examples_have_another_digest(other):
    assert digest(pair_examples(other)) != digest(pair_examples([PAIR])) == digest(pair_examples([replace(PAIR)]))


def test_examples_in_another_order_or_with_another_weight_or_gap_have_another_digest():
    examples = make_examples(3)
    changes = [{"weight": 0.5}, {"fact_gap": 0.5}, {"flipped": True}, {"advantage": 0.5}, {"counted": ((True,), (False,))}]
    others = [examples[::-1], *([replace(example, **change) for example in examples] for change in changes)]
    assert len({digest(each) for each in (examples, *others)}) == 1 + len(others)


# Rows that answers share


@pytest.mark.parametrize(("world", "size"), [(1, 8), (2, 2), (4, 1)])
def test_packed_parts_hold_each_answer_once_and_each_has_long_and_short_ones(world, size):
    batch = [replace(each, sequences=each.sequences[:1]) for each in make_examples(8)]
    shares = [micro_batches(batch, size, rank, world, packed) for rank in range(world)]
    assert {len(share) for share in shares} == {8 // (world * size)}
    parts = [part for share in shares for part in share]
    assert sorted(index for part in parts for index in part.indices_D.tolist()) == list(range(8))
    for part in parts:
        lengths = [len(batch[index].sequences[0].token_ids) for index in part.indices_D.tolist()]
        assert part.response_lengths_N.tolist() == lengths
    if size == 2:
        longest = [max(batch[index].columns for index in part.indices_D.tolist()) for part in parts]
        assert sorted(longest) == sorted(each.columns for each in batch)[4:]


def test_a_packed_step_minimises_what_an_unpacked_one_does(model):
    from flame_ray.learner.losses.nll import Nll

    examples = [replace(each, sequences=each.sequences[:1], weight=0.5 + each.index) for each in make_examples(8)]

    def step(layout):
        parts = micro_batches(examples, 4, layout=layout)
        return sum(StepObjective(Nll(), torch.zeros(8, 1), 3.0)(summed_logps(model, part), part)[0] for part in parts)

    assert step(packed).item() == pytest.approx(step(left_padded).item(), abs=1e-5)
