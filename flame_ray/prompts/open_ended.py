"""The built-in prompts that need no facts: 140 short instructions, written for this project.

In: `open_ended.jsonl` beside this file (id, prompt, kind, split). Out: prompts, kinds interleaved, so that the first
few of either split hold every kind. Knows nothing of limits or of other sources.
"""

import json
from functools import cache
from importlib.resources import files

from flame_ray.types import Prompt, Split


@cache
def open_ended_prompts() -> tuple[Prompt, ...]:
    """100 for training and 40 held out, all with `label=False`.

    >>> open_ended_prompts()[0].id
    'open-ended/story/1'
    """
    lines = files(__package__).joinpath("open_ended.jsonl").read_text(encoding="utf-8").splitlines()
    rows = (json.loads(line) for line in lines)
    return tuple(Prompt(id=row["id"], text=row["prompt"], split=Split(row["split"]), label=False) for row in rows)
