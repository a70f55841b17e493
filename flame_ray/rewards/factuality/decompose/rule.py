"""Splits a response into short, self-contained facts by rules of English word order, without a model.

Where no rule fits, a clause stays whole: that makes a fact harder to support, never easier.

A response cannot look factual without being so: a fact that is repeated counts once; praise that no evidence could check,
questions, greetings and refusals do not count. A hedge (`I think that ...`) does not hide the claim after it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from flame_ray.rewards.factuality.decompose.base import SplitSentence, deduplicated
from flame_ray.rewards.factuality.decompose.dedup import content
from flame_ray.rewards.factuality.decompose.sentences import (
    COLLECTIVE_VERBS,
    PROPER_NAME,
    VERB,
    VERBS,
    claim_of,
    first_proper_name,
    is_checkable,
    resolve_pronoun,
    sentences,
)
from flame_ray.types import Decomposition, Response

LONGEST_SPLIT = 2000  # characters of a claim that is split, because the time grows with the square of its length


class RuleDecomposer:
    """`rule` splits sentences into clauses and list items; `sentence` keeps them whole (the paper's ablation, table 10)."""

    def __init__(self, mode: Literal["rule", "sentence"] = "rule"):
        self._mode = mode

    def decompose(self, responses: Sequence[Response]) -> list[Decomposition]:
        return [decompose(each.text, self._mode, finished=each.finish_reason != "length") for each in responses]


class ResponseLevelDecomposer:
    """The whole response is its only sentence and fact, for checkers of whole responses (`check/response_level.py`).

    It abstains where the rules find no fact.
    """

    def decompose(self, responses: Sequence[Response]) -> list[Decomposition]:
        return [_as_one_fact(each.text, finished=each.finish_reason != "length") for each in responses]


def _as_one_fact(text: str, finished: bool) -> Decomposition:
    sentences_S = sentences(text, finished)
    if not sentences_S:
        return Decomposition((), ())
    whole = text.strip() if finished else " ".join(sentences_S)
    return deduplicated([SplitSentence(whole, [whole] if decompose(text, "sentence", finished).facts_F else [])])


def decompose(text: str, mode: Literal["rule", "sentence"], finished: bool = True) -> Decomposition:
    """The sentences and facts of a text; `finished=False` says that the text was cut off.

    >>> found = decompose("Peru is bordered by Chile, Brazil and Ecuador. It has a rich culture.", "rule")
    >>> [fact.text for fact in found.facts_F]
    ['Peru is bordered by Chile', 'Peru is bordered by Brazil', 'Peru is bordered by Ecuador']
    >>> [sentence.verifiable for sentence in found.sentences_S]
    [True, False]
    """
    return deduplicated(_split(sentences(text, finished), mode))


def _split(sentences_S: Sequence[str], mode: Literal["rule", "sentence"]) -> Iterator[SplitSentence]:
    topic = subject = ""
    for sentence in sentences_S:
        claim = claim_of(sentence)
        if not claim:
            yield SplitSentence(sentence, ())
            continue
        claim = resolve_pronoun(claim, subject, topic)
        subject = subject_of(claim) or subject
        topic = topic or first_proper_name(claim)
        pieces = split_clauses(claim) if mode == "rule" and len(claim) <= LONGEST_SPLIT else (claim,)
        yield SplitSentence(sentence, [piece for piece in pieces if is_checkable(piece, content(piece), topic)])


def subject_of(claim: str) -> str:
    """The words before the first verb; empty if there are more than seven, or if they contain a comma."""
    start = re.match(r"^(?:In|On|At|Since|From|During) [^,]{1,60}, ", claim)
    rest = claim[start.end() :] if start else claim
    verb = VERB.search(rest)
    head = rest[: verb.start()].strip(" ,") if verb else ""
    if 0 < len(head.split()) <= 7 and "," not in head:
        return head[:1].upper() + head[1:]
    return ""


# --- clauses --------------------------------------------------------------------------------------------------------

# Where a sentence passes to its next claim, and the words that this claim needs before it to stand alone: {} is the
# sentence's subject; ANTECEDENT is the name before the boundary, and APPOSITIVE is that name with `is`.
ANTECEDENT, APPOSITIVE = "antecedent", "appositive"
PLACES = "|".join(f"(?<={noun})" for noun in ("country", "nation", "state", "republic", "island", "city"))
BOUNDARIES = (
    (re.compile(r";\s+"), ""),
    (re.compile(r",?\s+(?:and|but|while|whereas)\s+(?:it|they|he|she)\s+(?=[a-z]+)"), "{} "),
    (re.compile(rf",?\s+(?:and|but)\s+(?:also\s+)?(?=(?:{'|'.join(sorted(VERBS))})\s)"), "{} "),
    (re.compile(r",\s+(?:which|who)\s+(?=\w+)"), ANTECEDENT),
    (re.compile(r",\s+with\s+(?=(?:an?|the|over|about|approximately|around|more|some|\d)\b)"), "{} has "),
    (re.compile(r",\s+making it\s+"), "{} is "),
    (re.compile(r",\s+(?=(?!including|being|depending|according|making)[a-z]+ing\s)"), "{} is "),
    (re.compile(r",\s+(?=an?\s+[a-z])"), APPOSITIVE),
    (re.compile(rf"(?:{PLACES})\s+(?:(?:located|situated)\s+)?(?=in (?:the )?[A-Z])"), "{} is located "),
    (re.compile(r",\s+(?=(?:known|located|situated|bordered|surrounded|followed|founded|established)\s)"), "{} is "),
)
SUBJECT_NAME = r"(?:[Tt]he )?[A-Z][\w'’.-]*(?: (?:of |the )?[A-Z][\w'’-]*)*"
LIST_OF_SUBJECTS = re.compile(  # `A, B and C border D`
    rf"^({SUBJECT_NAME}(?:, {SUBJECT_NAME})*),? and ({SUBJECT_NAME}) (?!(?:{'|'.join(sorted(COLLECTIVE_VERBS))})\b)([a-z]+ .+)$"
)


def split_clauses(claim: str) -> Iterator[str]:
    """The clauses of a claim, once for each of its subjects (`A and B border C`) and for each item of a list."""
    if (match := LIST_OF_SUBJECTS.match(claim)) and VERB.match(_singular(match[3])):
        for name in (*match[1].split(", "), match[2]):
            yield from split_clauses(f"{name} {_singular(match[3])}")
        return
    prefix = re.match(r"^(?:In|On|At|Since|During) [^,]{1,60}, ", claim)
    scope = prefix[0] if prefix and prefix.end() < len(claim) else ""
    for clause in _split_at_boundaries(claim, subject_of(claim)):
        for item in split_list(clause):
            yield item if not scope or item.startswith(scope) else f"{scope}{item[:1].lower()}{item[1:]}"


def _singular(predicate: str) -> str:
    """`border Peru` -> `borders Peru`; the past tense stays."""
    verb, _, rest = predicate.partition(" ")
    return f"{verb}s {rest}" if f"{verb}s" in VERBS else predicate


def _split_at_boundaries(claim: str, subject: str) -> Iterator[str]:
    opening = ""  # what the next clause needs before it
    while boundary := _first_boundary(claim) if subject else None:
        match, how = boundary
        head, claim = claim[: match.start()], claim[match.end() :].strip()
        yield opening + head.strip()
        if how in (ANTECEDENT, APPOSITIVE):
            last = re.search(rf"({PROPER_NAME})\s*$", head)
            opening = f"{last[1] if last else subject} {'is ' if how == APPOSITIVE else ''}"
        else:
            opening = how.format(subject)
    yield opening + claim


def _first_boundary(claim: str) -> tuple[re.Match[str], str] | None:
    found = [(match, how) for pattern, how in BOUNDARIES if (match := pattern.search(claim)) and match.start() > 0]
    return min(found, key=lambda boundary: boundary[0].start(), default=None)


# --- lists ----------------------------------------------------------------------------------------------------------

ITEM_NAME = re.compile(rf"(?:the )?{PROPER_NAME}")
SEPARATOR = re.compile(r",\s+(?:and\s+|or\s+|as well as\s+)?(?!\d{4}\b)|\s+as well as\s+")
BEFORE_LIST = re.compile(
    r"\b(?:by|are|is|includ(?:e|es|ing)|as|exports|imports|produces|between|with|has|have|borders|of|from|for|in|on|like|to)"
    r"\s+(?:the\s+)?"
)


def split_list(clause: str) -> Iterator[str]:
    """`X is bordered by A, B and C` -> one statement for each item. Anything that is not clearly a list stays whole."""
    parts = [part for part in SEPARATOR.split(clause) if part]
    closes = bool(re.search(r",\s+(?:and|or)\s+[^,]+$|\s+as well as\s+", clause))
    if pair := re.match(r"^(.*\S)\s+(?:and|or)\s+(.+)$", parts[-1]):
        names = re.search(rf"{PROPER_NAME}[^,A-Z]*$", pair[1]) and ITEM_NAME.match(pair[2]) and "between " not in pair[1]
        if (len(parts) > 1 and not closes and "between " not in pair[1]) or (len(parts) == 1 and names):
            parts[-1:] = [pair[1], pair[2]]
            closes = True
    stem = _stem_of_list(parts) if closes and len(parts) > 1 else None
    if stem is None:
        yield clause
        return
    yield parts[0]
    for item in parts[1:]:
        yield stem + re.sub(r"^(?:including|such as|particularly|especially|notably)\s+(?:in\s+)?", "", item)


def _stem_of_list(parts: Sequence[str]) -> str | None:
    """The text before the first item, which all items share. None when the parts are not items of one list."""
    first, *rest = parts
    if any(len(item.split()) > 7 or VERB.search(item) for item in rest):
        return None
    verb = VERB.search(first)
    begin = verb.end() if verb else 0
    if all(ITEM_NAME.match(item) for item in rest):
        names = [match for match in ITEM_NAME.finditer(first) if match.start() > begin]
        return first[: names[-1].start()] if names else None
    leads = [match for match in BEFORE_LIST.finditer(first) if match.end() > begin and match.end() < len(first)]
    if leads:
        return first[: leads[-1].end()]
    return f"{first[:begin]} " if verb else None
