"""Training of the fine-tuned checker: it learns what can be learned, changes only what is trained, and is reproducible."""

import math

import pytest
import torch
from peft import LoraConfig, get_peft_model

from flame_ray.engines.finetuned import DEPTH, PairClassifier, load_base, score_pairs, trained_tensors
from flame_ray.errors import EngineError
from flame_ray.reward_training.training import POOL, LabelledPair, Pace, Phase, _batches, _loss, _weights, descend, train

CAPITALS = {"Peru": "Lima", "Kenya": "Nairobi", "Japan": "Tokyo", "Cuba": "Havana", "Chile": "Santiago"}
TOY = [
    LabelledPair((f"The capital of {country} is {city}.", f"{city} is {what}."), 0.5, what == "sunny", "toy")
    for country, city in CAPITALS.items()
    for what in ("sunny", "frozen", "sunny", "frozen")
] * 2


@pytest.fixture(scope="module")
def base():
    return load_base()


def tiny(seed=0):
    """A model of the same names that is small enough to be trained at once."""
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(seed)
    size = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": DEPTH}
    blocks = LlamaModel(LlamaConfig(vocab_size=49152, num_key_value_heads=2, **size))
    return PairClassifier(get_peft_model(blocks, LoraConfig(r=4, target_modules=r"layers\.1\..*_proj")), 16)


def quiet(*_):
    """Hears nothing."""


def check_that_it_learns(model, tokenizer, lr, epochs):
    """Of what it was not shown, too; and nothing moves but what is trained."""
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    heard = []
    train(model, tokenizer, Phase(TOY, epochs, lr, batch=8), 1, lambda *said: heard.append(said))
    steps = 5 * epochs
    assert [(step, of) for step, of, _ in heard] == [(step, steps) for step in range(1, steps + 1)]
    assert sum(loss for *_, loss in heard[-5:]) < 0.5 * sum(loss for *_, loss in heard[:5])
    unseen = [
        LabelledPair((f"The capital of {country} is {city}.", f"{city} is {what}."), 0.0, what == "sunny", "")
        for country, city in (("Italy", "Rome"), ("Norway", "Oslo"))
        for what in ("sunny", "frozen")
    ]
    logits = score_pairs(model, tokenizer, [each.pair for each in unseen])
    assert [logit > 0 for logit in logits] == [each.supported for each in unseen]
    moved = {name for name, each in model.named_parameters() if not torch.equal(each, before[name])}
    assert moved == {name for name, _ in trained_tensors(model)}


def test_a_small_model_learns_what_can_be_told_apart(base):
    check_that_it_learns(tiny(), base[0], lr=0.03, epochs=6)


@pytest.mark.long
def test_the_model_that_is_shipped_learns_what_can_be_told_apart(base):
    tokenizer, model = base
    check_that_it_learns(model, tokenizer, lr=1e-3, epochs=12)


def test_equal_seeds_give_equal_weights_and_another_seed_others(base):
    found = []
    for place, seed in enumerate((1, 1, 2)):
        model = tiny()
        torch.manual_seed(place)  # whatever the process drew before
        train(model, base[0], Phase(TOY[:16], epochs=2, lr=1e-3, batch=4), seed, quiet)
        found.append([each.detach() for each in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(found[0], found[1], strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(found[0], found[2], strict=True))


def test_a_loss_that_is_no_number_ends_it(base):
    model = tiny()
    with torch.no_grad():
        model.head.bias.fill_(math.nan)
    with pytest.raises(EngineError, match="nan at step 1"):
        train(model, base[0], Phase(TOY[:4], 1, 1e-3, 4), 1, quiet)


def descended(*steps: list[float]) -> list[tuple[int, float, float]]:
    """Of each step its number, its loss, and the weight after it, where a loss is a number times the weight."""
    weight, seen = torch.nn.Parameter(torch.tensor(0.0)), []
    optimizer = torch.optim.SGD([{"params": [weight], "lr": 1.0, "initial_lr": 1.0}])
    pace = Pace(warm_up=1, setting="x.lr", together=2)

    def advance(step: int, steps: int, loss: float) -> None:
        seen.append((step, loss, weight.item()))

    descend(optimizer, steps, lambda step: (weight * each for each in step), pace, advance)
    return seen


def test_steps_taken_together_move_the_weights_once_by_their_mean_and_the_last_one_does_too():
    """Their rates are 2/3 and 1/3."""
    (_, _, first), (_, _, second), (number, loss, last) = descended([0.2], [0.6], [0.1, 0.1])
    assert (first, second, last) == (0.0, pytest.approx(-0.4 * 2 / 3), pytest.approx(-0.8 / 3 - 0.1 / 3))
    assert (number, loss) == (3, pytest.approx(-0.2 * 0.8 / 3))


def test_a_loss_that_is_no_number_names_its_step_and_the_setting_of_the_rate():
    with pytest.raises(EngineError, match=r"nan at step 2.*lower x\.lr"):
        descended([0.1], [0.1, math.nan])


def test_a_phase_without_pairs_moves_nothing(base):
    model = tiny()
    train(model, base[0], Phase([], 3, 1e-3, 4), 1, lambda *_: 1 / 0)
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), tiny().parameters(), strict=True))


def test_both_labels_of_a_group_weigh_the_same():
    counts = {("a", True): 3, ("a", False): 1, ("b", False): 2}
    examples = [
        LabelledPair(("", ""), 0.0, supported, group) for (group, supported), count in counts.items() for _ in range(count)
    ]
    weights = _weights(examples)
    assert weights == {("a", True): pytest.approx(4 / 6), ("a", False): 2.0, ("b", False): 0.5}
    assert weights["a", True] * 3 == weights["a", False] * 1


def test_the_loss_is_the_weighted_mean_of_the_logistic_losses(base):
    model = tiny().eval()
    with torch.no_grad():
        model.head.bias.fill_(math.log(3))  # P(supported) = 3/4 for all
    batch = [LabelledPair(("a", "b"), 0.0, True, "g"), LabelledPair(("a", "b"), 0.0, False, "g")]
    loss = _loss(model, base[0], batch, {("g", True): 3.0, ("g", False): 1.0})
    assert loss.item() == pytest.approx((3 * math.log(4 / 3) + math.log(4)) / 4, abs=0.01)


def test_an_epoch_has_every_example_once_in_batches_of_like_length():
    examples = [LabelledPair(("x" * length, ""), 0.0, True, "") for length in range(50)]
    batches = _batches(Phase(examples, 1, 1e-3, batch=4), seed=1)
    assert len(batches) <= POOL and sorted(len(batch) for batch in batches) == [2] + [4] * 12
    lengths = [[len(each.pair[0]) for each in batch] for batch in batches]
    assert sorted(length for batch in lengths for length in batch) == list(range(50))
    assert all(max(batch) - min(batch) <= 3 for batch in lengths)
    assert lengths != sorted(lengths)


def test_every_epoch_and_seed_is_shuffled_anew_and_can_be_drawn_again():
    phase = Phase(TOY, 1, 1e-3, batch=4)
    assert _batches(phase, 1) == _batches(phase, 1) != _batches(phase, 2)
