"""RM_fact (FLAME, section 4.3): the share of a response's facts that the evidence supports.

In: a prompt and its responses. Out: one FactScore a response, or Missing with the reason when a stage failed on it; a
failure is never a score of 0. Composes retrieve, decompose and check, and knows nothing of how any of them works.
"""

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from flame_ray.errors import FlameError
from flame_ray.rewards.check import Checker
from flame_ray.rewards.decompose import decompose
from flame_ray.rewards.retrieve import Bm25Retriever
from flame_ray.types import FactScore, Missing, Passage, Prompt, Response

log = logging.getLogger(__name__)


class FactualityReward:
    """Scores responses on evidence that is found once a prompt; evaluation meets the same prompts every round."""

    def __init__(
        self,
        retriever: Bm25Retriever,
        checker: Checker,
        retrieve_k: int,
        decompose_mode: Literal["rule", "sentence"],
    ):
        self._checker = checker
        self._mode = decompose_mode
        self._evidence = lru_cache(maxsize=4096)(lambda query: retriever.retrieve(query, retrieve_k))

    def score(self, prompt: Prompt, responses_G: Sequence[Response]) -> tuple[FactScore | Missing, ...]:
        """One result a response, in order. A FlameError stops the run; any other error is this response's alone."""
        return tuple(self._score(prompt, response) for response in responses_G)

    def evidence(self, prompt: Prompt) -> tuple[Passage, ...]:
        """The passages that the prompt's responses are checked against."""
        return self._evidence(prompt.text)

    def _score(self, prompt: Prompt, response: Response) -> FactScore | Missing:
        try:
            facts_F = decompose(response.text, self._mode, finished=response.finish_reason != "length")
            verdicts_F = self._checker.check(facts_F, self.evidence(prompt)) if facts_F else ()
        except FlameError:
            raise
        except Exception as error:  # whatever a text brings out of a parser costs this reward alone, counted as missing
            log.exception("the factuality reward of %s failed", response.id)
            return Missing(response.id, f"{type(error).__name__}: {error}")
        return FactScore(response.id, verdicts_F)
