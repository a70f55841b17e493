"""Judges a response by three signs that a small model can give, weighed as readers of pairs of answers weigh them.

The signs are: how likely the instruction's content words are after the response, how likely the response is after the
instruction, and how near the two are in meaning. `tests/benchmarks/fit_judge.py` fits the weights on labelled pairs.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flame_ray.config import JudgeConfig
from flame_ray.engines.base import Continuation, TextEngine
from flame_ray.engines.embedder import Embedder
from flame_ray.rewards.factuality.retrieve.dense import TextEmbedder
from flame_ray.rewards.judge.backtranslation import strip_quoted
from flame_ray.types import Missing, Prompt, Response, Score

# Plain text, not a chat: it is short, and tells as much of the instruction.
BEFORE, BETWEEN = "Answer:", "\n\nInstruction:"

# Log-odds that a reader prefers a response, for each unit of a sign more.
WEIGHTS = (0.58, 0.83, 3.14)

# Words of an instruction that say nothing of its subject, or only how long the answer shall be.
FUNCTION_WORDS = re.compile(
    r"(?:an?|the|this|that|its?|of|in|on|at|to|for|with|as|by|from|into|and|or|if|so|not?|yes|is|are|was|were|be|do|does|did|has|have"
    r"|can|could|would|which|what|where|who|how|why|when|you|your|i|me|my|any|more|most|than"
    r"|one|two|three|sentences?|answer|name|describe|say|use)"
)
SHORTEST_CONTENT = 3  # letters; this leaves out signs and single letters too
PIECE = re.compile(r"\s*\w+|\s*[^\w\s]+")


@dataclass(frozen=True, slots=True)
class Reading:
    """What is scored of a response: the instruction after it, and it after the instruction."""

    instruction: Continuation
    response: Continuation
    is_content: tuple[bool, ...]  # of the instruction's tokens

    def fits(self, max_length: int) -> bool:
        """Whether a model of so many tokens can read both."""
        return all(len(each.prompt_token_ids) + len(each.token_ids) < max_length for each in (self.instruction, self.response))


class Scorer(Protocol):
    """A part of `TextEngine`; on a CPU another engine does it faster."""

    def logprobs(self, continuations: Sequence[Continuation]) -> list[tuple[float, ...]]: ...


class BlendJudge:
    """Scores a response by a weighted sum of signs, as log-odds: of two with a difference of 1, readers prefer one by 73 %."""

    def __init__(
        self,
        engine: TextEngine,
        config: JudgeConfig,
        seed: int,
        max_length: int,
        scorer: Scorer | None = None,
        embedder: TextEmbedder | None = None,
    ):
        self._engine, self._max_length, self._scorer = engine, max_length, scorer or engine
        self._embedder: TextEmbedder = embedder or Embedder()

    def score(self, items: Sequence[tuple[Prompt, Response]]) -> list[Score | Missing]:
        """One score an item, in order; `Score.samples` are the signs, unweighed."""
        read = [self._reading(prompt.text, response.text) for prompt, response in items]
        judged = [(each, item) for each, item in zip(read, items, strict=True) if isinstance(each, Reading)]
        instructions = self._scorer.logprobs([reading.instruction for reading, _ in judged])
        responses = self._scorer.logprobs([reading.response for reading, _ in judged])
        near = self._nearness([item for _, item in judged])
        signs = (
            (content_likelihood(reading.is_content, instruction), _mean(response), close)
            for (reading, _), instruction, response, close in zip(judged, instructions, responses, near, strict=True)
        )
        return [
            _scored(response, next(signs)) if isinstance(each, Reading) else Missing(response.id, each)
            for (_, response), each in zip(items, read, strict=True)
        ]

    def _reading(self, instruction: str, response: str) -> Reading | str:
        """What to score, or the reason why it cannot be scored."""
        text = strip_quoted(instruction, response)
        if not text.strip():
            return "judge: empty response"
        encode = self._engine.encode
        pieces = [(encode(piece), is_content(piece)) for piece in PIECE.findall(f" {instruction}")]
        words = Continuation(encode(f"{BEFORE} {text}{BETWEEN}"), tuple(token for ids, _ in pieces for token in ids))
        chat = self._engine.render([{"role": "user", "content": instruction}])
        read = Reading(words, Continuation(chat, encode(response)), tuple(content for ids, content in pieces for _ in ids))
        return read if read.fits(self._max_length) else "judge: too long for its model"

    def _nearness(self, items: Sequence[tuple[Prompt, Response]]) -> list[float]:
        """The cosine of each instruction and its response. An instruction is embedded once."""
        if not items:
            return []
        instructions = list(dict.fromkeys(prompt.text for prompt, _ in items))
        vectors = dict(zip(instructions, self._embedder.queries(instructions), strict=True))
        answers = self._embedder.passages([response.text for _, response in items])
        return [float(vectors[prompt.text] @ answer) for (prompt, _), answer in zip(items, answers, strict=True)]


def is_content(piece: str) -> bool:
    """Whether a piece of an instruction says something of its subject.

    >>> [piece for piece in PIECE.findall("Name the capital of Peru.") if is_content(piece)]
    [' capital', ' Peru']
    """
    word = piece.strip().lower()
    return len(word) >= SHORTEST_CONTENT and not FUNCTION_WORDS.fullmatch(word)


def content_likelihood(is_content: Sequence[bool], logprobs: Sequence[float]) -> float:
    """The mean log-probability in nats of the instruction's content tokens; of all, if there is none.

    >>> content_likelihood([False, True, True], [-9.0, -1.0, -3.0])
    -2.0
    """
    return _mean([value for value, kept in zip(logprobs, is_content, strict=True) if kept] or logprobs)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _scored(response: Response, signs: tuple[float, ...]) -> Score | Missing:
    value = sum(weight * sign for weight, sign in zip(WEIGHTS, signs, strict=True))
    return Score(response.id, value, signs) if math.isfinite(value) else Missing(response.id, "judge: no finite likelihood")
