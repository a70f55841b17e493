"""The sentences of a response, what each of them claims, and the names that replace its pronouns."""

import re

import sentencex

from flame_ray.rewards.factuality.decompose.dedup import EMPTY, NEGATIONS, content, vocabulary
from flame_ray.rewards.factuality.decompose.hedges import without_hedges

SENTENCE_ENDS = (".", "!", "?", '."', ".)", ".”", "…", "。", "！", "？", "।", "؟", "۔")
BULLET = re.compile(r"^\s*(?:[-*•–]+|\d{1,3}[.)]|[a-z]\))\s+")
MARKUP = re.compile(r"[*_#`]{1,6}")
PROPER_NAME = r"(?:[A-Z][\w'’.-]*)(?:(?: (?:of|the|and|de|da|la|del|al))* [A-Z][\w'’-]*)*"
VERBS = vocabulary("""
    is are was were has have had will can became become becomes borders shares covers includes contains lies gained produces
    exports imports consists speaks uses operates belongs joined declared remains serves holds ranks features stretches boasts
    comprises spans relies depends experiences receives ended began won lost lives died makes made established founded""")
# Two subjects do these things together, so neither does them alone.
COLLECTIVE_VERBS = vocabulary(
    "share both together form are were have had met fought signed agreed married make made join joined merged"
)
VERB = re.compile(rf"\b(?:{'|'.join(sorted(VERBS))})\b")
ANNOUNCED = re.compile(  # `here are the countries that border Peru:` announces a list; each item under it is a claim
    r"^(?:\w+, )?here (?:is|are) (?:(?:an?|the|some|all|\d+|lists? of) )*(\w.* (?:that|which|who) .+)$", re.IGNORECASE
)
PRONOUN = re.compile(r"^(It|They|He|She|This|These|Its|Their|His|Her)\b(?!\s+(?:is|was) (?:possible|believed|estimated)\b)")
THE_COUNTRY = re.compile(r"^(The|This|Its|Their) (country|nation|state|island|territory|republic|kingdom)(['’]s)?\b(?! of)")
POSSESSIVE = {"Its", "Their", "His", "Her"}


def sentences(text: str, finished: bool = True) -> tuple[str, ...]:
    """Sentences and list items without markup. A short item follows the line with a colon that introduces its list.

    `finished=False` says that the text was cut off: a last fragment without end punctuation is left out.
    """
    found: list[str] = []
    lead = ""
    for line in text.splitlines():
        is_item = bool(BULLET.match(line))
        line = " ".join(MARKUP.sub("", BULLET.sub("", line)).split())
        if not line:
            continue
        if line.endswith(":"):
            *before, lead = _split(line[:-1]) or [""]
            lead = f"The {announced[1]} include" if (announced := ANNOUNCED.match(lead)) else lead
            found += before
        elif lead and is_item and len(line.split()) <= 6:
            found.append(f"{lead} {line}")
        else:
            lead = lead if is_item else ""
            found += _split(line)
    if not finished and found and not found[-1].endswith(SENTENCE_ENDS):
        found.pop()
    return tuple(found)


def _split(line: str) -> list[str]:
    return [part.strip() for part in sentencex.segment("en", line) if part.strip()]


def claim_of(sentence: str) -> str:
    """What a sentence claims, without hedges and its full stop; empty for a question, a greeting or a refusal."""
    if not (claim := without_hedges(_with_closing_quote(sentence))):
        return ""
    sentence = _with_closing_quote(claim.rstrip(' .!…"”'))
    return sentence[:1].upper() + sentence[1:]


def _with_closing_quote(text: str) -> str:
    """The text with the quotation mark that its last title lost at a sentence boundary."""
    return f'{text}"' if text.count('"') % 2 else f"{text}”" if text.count("“") > text.count("”") else text


def resolve_pronoun(claim: str, subject: str, topic: str) -> str:
    """`It has ...` -> `Peru has ...`, `The country's ...` -> `Peru's ...`

    `subject` is what a pronoun at the beginning refers to; `topic` is the first name in the response.
    """
    if topic and (match := THE_COUNTRY.match(claim)):
        owner = f"{topic}'s" if match[3] else topic
        return owner + claim[match.end() :]
    if subject and (match := PRONOUN.match(claim)):
        if match[1] in POSSESSIVE:
            return f"{topic or subject}'s{claim[match.end() :]}"
        if match[1] not in ("This", "These") or VERB.match(claim[match.end() :].lstrip()):
            return subject + claim[match.end() :]
    return claim


def first_proper_name(claim: str) -> str:
    names = re.findall(PROPER_NAME, claim)
    names = [name for name in names if name.split()[0].lower() not in _NOT_NAMES or len(name.split()) > 1]
    names = [re.sub(r"^(?:The|In|On|At|From|Since) ", "", name) for name in names]
    return re.sub(r"['’]s$", "", names[0]) if names else ""


_NOT_NAMES = {*EMPTY, *vocabulary("however despite although while since during when if there here some most he she we")}


def is_checkable(statement: str, key: frozenset[str], topic: str) -> bool:
    """Whether a statement with the content `key` says more of its topic than praise: a number, a name, a word with content."""
    return bool(key - content(topic) - NEGATIONS) and len(statement.split()) > 2
