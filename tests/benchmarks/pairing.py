"""How much memory the controller of a round needs, from the prompts to the stored pairs.

    python -m tests.benchmarks.pairing [--prompts 2000,20000] [--tokens 350] [--paired 1] [--no-stream]

NOT a GPU figure: samplers, judge and checker are doubles that answer at once. What is real is the controller: its stages, the
journal with its shards and tables on a disk, and the pairs. Each number of prompts has a process of its own.
"""

# ruff: noqa: T201
import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console

from flame_ray.config.load import parse_config
from flame_ray.controller.stages import ClusterStages
from flame_ray.controller.workers import RunPools
from flame_ray.journal.journal import Journal
from flame_ray.journal.run_folder import RunFolder
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.report.progress import Screen
from flame_ray.rewards.factuality.actor import FactualityActor
from flame_ray.rewards.judge.actor import JudgeActor
from flame_ray.round import Stages, collect
from flame_ray.storage.cache import Cache
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Group, PairSet, Prompt, Sentence, VerdictLabel
from tests.builders import make_fact_score, make_passage, make_response, make_score, make_verdict
from tests.doubles import FakeMetrics

SAMPLES, VOCABULARY = 4, 49_152
TOKENS_A_SENTENCE, TOKENS_A_PASSAGE = 25, 70
WORDS = [f"{first}{second}{third}" for first in "bdfgklmnprst" for second in "aeiou" for third in "bdfgklmnprst"]


@dataclass(frozen=True)
class Load:
    """A round: so many prompts, responses of so many tokens, and the share of the prompts whose responses do not tie."""

    prompts: int
    tokens: int = 350
    paired: float = 1.0
    stream: bool = True


@dataclass(frozen=True)
class Memory:
    """The most memory that the process had, in MiB, by what it did; `before`: with nothing but the prompts."""

    before: float
    classify: float
    stream: float  # sample, score and pair, which run together
    store: float  # the tables and the pairs
    after: float  # with nothing but the pairs
    pairs: int
    seconds: float  # of one core

    @property
    def grown(self) -> float:
        return max(self.classify, self.stream, self.store) - self.before


class Doubles:
    """The workers of a round: rollouts, judge and checker in one, with the calls of a pool."""

    def __init__(self, load: Load):
        self.load = load

    def generate(self, prompts_P, plan, urgent: bool = False) -> Iterator[Group]:
        """In another order than that of the prompts, as the shortest are done first."""
        for prompt in Random(1).sample(list(prompts_P), len(prompts_P)):
            yield Group(prompt, tuple(self._response(prompt, index, plan.round) for index in range(SAMPLES)))

    def submit(self, method: str, item: Any, *context: Any, **options: Any) -> Future:
        future: Future = Future()
        future.set_result((0.0, -3.0) if method == "choose" else self.score(item))
        return future

    def score(self, group: Group) -> tuple:
        return tuple(make_score(0.0 if self.ties(group) else each.id.index / SAMPLES, id=each.id) for each in group.responses_G)

    def ties(self, group: Group) -> bool:
        return Random(group.prompt.id).random() >= self.load.paired

    def _response(self, prompt: Prompt, index: int, round: int):
        draw = Random(f"{prompt.id} {index}")
        tokens = draw.choices(range(VOCABULARY), k=self.load.tokens)
        text = " ".join(draw.choices(WORDS, k=self.load.tokens))
        prompt_tokens = Random(prompt.id).choices(range(VOCABULARY), k=40)
        place = {"prompt": prompt.id, "index": index, "round": round, "version": round - 1}
        return make_response(text, **place, prompt_tokens=prompt_tokens, tokens=tokens)


class Checker(Doubles):
    """A fact a sentence; the evidence belongs to the prompt."""

    def score(self, group: Group) -> tuple:
        draw = Random(f"{group.prompt.id} facts")
        passages = [
            make_passage(" ".join(draw.choices(WORDS, k=self.load.tokens // 4)), id=f"{group.prompt.id}/{place}")
            for place in range(1 + self.load.tokens // TOKENS_A_PASSAGE)
        ]
        labels = [VerdictLabel.SUPPORTED] if self.ties(group) else list(VerdictLabel)[:3]
        return tuple(self._facts(each, passages, labels, draw) for each in group.responses_G)

    def _facts(self, response, passages, labels, draw):
        words = response.text.split()
        starts = range(0, len(words), TOKENS_A_SENTENCE)
        sentences = [Sentence(" ".join(words[start : start + TOKENS_A_SENTENCE]), verifiable=True) for start in starts]
        verdicts = [
            make_verdict(draw.choice(labels), fact=each.text, sentence=place, passage=passages[0].id)
            for place, each in enumerate(sentences)
        ]
        return make_fact_score(*verdicts, id=response.id, passages=passages, sentences=sentences)


def peak() -> float:
    """The most memory of this process since the last call, in MiB."""
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    Path("/proc/self/clear_refs").write_text("5")
    return int(line.split()[1]) / 1024


def stages(load: Load, folder: Path, advance) -> Stages:
    doubles: Any = Doubles(load)
    workers: Any = RunPools(doubles, doubles, {JudgeActor: doubles, FactualityActor: Checker(load)}, None)
    config = parse_config({"pipeline": {"stream": load.stream}, "prompts": {"per_round": load.prompts}}, "here")
    cache = Cache(folder / "classified.sqlite")
    return ClusterStages(workers, config, cache, Checkpoints(folder / "checkpoints"), advance).stages()


def measure(load: Load, folder: Path) -> Memory:
    journal = Journal(RunFolder(Storage(folder / "run")), "mine", Screen(Console(file=io.StringIO())), FakeMetrics())
    prompts_P = [Prompt(f"prompt {number:06}", f"Tell me about number {number}.") for number in range(load.prompts)]
    plain = stages(load, folder, journal.advance)
    peaks: dict[str, float] = {}

    def measured(name: str, stage):
        def call(*args):
            result = stage(*args)
            peaks[name] = peak()
            return result

        return call

    wrapped = journal.wrap(replace(plain, pair=measured("stream", plain.pair)))
    wrapped = replace(wrapped, classify=measured("classify", wrapped.classify))
    started = time.process_time()
    peak()
    before = peak()
    pairs: PairSet = collect(wrapped, prompts_P, 1)
    store = peak()
    seconds = time.process_time() - started
    return Memory(before, peaks["classify"], peaks["stream"], store, peak(), len(pairs.pairs_D), seconds)


def measure_apart(load: Load) -> Memory:
    """In a process of its own."""
    words = [sys.executable, "-m", __spec__.name, "--one", json.dumps(asdict(load))]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return Memory(**json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", default="2000,20000")
    parser.add_argument("--tokens", type=int, default=350)
    parser.add_argument("--paired", type=float, default=1.0)
    parser.add_argument("--no-stream", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(asdict(measure(Load(**json.loads(asked.one)), Path(folder)))))
        return
    print("| prompts | before | classify | sample, score, pair | tables | after | pairs | CPU s |\n" + "|---" * 8 + "|")
    for prompts in map(int, asked.prompts.split(",")):
        found = measure_apart(Load(prompts, asked.tokens, asked.paired, not asked.no_stream))
        sizes = (found.before, found.classify, found.stream, found.store, found.after)
        shown = " | ".join(f"{each:.0f}" for each in sizes)
        print(f"| {prompts} | {shown} | {found.pairs} | {found.seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
