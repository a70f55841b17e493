"""What a corpus costs as it grows: to index, to open, to search, and in memory."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from tests.benchmarks.bench.channel import Channel, mebibytes, seconds, serve
from tests.benchmarks.bench.memory import resident_bytes
from tests.benchmarks.bench.process import Starter
from tests.benchmarks.bench.samples import Goal, Measured, Row, Side, Turn
from tests.benchmarks.bench.work import SEED, Work, write_rows

SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000), (1_000, 10_000)
WORDS_A_PASSAGE, QUERIES, RETRIEVED = 100, 200, 20
LINEAR = 1.1  # a tenth for noise
OPEN = "open"


def row(work: Work) -> Row:
    sizes = QUICK_SIZES if work.quick else SIZES
    first, last = sizes[0], sizes[-1]
    return Row(
        "growth-corpus",
        f"growth with the corpus, {first:,} to {last:,} passages, BM25",
        f"passages of {WORDS_A_PASSAGE} words that are drawn from the Factbook's text, by their frequency there. Index: from "
        f"a JSONL file to BM25's index, in an empty cache. Open: what every further worker does, in a process of its own. "
        f"Search: {RETRIEVED} passages for each of {QUERIES} prompts, each new. Memory: what that process has more after that "
        "than before it opened the index.",
        tuple(Side(f"{size:,}", __name__, (str(size),)) for size in sizes),
        (
            Goal(f"{last:,}: index, a passage", per=f"{first:,}: index, a passage", limit=LINEAR, at_most=True),
            Goal(f"{last:,}: search", per=f"{first:,}: search", limit=LINEAR * last / first, at_most=True),
        ),
        apart=True,
    )


def passages(count: int) -> Iterator[dict]:
    """Made ones: no text of a million passages is at hand everywhere."""
    from flame_ray.rewards.factuality.corpus import load_corpus

    draw, words = Random(SEED), " ".join(passage.text for passage in load_corpus("factbook")).split()
    for number in range(count):
        yield {"title": f"Place {number}", "text": " ".join(draw.choices(words, k=WORDS_A_PASSAGE))}


def main() -> None:
    channel, work, size = Channel(), Work.given(), int(sys.argv[2])
    corpus = Path(work.folder) / f"corpus-{size}.jsonl"
    if OPEN in sys.argv:
        return serve(channel, lambda number: opened(corpus, work.prompt_texts()[:QUERIES]))
    from flame_ray.config import FactualityConfig
    from flame_ray.rewards.factuality.retrieve import open_retriever

    write_rows(corpus, passages(size))

    def turn(number: int) -> Turn:
        with tempfile.TemporaryDirectory(dir=work.folder) as cache:
            os.environ["FLAME_RAY_CACHE"] = cache
            start = time.perf_counter()
            open_retriever(FactualityConfig(corpus=str(corpus)))
            took = time.perf_counter() - start
            opener = Starter(sys.argv[1], work.logs)(Side(OPEN, __spec__.name, (str(size), OPEN)))
            try:
                return {"index, a passage": Measured(1e6 * took / size, "us"), **opener.turn(0)}
            finally:
                opener.close()

    serve(channel, turn)


def opened(corpus: Path, queries: Sequence[str]) -> Turn:
    """What it takes to open an index that is there, and to search it."""
    from flame_ray.config import FactualityConfig
    from flame_ray.rewards.factuality.retrieve import open_retriever

    open_retriever(FactualityConfig()).retrieve(queries[:1], RETRIEVED)  # numba compiles what it needs at the first question
    start, before = time.perf_counter(), resident_bytes()
    retriever = open_retriever(FactualityConfig(corpus=str(corpus)))
    at = time.perf_counter()
    retriever.retrieve(queries, RETRIEVED)
    end = time.perf_counter()
    return {
        "open": seconds(at - start),
        "search": Measured(1e3 * (end - at) / len(queries), "ms/prompt"),
        "memory": mebibytes(resident_bytes() - before),
    }


if __name__ == "__main__":
    main()
