"""What it saves that responses to a prompt share its forward pass: the pairs of a run's round, in both layouts of rows.

    python -m tests.benchmarks.layouts RUN [--round 1] [--pairs 16] [--micro-batch 8] [--dtype float32] [--repeat 3]

SmolLM2-135M with an adapter goes forward and backward over the same micro-batches, on one thread, by turns. The seconds are
those of the CPU, which other work on the machine changes little.
"""

# ruff: noqa: T201
import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch
from torch import nn

from flame_ray.config import LearnerConfig, LoraConfig, ModelConfig
from flame_ray.engines import policy
from flame_ray.engines.batch import Batch, left_padded
from flame_ray.engines.logps import token_logps
from flame_ray.engines.models import SMOLLM2, ModelRef, resolve_model
from flame_ray.engines.packing import sharing_prompts
from flame_ray.journal.shards import Shards
from flame_ray.learner.collate import micro_batches
from flame_ray.learner.data import global_batches, pair_examples
from flame_ray.storage.filesystem import Storage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--round", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, default=8)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeat", type=int, default=3)
    words = parser.parse_args()
    pairs = Shards(Storage(words.run)).read_pairs(words.round).pairs_D[: words.pairs]
    batches = global_batches(pair_examples(pairs), words.micro_batch, seed=1)
    parts = {
        layout: [part for batch in batches for part in micro_batches(batch, words.micro_batch, layout=layout)]
        for layout in (left_padded, sharing_prompts)
    }
    torch.set_num_threads(1)
    resolve_model(SMOLLM2, ModelConfig())
    learner = LearnerConfig(dtype=words.dtype, lora=LoraConfig(), micro_batch_pairs=words.micro_batch)
    model = policy.load_policy(ModelRef(SMOLLM2), learner).to(getattr(torch, words.dtype))  # the adapter too, as DeepSpeed does
    seconds = {layout: [] for layout in parts}
    for _ in range(words.repeat):
        for layout, each in parts.items():
            seconds[layout].append(cpu_seconds(model, each, getattr(torch, words.dtype)))
    print("| rows | columns of all rows | CPU seconds, median (all) |\n|---|---|---|")
    for layout, each in parts.items():
        tokens = sum(part.token_ids.numel() for part in each)
        told = ", ".join(f"{one:.1f}" for one in seconds[layout])
        print(f"| {layout.__name__} | {tokens} | {median(seconds[layout]):.1f} ({told}) |")


def cpu_seconds(model: nn.Module, parts: Sequence[Batch], dtype: torch.dtype) -> float:
    began = time.process_time()
    for part in parts:
        policy.suit_attention(model, part.token_ids.shape[1])
        logits = model(
            input_ids=part.token_ids,
            attention_mask=policy.additive(part.attention_mask, dtype),
            position_ids=part.position_ids,
            use_cache=False,
            logits_to_keep=part.response_mask.shape[1] + 1,
        ).logits
        part.summed(token_logps(logits, part.response_ids, part.response_mask)).sum().backward()
    return time.process_time() - began


if __name__ == "__main__":
    main()
