"""What a run has learned, beside its counts: whose answers its model prefers, and where its adapter moved the weights."""

from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from flame_ray.evaluation.metrics import bootstrap_mean
from flame_ray.journal.shards import Shards
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Pair, Response
from tests.integration.chaos.harness import ChaosRun

RESAMPLES = 1000


@dataclass(frozen=True)
class Learned:
    """`margins_D`: by how many nats more than the initial model the trained one prefers the chosen side of each pair.
    `adapter`: its matrices by name. `metrics`: those of the held-out answers, by name, with their 95 % intervals.
    """

    margins_D: tuple[float, ...]
    adapter: dict[str, Tensor]
    metrics: dict[str, float | None]
    intervals: dict[str, tuple[float | None, float | None]]


def learned(run: ChaosRun, round: int, pairs_D: tuple[Pair, ...], model: Path) -> Learned:
    """What the run has learned by the end of a round, with its preferences on these pairs."""
    folder, evaluation = adapter_of(run, round), run.summary["rounds"][round]["evaluation"]
    metrics = {name: evaluation[name] for name in evaluation["ci95"]}
    adapter = load_file(folder / "adapter_model.safetensors")
    return Learned(margins(model, folder, pairs_D), adapter, metrics, evaluation["ci95"])


def adapter_of(run: ChaosRun, round: int) -> Path:
    return run.folder / "checkpoints" / f"round-{round:04d}" / "adapter"


def pairs_of(run: ChaosRun, round: int) -> tuple[Pair, ...]:
    return Shards(Storage(str(run.folder))).read_pairs(round).pairs_D


def differences(found: Learned, expected: Learned, least_cosine: float) -> list[str]:
    """In words, what of the learning result is not that of the expected run within the expected run's 95 % intervals."""
    outside = [
        f"{name} is {found.metrics[name]}, outside {expected.intervals[name]}"
        for name in expected.metrics
        if not _is_inside(found.metrics[name], *expected.intervals[name])
    ]
    wanted = bootstrap_mean(expected.margins_D, RESAMPLES, seed=0)
    margin, alike = sum(found.margins_D) / len(found.margins_D), cosine(found.adapter, expected.adapter)
    if not _is_inside(margin, wanted.low, wanted.high):
        outside.append(f"the margin is {margin:.3f} nats, outside {wanted}")
    if alike < least_cosine:
        outside.append(f"the update of the weights has a cosine of {alike:.4f} with the expected one, below {least_cosine}")
    return outside


def _is_inside(value: float | None, low: float | None, high: float | None) -> bool:
    """A metric that no answer has is nowhere, and so is its interval."""
    if value is None or low is None or high is None:
        return value is low is None
    return low - 1e-9 <= value <= high + 1e-9


def cosine(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """Of the updates B A of all modules; 0 where one has not moved.

    The inner product of B A and D C is that of (B^T D) and (A C^T), which are small.
    """
    lengths = _inner(a, a) * _inner(b, b)
    return _inner(a, b) / lengths**0.5 if lengths else 0.0


def _inner(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    total = 0.0
    for name in (name for name in a if "lora_A" in name):
        a1, a2, b1, b2 = (each[key].double() for key in (name, name.replace("lora_A", "lora_B")) for each in (a, b))
        total += ((b1.T @ b2) * (a1 @ a2.T)).sum().item()
    return total


def margins(model: Path, adapter: Path, pairs_D: tuple[Pair, ...]) -> tuple[float, ...]:
    """log(policy / initial model) of the chosen side less that of the rejected one, in nats, pair by pair."""
    policy = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), adapter).eval()
    gains = {side.id: _gain(policy, side) for pair in pairs_D for side in (pair.chosen, pair.rejected)}
    return tuple(gains[pair.chosen.id] - gains[pair.rejected.id] for pair in pairs_D)


@torch.inference_mode()
def _gain(policy: PeftModel, side: Response) -> float:
    trained = _logprob(policy, side)
    with policy.disable_adapter():
        return trained - _logprob(policy, side)


def _logprob(model: PreTrainedModel | PeftModel, side: Response) -> float:
    """Of the response's tokens, summed."""
    tokens = torch.tensor([[*side.prompt_token_ids, *side.token_ids]])
    logps = model(tokens[:, :-1]).logits[0].log_softmax(-1)
    return logps.gather(-1, tokens[0, 1:, None])[-len(side.token_ids) :].sum().item()
