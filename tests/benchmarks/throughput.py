"""How many facts and responses a second the factuality reward scores here, by checker.

    python tests/benchmarks/throughput.py [--checker lexical small nli llm whole] [--responses 200] [--set section.key=value]
    ... --file responses.jsonl     that file's first responses, on their own evidence (see convert.py)

The responses are true and false Factbook statements, as answers to the prompt `Describe <country>.`. Their evidence is the 20
passages nearest to the prompt. All of it is records, which `small` reads with its model of records; the evidence in a file is
prose, which it reads with its other model.
It all runs in one process with one worker; `llm` and `whole` ask a verifier actor. Cold: models are loaded and the corpus is
indexed, but nothing was asked before. Warm: a new checker scores the same responses again, with their passages in memory and
the first verdicts on disk (the lexical checker is not cached, as in a run, but it remembers the evidence).
"""

# ruff: noqa: T201
import argparse
import random
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lexical_checker import STATEMENTS

from flame_ray.cluster.connect import prepare_ray
from flame_ray.config import Config, FactualityConfig
from flame_ray.config.load import load_config
from flame_ray.rewards.factuality.check import Checker, make_checker
from flame_ray.rewards.factuality.check.cached import CachedChecker
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.rewards.factuality.decompose import make_decomposer
from flame_ray.rewards.factuality.evidence import Evidence
from flame_ray.rewards.factuality.records import task_of
from flame_ray.rewards.factuality.retrieve import open_retriever
from flame_ray.rewards.factuality.reward import FactualityReward, Task
from flame_ray.rewards.verifier.protocol import Verifier
from flame_ray.storage.jsonl import read_jsonl
from flame_ray.types import FactScore, Prompt, Response, ResponseId


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checker", nargs="+", default=["lexical"])
    parser.add_argument("--responses", type=int, default=200)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--set", nargs="*", default=[], dest="settings")
    words = parser.parse_args()
    tasks = read(words.file, words.responses) if words.file else made(words.responses)
    print("| checker | responses | facts | cold: facts/s | cold: responses/s | warm: facts/s | warm: responses/s |")
    print("|---|---|---|---|---|---|---|")
    for name in words.checker:
        config = load_config(None, ("cluster.dashboard=false", *words.settings, f"factuality.checker={name}"))
        with verifying(config) as verifier:
            print(row(name, config, tasks, verifier))


@contextmanager
def verifying(config: Config) -> Iterator[Verifier | None]:
    """The verifier that the settings ask for, on a Ray of its own."""
    if not config.factuality.asks_verifier:
        yield None
        return
    prepare_ray(config.cluster)  # before Ray is imported: it reads its environment then
    from flame_ray.cluster.connect import connected
    from flame_ray.controller.workers import Scope, _start_needed_verifiers
    from flame_ray.rewards.verifier.client import RemoteVerifier

    with connected(config.cluster, "throughput"), Scope(config) as scope:
        yield RemoteVerifier(_start_needed_verifiers(scope))


def read(path: Path, count: int) -> list[Task]:
    return [task_of(row) for row in islice(read_jsonl(path), count)]


def made(count: int) -> list[Task]:
    """One response a country, again from the first one with other statements if there are more."""
    draw, corpus = random.Random(0), load_corpus("factbook")
    lines = [(passage.title, line) for passage in corpus for line in passage.text.split("\n")]
    found = {
        template: {title: match[1] for title, line in lines if (match := re.match(pattern, line))}
        for template, pattern, _ in STATEMENTS
    }
    titles = sorted(found[STATEMENTS[0][0]])
    return [task(titles[index % len(titles)], found, index, draw) for index in range(count)]


def task(title: str, found: dict[str, dict[str, str]], index: int, draw: random.Random) -> Task:
    said = []
    for template, values in found.items():
        value = values.get(title, "") if draw.random() < 0.5 else draw.choice(sorted(values.values()))
        if value:
            said.append(template.format(*((value, title) if template.startswith("{} is the capital") else (title, value))))
    prompt = Prompt(f"{title}/{index}", f"Describe {title}.")
    return Task(prompt, Response(ResponseId(0, prompt.id, 0), ". ".join(said) + ".", (), (), "stop", 0))


@dataclass(frozen=True)
class Speed:
    """Facts and responses a second."""

    facts: float
    responses: float


def row(name: str, config: Config, tasks: Sequence[Task], verifier: Verifier | None) -> str:
    facts, speeds = measure(name, config, tasks, verifier)
    cells = [f"{speed.facts:.1f} | {speed.responses:.1f}" for speed in speeds]
    return f"| {name} | {len(tasks)} | {facts} | {cells[0]} | {cells[1]} |"


def measure(name: str, config: Config, tasks: Sequence[Task], verifier: Verifier | None) -> tuple[int, tuple[Speed, Speed]]:
    """How many facts the responses state, and the speed cold and warm."""
    settings = config.factuality.model_copy(update={"cache": False})
    evidence = Evidence(open_retriever(settings), settings.retrieve, settings.keep, settings.query)
    evidence.find(["numba compiles what it needs at the first question"])
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = (_scored(name, settings, evidence, tasks, verifier, Path(folder)) for _ in ("cold", "warm"))
    return cold[0], (cold[1], warm[1])


def _scored(
    name: str, settings: FactualityConfig, evidence: Evidence, tasks: Sequence[Task], verifier: Verifier | None, cache: Path
) -> tuple[int, Speed]:
    checker: Checker = make_checker(settings, verifier)
    if name != "lexical":
        checker = CachedChecker(checker, cache / "verdicts.sqlite")
    reward = FactualityReward(make_decomposer(settings, verifier), evidence, checker)
    start = time.perf_counter()
    results = [result for at in range(0, len(tasks), 16) for result in reward.score(tasks[at : at + 16])]
    seconds = time.perf_counter() - start
    facts = sum(len(result.verdicts) for result in results if isinstance(result, FactScore))
    return facts, Speed(facts / seconds, len(tasks) / seconds)


if __name__ == "__main__":
    main()
