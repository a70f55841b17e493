"""`flame-ray self-instruct`: makes new instructions with a model, as a file that `prompts.sources` can name.

Each batch of answers is one record of `<out>.batches.jsonl`: a command that was killed continues after the last one, and makes
what it would have made otherwise. `out` is written at the end, also of a command that is interrupted.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console

from flame_ray import __version__
from flame_ray.cluster.connect import check_address
from flame_ray.cluster.interrupt import raise_if_interrupted
from flame_ray.cluster.pool import WorkerPool
from flame_ray.commands.out import check_out_file
from flame_ray.commands.pools import started
from flame_ray.commands.resumable_file import FIX, ResumableFile
from flame_ray.config import Config
from flame_ray.controller.workers import start_samplers
from flame_ray.engines.models import KnownModel, check_prompts, look_up
from flame_ray.errors import DataError, StorageError
from flame_ray.prompts.load import id_of_text
from flame_ray.prompts.self_instruct import UNREADABLE, InstructionBatch, InstructionMaker, load_seeds
from flame_ray.report.progress import Screen
from flame_ray.rollout.pool import RolloutPool
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.shown import say
from flame_ray.storage.jsonl import write_jsonl
from flame_ray.types import Prompt, Response

AFTER_INTERRUPT = "run the same command again: it continues after the last batch"
Answer = Callable[[Sequence[Prompt], int], list[Response]]  # to the prompts of a batch, in their order


def self_instruct(config: Config, out: Path, console: Console) -> None:
    """Make instructions until there are enough, or too many batches brought none. Raises a FlameError when it cannot go on."""
    check_address(config.cluster)
    check_out_file(out)
    log = out.with_name(f"{out.name}.batches.jsonl")
    _check_is_ours(out, log)
    settings, seeds = config.self_instruct, load_seeds(config.self_instruct)
    policy = look_up(config.model.policy, config.model)
    maker, screen = InstructionMaker(seeds, settings, config.run.seed), Screen(console)
    limits = "model.max_length", "self_instruct.max_tokens"
    check_prompts(policy.folder, [maker.longest_question()], config.model, settings.max_tokens, settings=limits)
    with ResumableFile(log, _made_by(config, policy, seeds), number="batch") as file:
        progress = Progress(maker, file, settings.instructions, settings.patience)
        try:
            if not progress.is_over:
                _make(config, policy, progress, screen)
        finally:
            if maker.made:
                _write(out, maker.made[: settings.instructions])
    if not maker.made:
        fix = "set model.policy to a model that follows instructions, or raise self_instruct.patience"
        raise DataError("new instructions", str(progress), fix)
    say(console, f"{progress}: {out}")


def _check_is_ours(out: Path, log: Path) -> None:
    """Raise StorageError for a file that no earlier command has made: it would be replaced."""
    if out.exists() and out.stat().st_size and not log.exists():
        raise StorageError(f"a new file, or one with {log.name} beside it", str(out), FIX)


class Progress:
    """How far the making is: the batches of the file, which begin with those of earlier processes."""

    def __init__(self, maker: InstructionMaker, file: ResumableFile, wanted: int, patience: int):
        self.maker, self._file, self._wanted, self._patience = maker, file, wanted, patience
        self._answers, self._without_new = 0, 0
        self._left_out: Counter[str] = Counter()
        self._next = file.last + 1
        for record in file.records():
            batch = InstructionBatch(record["batch"], tuple(record["kept"]), record["left_out"])
            maker.restore(batch)
            self._count(batch, record["answers"])

    @property
    def is_over(self) -> bool:
        return len(self.maker.made) >= self._wanted or self._without_new >= self._patience

    def batches(self, answer: Answer) -> Iterator[int]:
        """Makes batch after batch, and yields how many instructions there are after each."""
        while not self.is_over:
            answers = answer(self.maker.questions(self._next), self._next)
            batch = self.maker.keep_new(self._next, answers)
            record = {"batch": batch.number, "answers": len(answers), "left_out": batch.left_out, "kept": batch.kept}
            self._file.append(record)
            self._count(batch, len(answers))
            self._next += 1
            yield len(self.maker.made)

    def _count(self, batch: InstructionBatch, answers: int) -> None:
        self._answers += answers
        self._left_out.update(batch.left_out)
        self._without_new = 0 if batch.kept else self._without_new + 1

    def __str__(self) -> str:
        made = len(self.maker.made)
        items = made + self._left_out.total() - self._left_out[UNREADABLE]
        left_out = ", ".join(f"{count} {reason}" for reason, count in self._left_out.most_common())
        words = f"{made} new instructions of {items} written in {self._answers} answers; left out: {left_out or 'none'}"
        if made < self._wanted and self.is_over:
            words += f"; ended short of {self._wanted}, as the last {self._patience} batches brought none"
        return words


def _make(config: Config, policy: KnownModel, progress: Progress, screen: Screen) -> None:
    wanted = config.self_instruct.instructions
    pool = started(
        config, ("rollout",), lambda scope: start_samplers(scope, policy.ref), "self-instruct", AFTER_INTERRUPT, screen
    )
    with pool as samplers, closing(screen.begin("make instructions")) as bar:
        for made in progress.batches(_sampler(samplers, config)):
            bar.advance(min(made, wanted), wanted)
            raise_if_interrupted()


def _sampler(samplers: WorkerPool, config: Config) -> Answer:
    sampling, max_tokens, rollouts = config.rollout, config.self_instruct.max_tokens, RolloutPool(samplers)

    def answer(prompts_P: Sequence[Prompt], batch: int) -> list[Response]:
        plan = SamplingPlan(batch, config.run.seed, 1, max_tokens, sampling.temperature, sampling.top_p, sampling.top_k)
        found = {group.prompt.id: group.responses_G[0] for group in rollouts.generate(prompts_P, plan)}
        return [found[prompt.id] for prompt in prompts_P]

    return answer


def _write(out: Path, instructions: Sequence[str]) -> None:
    """One row an instruction. Its id is made from its text, so that several such files can be sources of one job."""
    write_jsonl(out, ({"id": id_of_text(text, "self-instruct"), "prompt": text} for text in instructions), "--out")


def _made_by(config: Config, policy: KnownModel, seeds: Sequence[str]) -> dict[str, Any]:
    """What the instructions depend on. More of them may be asked for later."""
    return {
        "flame_ray": {"version": __version__},
        "seeds": {"sha256": hashlib.sha256("\n".join(seeds).encode()).hexdigest()},
        "settings": config.self_instruct.model_dump(mode="json", exclude={"seeds", "instructions", "patience"}),
        "model": config.model.model_dump(mode="json") | {"fingerprint": policy.identity({})},
        "rollout": config.rollout.model_dump(mode="json", include={"temperature", "top_p", "top_k"}),
        "run": {"seed": config.run.seed},
    }
