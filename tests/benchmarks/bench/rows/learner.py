"""The learner beside TRL's DPOTrainer, on the same pairs."""

import math
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tests.benchmarks.bench.channel import Channel, mebibytes, seconds, serve
from tests.benchmarks.bench.memory import forget_peak, peak_bytes
from tests.benchmarks.bench.samples import Goal, Measured, Row, Side, Turn
from tests.benchmarks.bench.work import BATCH_PAIRS, BETA, LORA_ALPHA, LORA_RANK, MAX_LENGTH, RATE, SEED, Work

if TYPE_CHECKING:
    from flame_ray.learner.actor import LearnerActor
    from flame_ray.learner.data import Example

FLOOR, SQUARE, PRODUCTS = "floor", 2048, 20


def row(work: Work) -> Row:
    return Row(
        "learner",
        f"learner, {work.pair_count} given pairs",
        "one epoch of DPO with an adapter: the reference's log-probabilities and the steps. Here a rank of DeepSpeed, without "
        "Ray; there DPOTrainer with its defaults, but that it keeps activations, as ours does. Peak memory is the process's in "
        "the turn. Neither loads, tokenizes or saves in it. TRL's answers have a token more, the line feed after a turn. "
        f"Floor: the matrix products of our turn, at the rate of one of {SQUARE:,} x {SQUARE:,} here.",
        (
            Side("here", __name__),
            Side("TRL", "tests.benchmarks.bench.peers.trl_dpo", is_peer=True),
            Side(FLOOR, __name__, (FLOOR,)),
        ),
        (
            Goal("TRL: a pair", per="here: a pair", limit=3.0),
            Goal("TRL: peak memory", per="here: peak memory"),
            Goal(f"{FLOOR}: a pair", per="here: a pair", limit=0.7),
        ),
    )


def connected_rank(work: Work) -> "LearnerActor":
    """A learner of one rank in this process."""
    from flame_ray.config import LearnerConfig, LoraConfig
    from flame_ray.engines.models import SMOLLM2, reference
    from flame_ray.learner.actor import LearnerActor

    config = LearnerConfig(
        dtype=work.dtype,
        lora=LoraConfig(r=LORA_RANK, alpha=LORA_ALPHA),
        beta=BETA,
        lr=RATE,
        reference="initial",
        batch_pairs=BATCH_PAIRS,
        micro_batch_pairs=BATCH_PAIRS,
        threads=work.threads,
    )
    rank = LearnerActor(reference(SMOLLM2), config, 0, SEED)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rank.connect(f"tcp://127.0.0.1:{port}")
    return rank


def examples(work: Work, file: str) -> "tuple[Example, ...]":
    """Those of a file of pairs, as `pairs.file` reads it."""
    from pathlib import Path

    from flame_ray.config import ModelConfig
    from flame_ray.engines.chat import ChatTokenizer
    from flame_ray.learner.data import pair_examples
    from flame_ray.learner.given_pairs import given_pair_set
    from flame_ray.prompts.given_pairs import read_given_pairs

    chat = ChatTokenizer(Path(work.model), ModelConfig())
    return pair_examples(given_pair_set(read_given_pairs(file), chat, MAX_LENGTH).pairs_D)


def trained(rank: "LearnerActor", examples_D: "Sequence[Example]", round: int) -> float:
    """The seconds of a round of training."""
    start = time.perf_counter()
    rank.begin(examples_D, round)
    rank.finish()
    return time.perf_counter() - start


def _floor(work: Work, rank: "LearnerActor", given: "Sequence[Example]") -> Callable[[int], Turn]:
    """Of an epoch, the time of its matrix products alone. They are counted once."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def of_product(summand: Sequence[int], left: Sequence[int], right: Sequence[int], **others: object) -> int:
        return 2 * math.prod(left) * right[-1]

    aten = torch.ops.aten
    in_place = {aten.addmm_: of_product, aten.baddbmm_: of_product}  # torch counts only the forms that make a new tensor
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        trained(rank, given, round=1)
    products = counter.get_total_flops()

    def turn(number: int) -> Turn:
        rate = matrix_rate(work.dtype)
        return {"a pair": seconds(products / rate / len(given)), "products": Measured(rate / 1e9, "GFLOPS")}

    return turn


def matrix_rate(dtype: str) -> float:
    """Operations a second of the fastest of some square products."""
    import torch

    left, right = torch.randn(2, SQUARE, SQUARE).to(getattr(torch, dtype))
    took = []
    for _ in range(PRODUCTS):
        start = time.perf_counter()
        left @ right
        took.append(time.perf_counter() - start)
    return 2 * SQUARE**3 / min(took)


def main() -> None:
    channel, work = Channel(), Work.given()
    rank, given = connected_rank(work), examples(work, str(work.pairs))
    if FLOOR in sys.argv:
        return serve(channel, _floor(work, rank, given))
    trained(rank, given[:BATCH_PAIRS], round=1)

    def turn(number: int) -> Turn:
        forget_peak()
        took = trained(rank, given, round=number + 2)
        return {"a pair": seconds(took / len(given)), "peak memory": mebibytes(peak_bytes())}

    serve(channel, turn)


if __name__ == "__main__":
    main()
