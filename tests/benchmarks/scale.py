"""How many rollout workers one controller can feed.

    python -m tests.benchmarks.scale [--workers 1,4,16] [--prompts N]

NOT a GPU figure. All workers are processes of this machine, on a test cluster of four Ray nodes, and the engine is a double
that sleeps: a batch of 8 prompts takes 4 s, its groups come back evenly over them. What is real is all that is between:
RolloutPool, WorkerPool, Ray's streaming calls, groups of 4 responses of 64 tokens. Efficiency is prompts a second over
what the workers' sleeping alone would allow. The controller is this process.
"""

# ruff: noqa: T201
import argparse
import time
from collections.abc import Iterator

import psutil
import ray
from ray.cluster_utils import Cluster

from flame_ray.cluster.event_loop import EventLoop
from flame_ray.cluster.pool import Limits, WorkerPool
from flame_ray.rollout.pool import RolloutPool
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.types import Group, Prompt, Response, ResponseId

BATCH, BATCH_S, SAMPLES, TOKENS = 8, 4.0, 4, 64
NODES, WARM_ROUNDS, ROUNDS = 4, 1, 6


class SleepingWorker:
    """Answers as late, and as much, as a real one."""

    def ready(self) -> int:
        return 0

    def generate(self, prompts_P, plan) -> Iterator[tuple[int, Group]]:
        for position, prompt in enumerate(prompts_P):
            time.sleep(BATCH_S / len(prompts_P))
            ids = [ResponseId(plan.round, prompt.id, index) for index in range(SAMPLES)]
            tokens = tuple(range(TOKENS))
            responses = (Response(id, "word " * TOKENS, tokens, tokens, "stop", 0) for id in ids)
            yield position, Group(prompt, tuple(responses))


def measure(workers: int, prompts: int) -> dict[str, float]:
    remote = ray.remote(num_cpus=1)(SleepingWorker)
    event_loop = EventLoop()
    limits = Limits(workers, workers, BATCH * SAMPLES, start_timeout_s=1200)
    pool = WorkerPool("rollout", lambda *_: remote.remote(), limits, event_loop)
    pool.wait_ready()
    stream = RolloutPool(pool).generate(
        (Prompt(f"p{i}", "a question") for i in range(prompts)), SamplingPlan(1, 0, SAMPLES, TOKENS, 1.0)
    )
    me, peak = psutil.Process(), 0.0
    warm = min(prompts // 4, WARM_ROUNDS * workers * BATCH)
    for seen, _ in enumerate(stream, start=1):
        if seen == warm:
            start, cpu, memory = time.monotonic(), sum(me.cpu_times()[:2]), me.memory_info().rss
        if seen % 500 == 0 or seen == prompts:
            peak = max(peak, me.memory_info().rss)
        if prompts - seen == workers * BATCH:  # the tail has no work for everyone
            seconds, used = time.monotonic() - start, sum(me.cpu_times()[:2]) - cpu
            counted = seen - warm
    pool.close()
    event_loop.close()
    rate = counted / seconds
    return {
        "workers": workers,
        "prompts": prompts,
        "prompts_s": rate,
        "efficiency": rate / (workers * BATCH / BATCH_S),
        "controller_cpu": used / seconds,
        "rss_warm_mib": memory / 2**20,
        "rss_peak_mib": max(peak, memory) / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default="1,4,16,64,128,256")
    parser.add_argument("--prompts", type=int, default=0, help="0: enough for a few batches a worker")
    asked = parser.parse_args()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 200 * 2**20})
    most = max(int(each) for each in asked.workers.split(","))
    for _ in range(NODES):
        cluster.add_node(num_cpus=-(-most // NODES), object_store_memory=200 * 2**20)
    ray.init(address=cluster.address, log_to_driver=False)
    print(
        "| workers | prompts | prompts/s | of linear | controller CPU (cores) | RSS warm -> peak (MiB) |\n"
        "|---|---|---|---|---|---|"
    )
    for workers in (int(each) for each in asked.workers.split(",")):
        found = measure(workers, asked.prompts or workers * BATCH * (WARM_ROUNDS + ROUNDS + 1))
        print(
            f"| {workers} | {found['prompts']} | {found['prompts_s']:.1f} | {found['efficiency']:.3f} | "
            f"{found['controller_cpu']:.2f} | {found['rss_warm_mib']:.0f} -> {found['rss_peak_mib']:.0f} |",
            flush=True,
        )
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main()
