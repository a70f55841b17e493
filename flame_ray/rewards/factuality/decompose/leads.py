"""Joins a list item with what introduces it, so that it claims what the list claims: `Peru borders:` and `Chile`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from flame_ray.rewards.factuality.decompose.layout import Line
from flame_ray.rewards.factuality.decompose.verbs import first_verb

LONGEST_ITEM = 12  # words; a longer item without a verb is a text of its own
COUNT = (
    r"(?:the |these |some |all |its |my |a |an |of |list |lists |top |following |main |major |\d+ |one |two |three |four "
    r"|five |six "
    r"|seven |eight |nine |ten |several |many |few |most |common |largest |biggest )*"
)
# `Here are three countries bordering Peru`, `There are 5 countries that border Peru`, `Sure, here is a list of cities in Peru`
ANNOUNCED = re.compile(
    rf"^(?:.*[,!.] )?(?:(?:here|there|below|following|listed (?:above|below)) (?:is|are)"
    rf"|(?:i|we) (?:can|could|will) (?:name|list|mention|give you"
    rf"|think of)) {COUNT}((?:[a-z-]+ ){{0,2}}?[a-z][\w-]*(?:s|people|ies"
    rf"|men|women|children)\b.*)$",
    re.IGNORECASE,
)
# `Here are three`: what is counted, only the question says
UNNAMED = re.compile(rf"^(?:.*[,!.] )?(?:here|these|those|they|below|there) (?:is|are) {COUNT}$", re.IGNORECASE)
# `The four planets, in order`
ORDERED = re.compile(r", (?:in|from|by|listed|ordered|starting|arranged)\b[^,:]*$")
# `These countries border Peru`, `The following countries border Peru`
POINTED_AT = re.compile(
    r"^(?:the following|these|(?:the )?(?:\w+ )?following) ([a-z-]+(?: [a-z-]+)?) ((?!are$"
    r"|include$)[a-z]+ .+)$",
    re.IGNORECASE,
)
_TELLS = r"(?:by|borders|exports|imports|produces|grows|speaks|with|touches|includes?|are|contains)"
# `Peru borders the following countries`, `Peru is bordered by five countries`
TOLD = re.compile(rf"^(.+ {_TELLS})(?: {COUNT}[a-z-]+(?: [a-z-]+)?)?(?: as follows)?$")
OPEN = re.compile(rf"^[^:]+ {_TELLS}$")  # `The exports of Peru include`: its list follows, with a colon or without
HAS = re.compile(
    r"^(.+ (?:has|have|had)) (?:the following |several |\d+ |two |three |four |five |six |seven |eight "
    r"|nine |ten )([a-z].*)$"
)
OPENS_LIST = re.compile(rf"^([^:]+ {_TELLS}):\s+(?=[A-Za-z])")
# What things have: `Capital: Lima` says what the capital of something is, and `Kenya: a country` does not.
ATTRIBUTE = re.compile(
    r"^(?:(?:the|its|official|main|major|current|total|largest|local|national|primary|common|most|estimated|full"
    r"|dominant|key|top|other)\s)*"
    r"(?:\w+\s)?(?:capitals?|capital city|cit(?:y|ies)|currenc(?:y|ies)|populations?|languages?|religions?|areas?"
    r"|governments?|form of government"
    r"|type of government|government type|presidents?|prime ministers?|head of (?:state|government)|kings?|queens?"
    r"|monarchs?|leaders?"
    r"|locations?|climates?|terrains?|landscapes?|exports?|imports?|industr(?:y|ies)|neighbou?rs?"
    r"|neighbou?ring countries|borders?|bordering countries|land borders?"
    r"|coastlines?|coast|founded|established|born|died|date(?: of (?:birth|death|founding))?|birthplace"
    r"|place of birth|occupations?|nationalit(?:y|ies)|height|length|depth|weight"
    r"|authors?|directors?|genres?|years?|release date|publisher|gdp|economy|regions?|continents?|flag|ethnic groups?"
    r"|natural resources|resources|crops|products"
    r"|agricultural products|highest (?:point|mountain)|longest river|rivers?|mountains?|seas?|oceans?|lakes?"
    r"|independence|motto|anthem|name|inventor|founder|owner|spouse"
    r"|wife|husband|children|awards?|symbol|atomic number|chemical formula|discovered|discoverer|age|time ?zone"
    r"|internet domain|calling code)$",
    re.IGNORECASE,
)
QUALIFIER = re.compile(
    r"^(?:the|its|official|main|major|current|total|largest|local|national|primary|capital|natural|head|prime)$", re.I
)
# `Countries bordering Peru: Kenya, Norway`: a list on the line that introduces it
LISTED = re.compile(r"^(?!.*\bStates of\b)[\w' -]+s (?:of|in|by|bordering|from|near|around|that|which|spoken)\b")
KINDS = re.compile(r"^[\w' -]+ (?:[a-z-]+s|people|men|women|children)$")  # `Famous writers`, not `United States`
# A heading that names a part of a text, and not what the text is about.
SECTION = re.compile(
    r"^(?:here|sure|okay|quick|geography|people|demographics?|politics|culture|society|tourism|transport(?:ation)?"
    r"|education|sports?)\b|^\W*[\d\W]*$",
    re.IGNORECASE,
)
# These introduce what can stand alone.
NO_INTRODUCTION = re.compile(
    r"\b(?:examples?|notes?|answers?|summary|timeline|history|overview|conclusion|facts?|details?|information"
    r"|reasons?|steps?|tips?|code|output|result|"
    r"question|explanation|introduction|following|below|this|that|points?)$|^(?:timeline|history|overview|summary"
    r"|facts|a few facts|notes?)\b|what you\b",
    re.IGNORECASE,
)
# `It burned`: a verb that the list of verbs does not have
PLAIN_PAST = re.compile(r"(?:It|He|She|They|[A-Z]\w+(?: [A-Z]\w+)*) [a-z]+ed\b")
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec)(?:[a-z]*|\.)"
YEAR = r"(?:1\d{3}|20\d\d)"
# `1951`, `August 1951`, `13 August 1951`, `August 13, 1951`, `the 1950s`, `1914-1918`, `44 BC`
DATE = (
    rf"(?:(?P<day>\d{{1,2}} {_MONTH},? |{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? )?(?:{_MONTH},? )?{YEAR}(?:[–-]\d{{2,4}})?"
    rf"|(?:the )?(?P<decade>{YEAR}s)|AD \d{{1,4}}|\d{{1,4}} (?:BCE?|AD|CE))"
)
DATED = re.compile(rf"^(?:(?:In|On|Year) )?{DATE}$")
KEY = re.compile(r"^([^:.!?]{1,48}?)(?::| [–—=-]) +(\S.*)$")
IN_BRACKETS = re.compile(r"^([A-Z][^():]{1,48}) \(([^()]+: [^()]+)\)[.]?$")  # `Kenya (capital: Nairobi)`


def is_statement(text: str) -> bool:
    """Whether a text has a verb with a subject before it."""
    verb = first_verb(text)
    if verb is None or not verb.start():
        return bool(PLAIN_PAST.match(text))
    return not re.match(r"(?:which|that|who)\b", text)


def on_date(date: str, said: str) -> str:
    """`1951`, `The wall was built.` -> `In 1951, The wall was built.`; a statement with a year of its own has another date."""
    found = DATED.match(date)
    if not found or not is_statement(said) or re.search(rf"\b{YEAR}\b", said):
        return said
    at = "On" if found["day"] else "In the" if found["decade"] else "In"
    return f"{at} {re.sub('^(?:(?:In|On|Year) )?(?:the )?', '', date)}, {said}"


def joined(line: Line) -> list[str]:
    """What a line says, with its introduction where it needs one, and the date that is its heading.

    >>> joined(Line("The wall was built.", ("1961",)))
    ['In 1961, The wall was built.']
    """
    date = next((each for each in map(_bare, reversed(line.parents)) if DATED.match(each)), "")
    return [on_date(date, re.sub(r"^[A-Z]\w+: ", "", said)) for said in _said(line)] if date else _said(line)


def _bare(heading: str) -> str:
    return heading.rstrip(": ")


def _said(line: Line) -> list[str]:
    """What a line says, with its introduction where it needs one.

    >>> _said(Line("Kenya", ("Here are three countries bordering Peru:",), is_item=True))
    ['The countries bordering Peru include Kenya']
    >>> _said(Line("Capital: Lima", ("Peru",), is_item=True)), _said(Line("It exports gold.", ("Peru",), is_item=True))
    (['The capital of Peru is Lima'], ['It exports gold.'])
    """
    headings = [each for each in reversed(line.parents) if not each.endswith(":") and not is_statement(each)]
    key, lead = KEY.match(line.text), ORDERED.sub("", _lead(line))
    if pairs := _pairs(IN_BRACKETS.match(line.text) or key):
        return pairs
    if lead and _is_owner(lead, key[1] if key else ""):
        headings, lead = [lead, *headings], ""  # `Peru:` is what its items are about
    owner = next((each for each in headings if not (ATTRIBUTE.match(each) or _is_section(each))), "")
    if key and not first_verb(key[1]) and (told := _of_key(key[1], key[2], lead, owner)):
        return told
    if is_statement(line.text) or len(line.text.split()) > LONGEST_ITEM:
        return [line.text]
    if lead and line.is_item:
        return [_introduced(lead, line.text, owner)]
    if headings and ATTRIBUTE.match(headings[0]) and not line.is_heading:
        return [of_attribute(headings[0], line.text, "")]
    if headings and line.is_item and (LISTED.match(headings[0]) or KINDS.match(headings[0])) and not _is_section(headings[0]):
        return [_introduced(headings[0], line.text, owner)]
    return [line.text]


def _pairs(named: re.Match[str] | None) -> list[str]:
    """`Kenya - Capital: Nairobi, Currency: shilling` -> what both are; empty if these are no attributes of one thing."""
    if not named or ATTRIBUTE.match(named[1]) or first_verb(named[1]):
        return []
    pairs = [KEY.match(each) for each in re.split(r"[,;] (?=[^,;:]+: )", named[2])]
    if not all(pair and ATTRIBUTE.match(pair[1]) for pair in pairs):
        return []
    return [of_attribute(pair[1], pair[2].rstrip("."), named[1]) for pair in pairs if pair]


def with_owners(lines_: Sequence[Line]) -> Iterator[Line]:
    """Lines below one that names what they are about: `Country: Kenya`, and then `Capital: Nairobi`."""
    owner = Line("")
    for line, following in zip_longest(lines_, lines_[1:]):
        if owner.text and _is_attribute(line, owner):
            yield replace(line, parents=(*line.parents, owner.text))
            continue
        owner = _named_by(line, following)
        if not (owner.text and re.match("name\\b", line.text, re.IGNORECASE)):
            yield line


def _is_attribute(line: Line, above: Line) -> bool:
    key = KEY.match(line.text)
    return key is not None and ATTRIBUTE.match(key[1]) is not None and line.parents == above.parents


def _named_by(line: Line, following: Line | None) -> Line:
    key = KEY.match(line.text)
    names = (
        key and re.match(r"[A-Z][\w'’. -]{1,40}$", key[2]) and len(key[1].split()) <= LONGEST_KIND and not first_verb(key[1])
    )
    if not key or not names or (ATTRIBUTE.match(key[1]) and not OWN_KIND.match(key[1])):
        return Line("")
    return replace(line, text=key[2]) if following and _is_attribute(following, line) else Line("")


OWN_KIND = re.compile(r"(?:name|city|river|mountain|lake|sea|ocean|region)$", re.IGNORECASE)
LONGEST_KIND = 2  # words of `Country` or `Chemical element`


def _lead(line: Line) -> str:
    """What introduces the list of an item: a line that ends in a colon or a verb, or a title such as `Exports of Peru`."""
    parent = line.parents[-1] if line.parents else ""
    if parent.endswith(":"):
        return re.split(r"(?<=[.!?]) ", parent)[-1][:-1].strip()
    if parent.endswith(".") and ANNOUNCED.match(parent[:-1]):
        return parent[:-1]
    return parent if OPEN.match(parent) or (LISTED.match(parent) and not is_statement(parent)) else ""


def _is_owner(lead: str, key: str) -> bool:
    """Whether a lead names what its items are about, as `Peru` does and `Famous writers` does not."""
    is_name = re.match(r"[A-Z][\w' -]*$", lead) and not first_verb(lead) and not ATTRIBUTE.match(lead)
    return bool(is_name) and bool(ATTRIBUTE.match(key) or not (LISTED.match(lead) or KINDS.match(lead)))


def _is_section(heading: str) -> bool:
    return bool(SECTION.match(heading) or NO_INTRODUCTION.search(heading))


def _of_key(key: str, value: str, lead: str, owner: str) -> list[str]:
    """What `Capital: Lima`, or `Kenya: a country in Africa` in a list of countries, say; empty if the key is something else."""
    if ATTRIBUTE.match(key):
        return [of_attribute(key, value, owner)] if owner else []
    if not lead and LISTED.match(key) and not is_statement(value):
        return [_introduced(key, each.strip(" ."), owner) for each in re.split(r",? and |, ", value) if each.strip(" .")]
    if not lead:
        return []
    first = _introduced(lead, key, owner)
    if is_statement(value):
        return [first, value]
    return [first, f"{key} is {value}"] if re.match(r"(?:an?|the|one of)\b", value) else [first]


def of_attribute(key: str, value: str, owner: str) -> str:
    """`Capital`, `Lima`, `Peru` -> `The capital of Peru is Lima`"""
    words = (word.lower() if QUALIFIER.match(word) or ATTRIBUTE.match(word) else word for word in key.split())
    name = re.sub(r"^(?:the|its) ", "", " ".join(words), flags=re.IGNORECASE)
    of = f" of {owner}" if owner else ""
    if re.fullmatch(r"(?:founded|established|born|died|discovered)", name):
        subject = owner or "It"
        when = f"in {value}" if re.match(r"\d{3,4}\b", value) else f"on {value}" if re.match(r"\w+ \d", value) else value
        return f"{subject} {'died' if name == 'died' else f'was {name}'} {when}"
    many = name.endswith(("s", "people")) and re.search(r", | and ", value)
    return f"The {name}{of} {'are' if many else 'is'} {value}"


def _introduced(lead: str, item: str, owner: str) -> str:
    """An item of a list after the words that introduce the list."""
    if UNNAMED.match(f"{lead} "):
        return item
    if found := ANNOUNCED.match(lead):
        return f"The {found[1]} include {item}" if not NO_INTRODUCTION.search(lead) else item
    if NO_INTRODUCTION.search(lead) and not POINTED_AT.match(lead) and not TOLD.match(lead):
        return item
    if found := POINTED_AT.match(lead):
        return f"The {found[1]} that {found[2]} include {item}"
    if found := HAS.match(lead):
        return f"{found[1]} {found[2]}, including {item}"
    if found := TOLD.match(lead):
        return f"{found[1]} {item}"
    if ATTRIBUTE.match(lead):
        said = of_attribute(lead, item, owner)
        return said.replace(" is ", " include ", 1) if lead.endswith("s") else said
    if not first_verb(lead) and (LISTED.match(lead) or KINDS.match(lead) or re.match(r"[\w' -]+s$", lead)):
        name = re.sub(rf"^{COUNT}", "", lead[:1].lower() + lead[1:])
        return f"The {name} include {item}"
    return f"{lead} {item}"
