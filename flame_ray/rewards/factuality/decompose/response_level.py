"""A response as a single fact, its whole text: for a checker that judges whole responses (`check/whole.py`).

In: responses. Out: one sentence and one fact each; no fact for a response that states nothing checkable, by the rules of
`rule.py`.
"""

from collections.abc import Sequence

from flame_ray.rewards.factuality.decompose.base import Told, merged
from flame_ray.rewards.factuality.decompose.rule import decompose
from flame_ray.rewards.factuality.decompose.sentences import sentences
from flame_ray.types import Decomposition, Response


class WholeDecomposer:
    """Leaves responses whole, so that each is its own only sentence; a refusal and an empty one abstain."""

    def decompose(self, responses: Sequence[Response]) -> list[Decomposition]:
        return [_whole(each.text, finished=each.finish_reason != "length") for each in responses]


def _whole(text: str, finished: bool) -> Decomposition:
    sentences_S = sentences(text, finished)
    if not sentences_S:
        return Decomposition((), ())
    whole = text.strip() if finished else " ".join(sentences_S)
    return merged([Told(whole, [whole] if decompose(text, "sentence", finished).facts_F else [])])
