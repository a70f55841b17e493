"""How often the lexical checker supports a sentence that was moved to evidence about something else.

    python tests/benchmarks/transplants.py --summaries summaries_en-us.json   prose: another article of the same topic
    python tests/benchmarks/transplants.py --run runs/ID                      records: a model's facts, another country

The title in the sentence is exchanged for that of the evidence. A few are true by chance, most are not: lower is better. The
second takes the held-out facts of round 0 of a run on the Factbook. Prints the share with its Wilson interval.
"""

# ruff: noqa: T201
import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from flame_ray.rewards.check import LexicalChecker
from flame_ray.rewards.corpus import load_corpus
from flame_ray.rewards.decompose import sentences
from flame_ray.rewards.retrieve import Bm25Retriever
from flame_ray.rewards.score import wilson
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summaries", type=Path)
    parser.add_argument("--run", type=Path)
    asked = parser.parse_args()
    print("| moved | n | supported, % [95 %] |\n|---|---|---|")
    for name, made in (("to another article", from_summaries), ("to another country", from_run)):
        if (path := asked.summaries if made is from_summaries else asked.run) is None:
            continue
        verdicts = LexicalChecker().check(list(made(path)))
        supported = sum(verdict.label is VerdictLabel.SUPPORTED for verdict in verdicts)
        low, high = wilson(supported, len(verdicts))
        share = 100 * supported / len(verdicts)
        print(f"| {name} | {len(verdicts)} | {share:.1f} [{100 * low:.1f}, {100 * high:.1f}] |")


if __name__ == "__main__":
    main()
