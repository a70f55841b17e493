"""Trains the small checker: logistic loss on labelled pairs, both labels of each group weighing the same.

In: labelled pairs in two courses, the second of them with people's labels. Out: a model that `small_model.save` writes.
Knows nothing of claims, files or thresholds. On one machine the same data and seed give the same model.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from flame_ray.engines.finetuned import Reader, encode, trained_tensors
from flame_ray.errors import EngineError

WARM_UP = 40  # steps
CLIP, DECAY = 1.0, 0.01
HEAD_RATE = 10  # the head begins at nothing, and moves faster than the adapter
POOL = 16  # batches that are sorted by length together


@dataclass(frozen=True, slots=True)
class Example:
    """A question as the model reads it, with the lexical logit, and its answer. Groups weigh their two labels the same."""

    pair: tuple[str, str]
    words: float
    supported: bool
    group: str


@dataclass(frozen=True, slots=True)
class Course:
    """Some epochs over examples at a rate that falls to zero."""

    examples: Sequence[Example]
    epochs: int
    lr: float
    batch: int


def teach(model: Reader, tokenizer: Any, course: Course, seed: int, advance: Callable[[int, int, float], None]) -> None:
    """Moves the model's trained tensors; `advance` hears of (step, steps, loss). Raises EngineError at a loss of NaN."""
    torch.manual_seed(seed)
    model.train()
    optimizer = _optimizer(model, course.lr)
    batches = [batch for epoch in range(course.epochs) for batch in _batches(course, seed + epoch)]
    weights = _weights(course.examples)
    for step, batch in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * min(1.0, step / WARM_UP) * (1 - (step - 1) / len(batches))
        loss = _loss(model, tokenizer, batch, weights)
        if not torch.isfinite(loss):
            raise EngineError("a finite loss", f"{loss.item()} at step {step}", "lower train_checker.lr")
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], CLIP)
        optimizer.step()
        optimizer.zero_grad()
        advance(step, len(batches), loss.item())


def _optimizer(model: Reader, lr: float) -> torch.optim.Optimizer:
    """The adapter with decay, the head without it at a higher rate; nothing else moves."""
    trained = dict(trained_tensors(model))
    for name, each in model.named_parameters():
        each.requires_grad_(name in trained)
    adapter = [each for name, each in trained.items() if ".lora_" in name]
    head = [each for name, each in trained.items() if ".lora_" not in name]
    groups = [{"params": adapter, "lr": lr, "weight_decay": DECAY}, {"params": head, "lr": HEAD_RATE * lr, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def _loss(model: Reader, tokenizer: Any, batch: Sequence[Example], weights: dict[tuple[str, bool], float]) -> Tensor:
    labels = torch.tensor([float(each.supported) for each in batch])
    weight = torch.tensor([weights[each.group, each.supported] for each in batch])
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(*encode(tokenizer, [each.pair for each in batch]), torch.tensor([each.words for each in batch]))
    losses = binary_cross_entropy_with_logits(logits.float(), labels, reduction="none")
    return (weight * losses).sum() / weight.sum()


def _weights(examples: Sequence[Example]) -> dict[tuple[str, bool], float]:
    counts = Counter((each.group, each.supported) for each in examples)
    totals = Counter(each.group for each in examples)
    return {key: totals[key[0]] / (2 * count) for key, count in counts.items()}


def _batches(course: Course, seed: int) -> list[list[Example]]:
    """One epoch: shuffled, then sorted by length within POOL batches, so that little is padded."""
    draw = random.Random(seed)
    order = draw.sample(range(len(course.examples)), len(course.examples))
    size = course.batch * POOL
    pools = [order[start : start + size] for start in range(0, len(order), size)]
    sorted_ = [index for pool in pools for index in sorted(pool, key=lambda index: sum(map(len, course.examples[index].pair)))]
    batches = [sorted_[start : start + course.batch] for start in range(0, len(sorted_), course.batch)]
    draw.shuffle(batches)
    return [[course.examples[index] for index in batch] for batch in batches]
