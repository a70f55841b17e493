"""The sampler beside vLLM called directly, with the same parameters."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.benchmarks.bench.channel import Channel, serve
from tests.benchmarks.bench.samples import Goal, Measured, Row, Side, Turn
from tests.benchmarks.bench.work import KV_CACHE_GIB, MAX_LENGTH, MAX_SEQUENCES, SAMPLES, SEED, TEMPERATURE, TOKENS, Work

if TYPE_CHECKING:
    from flame_ray.rollout.pool import RolloutPool

WORK = (
    "the same chats, others each turn so that their prefixes are not cached, each sample with a seed of its own, from the "
    "prompts to the last text, after a turn to warm up. Here one rollout worker behind its pool, on Ray; there "
    "`LLM.generate` of the same vLLM in one process, with the same settings."
)


def sides(top_p: str) -> tuple[Side, ...]:
    return Side("here", __name__, (top_p,)), Side("vLLM", "tests.benchmarks.bench.peers.vllm_alone", (top_p,))


def row(work: Work) -> Row:
    title = f"sampler, {work.prompts} prompts x {SAMPLES} samples of at most {TOKENS} tokens"
    return Row("sampler", title, WORK, sides("1.0"), (Goal("here: tokens", per="vLLM: tokens", limit=0.95),))


@contextmanager
def rollout_pool(work: Work) -> "Iterator[RolloutPool]":
    """One worker on a Ray of its own, with all cores."""
    import ray

    from flame_ray.cluster.event_loop import EventLoop
    from flame_ray.cluster.pool import Limits, WorkerPool
    from flame_ray.config import RolloutConfig
    from flame_ray.controller.workers import actor_options
    from flame_ray.engines.models import SMOLLM2, reference
    from flame_ray.engines.vllm_engine import VllmOptions
    from flame_ray.rollout.actor import RolloutActor
    from flame_ray.rollout.pool import RolloutPool

    ray.init(address="local", include_dashboard=False, object_store_memory=2**28, log_to_driver=False)
    engine = VllmOptions(reference(SMOLLM2), work.dtype, MAX_LENGTH, MAX_SEQUENCES, KV_CACHE_GIB, 0.8, SEED)
    role = RolloutConfig(threads=work.threads, max_sequences=MAX_SEQUENCES)
    event_loop, remote = EventLoop(), ray.remote(RolloutActor)
    options = {**actor_options("rollout", role), "name": None}
    limits = Limits(1, 1, role.batch, start_timeout_s=600, refill=role.refill)
    pool = WorkerPool("rollout", lambda *_: remote.options(**options).remote(engine), limits, event_loop)
    pool.wait_ready()
    yield RolloutPool(pool)
    pool.close()
    event_loop.close()
    ray.shutdown()


def sampled(pool: "RolloutPool", texts: list[str], round: int, top_p: float) -> tuple[int, float]:
    """The tokens, and the seconds that they took. Rounds differ in their prompts' ids, and so in what is drawn."""
    from flame_ray.rollout.sampling import SamplingPlan
    from flame_ray.types import Prompt

    prompts_P = [Prompt(f"{round}-{place}", text) for place, text in enumerate(texts)]
    start = time.perf_counter()
    groups = list(pool.generate(prompts_P, SamplingPlan(round, SEED, SAMPLES, TOKENS, TEMPERATURE, top_p)))
    took = time.perf_counter() - start
    return sum(len(each.token_ids) for group in groups for each in group.responses_G), took


def main() -> None:
    channel, work, top_p = Channel(), Work.given(), float(sys.argv[2])
    with rollout_pool(work) as pool:
        sampled(pool, work.turn_texts(-1), 0, top_p)

        def turn(number: int) -> Turn:
            tokens, took = sampled(pool, work.turn_texts(number), number + 1, top_p)
            return {"tokens": Measured(tokens / took, "tokens/s")}

        serve(channel, turn)


if __name__ == "__main__":
    main()
