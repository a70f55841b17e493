"""How one and two real rollout workers do on the cores of this machine.

    python -m tests.benchmarks.scale_real [--prompts 96]

NOT a GPU figure. SmolLM2-135M in vLLM on the CPU, one thread a worker, so that two workers have twice the cores of one; 6
responses of at most 64 tokens a prompt, batches of 240 sequences. Memory bandwidth is shared, so that less than twice is to
be expected. Both are measured in this run, after a warm-up.
"""

# ruff: noqa: T201
import argparse
import time

import ray

from flame_ray.cluster.event_loop import EventLoop
from flame_ray.cluster.pool import Limits, WorkerPool
from flame_ray.config import RolloutConfig
from flame_ray.config.load import parse_config
from flame_ray.controller.workers import actor_options
from flame_ray.engines.models import SMOLLM2, reference
from flame_ray.engines.vllm_engine import VllmOptions
from flame_ray.prompts.load import load_prompts
from flame_ray.rollout.actor import RolloutActor
from flame_ray.rollout.pool import RolloutPool
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.types import Prompt

SAMPLES, TOKENS, WARM = 6, 64, 16


def measure(workers: int, prompts_P: tuple[Prompt, ...]) -> tuple[float, float]:
    """Prompts and tokens a second."""
    options = VllmOptions(reference(SMOLLM2), "bfloat16", 512, 96, 1.0, 0.8, 0)
    role = RolloutConfig(workers=workers, threads=1)
    event_loop = EventLoop()
    limits = Limits(workers, workers, role.batch, start_timeout_s=300, refill=role.refill)
    remote = ray.remote(RolloutActor)
    pool = WorkerPool("rollout", lambda *_: remote.options(**_options(role)).remote(options), limits, event_loop)
    pool.wait_ready()
    rollouts = RolloutPool(pool)
    list(rollouts.generate(prompts_P[: WARM * workers], SamplingPlan(1, 0, SAMPLES, TOKENS, 1.0)))
    start = time.monotonic()
    groups = list(rollouts.generate(prompts_P, SamplingPlan(2, 0, SAMPLES, TOKENS, 1.0)))
    seconds = time.monotonic() - start
    pool.close()
    event_loop.close()
    return len(groups) / seconds, sum(len(each.token_ids) for group in groups for each in group.responses_G) / seconds


def _options(role: RolloutConfig) -> dict:
    return {key: value for key, value in actor_options("rollout", role).items() if key != "name"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=96)
    asked = parser.parse_args()
    prompts_P = load_prompts(parse_config({}, "here").prompts).prompts[: asked.prompts]
    ray.init(address="local", include_dashboard=False, object_store_memory=2**28, log_to_driver=False)
    found = {workers: measure(workers, prompts_P) for workers in (1, 2)}
    print("| real workers, one thread each | prompts | prompts/s | tokens/s | against one |\n|---|---|---|---|---|")
    for workers, (prompts_s, tokens_s) in found.items():
        print(f"| {workers} | {asked.prompts} | {prompts_s:.2f} | {tokens_s:.0f} | {prompts_s / found[1][0]:.2f} |")
    ray.shutdown()


if __name__ == "__main__":
    main()
