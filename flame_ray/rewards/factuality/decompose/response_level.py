"""A response as a single fact, its whole text, for the checker that judges whole responses (`check/response_level.py`)."""

from collections.abc import Sequence

from flame_ray.rewards.factuality.decompose.base import SplitSentence, deduplicated
from flame_ray.rewards.factuality.decompose.rule import decompose
from flame_ray.rewards.factuality.decompose.sentences import sentences
from flame_ray.types import Decomposition, Response


class ResponseLevelDecomposer:
    """The whole response is its only sentence and fact. It abstains where the rules of `rule.py` find no fact."""

    def decompose(self, responses: Sequence[Response]) -> list[Decomposition]:
        return [_decompose(each.text, finished=each.finish_reason != "length") for each in responses]


def _decompose(text: str, finished: bool) -> Decomposition:
    sentences_S = sentences(text, finished)
    if not sentences_S:
        return Decomposition((), ())
    whole = text.strip() if finished else " ".join(sentences_S)
    return deduplicated([SplitSentence(whole, [whole] if decompose(text, "sentence", finished).facts_F else [])])
