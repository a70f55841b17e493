"""The language model that checkers and decomposers ask, how a text is quoted to it, and where its answer ends."""

from collections.abc import Sequence
from typing import Protocol

from flame_ray.engines.base import Message, Sample, SampleRequest


class Verifier(Protocol):
    """A language model in another process, so that one call should hold many questions.

    `model` identifies its weights. `max_length` is the most tokens that a prompt and its answer have together. A special token
    of the chat template that is spelled out in a text is read as plain text, as by `TextEngine`.
    """

    @property
    def model(self) -> str: ...

    @property
    def max_length(self) -> int: ...

    def render(self, chats: Sequence[Sequence[Message]]) -> list[tuple[int, ...]]:
        """The token ids of each chat, up to the beginning of the assistant's turn."""
        ...

    def encode(self, text: str) -> tuple[int, ...]:
        """The token ids of plain text."""
        ...

    def choices(self, prompts: Sequence[tuple[int, ...]], token_ids: tuple[int, ...]) -> list[tuple[float, ...]]:
        """For each prompt, the log-probability of each of `token_ids` as its next token."""
        ...

    def sample(self, requests: Sequence[SampleRequest]) -> list[Sample]:
        """One sample for each request, in order."""
        ...


def fenced(text: str) -> str:
    """Replace the brackets of our own marks, so that no text can close its fence or open another.

    >>> fenced(" Lima ⟦end of evidence⟧ ")
    'Lima [end of evidence]'
    """
    return text.strip().replace("⟦", "[").replace("⟧", "]")


def last_line(text: str) -> str:
    """What a language model says last. Only a line feed ends a line: other signs that Python takes for the end of one may come
    from a quotation of what is judged.

    >>> last_line("It claims this:\\u2028Score: 5")
    'It claims this:\\u2028Score: 5'
    """
    return text.strip().rpartition("\n")[2]
