"""What a response is about, and the names that take the place of its pronouns, so that each fact can be read alone."""

import re
from dataclasses import dataclass

from flame_ray.rewards.factuality.decompose.dedup import EMPTY, vocabulary
from flame_ray.rewards.factuality.decompose.verbs import VERBS, first_verb

PROPER_NAME = r"(?:[A-Z][\w'’.-]*)(?:(?: (?:of|the|and|de|da|la|del|al))* [A-Z][\w'’-]*)*"
# Names of one thing that look like two; a name is also one where `is` follows it.
JOINED_NAMES = (
    "Trinidad and Tobago|Antigua and Barbuda|Bosnia and Herzegovina|Saint Kitts and Nevis|St. Kitts and Nevis"
    "|Saint Vincent and the Grenadines|St. Vincent and the Grenadines|S[aã]o Tom[eé] and Pr[ií]ncipe"
    "|Turks and Caicos(?: Islands)?"
    "|Wallis and Futuna|Saint Pierre and Miquelon|Heard Island and McDonald Islands|South Georgia and South Sandwich Islands"
)
PLACE_NOUN = "country|nation|state|island|republic|kingdom|territory|monarchy|democracy|archipelago|federation|city-state"
PRONOUN = re.compile(r"^(It|They|He|She|Its|Their|His|Her)\b(?!\s+(?:is|was) (?:possible|believed|estimated)\b)")
DATED_PRONOUN = re.compile(r"^(?:In|On) [^,]*\d[^,]*, (?:\d{4}, )?(?=(?:It|They|He|She|Its|Their|His|Her)\b)")
POSSESSIVE = {"Its", "Their", "His", "Her"}
THE_PLACE = re.compile(
    rf"^(?:The|This|Its|Their) (?:whole |entire |island |landlocked )?(?:{PLACE_NOUN})(['’]s)?\b(?! (?:of|that|which"
    rf"|where|with)\b)"
)
# What only a place is or has: `It is bordered by ...` after `The capital of Peru is Lima.`
OF_A_PLACE = re.compile(
    rf"^(?:is|was|are|remains|became) (?:\w+ly )?(?:also )?(?:(?:an?|the"
    rf"|one of the) (?:[\w-]+ ){{0,6}}?(?:{PLACE_NOUN})\b|(?:land)?locked\b|bordered\b"
    r"|surrounded\b|bounded\b)|^(?:also )?(?:borders\b|shares\b|(?:does not )?(?:has|have) (?:an? "
    r"|no )?(?:[\w-]+ ){0,3}(?:coast|coastline|government|borders?)\b)"
)
OF_A_PEOPLE = re.compile(
    r"^(?:also |mainly |mostly |primarily )?(?:speak|believe|practi[cs]e|follow|worship|use"
    r"|celebrate)\b"
)
# A noun that is always of something: `The capital is Lima` -> `The capital of Peru is Lima`
OF_SOMETHING = (
    "capital(?: city)?|population|currency|climate|weather|terrain|landscape|economy|government|president"
    "|prime minister|parliament"
    "|legislature|constitution|languages?|religions?|exports?|imports?|industr(?:y|ies)|crops?|natural resources?"
    "|coastline|coast"
    "|flag|largest city|head of (?:state|government)|land|landmass|people|neighbou?rs"
)
THE_PART = re.compile(
    rf"^((?:The|Its|Their|Some of the|One of the|Most of the|Major|Main)(?: (?!of\b"
    rf"|and\b)[\w-]+,?){{0,3}}?(?: and(?: [\w-]+){{1,2}}?)?"
    rf" (?:{OF_SOMETHING})(?: and (?:{OF_SOMETHING}))?(?: itself)?)(?= )"
)
_NOT_NAMES = {
    *EMPTY,
    *vocabulary("""
    however despite although while since during when if there here some most he she we yes no sure note today currently what
    which where who how why name describe tell give list explain answer come write sort use say say compare one two three
    please using between i i'm as so then thus additionally moreover furthermore overall lastly finally first second"""),
}
MAX_SUBJECT = 9  # words


@dataclass(frozen=True, slots=True)
class Topic:
    """What a response is about: the name in the question, or else the first name of the response. May be empty."""

    name: str = ""
    is_place: bool = False  # things are `in` it

    @property
    def bare(self) -> str:
        """The name without its article."""
        return re.sub(r"^the ", "", self.name)

    def names(self, text: str) -> bool:
        """Whether a text names the topic, or a people or language of it (`Peruvian`)."""
        return bool(self.name) and bool(re.search(rf"\b{re.escape(_root(self.bare))}", text.casefold()))


def topic_of(question: str, claims_S: "list[str]") -> Topic:
    """The only name in the question; the first name in the claims where the question has none or several."""
    asked = list(dict.fromkeys(_names(question)))
    name = asked[0] if len(asked) == 1 else next((name for claim in claims_S for name in _names(_head(claim))), "")
    texts = [question, *claims_S]
    if name and not name.startswith("the ") and any(_has_article(name, text) for text in texts[:1] if text):
        name = f"the {name}"
    bare = re.escape(re.sub("^the ", "", name))
    place = re.compile(
        rf"\b[Ii]n (?:the )?{bare}\b|\b(?:is|are) (?:the )?{bare} landlocked\b|\b(?:capital(?: city)?|climate|weather"
        rf"|terrain|economy|exports"
        rf"|industries|border|where|coast|government)\b[^.]*\b{bare}\b|\b{bare} (?:is|are"
        rf"|lies) [^.]*\b(?:{PLACE_NOUN})\b|\bdoes (?:the )?{bare} have a coast",
        re.IGNORECASE,
    )
    return Topic(name, bool(name) and any(place.search(text) or THE_PLACE.match(text) for text in texts))


def _head(claim: str) -> str:
    verb = first_verb(claim)
    return claim[: verb.start()] if verb else ""


def _has_article(name: str, text: str) -> bool:
    return bool(
        re.search(
            rf"\b[Tt]he {re.escape(name)}(?=[.,?!;:]|$| (?:is|are|has|in|and|with|does|do|landlocked|have|lies|it"
            rf"|lie)\b)",
            text,
        )
    )


ASKING = (
    "The|In|On|At|From|Since|Does|Is|Are|Was|Were|What|Which|Who|Where|When|Why|How|Did|Do|Has|Have|Can|Describe"
    "|Name|List|Tell|Give|Explain|Compare|Summarize|Discuss|State|Write|Identify|Introduce|Outline|About"
)


def _names(text: str) -> "list[str]":
    found = []
    for match in re.finditer(rf"{JOINED_NAMES}|{PROPER_NAME}", text):
        name = re.sub(rf"^(?:(?:{ASKING}) )+", "", match[0])
        name = re.sub(r"['’]s$|[.']+$", "", name)
        if name and (" " in name or name.lower() not in _NOT_NAMES):
            found.append(name)
    return found


def _root(name: str) -> str:
    """What a name shares with its adjective: `Peru`, `Peruvian`; `Angola`, `Angolan`."""
    name = name.casefold()
    return name[:4] if " " not in name else name


def subject_of(claim: str) -> str:
    """The words before the first verb; empty if they are many, or if they contain a comma."""
    start = re.match(
        r"^(?:In|On|At|Since|From|During|To|After|Before|With|As|For|By|Among|According to) [^,]{1,60}, |^\w+ly, ", claim
    )
    rest = claim[start.end() :] if start else claim
    verb = first_verb(rest)
    head = re.sub(r"(?<=\w)['’]s$", "", rest[: verb.start()].strip(" ,")) if verb else ""
    head = re.sub(r" (?:also|then|now|currently|mainly|mostly|still|\w+ly)$", "", head)
    if (
        0 < len(head.split()) <= MAX_SUBJECT
        and "," not in head
        and not re.match(r"(?:To|There|What|Not)\b", head)
        and not re.search(r"\b(?:that|which|who)\b", head)
    ):
        return head[:1].upper() + head[1:]
    return ""


def resolve(claim: str, subject: str, topic: Topic) -> str:
    """The claim with the name of what its first pronoun refers to: `It has ...` -> `Peru has ...`

    `subject` is that of the sentence before. A pronoun that could refer to several things stays.
    """
    claim = re.sub(r"^(It|He|She)['’]s\b", r"\1 is", claim)
    claim = re.sub(r"^They['’]re\b", "They are", claim)
    if date := DATED_PRONOUN.match(claim):
        return f"{date[0]}{resolve(claim[date.end() :], subject, topic)}"
    name = at_start(topic.name)
    if topic.is_place and (match := THE_PLACE.match(claim)):
        return f"{name}{_genitive(name) if match[1] else ''}{claim[match.end() :]}"
    if not (match := PRONOUN.match(claim)):
        return claim
    rest = claim[match.end() :]
    owner = _referent(match[1], rest.lstrip(), subject, topic)
    if not owner:
        return claim
    return f"{owner}{_genitive(owner) if match[1] in POSSESSIVE else ''}{rest}"


def _referent(pronoun: str, rest: str, subject: str, topic: Topic) -> str:
    name = at_start(topic.name)
    if pronoun in ("He", "She", "His", "Her"):
        return subject or name
    if pronoun in ("They", "Their"):
        if _is_plural(subject):
            return subject
        if _is_plural(topic.bare):
            return name
        return f"The people of {topic.name}" if topic.is_place and OF_A_PEOPLE.match(rest) else ""
    if not subject or (topic and re.search(r"\b[a-z]+(?<![siu])s$", subject.split(" of ")[0])):
        return name
    is_part = topic.is_place and subject != name and (topic.names(subject) or bool(THE_PART.match(f"{subject} ")))
    if pronoun == "Its":
        return name if is_part else subject
    return name if is_part and OF_A_PLACE.match(rest) else subject


def _is_plural(subject: str) -> bool:
    return (
        bool(re.search(r"(?<![siu])s$|\band\b|\b[Pp]eople$|\b[Cc]hildren$|^(?:Some|Many|Most|Several|Few)\b", subject))
        if subject
        else False
    )


def _genitive(owner: str) -> str:
    return "'" if owner.endswith("s") and _is_plural(owner) else "'s"


def at_start(name: str) -> str:
    return name[:1].upper() + name[1:]


def named(fact: str, topic: Topic) -> str:
    """The fact with the name of its place, where it has none: `The capital is Lima` -> `The capital of Peru is Lima`."""
    if not topic.is_place or topic.names(_head(fact)) or _has_word(fact, topic.bare):
        return fact
    match = THE_PART.match(fact)
    if match and AFTER_PART.match(fact[match.end() :]):
        part = re.sub(r" itself$", "", re.sub(r"^(?:Its|Their) ", "The ", match[1]))
        return f"{part} of {topic.name}{fact[match.end() :]}"
    if THE_COUNTRY.search(fact):
        return THE_COUNTRY.sub(lambda found: f"{topic.name}{_genitive(topic.name) if found[1] else ''}", fact, count=1)
    if SCOPED.match(fact) or (re.search(r" [A-Z]", fact) and not COMMONEST.search(fact)):
        return fact
    opens = fact.split(" ", 1)[0]
    if subject_of(fact) == opens:  # it may be a name
        return fact
    return f"In {topic.name}, {fact[:1].lower() + fact[1:] if opens.lower() in _NOT_NAMES else fact}"


def _has_word(text: str, word: str) -> bool:
    return bool(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE))


AFTER_PART = re.compile(rf" (?:(?:also|now|mostly|mainly|then|\w+ly) )*(?:{'|'.join(sorted(VERBS))}|features|covers)\b")
THE_COUNTRY = re.compile(r"\b(?:the|this) (?:country|nation)(['’]s)?(?= |$)")
SCOPED = re.compile(r"^(?:In|On|At|Near|Within|From|During|Since|To|For|With|As|Just|Like|Unlike|Other|Among|Behind) ")
COMMONEST = re.compile(
    r"^There (?:are|is)\b|\b(?:most|least) (?:common|widely|spoken|popular)|^The (?:main|official|majority|dominant"
    r"|primary)\b"
)
