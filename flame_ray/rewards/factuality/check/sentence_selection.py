"""The few sentences of the evidence that a claim is about, so that a small model reads them and nothing else. Pure.

In: a claim's text and the lines of its evidence. Out: at most so many words of them, in their order.
"""

import math
from collections import Counter
from collections.abc import Sequence

from flame_ray.rewards.factuality.decompose.dedup import content

BESIDE = 0.2  # what a line gains from the better one of its neighbours: a pronoun's line has no name
LENGTH = 0.02  # what each word of a line costs


def focus(claim: str, lines: Sequence[str], words: int) -> str:
    """The lines that share most with the claim, rare words counting more; always one, if there is any.

    >>> focus("Peru exports copper.", ["Lima is the capital.", "Peru exports copper and gold.", "It rains."], words=6)
    'Peru exports copper and gold.'
    """
    contents = [content(line) for line in lines]
    spread = Counter(word for each in contents for word in each)
    wanted = content(claim)
    own = [
        sum(math.log1p(len(lines) / spread[word]) for word in sorted(wanted & each)) / (1 + LENGTH * len(line.split()))
        for each, line in zip(contents, lines, strict=True)
    ]
    padded = [0.0, *own, 0.0]
    scores = [value + BESIDE * max(padded[index], padded[index + 2]) for index, value in enumerate(own)]
    chosen: list[int] = []
    left = words
    for index in sorted(range(len(lines)), key=lambda index: (-scores[index], index)):
        size = len(lines[index].split())
        if size <= left or not chosen:
            chosen.append(index)
            left -= size
    return " ".join(lines[index] for index in sorted(chosen))
