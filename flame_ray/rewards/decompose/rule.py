"""A response as the facts that it states: short, self-contained, each stated once.

In: the text of a response, and whether the model finished it. Out: facts, with the index of their sentence; none for a
response that states nothing checkable. Knows English word order by rules, no grammar: where a rule does not fit, the
clause stays whole, which makes the fact harder to support and never easier. Knows nothing of evidence.

Ways to look factual without being so are met here: a fact said twice counts once, and praise that no evidence could
check, questions, greetings and refusals count for nothing. A hedge (`I think that ...`) does not hide what follows it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

import sentencex

from flame_ray.rewards.decompose.duplicates import EMPTY, NEGATIONS, Said, content, vocabulary
from flame_ray.types import Fact, Response

ENDS = (".", "!", "?", '."', ".)", ".”", "…", "。", "！", "？", "।", "؟", "۔")
BULLET = re.compile(r"^\s*(?:[-*•–]+|\d{1,3}[.)]|[a-z]\))\s+")
MARKUP = re.compile(r"[*_#`]{1,6}")
NAME = r"(?:[A-Z][\w'’.-]*)(?:(?: (?:of|the|and|de|da|la|del|al))* [A-Z][\w'’-]*)*"


VERBS = vocabulary(
    """is are was were has have had will can became become becomes borders shares covers includes contains lies gained
    produces exports imports consists speaks uses operates belongs joined declared remains serves holds ranks
    features stretches boasts comprises spans relies depends experiences receives ended began won lost lives died
    makes made established founded"""
)
VERB = re.compile(rf"\b(?:{'|'.join(VERBS)})\b")
HEDGE = re.compile(
    r"^(?:(?:I|we) (?:think|believe|guess|feel)(?: that)?|in my (?:opinion|view),?|(?:as far as|to the best of)[^,]*,"
    r"|it is (?:important|interesting|worth noting|worth mentioning)(?: to (?:note|know|mention|remember))? that"
    r"|(?:additionally|furthermore|moreover|however|overall|in conclusion|in addition|also|finally),"
    r"|(?:sure|certainly|of course|yes|no)[!,.]) ?",
    re.IGNORECASE,
)
REFUSAL = re.compile(
    r"\bas an? (?:AI|language model|artificial)|\b(?:I|we)(?: am|['’]m|['’]ve|['’]d)?\b|^here (?:is|are)\b"
    r"|^(?:sorry|apologies|unfortunately|please|hello|hi|hey|thank|thanks|sure|certainly|of course|let me|let's)\b",
    re.IGNORECASE,
)
PRONOUN = re.compile(r"^(It|They|He|She|This|These|Its|Their|His|Her)\b(?!\s+(?:is|was) (?:possible|believed|estimated)\b)")
THE_COUNTRY = re.compile(r"^(The|This|Its|Their) (country|nation|state|island|territory|republic|kingdom)(['’]s)?\b(?! of)")
POSSESSIVE = {"Its", "Their", "His", "Her"}


class RuleDecomposer:
    """Clause splitting by rules, without a model; `sentence` keeps whole sentences (the paper's ablation, table 10)."""

    def __init__(self, mode: Literal["rule", "sentence"] = "rule"):
        self._mode = mode

    def facts(self, responses: Sequence[Response]) -> list[tuple[Fact, ...]]:
        return [decompose(each.text, self._mode, finished=each.finish_reason != "length") for each in responses]


def decompose(text: str, mode: Literal["rule", "sentence"], finished: bool = True) -> tuple[Fact, ...]:
    """The facts of a response in its own order; `rule` splits sentences into clauses and list items.

    >>> [fact.text for fact in decompose("Peru is bordered by Chile, Brazil and Ecuador. It has a rich culture.", "rule")]
    ['Peru is bordered by Chile', 'Peru is bordered by Brazil', 'Peru is bordered by Ecuador']
    """
    facts: list[Fact] = []
    said = Said()
    topic = subject = ""
    for index, sentence in enumerate(sentences(text, finished)):
        claim = _claim(sentence)
        if not claim:
            continue
        claim = _resolve(claim, subject, topic)
        subject = _subject(claim) or subject
        topic = topic or _first_name(claim)
        for piece in _clauses(claim) if mode == "rule" else (claim,):
            key = content(piece)
            if _checkable(piece, key, topic) and said.is_new(key):
                facts.append(Fact(piece, index))
    return tuple(facts)


def sentences(text: str, finished: bool = True) -> tuple[str, ...]:
    """Sentences and list items without markup; short items are joined to the line with a colon that leads them in.

    `finished=False` says that the text was cut: a last fragment without end punctuation is left out.
    """
    found: list[str] = []
    lead = ""
    for line in text.splitlines():
        is_item = bool(BULLET.match(line))
        line = " ".join(MARKUP.sub("", BULLET.sub("", line)).split())
        if not line:
            continue
        if line.endswith(":"):
            lead = line[:-1]
        elif lead and is_item and len(line.split()) <= 6:
            found.append(f"{lead} {line}")
        else:
            lead = lead if is_item else ""
            found += [part.strip() for part in sentencex.segment("en", line) if part.strip()]
    if not finished and found and not found[-1].endswith(ENDS):
        found.pop()
    return tuple(found)


# --- sentences ------------------------------------------------------------------------------------------------------


def _claim(sentence: str) -> str:
    """What the sentence claims, without a hedge or its full stop; empty for a question, a greeting or a refusal."""
    before = None
    while before != sentence:
        before, sentence = sentence, HEDGE.sub("", sentence)
    if sentence.endswith(("?", "？", "؟")) or REFUSAL.search(sentence):
        return ""
    sentence = sentence.rstrip(' .!…"”')
    return sentence[:1].upper() + sentence[1:]


def _resolve(claim: str, subject: str, topic: str) -> str:
    """`It has ...` -> `Peru has ...`, `The country's ...` -> `Peru's ...`, from what came before."""
    if topic and (match := THE_COUNTRY.match(claim)):
        owner = f"{topic}'s" if match[3] else topic
        return owner + claim[match.end() :]
    if subject and (match := PRONOUN.match(claim)):
        if match[1] in POSSESSIVE:
            return f"{topic or subject}'s{claim[match.end() :]}"
        if match[1] not in ("This", "These") or VERB.match(claim[match.end() :].lstrip()):
            return subject + claim[match.end() :]
    return claim


def _subject(claim: str) -> str:
    """The words before the first verb, when they are few and name something."""
    start = re.match(r"^(?:In|On|At|Since|From|During) [^,]{1,60}, ", claim)
    rest = claim[start.end() :] if start else claim
    verb = VERB.search(rest)
    head = rest[: verb.start()].strip(" ,") if verb else ""
    if 0 < len(head.split()) <= 7 and "," not in head:
        return head[:1].upper() + head[1:]
    return ""


def _first_name(claim: str) -> str:
    names = [name for name in re.findall(NAME, claim) if name.split()[0].lower() not in _STARTERS or len(name.split()) > 1]
    names = [re.sub(r"^(?:The|In|On|At|From|Since) ", "", name) for name in names]
    return re.sub(r"['’]s$", "", names[0]) if names else ""


_STARTERS = {*EMPTY, *vocabulary("however despite although while since during when if there here some most he she we")}


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


def _clauses(claim: str) -> Iterator[str]:
    prefix = re.match(r"^(?:In|On|At|Since|During) [^,]{1,60}, ", claim)
    scope = prefix[0] if prefix and prefix.end() < len(claim) else ""
    subject = _subject(claim)
    for clause in _turns(claim, subject):
        for item in _items(clause):
            yield item if not scope or item.startswith(scope) else f"{scope}{item[:1].lower()}{item[1:]}"


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


def _items(clause: str) -> Iterator[str]:
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


# --- what counts ----------------------------------------------------------------------------------------------------


def _checkable(piece: str, key: frozenset[str], topic: str) -> bool:
    """Whether something is said of the topic besides praise: a number, a name, or a word with content."""
    return bool(key - content(topic) - NEGATIONS) and len(piece.split()) > 2
