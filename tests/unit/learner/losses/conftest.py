"""What a step minimises, from numbers that a test gives: chosen sides first, then the rejected ones."""

import pytest
import torch

from flame_ray.engines.base import Continuation
from flame_ray.learner.collate import collate
from flame_ray.learner.data import Example
from flame_ray.learner.losses import StepObjective


@pytest.fixture
def minimise():
    """(scalar to minimise, its gradient by each log-probability, sums for the report by name)"""

    def minimise(loss, policy, reference, weights=None, normaliser=None, lengths=None, nll_weight=0.0, fields=()):
        """`fields`: what each example has beyond its sequences and its weight, a dictionary each."""
        pairs = len(policy) // 2
        weights, lengths = weights or [1.0] * pairs, lengths or [1] * len(policy)
        sides = [Continuation((1,), (2,) * length) for length in lengths]
        fields = fields or [{}] * pairs
        examples = [Example(i, (sides[i], sides[i + pairs]), weights[i], **fields[i]) for i in range(pairs)]
        table = torch.tensor(reference).view(2, -1).T
        logps = torch.tensor(policy, requires_grad=True)
        objective = StepObjective(loss, table, normaliser or sum(weights), nll_weight)
        scalar, sums = objective(logps, collate(examples))
        scalar.backward()
        return scalar.item(), logps.grad.tolist(), {name: value.item() for name, value in sums.items()}

    return minimise
