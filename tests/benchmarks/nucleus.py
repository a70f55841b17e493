"""How long a step of nucleus sampling takes that sorts the vocabulary, and one that looks at the largest logits.

    python -m tests.benchmarks.nucleus [--rows 32] [--vocabulary 49152]

CPU milliseconds of one thread, the median of 9 and from where to where they reach, by turns. The logits are peaked, as a
language model's mostly are, or flat, so that the nucleus does not fit and ours has to sort as well.
"""

# ruff: noqa: T201
import argparse
import statistics
import time
from collections.abc import Callable

import torch
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p_pytorch

from flame_ray.engines.nucleus import keep_nucleus

TURNS = 9


def milliseconds(step: Callable[[], object]) -> float:
    start = time.process_time()
    step()
    return 1000 * (time.process_time() - start)


def told(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} ({min(times):.1f} to {max(times):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--vocabulary", type=int, default=49152)
    words = parser.parse_args()
    torch.set_num_threads(1)
    flat = 2 * torch.randn(words.rows, words.vocabulary, generator=torch.Generator().manual_seed(0))
    peaked = flat.clone()
    peaked[:, :20] += torch.linspace(8, 14, 20)
    p = torch.full((words.rows,), 0.9)
    for name, logits in (("peaked", peaked), ("flat", flat)):
        steps = (lambda of=logits: apply_top_k_top_p_pytorch(of.clone(), None, p), lambda of=logits: keep_nucleus(of, p))
        turns = [[milliseconds(step) for step in steps] for _ in range(TURNS)]
        sorts, ours = (list(times) for times in zip(*turns, strict=True))
        ratio = statistics.median(sorts) / statistics.median(ours)
        print(f"{name}: sorted {told(sorts)}, ours {told(ours)} ms; {ratio:.1f} times as fast")


if __name__ == "__main__":
    main()
