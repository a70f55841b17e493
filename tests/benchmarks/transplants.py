"""How often a checker supports a sentence that was moved to evidence about something else.

    python tests/benchmarks/transplants.py --summaries summaries_en-us.json   prose: another article of the same topic
    python tests/benchmarks/transplants.py --run runs/ID                      records: a model's facts, another country
    ... --checker lexical small                                               the checkers to compare

The title in the sentence is replaced by that of the evidence. A few such sentences are true by chance, but most are false, so a
lower share is better. `--run` takes the held-out facts of round 0 of a run on the Factbook. The table shows each share with its
Wilson interval, and also the shares of true and of edited Factbook statements that the checker supports.
"""

# ruff: noqa: T201
import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
from lexical_checker import factbook_twins

from flame_ray.config.load import parse_config
from flame_ray.rewards.factuality.check import make_checker
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.rewards.factuality.decompose import sentences
from flame_ray.rewards.factuality.retrieve import Bm25Retriever
from flame_ray.rewards.factuality.scores import wilson
from flame_ray.types import Claim, Fact, Passage, VerdictLabel

COUNT, LONGEST = 500, 45  # sentences, words


def from_summaries(path: Path) -> Iterator[Claim]:
    articles = json.loads(path.read_text(encoding="utf-8"))
    by_topic = defaultdict(list)
    for title in sorted(articles):
        by_topic[articles[title]["topic"]].append(title)
    draw, made, titles = random.Random(1), 0, sorted(articles)
    while made < COUNT:
        title = draw.choice(titles)
        other = draw.choice(by_topic[articles[title]["topic"]])
        lines = [line for line in sentences(articles[title]["extract"]) if title in line and len(line.split()) < LONGEST]
        if other == title or not lines:
            continue
        made += 1
        text = "\n".join(sentences(articles[other]["extract"]))
        yield Claim(Fact(draw.choice(lines).replace(title, other), 0), (Passage(other, other, text),))


def from_run(folder: Path) -> Iterator[Claim]:
    rows, asked = (
        pq.read_table(folder / "rounds/0000" / f"heldout_{name}.parquet").to_pylist() for name in ("facts", "prompts")
    )
    prompts = {row["prompt_id"]: row["text"] for row in asked}
    corpus = load_corpus("factbook")
    retriever, titles, draw = Bm25Retriever(corpus), sorted({passage.title for passage in corpus}), random.Random(0)
    for row in rows:
        prompt = prompts[row["response_id"].split("/", 1)[1].rsplit("/", 1)[0]]
        title = max((each for each in titles if each in prompt), key=len, default="")
        other = draw.choice([each for each in titles if each != title])
        if title and title in row["fact"]:
            evidence = retriever.retrieve([prompt.replace(title, other)], 20)[0]
            yield Claim(Fact(row["fact"].replace(title, other), 0), evidence)


def from_factbook(supported: bool) -> Iterator[Claim]:
    yield from (Claim(Fact(each.claim, 0), each.evidence) for each in factbook_twins() if each.supported is supported)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summaries", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--checker", nargs="+", default=["lexical"])
    asked = parser.parse_args()
    sets = {"Factbook, true": list(from_factbook(True)), "Factbook, edited": list(from_factbook(False))}
    if asked.summaries is not None:
        sets["to another article"] = list(from_summaries(asked.summaries))
    if asked.run is not None:
        sets["to another country"] = list(from_run(asked.run))
    print("| checker | claims | n | supported, % [95 %] |\n|---|---|---|---|")
    for name in asked.checker:
        checker = make_checker(parse_config({"factuality": {"checker": name, "cache": False}}, "here").factuality)
        for kind, claims in sets.items():
            supported = sum(verdict.label is VerdictLabel.SUPPORTED for verdict in checker.check(claims))
            low, high = wilson(supported, len(claims))
            print(
                f"| {name} | {kind} | {len(claims)} | {100 * supported / len(claims):.1f} [{100 * low:.1f}, {100 * high:.1f}] |"
            )


if __name__ == "__main__":
    main()
