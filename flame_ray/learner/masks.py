"""Which tokens of a response state which of its sentences.

Nothing is tokenized: the sampler's token ids are decoded one by one, and each sentence is found in that text by its words.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

Decode = Callable[[Sequence[int]], str]  # token ids -> their text, without special tokens
Span = tuple[int, int]  # places in a text: of the first character, and of the one after the last
WORD, MARKS = re.compile(r"[^\W_]+"), re.compile(r"(?:[^\w\s(\[{]|_)*")  # marks that close what a sentence opened
UNFINISHED = "\ufffd"  # what a tokenizer gives for bytes that end inside a character


@dataclass(frozen=True, slots=True)
class DecodedText:
    """The text of token ids, and the place of each token in it. Tokens that share a character share their place."""

    text: str
    spans_T: tuple[Span, ...]


def decoded(token_ids: Sequence[int], decode: Decode) -> DecodedText:
    """Each token is decoded after the ones before it, since some tokenizers drop a text's first blank."""
    text, spans = "", list[Span]()
    before = begin = 0  # token_ids[before:begin] is decoded already, and begin is the first token that is not
    for end in range(1, len(token_ids) + 1):
        piece = decode(token_ids[before:end])[len(decode(token_ids[before:begin])) :]
        if piece.endswith(UNFINISHED) and end < len(token_ids):
            continue
        spans += [(len(text), len(text) + len(piece))] * (end - begin)
        text += piece
        before, begin = begin if piece else before, end  # after a token without text, a blank would be the first one again
    return DecodedText(text, tuple(spans))


def sentence_spans(text: str, sentences_S: Sequence[str]) -> tuple[Span | None, ...]:
    """Where each sentence stands in the text, in their order, with the marks that end it; None if none of its words is there.

    Sentences have no markup and no citations, and a list item repeats what introduces the list. So they are aligned with the
    text by words: the longest run of words that both have, then the longest ones before and after it, and so on.

    >>> sentence_spans("Peru borders:\\n- **Chile**[1]\\n- Brazil.", ["Peru borders: Chile", "Peru borders: Brazil."])
    ((0, 25), (31, 38))
    """
    found = list(WORD.finditer(text))
    said = [(word.casefold(), place) for place, each in enumerate(sentences_S) for word in WORD.findall(each)]
    in_text, in_sentences = [match[0].casefold() for match in found], [word for word, _ in said]
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for at, begin, size in SequenceMatcher(None, in_text, in_sentences, autojunk=False).get_matching_blocks():
        for match, (_, place) in zip(found[at : at + size], said[begin : begin + size], strict=True):
            first.setdefault(place, match.start())
            last[place] = match.end()
    return tuple((first[n], _after_marks(text, last[n])) if n in first else None for n in range(len(sentences_S)))


def _after_marks(text: str, end: int) -> int:
    match = MARKS.match(text, end)
    return match.end() if match else end


def token_mask(spans_T: Sequence[Span], sentences: Sequence[Span]) -> tuple[bool, ...]:
    """Whether each token has a character of one of these sentences.

    >>> token_mask([(0, 4), (4, 9), (9, 9)], [(5, 9)])
    (False, True, False)
    """
    return tuple(any(begin < end and begin < last and first < end for first, last in sentences) for begin, end in spans_T)
