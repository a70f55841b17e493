"""How often the scorer of relevance agrees with a reader, on facts that the quickstart's policy stated.

    python tests/benchmarks/relevance.py

`relevance.jsonl` holds 300 facts with their prompts, about training countries, drawn by kind of prompt. A reader says for each
whether it states something of what the prompt asks for, true or false, about what the prompt is about. A fact that only repeats
the prompt's words, or whose capital or language has no name, does not. The scorer was written on the half `development`.

The rows `others` are the facts of `country_facts.jsonl`, on which the checker is trained, and `trained` those of
`trained_facts.jsonl`, which trained policies stated. Their readers had the shorter question whether a fact helps to answer the
prompt.
"""

# ruff: noqa: T201
import json
from pathlib import Path

from flame_ray.rewards.factuality.relevance import is_relevant
from flame_ray.rewards.factuality.scores import wilson

HERE = Path(__file__).parent


def rows_of(name: str) -> list[dict]:
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


def main() -> None:
    rows = rows_of("relevance.jsonl")
    for part, file in (("others", "country_facts.jsonl"), ("trained", "trained_facts.jsonl")):
        rows += [row | {"part": part, "fact": row["claim"]} for row in rows_of(file) if "relevant" in row]
    for part in ("development", "test", "others", "trained"):
        said = [(row["relevant"], is_relevant(row["prompt"], row["fact"])) for row in rows if row["part"] == part]
        print(f"{part}: agrees on {share([a == b for a, b in said])}")
        print(f"  of those that it calls relevant, a reader does {share([a for a, b in said if b])}")
        print(f"  of those that a reader calls relevant, it does {share([b for a, b in said if a])}")


def share(right: list[bool]) -> str:
    low, high = wilson(sum(right), len(right))
    return f"{100 * sum(right) / len(right):.1f} % [{100 * low:.1f}, {100 * high:.1f}] of {len(right)}"


if __name__ == "__main__":
    main()
