"""Prepares a record, such as a country's, for the model that reads records: lines `Field: value` under one title.

The model reads the fields that most statements are about once for all facts about one title. A line of another field is added
to the facts that share words with it, and an organisation is spelt out to the facts that name it.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter

from flame_ray.rewards.factuality.decompose.dedup import content
from flame_ray.types import Claim, Passage

# The fields that all facts see, with the most words of a value. Chosen by what the quickstart's prompts ask and what answers
# to them state beside it; a field that is not here is read where a fact shares words with it.
FIELDS: Mapping[str, int] = {
    "Location": 30,
    "Map references": 40,  # the continent
    "Area, total": 40,
    "Land boundaries, border countries": 40,
    "Coastline": 40,  # 0 km: landlocked
    "Climate": 24,
    "Terrain": 24,
    "Natural resources": 24,
    "Population, total": 40,
    "Ethnic groups": 24,
    "Languages": 26,  # the largest share first, so the first is the most common
    "Religions": 24,
    "Government type": 40,
    "Capital, name": 40,
    "Economic overview": 18,
    "Agricultural products": 18,
    "Industries": 26,
    "Exports - commodities": 16,
}
# Lists of an organisation's members say only its abbreviation.
MEMBERSHIPS = "International organization participation"
ORGANISATIONS: Mapping[str, str] = {
    "APEC": "Asia-Pacific Economic Cooperation",
    "ASEAN": "Association of Southeast Asian Nations",
    "AU": "African Union",
    "BRICS": "BRICS",
    "C": "Commonwealth of Nations",
    "CIS": "Commonwealth of Independent States",
    "Caricom": "Caribbean Community",
    "ECOWAS": "Economic Community of West African States",
    "EMU": "eurozone",
    "EU": "European Union",
    "G-20": "G20",
    "G-7": "G7",
    "GCC": "Gulf Cooperation Council",
    "IMF": "International Monetary Fund",
    "LAS": "Arab League",
    "Mercosur": "Southern Common Market",
    "NATO": "North Atlantic Treaty Organization",
    "OAS": "Organization of American States",
    "OECD": "Organisation for Economic Co-operation and Development",
    "OIC": "Organisation of Islamic Cooperation",
    "OPEC": "Organization of the Petroleum Exporting Countries",
    "PIF": "Pacific Islands Forum",
    "SAARC": "South Asian Association for Regional Cooperation",
    "SADC": "Southern African Development Community",
    "Schengen Convention": "Schengen Area",
    "UN": "United Nations",
    "WHO": "World Health Organization",
    "WTO": "World Trade Organization",
}
# What a list says beside an organisation that the country is no member of.
NO_MEMBER = re.compile(
    "observer|candidate|partner|associate|correspondent|pending|signatory|subscriber|cooperating|dialogue|engagement|excluded"
)
# Fields of figures that share words with statements about other things.
FIGURES_ONLY = re.compile(
    "Sex ratio|Age structure|Maritime|Diplomatic|Telephone|Dependency|GDP -|Exchange|Sanitation|Drinking|Tobacco|Carbon|"
    "Legislative branch, (?:perc|term|scope|most|expected|elec)|Constitution, amend|International (?:law|envir)|Child|Alcohol|"
    "Illicit|Coal|Energy|Electricity"
)
LINE = re.compile(r"^([^:\n]{1,80}): (.+)$", re.MULTILINE)
DATES = re.compile(r"\s*\([^()]*(?:est\.|\d{4})\)|;? note\b.*")  # when a value was estimated, and remarks on how
DISTANCE = re.compile(r"\s[\d,.]+ km")
FEWEST = 3  # lines `Field: value` of a passage that shows its title to be a record
WHOLE_LINE, PART, EXTRA_WORDS = 25, 40, 30  # words of a line that is kept whole, of a part, and of an added line
ENOUGH = 4.5  # what the shared words of an added line weigh at least
SEEN = 0.3  # the weight of a shared word that the fields above have, too
LENGTH = 0.02  # what each word of an added line costs


# `European Union`, and not `European Union Customs Union`
_SPELT_OUT = {
    short: re.compile(rf"\b(?i:{re.escape(name)})(?![\w-])(?! (?:[A-Z]|of\b))") for short, name in ORGANISATIONS.items()
}
_SHORT = {short: re.compile(rf"\b{re.escape(short)}\b") for short in ORGANISATIONS if len(short) > 1}


@dataclass(frozen=True, slots=True)
class Line:
    """A line beside the main fields, with the stems and the number of its words."""

    text: str
    stems: frozenset[str]
    words: int


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one title. `text` has the main fields, cut; `weights` is by stem, higher for a rarer one."""

    title: str
    text: str
    fields: Mapping[str, str]  # all of them, whole
    stems: frozenset[str]
    others: tuple[Line, ...]
    weights: Mapping[str, float]
    member_of: Mapping[str, bool]

    def statement(self, fact: str) -> str:
        """What the model reads after `text`: the fact, under the other lines that bear on it."""
        above = [*self._memberships(fact), *self._added_line(fact)]
        return "\n".join((*above, f"Statement: {fact.rstrip('.')}."))

    def organisations(self, text: str) -> list[str]:
        """Those of `member_of` that a text names, in full or by their short name."""
        return [short for short in self.member_of if _SPELT_OUT[short].search(text) or _is_named(short, text)]

    def _memberships(self, fact: str) -> list[str]:
        named = self.organisations(fact)
        if not named:
            return []
        yes, no = ([short for short in named if self.member_of[short] is member] for member in (True, False))
        return [f"Member of: {_spelt_out(yes)}; not a member of: {_spelt_out(no)}"]

    def _added_line(self, fact: str) -> list[str]:
        wanted = content(fact) - _stems(self.title)
        shares = [line for line in self.others if not wanted.isdisjoint(line.stems)]  # the others weigh nothing
        best = max(((self._shared(wanted, line), line) for line in shares), key=itemgetter(0), default=None)
        return [best[1].text] if best and best[0] > ENOUGH else []

    def _shared(self, wanted: frozenset[str], line: Line) -> float:
        shared = sorted(wanted & line.stems)
        return sum(self.weights[stem] * (SEEN if stem in self.stems else 1) for stem in shared) / (1 + LENGTH * line.words)


def _is_named(short: str, fact: str) -> bool:
    return short in fact and short in _SHORT and _SHORT[short].search(fact) is not None


def _spelt_out(organisations: Sequence[str]) -> str:
    return ", ".join(f"{short} ({ORGANISATIONS[short]})" for short in organisations) or "none of them"


def record_for(claim: Claim) -> Record | None:
    """The record among the claim's evidence; None if its evidence is mostly prose.

    Of several titles, the one that the fact names, or else the one with most passages.
    """
    by_title = records_among(claim.passages_K)
    if not by_title:
        return None
    return _record(by_title[max(by_title, key=lambda title: (title in claim.fact.text, len(by_title[title])))])


@lru_cache(maxsize=256)
def records_among(passages_K: tuple[Passage, ...]) -> Mapping[str, tuple[Passage, ...]]:
    """The passages of records by their title; none if most of the evidence is prose."""
    titles = {passage.title for passage in passages_K if _field_lines(passage) >= FEWEST}
    by_title: dict[str, list[Passage]] = {}
    for passage in passages_K:
        if passage.title in titles and _field_lines(passage):
            by_title.setdefault(passage.title, []).append(passage)
    if 2 * sum(map(len, by_title.values())) <= len(passages_K):
        return {}
    return {title: tuple(passages) for title, passages in by_title.items()}


def nearest_passage(claim: Claim) -> str | None:
    """The id of the passage that shares most words with the fact, the title's aside; None if none shares any."""
    said = _stems(claim.fact.text)
    shared = [len((_stems(passage.text) & said) - _stems(passage.title)) for passage in claim.passages_K]
    most = max(shared, default=0)
    return claim.passages_K[shared.index(most)].id if most else None


@lru_cache(maxsize=8192)
def _stems(text: str) -> frozenset[str]:
    return content(text)


@lru_cache(maxsize=8192)
def _field_lines(passage: Passage) -> int:
    return len(LINE.findall(passage.text)) if passage.title else 0


@lru_cache(maxsize=512)
def _record(passages_K: tuple[Passage, ...]) -> Record:
    """Cached, because all facts of a prompt share their evidence."""
    passages_K = tuple(sorted(passages_K, key=lambda passage: passage.id))
    heading = passages_K[0].text.splitlines()[0]
    fields: dict[str, str] = {}
    others: list[Line] = []
    for field, value in (found for passage in passages_K for found in LINE.findall(passage.text)):
        is_main = field in FIELDS and field not in fields
        fields.setdefault(field, value)
        if not is_main and field != MEMBERSHIPS and not field.endswith(", note") and not FIGURES_ONLY.match(field):
            others += _lines(field, value)
    named = passages_K[0].title if LINE.match(heading) else heading.rpartition(",")[0]
    text = "\n".join((named, *(f"{field}: {_shortened(field, fields[field])}" for field in FIELDS if field in fields)))
    frequencies = Counter(stem for line in others for stem in line.stems)
    weights = {stem: math.log1p(len(others) / count) for stem, count in frequencies.items()}
    member_of = _members(fields.get(MEMBERSHIPS, ""))
    return Record(passages_K[0].title, text, fields, frozenset(content(text)), tuple(others), weights, member_of)


def _shortened(field: str, value: str) -> str:
    value = re.sub(r"\s+", " ", DATES.sub("", value)).strip(" ;")
    value = DISTANCE.sub("", value) if field.startswith("Land boundaries") else value
    return " ".join(value.split()[: FIELDS[field]])


def _lines(field: str, value: str) -> Sequence[Line]:
    whole = f"{field}: {value}"
    if len(whole.split()) <= WHOLE_LINE:
        texts = [whole]
    else:
        texts = [f"{field}: {' '.join(part.split()[:PART])}" for part in re.split(r"(?<=[.;]) ", value)]
    sized = ((text, len(text.split())) for text in texts)
    return [Line(text, content(text), words) for text, words in sized if words <= EXTRA_WORDS]


def _members(value: str) -> Mapping[str, bool]:
    """By organisation, whether a list has it as one of which the country is a member.

    >>> found = _members("AU (suspended), EU (candidate country), NATO")
    >>> [short for short, is_member in found.items() if is_member]
    ['AU', 'NATO']
    """
    items = (item.partition("(") for item in value.split(","))
    remarks = {name.strip(): remark for name, _, remark in items}
    return {short: short in remarks and not NO_MEMBER.search(remarks[short]) for short in ORGANISATIONS} if value else {}
