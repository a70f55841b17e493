"""How often the passages that decide a fact are among those that are retrieved for it, by setting.

    python tests/benchmarks/evidence_recall.py [--data FOLDER] [--sample N]

The facts are those of ../shared/data/policy_facts that readers call supported or contradicted: what the Factbook does not
mention has no passage that decides. A passage decides if it belongs to the record of the prompt's country and holds a field
that the fact is about. Which fields those are is told from the words of the fact, or of its prompt where the fact has none of
them (`TOPICS`). A fact about two topics needs a passage for each. A supported fact is decided by the first field of a topic
that shares a word with it, a contradicted one by the first that the record has; of several passages with that field, those that
share most words.
`--sample N` prints N facts with the lines that were marked, for checking by eye.
"""

# ruff: noqa: T201
import argparse
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import Stemmer

from flame_ray.config import FactualityConfig
from flame_ray.rewards.factuality.evidence import Evidence
from flame_ray.rewards.factuality.retrieve import open_passages, open_retriever
from flame_ray.rewards.factuality.scores import wilson
from flame_ray.types import Passage

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "policy_facts" / "policy_facts.jsonl"
# topic: (words that show it, the fields that decide it; the first ones that a record has count)
TOPICS = {
    "capital": (r"\bcapitals?\b", ("Capital",)),
    "government": (
        r"govern|(?<!czech )republic\b|monarch|democra|constitution|parliament|president|prime minister"
        r"|federa|sovereign|dictator|autono",
        ("Government type", "Executive branch", "Legislative branch", "Country name", "Independence", "Dependency status"),
    ),
    "borders": (r"border|neighbo|bounded|adjacent|surround|boundar|nestled between", ("Land boundaries", "Location")),
    "sea": (r"coast|\bseas?\b|ocean|landlocked|\bgulf\b|shore|\bbay\b|strait", ("Coastline", "Location", "Geography - note")),
    "location": (
        r"\blocated\b|\blies\b|\blying\b|\bsituated\b|continent|\b(is|are) (an? )?part of\b"
        r"|\bis (an?|the) [\w -]*(european|african|asian|american|arab|island)"
        r"|\b(north|south|east|west|central)\w* (of )?(africa|asia|europe|america|pacific|indian|atlantic|caribbean)",
        ("Location", "Map references"),
    ),
    "climate": (
        r"climat|weather|temperature|\brain|humid|tropical|\bwarm|\bhot\b|\bcold\b|\bcool\b|\bwinter|\bsummer|\bseason|monsoon|\barid",
        ("Climate",),
    ),
    "terrain": (
        r"terrain|landscape|mountain|\bplains?\b|desert|plateau|archipelago|volcan|\bhill|reef|atoll|valley|forest|\bislands?\b"
        r"|\bthe land\b|landmass|peninsula|geograph|topograph",
        ("Terrain", "Geography - note", "Location", "Elevation", "Area"),
    ),
    "languages": (r"languag|\bspeak|spoken|\bdialect|\btongue", ("Languages",)),
    "religions": (
        r"religio|christian|catholic|islam|muslim|buddh|hindu|\bfaith|protestant|orthodox|judaism|jewish|taois|sunni|shia",
        ("Religions",),
    ),
    "people": (
        r"ethnic|population|inhabit|census|\bpeople\b|populous",
        ("Ethnic groups", "Population", "Religions", "Languages"),
    ),
    "cities": (r"\b(largest|biggest|most populous|major)( \w+)? cit(y|ies)\b", ("Major urban areas - population", "Capital")),
    "farming": (
        r"\bcrops?\b|agricult|farm|livestock|fishing",
        ("Agricultural products", "Economic overview", "GDP - composition"),
    ),
    "resources": (
        r"natural resource|mineral|\boil\b|petroleum|natural gas|\bmining",
        ("Natural resources", "Exports - commodities"),
    ),
    "industries": (r"industr|manufactur|tourism", ("Industries", "Economic overview", "GDP - composition")),
    "exports": (r"export", ("Exports - commodities", "Exports - partners", "Exports", "Economic overview")),
    "imports": (r"\bimport(s|ed|ing)\b", ("Imports - commodities", "Imports - partners", "Imports")),
    "economy": (r"econom|\bgdp\b|income", ("Economic overview", "GDP - composition", "Real GDP per capita")),
    "membership": (r"\bmembers? of\b|\bmembership\b", ("International organization participation",)),
    "area": (r"\barea of\b|square (kilo|mile)|\bkm²|\bsq", ("Area",)),
}
WORD = re.compile(r"[^\W\d_]{3,}|\d[\d,.]*")
STEM = Stemmer.Stemmer("english").stemWord
COMMON = frozenset(
    ["the", "and", "with", "are", "its", "has", "have", "from", "that", "this", "for", "was", "also", "one", "two"]
)
SETTINGS = [(query, k) for query in ("prompt", "fact", "titled fact", "both") for k in (5, 10, 15, 20, 30, 40, 60)]


@dataclass(frozen=True, slots=True)
class Marked:
    """A fact, and for each of its topics the passages one of which decides."""

    prompt: str
    title: str  # of the prompt's country
    fact: str
    label: str
    deciding: tuple[tuple[str, frozenset[str]], ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--retriever", nargs="+", default=["bm25"])
    words = parser.parse_args()
    records = records_of(open_passages(FactualityConfig()))
    rows = [json.loads(line) for line in words.data.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["label"] != "not_found" and not row["says_nothing"]]
    marked = [each for row in rows if (each := mark(row, records))]
    print(f"{len(marked)} of {len(rows)} facts marked")
    for each in random.Random(0).sample(marked, min(words.sample, len(marked))):
        show(each, records)
    if not words.sample:
        for retriever in words.retriever:
            measure(retriever, marked)


def records_of(passages: Sequence[Passage]) -> dict[str, list[Passage]]:
    """The passages of each title."""
    records: dict[str, list[Passage]] = defaultdict(list)
    for passage in passages:
        records[passage.title].append(passage)
    return records


def mark(row: dict, records: dict[str, list[Passage]]) -> Marked | None:
    title = country(row["prompt"], records)
    record = records[title]
    names = re.compile("|".join(re.escape(title.removeprefix("The ")) for title in sorted(records, key=len, reverse=True)))
    topics = topics_of(names.sub("", row["fact"])) or topics_of(names.sub("", row["prompt"]))
    deciding = tuple((topic, found) for topic in topics if (found := deciding_passages(row, topic, record)))
    return Marked(row["prompt"], title, row["fact"], row["label"], deciding) if deciding else None


def country(prompt: str, records: dict[str, list[Passage]]) -> str:
    """The longest title that the prompt names."""
    return max((title for title in records if title.removeprefix("The ") in prompt), key=len)


def topics_of(text: str) -> list[str]:
    return [topic for topic, (words, _) in TOPICS.items() if re.search(words, text, re.IGNORECASE)]


def deciding_passages(row: dict, topic: str, record: Sequence[Passage]) -> frozenset[str]:
    """The passages of the deciding field that share most words with the fact; empty if the record has none of the fields."""
    shown, fields = TOPICS[topic]
    words, first = stems(re.sub(shown, "", row["fact"], flags=re.IGNORECASE)) - stems(record[0].title), frozenset[str]()
    for field in fields:
        shared = {
            passage.id: len(words & stems(" ".join(lines))) for passage in record if (lines := list(lines_of(passage, field)))
        }
        best = max(shared.values(), default=-1)
        found = frozenset(id for id, count in shared.items() if count == best)
        if best > 0 or (row["label"] == "contradicted" and found):
            return found
        first = first or found
    return first


def lines_of(passage: Passage, field: str) -> Iterator[str]:
    """The values of a field in a passage, without the name of the field."""
    for line in passage.text.split("\n")[1:]:
        name, _, value = line.partition(": ")
        if re.match(rf"{re.escape(field)}\b(?! -)(?!.*, note$)", name):
            yield value


def stems(text: str) -> set[str]:
    return {STEM(word.lower()) for word in WORD.findall(text)} - COMMON


def show(each: Marked, records: dict[str, list[Passage]]) -> None:
    passages = {passage.id: passage for passage in records[each.title]}
    print(f"\n{each.label}: {each.fact}\n   ({each.prompt})")
    for topic, ids in each.deciding:
        for id in sorted(ids):
            lines = [f"{field}: {value}" for field in TOPICS[topic][1] for value in lines_of(passages[id], field)]
            print(f"   {topic}, {id}: {' | '.join(lines)[:220]}")


def measure(retriever: str, marked: Sequence[Marked]) -> None:
    for query, k in SETTINGS:
        evidence = Evidence(open_retriever(FactualityConfig(retriever=retriever)), k)
        texts = {"prompt": "{0.prompt}", "fact": "{0.fact}", "titled fact": "{0.title} {0.fact}", "both": "{0.prompt} {0.fact}"}
        found = evidence.find([texts[query].format(each) for each in marked])
        hits = sum(
            all(ids & {passage.id for passage in passages} for _, ids in each.deciding)
            for each, passages in zip(marked, found, strict=True)
        )
        low, high = wilson(hits, len(marked))
        recall = f"{100 * hits / len(marked):.1f} % [{100 * low:.1f}, {100 * high:.1f}] of {len(marked)}"
        print(f"{retriever} by {query}, {k} passages: {recall}")


if __name__ == "__main__":
    main()
