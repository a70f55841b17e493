"""Splits a claim into clauses and list items where the words show that each can be said alone; elsewhere it stays whole."""

import re
from collections.abc import Iterator
from itertools import pairwise

from flame_ray.rewards.factuality.decompose.dedup import vocabulary
from flame_ray.rewards.factuality.decompose.subjects import JOINED_NAMES, PROPER_NAME, Topic, at_start, resolve, subject_of
from flame_ray.rewards.factuality.decompose.verbs import ALSO_NOUNS, COLLECTIVE_VERBS, VERBS, first_verb

LONGEST_SPLIT = 2000  # characters of a claim that is split, because the time grows with the square of its length
SCOPE = re.compile(r"^(?:In|On|At|Since|From|During) [^,]{1,60}, ")
# A clause with these words says its claim of something else than the sentence's subject, or only under a condition.
DEPENDENT = re.compile(
    r"\b(?:that|which|who|whose|where|if|whether|although|though|unless|because|since"
    r"|as (?:it|they|he|she|the|there|many|most|some|well|a)|when|while|despite|than|so"
    r"|making|being|both|either|neither|not only|rather)\b",
    re.IGNORECASE,
)
BETWEEN = re.compile(r"(?:;|,?\s(?:and|but|while|whereas)|\.)\s+(?:(?:also|however|additionally),?\s+)?")
PLURAL_VERB, SINGULAR_VERB = re.compile(r"(?:are|were|have)\b"), re.compile(r"(?:is|was|has|[a-z]+[^aiou\W]s)\b")


def split_clauses(claim: str, topic: Topic) -> list[str]:
    """The clauses of a claim, once for each item of a list.

    >>> peru = Topic("Peru", is_place=True)
    >>> split_clauses("Peru borders Chile and Brazil, and its capital is Lima, a city on the coast", peru)
    ['Peru borders Chile', 'Peru borders Brazil', "Peru's capital is Lima", 'Lima is a city on the coast']
    """
    if len(claim) > LONGEST_SPLIT or not _is_balanced(claim):
        return [claim]
    scope = match[0] if (match := SCOPE.match(claim)) and match.end() < len(claim) else ""
    pieces = [item for clause in _at_conjunctions(claim, topic) for part in _apposed(clause) for item in split_list(part)]
    return [piece if not scope or piece.startswith(scope) else f"{scope}{_lower(piece, topic)}" for piece in pieces]


def _lower(clause: str, topic: Topic) -> str:
    """A clause as it stands after `In Peru, `."""
    first = clause.split(" ", 1)[0]
    return (
        clause[:1].lower() + clause[1:]
        if first in ("The", "It", "There", "A", "An", "About", "Most", "Some", "Many")
        else clause
    )


def _is_balanced(claim: str) -> bool:
    return (
        all(claim.count(opening) == claim.count(closing) for opening, closing in ("()", "[]", "“”"))
        and claim.count('"') % 2 == 0
    )


def _masked(claim: str) -> str:
    """The claim with what stands in brackets and quotation marks, and names of one thing with `and`, made unsplittable."""
    hidden = rf"\([^()]*\)|\[[^\[\]]*\]|\"[^\"]*\"|“[^”]*”|(?:{JOINED_NAMES})|\bbetween [^,;]* and "
    return re.sub(hidden, lambda match: "x" * len(match[0]), claim)


# --- clauses --------------------------------------------------------------------------------------------------------


def _at_conjunctions(claim: str, topic: Topic) -> Iterator[str]:
    """`A is b, and it has c` -> `A is b`, `A has c`"""
    subject, begin, masked = subject_of(claim), 0, _masked(claim)
    if subject and (match := MEASURED.search(masked)) and _can_stand(claim[: match.start()], masked[: match.start()]):
        yield claim[: match.start()]
        yield from _at_conjunctions(f"{subject} has {claim[match.end() :]}", topic)
        return
    for match in BETWEEN.finditer(masked):
        head, rest = claim[begin : match.start()], claim[match.end() :]
        if match.start() < begin or not _can_stand(head, masked[begin : match.start()]):
            continue
        opened = _next_clause(head, rest, match[0], subject, topic)
        if opened:
            yield head.strip(" ,")
            yield from _at_conjunctions(opened, topic)
            return
    yield claim


PARTICIPLES = vocabulary("made held built won met led found told sold bought kept left taught fought known called put cut set")
PASSIVE = re.compile(rf"(?:is|are|was|were|has|have|had) (?:\w+ly |also |been )*(?:[a-z]+ed|{'|'.join(PARTICIPLES)})\b")
MEASURED = re.compile(
    r", with (?=(?:an? )?(?:estimated |total |land |maximum |average )*"
    r"(?:population|area|coastline|GDP|length|height|elevation) of\b)"
)


def _can_stand(head: str, masked: str) -> bool:
    if not (verb := first_verb(head)) or not verb.start():
        return False
    says = re.sub(r"^(?: (?:also|not|\w+ly))*", "", head[verb.end() :]).strip()
    return bool(says) and not DEPENDENT.search(SCOPE.sub("", masked))


def _next_clause(head: str, rest: str, mark: str, subject: str, topic: Topic) -> str:
    """The clause that begins after a conjunction, with a subject of its own; empty if none begins there."""
    pronoun = re.match(r"(?:it|they|he|she)\s+(?=[a-z])", rest)
    if pronoun and (verb := first_verb(rest)) and len(rest[: verb.start()].split()) <= 3:
        return resolve(at_start(rest), subject, topic) if subject and not _is_unclear(subject, rest, topic) else ""
    if mark.startswith(",") and re.match(r"its\s", rest) and first_verb(rest):
        return resolve(at_start(rest), subject, topic) if subject_of(rest) else ""
    if mark.startswith((",", ";")) and _is_main_clause(rest):
        return at_start(rest)
    if mark.startswith(";"):
        return ""
    if subject and _continues(head, rest) and ("," not in head.removeprefix(_scope(head)) or mark.startswith(",")):
        return f"{subject} {rest}"
    return ""


OBJECT = re.compile(r"(?:the )?[A-Z]|(?:an?|its|their) ")  # of a verb that would be a noun before other words


def _continues(head: str, rest: str) -> bool:
    """Whether a text begins with another verb of the subject: `Peru borders Chile` `and exports copper`"""
    verb = re.match(r"(?:(?:also|later|then|\w+ly) )?([a-z]+) ", rest)
    if not verb or not _agrees(head, rest[verb.start(1) :]):
        return False
    known = verb[1] in VERBS or (verb[1] in ALSO_NOUNS and OBJECT.match(rest[verb.end() :]))
    main = first_verb(head)
    passive = main is not None and PASSIVE.match(head[main.start() :])
    if passive and (verb[1].endswith("ed") or verb[1] in PARTICIPLES):
        return False
    return bool(known or re.match(r"[a-z]+ed (?:an?|the|to|in|for|from|with|its|his|her|[A-Z])", rest))


def _scope(head: str) -> str:
    return match[0] if (match := SCOPE.match(head)) else ""


def _is_unclear(subject: str, rest: str, topic: Topic) -> bool:
    """Whether `it` after `The capital is Lima, but` could be the capital or the country."""
    return rest.startswith("they") or (
        topic.is_place and topic.names(subject) and subject not in (topic.name, topic.bare, at_start(topic.name))
    )


def _is_main_clause(rest: str) -> bool:
    verb = first_verb(rest)
    if verb is None:
        return False
    words = rest[: verb.start()].split()
    starts = bool(re.match(r"(?:the|there|approximately|about|around|most|some|many|English|[A-Z])", rest))
    return (
        bool(words)
        and starts
        and len(words) <= 6
        and "," not in rest[: verb.start()]
        and not DEPENDENT.search(" ".join(words))
        and verb[0] not in ALSO_NOUNS
    )


def _agrees(head: str, rest: str) -> bool:
    """Whether two verbs can have the same subject, by their number."""
    verb = first_verb(head)
    next_verb = re.sub(r"^also\s+", "", rest)
    if verb is None:
        return False
    if PLURAL_VERB.match(head[verb.start() :]):
        return not SINGULAR_VERB.match(next_verb)
    return not PLURAL_VERB.match(next_verb)


APPOSED = re.compile(
    rf"^(?P<head>.*?(?P<name>{PROPER_NAME})), (?P<rest>(?:which (?:is|was|has|lies|borders) |an? |the |one of the ).+)$"
)


def _apposed(clause: str) -> list[str]:
    """`The capital is Lima, a city on the coast` -> and `Lima is a city on the coast`. Only after a name."""
    match = APPOSED.match(clause)
    if not match or match["rest"].startswith(("an exception", "a total")):
        return [clause]
    head, name, rest = match["head"], match["name"], match["rest"]
    verb = first_verb(head)
    lists = (
        "," in SCOPE.sub("", head)
        or re.search(r"\band\b", head[verb.end() :] if verb else "")
        or "," in rest
        or re.search(r"\band (?:[A-Z]|the [A-Z])", rest)
    )
    if not verb or not verb.start() or lists or not head.endswith(name) or DEPENDENT.search(SCOPE.sub("", head)):
        return [clause]
    if not re.search(rf"\b(?:is|are|was|named|called|borders|by)\s+(?:the )?(?:city of )?{re.escape(name)}$", head):
        return [clause]
    said = rest.removeprefix("which ") if rest.startswith("which ") else f"is {rest}"
    if DEPENDENT.search(said.split(" ", 1)[1]) and re.search(r"\b(?:which|who)\b", said):
        return [clause]
    return [head, f"{name} {said}"]


# --- lists ----------------------------------------------------------------------------------------------------------

TAIL = r"(?: (?:to|in|on|from) (?:the|its) (?:north|south|east|west)[a-z-]*)?"
ITEM_NAME = rf"(?:(?:the |both )?(?:[Rr]epublic of )?{PROPER_NAME}(?: (?:[Oo]cean|[Ss]ea|[Ii]slands?|[Rr]iver))?{TAIL})"
_NO_ITEM = r"(?!(?:it|they|he|she|there|its|their)\b)"
ITEM_WORDS = (
    rf"(?:(?:the |an? )?{_NO_ITEM}[a-zA-Z][\w'’-]*"
    r"(?: (?!(?:and|or|as|with|for|in|to|is|are|of|by|from|on)\b)[\w'’-]+){0,3})"
)
# What stands before a list, so that each item can take the place of the whole list.
BEFORE_NAMES = re.compile(
    r"\b(?:borders|bordered by|surrounded by|bounded by|(?:borders?|boundar(?:y|ies)) with|includ(?:e|es|ing)|such as"
    r"|are|is|spoken are|touches|exports to|to|with)\s+"
)
BEFORE_WORDS = re.compile(r"\b(?:includ(?:e|es|ed|ing)|such as|exports|imports|produces|are|grows|consists? of|speaks?)\s+")
COUNTED = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|both|either|neither|several|between|mix|combination|blend"
    r"|mixture|\d+)\b",
    re.IGNORECASE,
)
# `gold, silver and copper mining`: the last noun is that of all items.
SHARED_NOUN = vocabulary("""
    mining production products product industry industries sector sectors manufacturing processing services exports languages
    religions goods farming cultivation activities resources oceans seas mountains islands republics regions states provinces
    countries traditions culture cultures communities areas climates climate groups churches faiths beliefs people dialects""")


def split_list(clause: str) -> list[str]:
    """`X is bordered by A, B and C` -> one statement for each item. Anything that is not clearly a list stays whole."""
    subjects = _each_subject(clause)
    if subjects:
        return [item for each in subjects for item in split_list(each)]
    for before, item in ((BEFORE_NAMES, ITEM_NAME), (BEFORE_WORDS, ITEM_WORDS)):
        if found := _list_after(clause, before, item):
            return found
    return [clause]


def _list_after(clause: str, before: re.Pattern[str], item: str) -> list[str]:
    masked = _masked(clause)
    whole = re.compile(rf"{item}(?:, {item})*,? (?:and|as well as) {item}$")
    for match in before.finditer(masked):
        stem, listed = clause[: match.end()], masked[match.end() :]
        if not whole.match(listed) or not _may_split(stem, match[0], listed):
            continue
        ends = [
            0,
            *(each.end() for each in re.finditer(r", (?:and |as well as )?|,? (?:and|as well as) ", listed)),
            len(listed) + 1,
        ]
        texts = [clause[match.end() :][a:b] for a, b in pairwise(ends)]
        items = [re.sub(r"(?:,| and| as well as|,? and|, as well as)+ ?$", "", text).strip(" ,") for text in texts]
        if _share_a_noun(items):
            return []
        stem = re.sub(r"\bare $", "include ", stem) if "are" in match[0] else stem
        return [f"{stem}{each.removeprefix('both ')}" for each in items if each]
    return []


def _may_split(stem: str, verb: str, listed: str) -> bool:
    """Whether what is said of the list can be said of each of its items."""
    subject = re.sub(r"^The [\w -]+? that .*?(?=include $)", "The items ", SCOPE.sub("", stem))
    inner = re.sub(r", (?:including|such as) $", "", subject)
    if COUNTED.search(subject) or DEPENDENT.search(re.sub(r"such as $", "", subject)) or "," in inner or not first_verb(stem):
        return False
    if verb.startswith(("to", "with")):
        return bool(re.search(r"\b(?:borders?|boundar(?:y|ies)|exports?|coast\w*) (?:to|with) $", subject))
    if verb.startswith("is"):
        return "," in listed and bool(re.search(r"\b(?:language|religion|export|neighbou?r)\w*\b", subject))
    if verb.startswith("are"):
        return bool(re.search(r"(?:s|people)\b", subject)) and not re.match(r"[a-z-]+ and [a-z-]+$", listed)
    return True


def _share_a_noun(items: list[str]) -> bool:
    last = items[-1].split()
    if re.search(r" (?:to|in|on|from) (?:the|its) ", items[-1]):
        return False
    if any(each[:1].isupper() for each in items[:-1]) and items[-1][:1].isupper() and last[-1].islower():
        return True
    return (
        len(last) > 1
        and last[-1].lower() in SHARED_NOUN
        and (len(items) == 2 or last[-1].lower() not in OWN_NOUN)
        and not all(len(each.split()) > 1 and each.split()[-1].lower() in SHARED_NOUN for each in items[:-1])
    )


OWN_NOUN = vocabulary("product products goods services activities resources mountains communities")
LIST_OF_SUBJECTS = re.compile(  # `A, B and C border D`
    rf"^({PROPER_NAME}(?:, {PROPER_NAME})*),? and ({PROPER_NAME}) (border|share a (?:land )?border with"
    rf"|are (?:located|situated|landlocked|bordered)|have|export|speak) (.+)$"
)
SINGULAR = {"border": "borders", "have": "has", "export": "exports", "speak": "speaks"}
SUBJECT_NAME = r"(?:[Tt]he )?[A-Z][\w'’.-]*(?: (?:of |the )?[A-Z][\w'’-]*)*"


def _each_subject(clause: str) -> list[str]:
    match = re.match(LIST_OF_SUBJECTS.pattern.replace(PROPER_NAME, SUBJECT_NAME), clause)
    if not match or re.match(JOINED_NAMES, clause) or match[3] in COLLECTIVE_VERBS:
        return []
    verb = SINGULAR.get(match[3]) or re.sub(r"^are", "is", re.sub(r"^share", "shares", match[3]))
    return [f"{name} {verb} {match[4]}" for name in (*match[1].split(", "), match[2])]
