"""The built-in prompts that need no facts: 140 short instructions, written for this project, in `open_ended.jsonl`.

Kinds of instruction are interleaved, so that the first few prompts of either split hold every kind.
"""

from functools import cache
from pathlib import Path

from flame_ray.storage.jsonl import read_jsonl
from flame_ray.types import Prompt, Split


@cache
def open_ended_prompts() -> tuple[Prompt, ...]:
    """100 for training and 40 held out, all with `label=False`.

    >>> open_ended_prompts()[0].id
    'open-ended/story/1'
    """
    rows = [row.columns for row in read_jsonl(Path(__file__).with_suffix(".jsonl"))]
    return tuple(Prompt(id=row["id"], text=row["prompt"], split=Split(row["split"]), label=False) for row in rows)
