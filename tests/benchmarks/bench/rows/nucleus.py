"""Sampling from a nucleus, beside vLLM, which sorts the vocabulary for it."""

from tests.benchmarks.bench.rows.sampler import WORK, sides
from tests.benchmarks.bench.samples import Goal, Row
from tests.benchmarks.bench.work import SAMPLES, TOKENS, Work


def row(work: Work) -> Row:
    title = f"nucleus of 0.9, {work.prompts} prompts x {SAMPLES} samples of at most {TOKENS} tokens"
    goal = Goal("here: tokens", per="vLLM: tokens", limit=2.0)
    return Row("nucleus", title, f"as for `sampler`: {WORK}", sides("0.9"), (goal,))
