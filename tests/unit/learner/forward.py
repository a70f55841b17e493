"""The forward pass of a small model, for tests that compare batches with slow computations."""

import torch
from torch import Tensor, nn

from flame_ray.engines.batch import Batch
from flame_ray.engines.logps import token_logps
from flame_ray.engines.policy import additive


def summed_logps(model: nn.Module, batch: Batch) -> Tensor:
    """The log-probability of each sequence [N], from one pass over the batch's rows, padded or packed."""
    logits = model(
        input_ids=batch.token_ids,
        attention_mask=additive(batch.attention_mask, torch.float32),
        position_ids=batch.position_ids,
        use_cache=False,
        logits_to_keep=batch.response_mask.shape[1] + 1,
    ).logits
    return batch.summed(token_logps(logits, batch.response_ids, batch.response_mask))
