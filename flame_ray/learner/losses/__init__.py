"""The losses that the learner can minimise: pure maths on tensors, one file each, called what `learner.loss` calls it.

To add a loss, write its file here with a function `make(config)`, and add its name, its row of LOSSES and its settings to
config/learner.py.
D examples, each with one sequence or more; N sequences in all. For preference pairs N = 2D: the chosen sides, then the
rejected ones.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar, NamedTuple, Protocol

from torch import Tensor

from flame_ray.config import LearnerConfig
from flame_ray.engines.batch import Batch


class LossOutput(NamedTuple):
    """One number an example: the loss [D], and what else the report shows, by name, each [D]."""

    loss_D: Tensor
    metrics: dict[str, Tensor]


class Loss(Protocol):
    """`needs_reference`: whether the learner computes reference log-probabilities; without, the loss is given zeros."""

    needs_reference: ClassVar[bool]

    def __call__(self, logps: Tensor, reference: Tensor, batch: Batch) -> LossOutput:
        """`logps`, `reference`: [N], a sequence's log-probability now and before, in nats: the sum over those tokens of its
        response that count (`Batch.counted_NR`), which are all of them unless the examples say otherwise.
        """
        ...


def make_loss(config: LearnerConfig) -> Loss:
    """The loss that `learner.loss` names."""
    return import_module(f"{__name__}.{config.loss}").make(config)


@dataclass(frozen=True, slots=True)
class StepObjective:
    """What an optimizer step minimises: the weighted sum of a loss over a batch, divided by `normaliser`.

    `normaliser` is the mean over the round's *global* batches of their sums of weights, so that the results of all steps, ranks
    and micro-batches add up to the weighted mean over examples, however these are divided. An example of weight 0 only fills a
    batch up.

    `reference`: [examples of the round, sequences an example]. `nll_weight` adds, times itself, the negative log-likelihood
    of each example's first sequence, in nats a token. A margin alone lets a chosen response become unlikely as long as the
    rejected one does so faster; this term keeps it likely (Pang et al. 2024, arXiv 2404.19733, equation 1).
    """

    loss: Loss
    reference: Tensor
    normaliser: float
    nll_weight: float = 0.0

    def __call__(self, logps: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The scalar to minimise, and by name the weighted sums of the loss (without the added term) and its metrics."""
        reference = self.reference.to(logps.device)[batch.indices_D].T.reshape(-1)
        loss_D, metrics = self.loss(logps, reference, batch)
        minimised = _weighted_sum(loss_D, batch) / self.normaliser
        if self.nll_weight:
            minimised = minimised + self.nll_weight * (_weighted_sum(first_nll(logps, batch), batch) / self.normaliser)
        return minimised, {name: _weighted_sum(value.detach(), batch) for name, value in {"loss": loss_D, **metrics}.items()}


def margins(logps_2D: Tensor, reference_2D: Tensor, beta: float) -> Tensor:
    """beta * (log(policy / reference) of the chosen side - the same of the rejected side), [D]: by how much DPO's implicit
    reward prefers the chosen side (arXiv 2305.18290, section 4).
    """
    chosen_D, rejected_D = (beta * (logps_2D - reference_2D)).chunk(2)
    return chosen_D - rejected_D


def preference_metrics(margin_D: Tensor) -> dict[str, Tensor]:
    """`accuracy`: whether the chosen side has the higher implicit reward; `margin`: by how much."""
    return {"accuracy": margin_D > 0, "margin": margin_D}


def _weighted_sum(values_D: Tensor, batch: Batch) -> Tensor:
    return (values_D * batch.weights_D).sum()


def first_nll(logps: Tensor, batch: Batch) -> Tensor:
    """[D]: of each example's first sequence, the negative log-likelihood in nats a token."""
    first = slice(len(batch.weights_D))
    return -logps[first] / batch.counted_lengths_N[first].clamp(min=1)
