"""The work that all sides of a row do alike. Peers read it too, so that only `make_work` imports flame-ray."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp

SAMPLES, TOKENS, TEMPERATURE = 2, 80, 0.9  # a prompt's responses, their longest length, and how they are sampled
BATCH_PAIRS, LORA_RANK, LORA_ALPHA, BETA, RATE = 8, 16, 32, 0.1, 1e-4
MAX_LENGTH, MAX_SEQUENCES, KV_CACHE_GIB = 512, 96, 1.0
SEED = 7
PASSAGES = 400  # of the Factbook, from which the answers of the pairs are cut
PROMPTS, QUICK_PROMPTS, MOST_PAIRS = 48, 16, 32


@dataclass(frozen=True)
class Work:
    """`folder` has the files that `make_work` writes; `model` is a folder of SmolLM2-135M. `prompts`: how many a turn takes."""

    folder: str
    model: str
    dtype: str
    prompts: int
    threads: int
    quick: bool

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def given(cls) -> "Work":
        """The work that the runner names in a side's first word."""
        return cls(**json.loads(sys.argv[1]))

    def prompt_texts(self) -> list[str]:
        """All of them."""
        lines = (Path(self.folder) / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["prompt"] for line in lines]

    @property
    def logs(self) -> Path:
        """What the sides print. It lies beside the folder, which is removed at the end."""
        return Path(self.folder).parent / "logs"

    def turn_texts(self, number: int) -> list[str]:
        """The `prompts` of them that a turn takes, of which -1 warms up: others each turn until there are no more."""
        texts, first = self.prompt_texts(), (number + 1) * self.prompts
        return [texts[place % len(texts)] for place in range(first, first + self.prompts)]

    @property
    def pairs(self) -> Path:
        return Path(self.folder) / "pairs.jsonl"

    @property
    def pair_count(self) -> int:
        return min(self.prompts, MOST_PAIRS)


def make_work(folder: Path, quick: bool) -> Work:
    """Write the prompts and the pairs, of the same seed each time."""
    import os

    from flame_ray.config import ModelConfig
    from flame_ray.config.model import cpu_dtype
    from flame_ray.engines.models import SMOLLM2, resolve_model

    model = resolve_model(SMOLLM2, ModelConfig())
    prompts = QUICK_PROMPTS if quick else PROMPTS
    work = Work(str(folder), str(model), cpu_dtype(), prompts, len(os.sched_getaffinity(0)), quick)
    *texts, last = _factbook_prompts()
    write_rows(folder / "prompts.jsonl", ({"prompt": text} for text in texts))
    write_rows(folder / "run_prompts.jsonl", _for_a_run(texts[: work.prompts], last))
    write_rows(folder / "pairs.jsonl", made_pairs(model, texts[: work.pair_count], TOKENS))
    return work


def made_pairs(model: Path, texts: list[str], longest: int) -> Iterator[dict]:
    """A pair of each prompt, in TRL's conversational format. Its answers are pieces of the Factbook's text, of a quarter of
    `longest` to `longest` tokens, as sampled ones are of unequal length too: what they say does not matter here.
    """
    from random import Random

    from flame_ray.config import ModelConfig
    from flame_ray.engines.models import load_tokenizer
    from flame_ray.rewards.factuality.corpus import load_corpus

    tokenizer, draw = load_tokenizer(model, ModelConfig()), Random(SEED)
    stream = tokenizer.encode(" ".join(passage.text for passage in load_corpus("factbook")[:PASSAGES]))

    def side() -> list[dict[str, str]]:
        length = draw.randint(longest // 4, longest)
        start = draw.randrange(len(stream) - length)
        return [{"role": "assistant", "content": tokenizer.decode(stream[start : start + length]).strip()}]

    for text in texts:
        yield {"prompt": [{"role": "user", "content": text}], "chosen": side(), "rejected": side()}


def _factbook_prompts() -> list[str]:
    from flame_ray.config.prompts import PromptSource
    from flame_ray.prompts.load import prompts_of

    return [prompt.text for prompt in prompts_of(PromptSource(source="factbook"), "prompts.sources")]


def _for_a_run(texts: Sequence[str], held_out: str) -> Iterator[dict]:
    """A run needs a prompt that is held out. All need facts, so that the run need not ask a model which do."""
    yield from ({"prompt": text, "split": "train", "facts": True} for text in texts)
    yield {"prompt": held_out, "split": "heldout", "facts": True}


def write_rows(path: Path, rows: Iterable[dict]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def main() -> None:
    """Print the work for a side that is run by hand: `... "$(python -m tests.benchmarks.bench.work [--quick])"`."""
    from tests.benchmarks.bench.channel import Channel

    folder = Path(mkdtemp(prefix="bench-")) / "work"
    folder.mkdir()
    channel = Channel()  # libraries may print too
    channel.say(asdict(make_work(folder, "--quick" in sys.argv)))


if __name__ == "__main__":
    main()
