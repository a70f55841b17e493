"""A response as a single fact, its whole text: for a checker that judges whole responses (`check/whole.py`).

In: responses. Out: one fact each; none for a response that states nothing checkable, by the rules of `rule.py`.
"""

from collections.abc import Sequence

from flame_ray.rewards.decompose.rule import decompose
from flame_ray.rewards.decompose.sentences import sentences
from flame_ray.types import Fact, Response


class WholeDecomposer:
    """Leaves responses whole; a refusal and an empty one abstain."""

    def facts(self, responses: Sequence[Response]) -> list[tuple[Fact, ...]]:
        return [_whole(each.text, finished=each.finish_reason != "length") for each in responses]


def _whole(text: str, finished: bool) -> tuple[Fact, ...]:
    if not decompose(text, "sentence", finished):
        return ()
    return (Fact(text.strip() if finished else " ".join(sentences(text, finished)), 0),)
