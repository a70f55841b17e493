"""The whole loop beside TRL's OnlineDPOTrainer."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.bench.channel import Channel, seconds, serve
from tests.benchmarks.bench.process import REPOSITORY
from tests.benchmarks.bench.samples import Goal, Measured, Row, Side, Turn
from tests.benchmarks.bench.work import BATCH_PAIRS, BETA, LORA_ALPHA, LORA_RANK, RATE, SAMPLES, SEED, TEMPERATURE, TOKENS, Work

BY_PROMPT, BY_PAIR = ("sample", "score", "pair"), ("train", "save", "sync")


def row(work: Work) -> Row:
    return Row(
        "loop",
        f"whole loop, {work.prompts} prompts x {SAMPLES} samples of at most {TOKENS} tokens, steps of {BATCH_PAIRS} pairs",
        "here a round of `flame-ray run`: samples, a judge and a fact check of each, pairs by the judge, DPO, a checkpoint, "
        "and the weights back on the sampler; without its start, its evaluations, and asking which prompts need facts, and "
        "with no verdict cached. There OnlineDPOTrainer's steps, with the length of a response as its reward, transformers "
        "to sample, and no checkpoint. There every prompt trains a pair, ties too. Here some are dropped (two sides that "
        "were both cut off, or are one text), so `a pair` adds what a prompt costs until training starts and what a pair "
        "costs from there, with all that lies between the stages; `a trained pair` is all of it over the trained pairs.",
        (Side("here", __name__), Side("TRL", "tests.benchmarks.bench.peers.trl_online_dpo", is_peer=True)),
        (
            Goal("TRL: a pair", per="here: a pair", limit=4.0),
            Goal("TRL: a pair", per="here: a trained pair"),
            Goal("here: round over its stages", limit=1.05, at_most=True),
        ),
    )


def settings(work: Work, run: str) -> dict[str, Any]:
    """The quickstart's, with the work of both sides. Every prompt gives a pair if it can, whatever the facts say."""
    source = {"source": f"{work.folder}/run_prompts.jsonl", "label_column": "facts"}
    return {
        "run.root": f"{work.folder}/runs",
        "run.id": run,
        "run.seed": SEED,
        "run.rounds": 1,
        "run.select": "last",
        "cluster.address": "local",
        "cluster.dashboard": False,
        "model.dtype": work.dtype,
        "prompts.sources": [source],
        "prompts.per_round": work.prompts,
        "classify.by": "label",
        "factuality.cache": False,
        "rollout.samples": SAMPLES,
        "rollout.max_tokens": TOKENS,
        "rollout.temperature": TEMPERATURE,
        "rollout.top_p": 1.0,
        "pairs.kinds": ["instruction"],
        "pairs.min_judge_gap": 0.0,
        "pairs.max_fact_loss": None,
        "learner.batch_pairs": BATCH_PAIRS,
        "learner.micro_batch_pairs": BATCH_PAIRS,
        "learner.beta": BETA,
        "learner.lora": {"r": LORA_RANK, "alpha": LORA_ALPHA},
        "learner.lr": RATE,
        "learner.lr_final": RATE,
        "learner.lr_round_factor": 1.0,
        "learner.nll_weight": 0.0,
    }


def command(values: Mapping[str, Any]) -> list[str]:
    """A run of the quickstart with these settings."""
    words = [word for name, value in values.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    return [sys.executable, "-m", "flame_ray", "run", "jobs/quickstart.yaml", *words]


def of_round(spans: Sequence[Mapping[str, Any]], prompts: int, pairs: int) -> Turn:
    """The figures of round 1, from a run's timeline."""
    if not pairs:
        raise RuntimeError(f"no pair could be made of the responses to {prompts} prompts")
    took = {span["stage"]: span["end"] - span["start"] for span in spans if span["round"] == 1}
    counted = [span for span in spans if span["round"] == 1 and span["stage"] in (*BY_PROMPT, *BY_PAIR)]
    start, end = min(span["start"] for span in counted), max(span["end"] for span in counted)
    trains = min(span["start"] for span in counted if span["stage"] == "train")
    parts = sum(span["end"] - span["start"] for span in counted)
    return {
        "a pair": seconds((trains - start) / prompts + (end - trains) / pairs),
        "a trained pair": seconds((end - start) / pairs),
        **{f"{stage}, a prompt": seconds(took.get(stage, 0.0) / prompts) for stage in BY_PROMPT[:2]},
        "train, a pair": seconds(took["train"] / pairs),
        "sync": seconds(took["sync"]),
        "pairs": Measured(pairs, ""),
        "round over its stages": Measured((end - start) / parts, ""),
    }


def main() -> None:
    channel, work = Channel(), Work.given()

    def turn(number: int) -> Turn:
        name = f"loop-{number}"
        subprocess.run(command(settings(work, name)), cwd=REPOSITORY, check=True)
        run = Path(work.folder) / "runs" / name
        summary = json.loads((run / "summary.json").read_text())
        pairs = sum(value for kind, value in summary["rounds"][1]["pairs"].items() if kind != "dropped")
        return of_round(json.loads((run / "timeline.json").read_text()), work.prompts, pairs)

    serve(channel, turn)


if __name__ == "__main__":
    main()
