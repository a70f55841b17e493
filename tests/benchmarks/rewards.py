"""Where the seconds of the rewards go: each part on one batch of real answers, cold and again.

    OMP_NUM_THREADS=1 python tests/benchmarks/rewards.py [--prompts 64] [--samples 6] [--small] [--judge] [--profile PART]

The batch is 64 prompts with 6 answers each, put together from the facts that SmolLM2-135M stated (country_facts.jsonl), on 40
passages of the Factbook, as in the quickstart. Seconds are those of the CPU, in one thread, by `time.process_time`. Cold: the
first time in this process, with the libraries loaded and the corpus indexed. Again: the same batch once more, with what the
part remembers. `--small` adds the model that reads records, `--judge` that of preferences; `--profile` shows where the time of
a part goes.
"""

# ruff: noqa: T201
import argparse
import cProfile
import json
import pstats
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from flame_ray.config import FactualityConfig
from flame_ray.rewards.factuality.check import LexicalChecker, make_checker
from flame_ray.rewards.factuality.check.cached import CachedChecker
from flame_ray.rewards.factuality.check.records import record_for
from flame_ray.rewards.factuality.decompose import RuleDecomposer
from flame_ray.rewards.factuality.decompose.base import SplitSentence, deduplicated
from flame_ray.rewards.factuality.evidence import Evidence
from flame_ray.rewards.factuality.relevance import is_relevant
from flame_ray.rewards.factuality.retrieve import open_retriever
from flame_ray.types import Claim, Prompt, Response, ResponseId, Verdict, VerdictLabel

FACTS = Path(__file__).with_name("country_facts.jsonl")
RETRIEVED = 40
Part = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts with their responses, and what the parts before make of them."""

    prompts: tuple[Prompt, ...]
    responses: tuple[Response, ...]

    @property
    def asked(self) -> list[str]:
        """The instruction of each response."""
        texts = {prompt.id: prompt.text for prompt in self.prompts}
        return [texts[response.id.prompt_id] for response in self.responses]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--samples", type=int, default=6)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--judge", action="store_true")
    parser.add_argument("--profile", metavar="PART")
    words = parser.parse_args()
    batch = read(words.prompts, words.samples)
    with tempfile.TemporaryDirectory() as folder:
        parts, size = parts_of(batch, Path(folder), words.small, words.judge)
        print(f"{len(batch.prompts)} prompts, {len(batch.responses)} responses, {size}; CPU seconds")
        print("| part | cold | again |\n|---|---|---|")
        for name, part in parts.items():
            forget()
            print(f"| {name} | {seconds(part, name == words.profile):.3f} | {seconds(part):.3f} |", flush=True)


def read(prompts: int, samples: int) -> Batch:
    """The first prompts of the file that have enough answers. An answer is what one setting of the sampler stated."""
    said: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in map(json.loads, FACTS.open(encoding="utf-8")):
        said[row["prompt"]][row["group"]].append(row["claim"])
    chosen = dict(
        islice(((text, list(each.values())[:samples]) for text, each in said.items() if len(each) >= samples), prompts)
    )
    return Batch(
        tuple(Prompt(str(at), text) for at, text in enumerate(chosen)),
        tuple(
            Response(ResponseId(0, str(at), sample), ". ".join(claims) + ".", (), (), "stop", 0)
            for at, answers in enumerate(chosen.values())
            for sample, claims in enumerate(answers)
        ),
    )


def parts_of(batch: Batch, folder: Path, small: bool, judge: bool) -> tuple[dict[str, Part], str]:
    """The parts by name, in their order, and the size of the batch in words."""
    evidence = Evidence(open_retriever(FactualityConfig()), RETRIEVED)
    evidence.find(["numba compiles what it needs at the first question"])
    found = RuleDecomposer().decompose(batch.asked, batch.responses)
    passages = {prompt.text: Evidence.find(evidence, [prompt.text])[0] for prompt in batch.prompts}
    claims = [Claim(fact, passages[asked]) for asked, each in zip(batch.asked, found, strict=True) for fact in each.facts_F]
    asked = [asked for asked, each in zip(batch.asked, found, strict=True) for _ in each.facts_F]
    split = [
        [
            SplitSentence(sentence.text, [fact.text for fact in each.facts_F if fact.sentence == at])
            for at, sentence in enumerate(each.sentences_S)
        ]
        for each in found
    ]
    cached = CachedChecker(_Constant(), folder / "verdicts.sqlite")
    fresh = Evidence(open_retriever(FactualityConfig()), RETRIEVED)
    parts: dict[str, Part] = {
        "sentences and facts": lambda: RuleDecomposer().decompose(batch.asked, batch.responses),
        "of these, dedup": lambda: [deduplicated(each) for each in split],
        "evidence": lambda: fresh.find(batch.asked),
        "lexical checker": lambda: LexicalChecker().check(claims),
        "relevance": lambda: [is_relevant(*each) for each in zip(asked, (claim.fact.text for claim in claims), strict=True)],
        "records and statements": lambda: statements(claims),
        "verdicts on disk": lambda: cached.check(claims),
    }
    if small:
        checker = make_checker(FactualityConfig(checker="small", cache=False))
        parts["small checker"] = lambda: checker.check(claims)
    if judge:
        parts["judge of preferences"] = preferences(batch)
    return parts, f"{sum(len(each.sentences_S) for each in found)} sentences, {len(claims)} facts"


def statements(claims: Sequence[Claim]) -> list[str]:
    """What the reader of records is given."""
    return [record.statement(claim.fact.text) for claim in claims if (record := record_for(claim))]


def preferences(batch: Batch) -> Part:
    from flame_ray.engines.preference_reader import PreferenceReader
    from flame_ray.rewards.judge.preference import SHIPPED, PreferenceJudge

    judge, by_id = PreferenceJudge(PreferenceReader(SHIPPED)), {prompt.id: prompt for prompt in batch.prompts}
    return lambda: judge.score([(by_id[each.id.prompt_id], each) for each in batch.responses])


class _Constant:
    """A checker that takes no time, so that only the cache is measured."""

    threshold = 0.5
    identity = "constant"

    def check(self, claims: Sequence[Claim]) -> tuple[Verdict, ...]:
        return tuple(Verdict(claim.fact, VerdictLabel.SUPPORTED, 0.75, claim.passages_K[0].id) for claim in claims)


def forget() -> None:
    """Empties what the functions of the package remember."""
    for module in [each for name, each in sys.modules.items() if name.startswith("flame_ray.")]:
        for value in list(vars(module).values()):
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def seconds(part: Part, profiled: bool = False) -> float:
    if profiled:
        profile = cProfile.Profile()
        profile.runcall(part)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
        return float("nan")
    start = time.process_time()
    part()
    return time.process_time() - start


if __name__ == "__main__":
    main()
