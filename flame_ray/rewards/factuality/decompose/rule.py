"""A response as the facts that it states: short, self-contained, each stated once.

In: the text of a response, and whether the model finished it. Out: its sentences, and facts with the index of theirs; none
for a response that states nothing checkable. Knows English word order by rules, no grammar: where a rule does not fit, the
clause stays whole, which makes the fact harder to support and never easier. Knows nothing of evidence.

Ways to look factual without being so are met here: a fact said twice counts once, and praise that no evidence could
check, questions, greetings and refusals count for nothing. A hedge (`I think that ...`) does not hide what follows it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from flame_ray.rewards.factuality.decompose.base import Told, merged
from flame_ray.rewards.factuality.decompose.dedup import content
from flame_ray.rewards.factuality.decompose.sentences import (
    NAME,
    TOGETHER,
    VERB,
    VERBS,
    checkable,
    claim_of,
    first_name,
    resolve,
    sentences,
)
from flame_ray.types import Decomposition, Response

LONGEST = 2000  # characters of a claim that is split: each of its turns is looked for from the beginning


class RuleDecomposer:
    """Clause splitting by rules, without a model; `sentence` keeps whole sentences (the paper's ablation, table 10)."""

    def __init__(self, mode: Literal["rule", "sentence"] = "rule"):
        self._mode = mode

    def decompose(self, responses: Sequence[Response]) -> list[Decomposition]:
        return [decompose(each.text, self._mode, finished=each.finish_reason != "length") for each in responses]


def decompose(text: str, mode: Literal["rule", "sentence"], finished: bool = True) -> Decomposition:
    """A response in its own order; `rule` splits sentences into clauses and list items.

    >>> found = decompose("Peru is bordered by Chile, Brazil and Ecuador. It has a rich culture.", "rule")
    >>> [fact.text for fact in found.facts_F]
    ['Peru is bordered by Chile', 'Peru is bordered by Brazil', 'Peru is bordered by Ecuador']
    >>> [sentence.verifiable for sentence in found.sentences_S]
    [True, False]
    """
    return merged(_told(sentences(text, finished), mode))


def _told(sentences_S: Sequence[str], mode: Literal["rule", "sentence"]) -> Iterator[Told]:
    topic = subject = ""
    for sentence in sentences_S:
        claim = claim_of(sentence)
        if not claim:
            yield Told(sentence, ())
            continue
        claim = resolve(claim, subject, topic)
        subject = subject_of(claim) or subject
        topic = topic or first_name(claim)
        pieces = clauses(claim) if mode == "rule" and len(claim) <= LONGEST else (claim,)
        yield Told(sentence, [piece for piece in pieces if checkable(piece, content(piece), topic)])


def subject_of(claim: str) -> str:
    """The words before the first verb, when they are few and name something."""
    start = re.match(r"^(?:In|On|At|Since|From|During) [^,]{1,60}, ", claim)
    rest = claim[start.end() :] if start else claim
    verb = VERB.search(rest)
    head = rest[: verb.start()].strip(" ,") if verb else ""
    if 0 < len(head.split()) <= 7 and "," not in head:
        return head[:1].upper() + head[1:]
    return ""


# --- clauses and lists ----------------------------------------------------------------------------------------------

# Where a sentence turns to its next claim, and what stands before that claim once it is alone ({} is the subject;
# an antecedent is the name just before the turn).
KINDS = "|".join(f"(?<={kind})" for kind in ("country", "nation", "state", "republic", "island", "city"))
TURNS = (
    (re.compile(r";\s+"), ""),
    (re.compile(r",?\s+(?:and|but|while|whereas)\s+(?:it|they|he|she)\s+(?=[a-z]+)"), "{} "),
    (re.compile(rf",?\s+(?:and|but)\s+(?:also\s+)?(?=(?:{'|'.join(VERBS)})\s)"), "{} "),
    (re.compile(r",\s+(?:which|who)\s+(?=\w+)"), "antecedent"),
    (re.compile(r",\s+with\s+(?=(?:an?|the|over|about|approximately|around|more|some|\d)\b)"), "{} has "),
    (re.compile(r",\s+making it\s+"), "{} is "),
    (re.compile(r",\s+(?=(?!including|being|depending|according|making)[a-z]+ing\s)"), "{} is "),
    (re.compile(r",\s+(?=an?\s+[a-z])"), "appositive"),
    (re.compile(rf"(?:{KINDS})\s+(?:(?:located|situated)\s+)?(?=in (?:the )?[A-Z])"), "{} is located "),
    (re.compile(r",\s+(?=(?:known|located|situated|bordered|surrounded|followed|founded|established)\s)"), "{} is "),
)


ONE = r"(?:[Tt]he )?[A-Z][\w'’.-]*(?: (?:of |the )?[A-Z][\w'’-]*)*"
SUBJECTS = re.compile(rf"^({ONE}(?:, {ONE})*),? and ({ONE}) (?!(?:{'|'.join(TOGETHER)})\b)([a-z]+ .+)$")


def clauses(claim: str) -> Iterator[str]:
    """The claim at each of its turns, and each item of a list in it; `A and B border C` is said of each."""
    if (match := SUBJECTS.match(claim)) and VERB.match(_singular(match[3])):
        for name in (*match[1].split(", "), match[2]):
            yield from clauses(f"{name} {_singular(match[3])}")
        return
    prefix = re.match(r"^(?:In|On|At|Since|During) [^,]{1,60}, ", claim)
    scope = prefix[0] if prefix and prefix.end() < len(claim) else ""
    subject = subject_of(claim)
    for clause in _turns(claim, subject):
        for item in items(clause):
            yield item if not scope or item.startswith(scope) else f"{scope}{item[:1].lower()}{item[1:]}"


def _singular(said: str) -> str:
    """`border Peru` -> `borders Peru`; the past stays."""
    verb, _, rest = said.partition(" ")
    return f"{verb}s {rest}" if f"{verb}s" in VERBS else said


def _turns(claim: str, subject: str) -> Iterator[str]:
    """Split at every turn; `opening` is what the next clause needs before it to stand alone."""
    opening = ""
    while turn := _first_turn(claim) if subject else None:
        match, how = turn
        yield opening + claim[: match.start()].strip()
        head, claim = claim[: match.start()], claim[match.end() :].strip()
        if how in ("antecedent", "appositive"):
            last = re.search(rf"({NAME})\s*$", head)
            opening = f"{last[1] if last else subject} {'is ' if how == 'appositive' else ''}"
        else:
            opening = how.format(subject)
    yield opening + claim


def _first_turn(claim: str) -> tuple[re.Match[str], str] | None:
    turns = [(match, how) for pattern, how in TURNS if (match := pattern.search(claim)) and match.start() > 0]
    return min(turns, key=lambda turn: turn[0].start(), default=None)


ITEM_NAME = re.compile(rf"(?:the )?{NAME}")
SEPARATOR = re.compile(r",\s+(?:and\s+|or\s+|as well as\s+)?(?!\d{4}\b)|\s+as well as\s+")
LEADS = re.compile(
    r"\b(?:by|are|is|includ(?:e|es|ing)|as|exports|imports|produces|between|with|has|have|borders|of|from|for|in|on|like|to)"
    r"\s+(?:the\s+)?"
)


def items(clause: str) -> Iterator[str]:
    """`X is bordered by A, B and C` -> one fact an item; anything that is not plainly a list stays whole."""
    parts = [part for part in SEPARATOR.split(clause) if part]
    closes = bool(re.search(r",\s+(?:and|or)\s+[^,]+$|\s+as well as\s+", clause))
    if pair := re.match(r"^(.*\S)\s+(?:and|or)\s+(.+)$", parts[-1]):
        names = re.search(rf"{NAME}[^,A-Z]*$", pair[1]) and ITEM_NAME.match(pair[2]) and "between " not in pair[1]
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


def _stem_of_list(parts: list[str]) -> str | None:
    """What all items share: the text before the first one. None when the parts are not items of one list."""
    first, *rest = parts
    if any(len(item.split()) > 7 or VERB.search(item) for item in rest):
        return None
    verb = VERB.search(first)
    from_here = verb.end() if verb else 0
    if all(ITEM_NAME.match(item) for item in rest):
        names = [match for match in re.finditer(rf"(?:the )?{NAME}", first) if match.start() > from_here]
        return first[: names[-1].start()] if names else None
    leads = [match for match in LEADS.finditer(first) if match.end() > from_here and match.end() < len(first)]
    if leads:
        return first[: leads[-1].end()]
    return f"{first[:from_here]} " if verb else None
