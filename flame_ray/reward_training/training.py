"""Trains the fine-tuned checker's model by logistic loss, with equal weight for both labels of each group.

On one machine, the same data and seed give the same model.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from flame_ray.engines.finetuned import PairClassifier, encode, short_floats, trained_tensors
from flame_ray.errors import EngineError
from flame_ray.seeds import derived_seed

WARM_UP = 40  # steps
CLIP, DECAY = 1.0, 0.01
HEAD_RATE = 10  # times the learning rate of the adapter, because the head starts at zero
POOL = 16  # examples of this many batches are sorted by length together
Step = TypeVar("Step")
Advance = Callable[[int, int, float], None]  # (step, steps, loss)


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """A claim and its evidence as the model reads them, with the lexical logit and the label."""

    pair: tuple[str, str]
    lexical: float
    supported: bool
    group: str  # the data set: its two labels weigh the same


@dataclass(frozen=True, slots=True)
class Phase:
    """Some epochs over labelled pairs, with a learning rate that falls to zero."""

    pairs: Sequence[LabelledPair]
    epochs: int
    lr: float
    batch: int


@dataclass(frozen=True, slots=True)
class Pace:
    """The learning rate rises over the first `warm_up` steps, and falls to zero over all. `setting` is its path.

    `together`: over so many steps gradients are averaged, before the weights change.
    """

    warm_up: int
    setting: str
    together: int = 1


def train(model: PairClassifier, tokenizer: Any, phase: Phase, seed: int, advance: Advance) -> None:
    """Trains the model in place; calls `advance(step, steps, loss)`. Raises EngineError if the loss is not finite."""
    torch.manual_seed(seed)
    model.train()
    optimizer = adapter_optimizer(model, dict(trained_tensors(model)), phase.lr, HEAD_RATE)
    batches = [batch for epoch in range(phase.epochs) for batch in _batches(phase, derived_seed(seed, "order", epoch))]
    weights = _weights(phase.pairs)

    def losses(batch: Sequence[LabelledPair]) -> Iterable[Tensor]:
        yield _loss(model, tokenizer, batch, weights)

    descend(optimizer, batches, losses, Pace(WARM_UP, "train_checker.lr"), advance)


def descend(
    optimizer: torch.optim.Optimizer,
    steps: Sequence[Step],
    losses: Callable[[Step], Iterable[Tensor]],
    pace: Pace,
    advance: Advance,
) -> None:
    """Lower the sum of the scalar losses that `losses` gives of each step. Its graphs may be made one after another.

    Calls `advance(step, steps, loss)`. Raises EngineError if a loss is not finite.
    """
    for number, step in enumerate(steps, start=1):
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * min(1.0, number / pace.warm_up) * (1 - (number - 1) / len(steps))
        total = 0.0
        for loss in losses(step):
            if not torch.isfinite(loss):
                raise EngineError("a finite loss", f"{loss.item()} at step {number}", f"lower {pace.setting}")
            (loss / pace.together).backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        if number % pace.together == 0 or number == len(steps):
            torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], CLIP)
            optimizer.step()
            optimizer.zero_grad()
        advance(number, len(steps), total)


def adapter_optimizer(model: nn.Module, trained: Mapping[str, Tensor], lr: float, head_rate: float) -> torch.optim.Optimizer:
    """Weight decay for the adapter, `head_rate` times its rate for the head; nothing else than `trained` is trained."""
    for name, each in model.named_parameters():
        each.requires_grad_(name in trained)
    adapter = [each for name, each in trained.items() if ".lora_" in name]
    head = [each for name, each in trained.items() if ".lora_" not in name]
    groups = [{"params": adapter, "lr": lr, "weight_decay": DECAY}, {"params": head, "lr": head_rate * lr, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def _loss(
    model: PairClassifier, tokenizer: Any, batch: Sequence[LabelledPair], weights: dict[tuple[str, bool], float]
) -> Tensor:
    labels = torch.tensor([float(each.supported) for each in batch])
    weight = torch.tensor([weights[each.group, each.supported] for each in batch])
    with short_floats():
        logits = model(*encode(tokenizer, [each.pair for each in batch]), torch.tensor([each.lexical for each in batch]))
    losses = binary_cross_entropy_with_logits(logits.float(), labels, reduction="none")
    return (weight * losses).sum() / weight.sum()


def _weights(pairs: Sequence[LabelledPair]) -> dict[tuple[str, bool], float]:
    """The weight of a pair by its group and label: the two labels of a group have the same sum."""
    counts = Counter((each.group, each.supported) for each in pairs)
    totals = Counter(each.group for each in pairs)
    return {key: totals[key[0]] / (2 * count) for key, count in counts.items()}


def _batches(phase: Phase, seed: int) -> list[list[LabelledPair]]:
    """One epoch: shuffled, then sorted by length within POOL batches, so that there is little padding."""
    draw = random.Random(seed)
    order = draw.sample(range(len(phase.pairs)), len(phase.pairs))
    size = phase.batch * POOL
    pools = [order[start : start + size] for start in range(0, len(order), size)]
    sorted_ = [index for pool in pools for index in sorted(pool, key=lambda index: sum(map(len, phase.pairs[index].pair)))]
    batches = [sorted_[start : start + phase.batch] for start in range(0, len(sorted_), phase.batch)]
    draw.shuffle(batches)
    return [[phase.pairs[index] for index in batch] for batch in batches]
