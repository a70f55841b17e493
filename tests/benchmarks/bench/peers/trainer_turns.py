"""Lets one of TRL's trainers take turns: it waits at the start of a turn's first step, and answers after its last one."""

import time
from collections.abc import Iterator
from pathlib import Path

from transformers import TrainerCallback

from tests.benchmarks.bench.channel import Channel, mebibytes, seconds
from tests.benchmarks.bench.memory import forget_peak, peak_bytes
from tests.benchmarks.bench.work import BATCH_PAIRS, RATE, Work

FOREVER = 10**6  # steps; the end of the input ends the process


class Turns(TrainerCallback):
    """Of `steps` steps each, after as many to warm up: if an epoch has these steps, each turn is a whole one."""

    def __init__(self, channel: Channel, steps: int):
        self._channel, self._steps = channel, steps
        self._asked: Iterator[int] = iter(channel.turns())
        self._start = 0.0

    def on_step_begin(self, args, state, control, **others) -> None:
        done = state.global_step
        if done >= self._steps and done % self._steps == 0:
            if next(self._asked, None) is None:
                raise SystemExit
            forget_peak()
            self._start = time.perf_counter()

    def on_step_end(self, args, state, control, **others) -> None:
        done = state.global_step
        if done > self._steps and done % self._steps == 0:
            took = time.perf_counter() - self._start
            pair = seconds(took / (self._steps * BATCH_PAIRS))
            self._channel.answer({"a pair": pair, "peak memory": mebibytes(peak_bytes())})


def arguments(work: Work, name: str) -> dict:
    """What both trainers are given. The others are TRL's defaults, but that activations are kept: ours keeps them too."""
    return {
        "output_dir": str(Path(work.folder) / name),
        "per_device_train_batch_size": BATCH_PAIRS,
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "max_steps": FOREVER,
        "use_cpu": True,
        "bf16": work.dtype == "bfloat16",
        "gradient_checkpointing": False,
        "report_to": "none",
        "logging_strategy": "no",
        "save_strategy": "no",
        "disable_tqdm": True,
    }
