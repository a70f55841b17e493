"""Supervised fine-tuning the slow way, with transformers and torch alone: an answer at a time, unpadded, labels and a loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from flame_ray.config import LearnerConfig
from flame_ray.learner.data import Example, global_batches
from flame_ray.learner.training import learning_rate
from flame_ray.seeds import derived_seed

NOT_LEARNED = -100  # transformers' label of a token that counts in no loss


@dataclass(frozen=True)
class Tuned:
    """`losses`: of each step, the mean over its answers' tokens, before the update."""

    losses: list[float]
    weights: dict[str, Tensor]


def slow_sft(model_path: str | Path, examples_D: Sequence[Example], config: LearnerConfig, seed: int) -> Tuned:
    """All parameters in float32. The order of the examples is the learner's."""
    model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    batches = global_batches(examples_D, config.batch_pairs, derived_seed(seed, "shuffle", 1))
    a_step = sum(example.response_tokens for example in examples_D) / len(batches)  # tokens, on average
    plan = [batch for epoch in range(config.epochs) for batch in (batches if epoch == 0 else _reordered(batches, seed, epoch))]
    losses = []
    for step, batch in enumerate(plan):
        counted = [example for example in batch if example.weight]
        summed = sum((_summed_loss(model, example) for example in counted), torch.zeros(()))
        optimizer.param_groups[0]["lr"] = learning_rate(config, 1, step / len(plan))
        optimizer.zero_grad()
        (summed / a_step).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        optimizer.step()
        losses.append(summed.item() / sum(example.response_tokens for example in counted))
    return Tuned(losses, {name: value.detach().clone() for name, value in model.state_dict().items()})


def _reordered(batches: list[list[Example]], seed: int, epoch: int) -> list[list[Example]]:
    return Random(derived_seed(seed, "order", 1, epoch)).sample(batches, len(batches))


def _summed_loss(model: torch.nn.Module, example: Example) -> Tensor:
    """transformers' own mean over the answer's tokens, times their number."""
    (sequence,) = example.sequences
    ids = torch.tensor([[*sequence.prompt_token_ids, *sequence.token_ids]])
    labels = ids.clone()
    labels[0, : len(sequence.prompt_token_ids)] = NOT_LEARNED
    return model(ids, labels=labels).loss * len(sequence.token_ids)
