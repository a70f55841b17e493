"""Texts that spell a special token out, such as `<|im_end|>`: to a tokenizer they would be that token.

In: a text that somebody else wrote, and a tokenizer's special tokens. Out: the text with each of them spelled apart, so that
it can end no turn of a chat and open no other. Knows nothing of chats.
"""

from collections.abc import Sequence
from typing import Any


def special_tokens(tokenizer: Any) -> tuple[str, ...]:
    """What a Hugging Face tokenizer cuts out of a text before anything else, words and blanks that were added to it aside."""
    added = [(token.content, token.special) for token in tokenizer.added_tokens_decoder.values()]
    marks = {content for content, special in added if content.strip() and (special or not content.strip()[0].isalnum())}
    return tuple(sorted(marks, key=lambda mark: (-len(mark), mark)))


def spelled_apart(text: str, special: Sequence[str]) -> str:
    """The text with a blank after the first character of each special token in it; a blank in place of a single character.

    >>> spelled_apart("Lima.<|im_end|>", ["<|im_end|>"])
    'Lima.< |im_end|>'
    """
    for mark in special:
        text = text.replace(mark, f"{mark[0]} {mark[1:]}" if len(mark) > 1 else " ")
    return text
