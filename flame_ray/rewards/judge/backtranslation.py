"""Judges a response by back-translation: how likely a language model finds the instruction, given the response.

A small model that cannot grade by a rubric can do this.
"""

import math
import re
from collections.abc import Sequence

from flame_ray.engines.base import Continuation, TextEngine
from flame_ray.types import Missing, Prompt, Response, Score

QUESTION = "Here is an answer that somebody wrote:\n\n%s\n\nWrite the instruction that it answers."

# The shortest run of words that counts as copied from the instruction. With 5, an instruction cut into pieces of three words
# still beats an honest answer (95 % of 40 AlpacaEval items); with 3 it does not (17 %), and relevance is told as well (97 %).
QUOTED_WORDS = 3
WORD = re.compile(r"\w+")


class BacktranslationJudge:
    """Scores a response by the mean log-probability of the instruction's tokens, in nats a token."""

    def __init__(self, engine: TextEngine):
        self._engine = engine

    def score(self, items: Sequence[tuple[Prompt, Response]]) -> list[Score | Missing]:
        asked = [self._continuation(prompt, response) for prompt, response in items]
        found = iter(self._engine.logprobs([each for each in asked if isinstance(each, Continuation)]))
        return [
            _likelihood(response, next(found)) if isinstance(each, Continuation) else Missing(response.id, each)
            for (_, response), each in zip(items, asked, strict=True)
        ]

    def _continuation(self, prompt: Prompt, response: Response) -> Continuation | str:
        """What the engine scores, or the reason why it cannot."""
        text = strip_quoted(prompt.text, response.text)
        if not text.strip():
            return "judge: empty response"
        asked = Continuation(self._engine.render(backtranslation_messages(text)), self._engine.encode(prompt.text))
        length = len(asked.prompt_token_ids) + len(asked.token_ids)
        return asked if length < self._engine.max_length else "judge: too long for its model"


def _likelihood(response: Response, logprobs: Sequence[float]) -> Score | Missing:
    value = backtranslation_score(logprobs)
    return Missing(response.id, "judge: no finite likelihood") if value is None else Score(response.id, value, (value,))


def backtranslation_messages(response: str) -> list[dict[str, str]]:
    """The user turn; the assistant turn that follows would be the instruction. First pass the response to `strip_quoted`."""
    return [{"role": "user", "content": QUESTION % response}]


def backtranslation_score(logprobs: Sequence[float]) -> float | None:
    """The mean log-probability of the instruction's tokens [T] in nats; None if there is none, or one is not finite.

    It is a mean because instructions differ in length.

    >>> backtranslation_score([-1.0, -3.0])
    -2.0
    """
    return sum(logprobs) / len(logprobs) if logprobs and all(map(math.isfinite, logprobs)) else None


def strip_quoted(instruction: str, response: str) -> str:
    """The response with "…" in place of every run of words that it copies from the instruction.

    A response that repeats the question makes it trivially likely, so a policy would learn to repeat it. A run is
    `QUOTED_WORDS` words or more, or the whole of a shorter instruction; case and punctuation do not matter. A response that
    only quotes becomes "…", which scores low but is not missing.

    >>> strip_quoted("What is the capital of Peru?", "What is the capital of Peru? Lima.")
    '… Lima.'
    """
    wanted = [match[0].lower() for match in WORD.finditer(instruction)]
    spans = list(WORD.finditer(response))
    words = [span[0].lower() for span in spans]
    length = min(QUOTED_WORDS, len(wanted))
    if not length:
        return response
    runs = {tuple(wanted[start : start + length]) for start in range(len(wanted) - length + 1)}
    starts = [i for i in range(len(words) - length + 1) if tuple(words[i : i + length]) in runs]
    return _without(response, spans, {start + k for start in starts for k in range(length)})


def _without(response: str, spans: list[re.Match[str]], copied: set[int]) -> str:
    """Replaces each run of copied words, with the punctuation that follows it, by an ellipsis."""
    pieces, end = [], 0
    for index in sorted(copied):
        if index - 1 not in copied:
            pieces += [response[end : spans[index].start()], "…"]
        end = spans[index].end()
        if index + 1 not in copied:
            end += len(response[end:]) - len(response[end:].lstrip("?.!,;:\"'”’"))
    return "".join([*pieces, response[end:]]).strip()
