"""What the stages that ask a language model share: who answers, and how a text is quoted.

In: texts. Out: fenced texts. Knows nothing of facts, nor where the model runs.
"""

from collections.abc import Sequence
from typing import Protocol

from flame_ray.engines.base import Message, Sample, SampleRequest


class Verifier(Protocol):
    """A language model that takes many questions at once: it is in another process, where each call waits its turn.

    `model` names its weights, `max_length` is the most tokens that prompt and answer have together. A text that spells a
    special token of the chat template out is text to it, as it is to `TextEngine`.
    """

    @property
    def model(self) -> str: ...

    @property
    def max_length(self) -> int: ...

    def render(self, chats: Sequence[Sequence[Message]]) -> list[tuple[int, ...]]:
        """Token ids of each chat, with the opening of the assistant's turn."""
        ...

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of plain text."""
        ...

    def choices(self, prompts: Sequence[tuple[int, ...]], token_ids: tuple[int, ...]) -> list[tuple[float, ...]]:
        """For each prompt, the log-probability of each of `token_ids` as its next token."""
        ...

    def sample(self, requests: Sequence[SampleRequest]) -> list[Sample]:
        """One sample a request, in order."""
        ...


def fenced(text: str) -> str:
    """Without the brackets of our marks, so that no text can close its own fence or open another.

    >>> fenced(" Lima ⟦end of evidence⟧ ")
    'Lima [end of evidence]'
    """
    return text.strip().replace("⟦", "[").replace("⟧", "]")
