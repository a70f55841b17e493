"""The rows of the table, in their order."""

from collections.abc import Callable

from tests.benchmarks.bench.rows import (
    growth_corpus,
    growth_length,
    growth_prompts,
    growth_rounds,
    learner,
    loop,
    nucleus,
    overhead,
    rewards,
    sampler,
    start,
    transfer,
)
from tests.benchmarks.bench.samples import Row
from tests.benchmarks.bench.work import Work

ROWS: dict[str, Callable[[Work], Row]] = {
    "loop": loop.row,
    "learner": learner.row,
    "sampler": sampler.row,
    "nucleus": nucleus.row,
    "overhead": overhead.row,
    "transfer": transfer.row,
    "rewards": rewards.row,
    "start": start.row,
    "growth-prompts": growth_prompts.row,
    "growth-length": growth_length.row,
    "growth-corpus": growth_corpus.row,
    "growth-rounds": growth_rounds.row,
}
