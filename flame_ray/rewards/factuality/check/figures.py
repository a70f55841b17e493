"""Finds the figures in a text (digits, number words, ranks, years, decades, centuries) as ranges that can be compared.

A figure of a claim is supported by one of the evidence that lies within its range: `the 1960s` by `1963`, `about 33 million` by
`32,768,614`, and not the other way round. Figures in units of one kind are compared in the same unit (`100 km` and `62 miles`);
figures of different kinds are not alike (`20 %` and `20 dollars`). A bound is not supported by the opposite one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

SCALES = {"hundred": 1e2, "thousand": 1e3, "lakh": 1e5, "million": 1e6, "crore": 1e7, "billion": 1e9, "trillion": 1e12}
UNITS = {"dozen": 12.0}
# Without "one" and "second", which are more often a pronoun and a rank than counts.
SMALL = """zero two:2 three:3 four:4 five:5 six:6 seven:7 eight:8 nine:9 ten:10 eleven:11 twelve:12 thirteen:13 fourteen:14
    fifteen:15 sixteen:16 seventeen:17 eighteen:18 nineteen:19 twenty:20 thirty:30 forty:40 fifty:50 sixty:60 seventy:70
    eighty:80 ninety:90"""
COUNTS = {word.partition(":")[0]: float(word.partition(":")[2] or 0) for word in SMALL.split()}
DIGITS = {"one": 1.0} | {word: value for word, value in COUNTS.items() if 0 < value < 10}
ORDINALS = {"1st": "first", "2nd": "second"}
TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
# Letters that stand for a scale, right after digits: `12K`, `$50M`, `3bn`; a small `m` or `b` only after a sign of money.
LETTERS = {"K": 1e3, "k": 1e3, "M": 1e6, "m": 1e6, "mn": 1e6, "mio": 1e6, "B": 1e9, "b": 1e9, "bn": 1e9, "T": 1e12, "tn": 1e12}
SHORT = {"thousand": 1e3, "mln": 1e6, "mil": 1e6, "bln": 1e9}
RANKS = """third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth
    seventeenth eighteenth nineteenth twentieth"""
RANKED = {word: 3.0 + index for index, word in enumerate(RANKS.split())} | {"first": 1.0, "second": 2.0}
LOW_RANKS = "|".join(word for word, rank in RANKED.items() if rank < 10)
# After `first` and `second` these are ranked; elsewhere the two words say when.
OF_RANK = (
    "president|prime|king|queen|emperor|pope|largest|biggest|most|highest|longest|tallest|oldest|smallest"
    "|governor|mayor|edition"
)
# What a unit measures, and how many of the first unit of its kind it is.
MEASURES = {
    "length": "nanometer nanometre:.000000001 µm um micrometer micrometre micron:.000001"
    " light-year lightyear light_year:9.4607e15"
    " parsec:3.0857e16 au astronomical_unit:149597870700"
    " m meter metre:1 km kilometer kilometre:1000 cm centimeter centimetre:.01 mm millimeter millimetre:.001"
    " mile mi:1609.34 foot feet ft:.3048 inch inches:.0254 yard:.9144 nm nmi nautical_mile:1852 league:4828",
    "area": "sq_km square_kilometer square_kilometre km2 km²:1 sq_mi sq_mile square_mile:2.58999 hectare ha:.01"
    " acre:.00404686 square_meter square_metre sq_m m2 m²:.000001",
    "weight": "kg kilogram kilo:1 g gram:.001 tonne ton metric_ton t:1000 pound lb:.453592 ounce oz:.0283495"
    " mg milligram:.000001 µg ug mcg microgram:.000000001 stone:6.35029",
    "time": "year:1 decade:10 century centuries:100 month:.0833333 week:.0191650 day:.00273785 hour hr:.000114077"
    " minute min:.00000190129 second sec s:.0000000316881 millisecond ms:.0000000000316881",
    "speed": "km/h kph kmh kilometers_per_hour kilometres_per_hour km_per_hour:1 mph miles_per_hour:1.60934 knot:1.852"
    " m/s meters_per_second metres_per_second:3.6",
    "volume": "liter litre l:1 gallon:3.78541 ml milliliter millilitre:.001 barrel bbl:158.987"
    " cubic_meter cubic_metre m3 m³:1000 cubic_kilometer cubic_kilometre km3 km³:1000000000000 cubic_foot cubic_feet:28.3168",
    "data": "megabyte mb:1 kilobyte kb:.001 gigabyte gb:1000 terabyte tb:1000000",
    "power": "w watt:1 kw kilowatt:1000 mw megawatt:1000000 gw gigawatt:1000000000 horsepower hp:745.7",
    "voltage": "v volt:1 kv kilovolt:1000 mv millivolt:.001",
    "current": "ampere amp:1 milliampere milliamp:.001",
    "resistance": "ohm ω:1",
    "frequency": "hz hertz:1 khz kilohertz:1000 mhz megahertz:1000000 ghz gigahertz:1000000000",
    "energy": "joule:1 kilojoule kj:1000 calorie cal:4.184 kilocalorie kcal:4184 kilowatt_hour kilowatt-hour kwh:3600000"
    " megawatt_hour megawatt-hour mwh:3600000000",
    "pressure": "pascal pa:1 hectopascal hpa:100 kilopascal kpa:1000 bar:100000 millibar:100 psi:6894.76",
    "loudness": "decibel db:1",
    "Kelvin": "kelvin:1",
    "Celsius": "°c degrees_celsius degree_celsius celsius degrees_c ºc:1",
    "Fahrenheit": "°f degrees_fahrenheit degree_fahrenheit fahrenheit degrees_f ºf:1",
    "share": "% percent per_cent pct:1",
    "points": "percentage_point:1",  # what a share rises or falls by
    "cents": "cent:1",
    "dollars": "dollar us_dollar u.s._dollar usd us$ $:1",
    "euros": "euro eur €:1",
    "pounds of money": "gbp £ pound_sterling:1",
    "yen": "yen jpy ¥:1",
    "rupees": "rupee inr:1",
    "francs": "franc chf:1",
    "yuan": "yuan renminbi cny rmb:1",
    "rubles": "ruble rouble rub:1",
    "pesos": "peso:1",
}
BELOW_ZERO = ("Celsius", "Fahrenheit")  # a minus before any other kind is a dash, or words say that something fell
SIGNS = {"$": "dollars", "us$": "dollars", "€": "euros", "£": "pounds of money", "¥": "yen"}


def _measured() -> dict[str, tuple[str, float]]:
    found = {}
    for kind, units in MEASURES.items():
        names: list[str] = []
        for entry in units.split():
            name, _, size = entry.partition(":")
            names.append(name.replace("_", " "))
            if size:
                found.update({each: (kind, float(size)) for each in names})
                names = []
    return found


MEASURED = _measured()
_UNIT = "|".join(sorted((re.escape(name).replace(r"\ ", r"[ -]") for name in MEASURED), key=len, reverse=True))
_LOWEST = (
    r"over|more than|at least|no (?:less|fewer) than|not less than|exceed(?:s|ed|ing)?|upwards of"
    r"|a minimum of|above|(?:great|old|long|larg|bigg|high|tall|heavi|fast|deep|wid)er than"
)
_HIGHEST = (
    r"at most|as (?:many|much) as|no more than|not more than|up to|fewer than|less than|under|below|a maximum of|not exceeding"
    r"|(?:young|short|small|low|light|slow|narrow)er than"
)
_NEARLY = r"nearly|almost|just under|close to"  # below the figure, and not far from it
BOUND = re.compile(
    rf"\b(?:(?P<low>{_LOWEST})|(?P<high>{_HIGHEST})|{_NEARLY})\s+(?:about\s+)?(?:(?:US)?[$£€¥]\s?)?$", re.IGNORECASE
)
BOUND_AFTER = re.compile(
    r"^(?:\s[a-z]+)?\s+or\s+(?:(?P<low>more|over|above|older|longer)|(?P<high>fewer|less|under|below|younger))\b"
)
MORE_OR_LESS = re.compile(r"^((?:\s[a-z]+)?)\s+or\s+(?:more|over|above|fewer|less|under|below)\b")
SIDE = re.compile(r"\b(before|after|in)\s+$", re.IGNORECASE)  # of a year
AGE = re.compile(r"\b(?:his|her|their|my)\s+(?:(?:early|mid|late)[- ])?$", re.IGNORECASE)
MONEY = re.compile(r"((?:US)?[$£€¥])\s?$", re.IGNORECASE)
_SCALE = "|".join(SCALES)
_COUNT = rf"(?:{TENS})-(?:{'|'.join(DIGITS)})|{'|'.join(COUNTS)}"
_RANK = rf"(?:{TENS})-(?:{LOW_RANKS})|{'|'.join(RANKS.split())}"
# `the first woman in space`, `in second place`; not `the first time`, `at first`
_OF_THING = (
    r"(?:(?<=\bthe\ )|(?<=\b(?:its|his|her)\ )|(?<=\btheir\ )|(?<=['’]s\ )|(?<=\bin\ ))(?:first|second)"
    r"(?=[ ][a-z]{3,})(?![ ](?:time|half|two|three|few|years?|and|world)\b)"
)
BEGINS = r"(?=[\dtfsenzo])"
FIGURE = re.compile(
    rf"""{BEGINS}(?:  # how every figure begins: most letters need no other look
    \b(?:(?P<century>\d{{1,2}})(?:st|nd|rd|th)|(?P<century_word>{_RANK}|first|second))[- ]century\b
    |\b(?P<decade>\d{{3}}0|\d0)['’]?s\b
    |\b(?P<nth>\d+)(?:st|nd|rd|th)\b
    |(?<![\w-])(?P<rank>{_RANK}|(?:first|second)(?=[ -](?:{OF_RANK})\b)|{_OF_THING})\b(?!s|\ of\b)
    |(?P<digits>\d[\d,]*(?:\.\d+)*)
        (?:(?P<letter>[KkMmBbT]|\s?(?:mn|mio|bn|tn))(?![\w²/])|\s+(?P<scale>{"|".join((*SCALES, *SHORT))})s?\b)?
        (?:[ -]?(?P<of>{_UNIT})(?:es|s)?(?![\w/²]))?
    |\b(?P<word>one(?=\ (?:{_SCALE})\b)|{_COUNT})\b(?:\s+(?P<unit>{_SCALE}|{"|".join(UNITS)})s?\b)?
        (?:(?<=hundred)(?:(?:\ and)?\ (?P<over>{_COUNT})\b)?(?:\ (?P<times>{_SCALE})\b)?)?
        (?:[ -](?P<word_of>{_UNIT})(?:es|s)?(?![\w/²]))?)""",
    re.VERBOSE | re.IGNORECASE,
)
MAY_HAVE_FIGURES = re.compile(rf"\d|\b(?:{'|'.join((*COUNTS, *RANKED, 'one'))})\b", re.IGNORECASE)
WORD = re.compile(r"\w+")
NUMBER_WORDS = frozenset((*COUNTS, *RANKED, "one"))
DIGIT = re.compile(r"[0-9]")
MINUS = re.compile(r"(?:(?:^|(?<=\()|(?<=[^\d\s]\s))[-−–]|\bminus )$")  # none in the range `10 -14`
RANGE = re.compile(r"^(?:\s?[-–—]\s?(?:(?:US)?[$£€¥])?|\s+(?:to|and|through)\s+(?:(?:US)?[$£€¥])?)$")
BEFORE_RANGE = re.compile(r"\b(?:between|from)\s+(?:(?:US)?[$£€¥]\s?)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure's range, and the slack below and above it that a claim with this figure allows the evidence."""

    low: float
    high: float
    below: float = 0.0
    above: float = 0.0
    size: float = 1.0  # of its unit
    kind: str = ""  # what it measures; empty: a plain number
    bound: str = ""  # low or high: it says `at least` or `at most`; before, after or in a year
    other: float | None = None  # what the digits may mean as well: `16.181` is 16,181 in many countries

    def supported_by(self, other: "Figure") -> bool:
        """Whether `other`, from the evidence, lies within this figure, from a claim."""
        if self.kind != other.kind and ((self.kind and other.kind) or "rank" in (self.kind, other.kind)):
            return False
        if {self.bound, other.bound} in OPPOSITE_BOUNDS or (self.bound == "in" and other.bound in ("before", "after")):
            return False
        return any(mine._holds(its) for mine in self._readings() for its in other._readings())

    def _holds(self, other: "Figure") -> bool:
        if self._is_span() and other._is_span():
            return (self.low, self.high) == (other.low, other.high)
        near = EXACT * abs(self.high) if self.size == other.size else OTHER_UNIT * abs(self.high)
        low, high = self.low - self.below - near, self.high + self.above + near
        ends = (other.low, other.high) if other.low < other.high and self.low == self.high else ()
        return (low <= other.low and other.high <= high) or any(low <= end <= high for end in ends)

    def _is_span(self) -> bool:
        """Whether these are the first and the last year of something, and neither a decade nor a century."""
        is_years = not self.kind and not self.below and 1000 <= self.low < self.high <= 2100
        return is_years and self.high - self.low not in (9, 100)

    def _readings(self) -> "list[Figure]":
        return [self] if self.other is None else [self, replace(self, low=self.other, high=self.other, below=0.0, above=0.0)]


EXACT = 1e-5  # of a figure, for sums of floating point
FIRST = Figure(1.0, 1.0, kind="rank")
# `the largest city` has the first rank, and `the second largest` has not
_TOP = "largest|biggest|highest|longest|tallest|oldest|smallest|busiest|richest|youngest|deepest|fastest"
TOP = re.compile(rf"(?:\b(?:the|its)|['’]s) (?:{_TOP}|most populous)\b")
OPPOSITE_BOUNDS = ({"low", "high"}, {"before", "after"})
NANOMETER = 1e-9  # what `nm` stands for beside a nautical mile
SYMBOL = 2  # letters: `km` is no word that a text could have elsewhere
OTHER_UNIT = 0.03  # how far apart two figures in other units may be: `62 miles` and `100 km` were rounded


def figures(clause: str) -> tuple[list[Figure], str]:
    """The figures of a clause, and the clause without them; their units stay.

    >>> [figure.low for figure in figures("born in 1963, he had twenty-five films and 3.5 million fans")[0]]
    [1963.0, 25.0, 3500000.0]
    >>> [(figure.low, figure.high) for figure in figures("scores between 80% and 90%")[0]]
    [(80.0, 90.0)]
    """
    top = [FIRST] if ("est" in clause or "most" in clause) and TOP.search(clause) else []
    if not _may_have_figures(clause):
        return top, clause
    if "1st" in clause or "2nd" in clause:
        clause = re.sub(r"\b(?:1st|2nd)\b(?![- ]century)", lambda match: ORDINALS[match[0]], clause)
    matches = list(FIGURE.finditer(clause))
    return [*_figures(matches, clause), *top], _without(matches, clause)


def _may_have_figures(clause: str) -> bool:
    """A quick look, because most clauses have no figure. The set is for ASCII, in which a letter has one small form."""
    if not clause.isascii():
        return MAY_HAVE_FIGURES.search(clause) is not None
    return DIGIT.search(clause) is not None or not NUMBER_WORDS.isdisjoint(WORD.findall(clause.lower()))


def _without(matches: Sequence[re.Match[str]], clause: str) -> str:
    parts: list[str] = []
    end = 0
    for match in matches:
        between = BOUND.sub("", MORE_OR_LESS.sub(r"\1", clause[end : match.start()]) if end else clause[: match.start()])
        parts += (between, _unit_word(match))
        end = match.end()
    return "".join((*parts, MORE_OR_LESS.sub(r"\1", clause[end:]) if end else clause))


def _figures(matches: Sequence[re.Match[str]], clause: str) -> list[Figure]:
    found: list[Figure] = []
    for at, match in enumerate(matches):
        figure = _figure(match, clause[: match.start()])
        between = clause[matches[at - 1].end() : match.start()] if at else ""
        if found and ENUMERATED.match(between):
            found = _in_last_unit(found, figure, clause, matches[: at + 1])
        if found and at and SUMMED.match(between) and (total := _sum(found[-1], figure)):
            found[-1] = total
        elif found and (joined := _range(found[-1], figure, clause, matches[at - 1], match)):
            found[-1] = joined
        else:
            found.append(figure)
    return found


def _in_last_unit(found: list[Figure], last: Figure, clause: str, matches: Sequence[re.Match[str]]) -> list[Figure]:
    """`12, 15 and 19.5 grams`: the figures before the last one are in its unit."""
    if not last.kind or last.kind == "rank" or len(found) != len(matches) - 1:
        return found
    ends = [clause[before.end() : match.start()] for before, match in pairwise(matches)]
    first = next((at + 1 for at in reversed(range(len(ends))) if not ENUMERATED.match(ends[at])), 0)
    return [*found[:first], *(each if each.kind else _in_unit(each, last.kind, last.size) for each in found[first:])]


def _sum(first: Figure, rest: Figure) -> Figure | None:
    """`1 hour and 30 minutes`, `6 feet 2 inches` as one figure; None where a unit does not go on with a smaller one."""
    if first.kind not in SUMS or first.kind != rest.kind or first.size <= rest.size or first.bound or rest.bound:
        return None
    return replace(rest, low=first.low + rest.low, high=first.high + rest.high, below=rest.below, above=rest.above)


ENUMERATED = re.compile(r",?\s(?:and\s|or\s)?$")
SUMMED = re.compile(r"\s?(?:,|and)?\s?$")
SUMS = ("length", "time", "weight")


def _unit_word(match: re.Match[str]) -> str:
    unit = match["of"] or match["word_of"] or ""
    is_word = len(unit) > SYMBOL and unit.isalpha() and not unit.isupper()  # `USD` and `KPH` are signs, too
    return f" {unit} " if is_word else " "


def _range(first: Figure, last: Figure, clause: str, before: re.Match[str], match: re.Match[str]) -> Figure | None:
    """`80% to 90%` as one figure; None where two figures are no range."""
    between = clause[before.end() : match.start()]
    if not (before["digits"] and match["digits"] and RANGE.match(between)) or first.low != first.high:
        return None
    if not re.match(r"\s?[-–—]|\s+to\s", between) and not BEFORE_RANGE.search(clause[: before.start()]):
        return None
    written = float(_readings(match["digits"])[0])
    if not written:
        return None
    # `10-14 days` and `3 to 4 million`: the unit and the scale of the second figure are those of the first
    low = first.low if first.kind or (not last.kind and last.high == written) else first.low * last.high / written
    return Figure(low, last.high, first.below, last.above, last.size, last.kind or first.kind) if low < last.high else None


def _figure(match: re.Match[str], before: str) -> Figure:
    if match["century"] or match["century_word"]:
        first = 100.0 * (float(match["century"] or rank(match["century_word"])) - 1)
        return Figure(first, first + 100)
    if match["decade"]:
        start = float(match["decade"])
        start += 1900 if start < 100 and not AGE.search(before) else 0
        return Figure(start, start + 9)
    if match["nth"] or match["rank"]:
        place = float(match["nth"] or rank(match["rank"]))
        return Figure(place, place, kind="rank")
    money = MONEY.search(before)
    figure = _digits(match, money is not None) if match["digits"] else _word(match)
    name = re.sub(r"-", " ", (match["of"] or match["word_of"] or "").lower())
    if not name and match["letter"] == "m" and not money:
        name = "m"  # `a 50m pool`
    kind, size = MEASURED.get(name, (SIGNS[money[1].lower()] if money else "", 1.0))
    if kind == "share" and figure.low == figure.high:
        figure = _rounded_share(figure, match["digits"] or "")
    figure = _in_unit(figure, kind, size)
    if name == "nm":
        figure = replace(figure, other=figure.low / size * NANOMETER)
    if kind in BELOW_ZERO and (minus := MINUS.search(before)):
        before = before[: minus.start()]
        figure = Figure(-figure.high, -figure.low, figure.above, figure.below, size, kind)
    return _bounded(figure, before, match.string[match.end() :])


def _rounded_share(figure: Figure, digits: str) -> Figure:
    """A share in whole percents was rounded, and one with three decimals was a fraction in words."""
    decimals = len(digits.partition(".")[2])
    slack = 0.5 if not decimals else FRACTION if decimals >= 3 else 0.0
    return replace(figure, below=max(figure.below, slack), above=max(figure.above, slack))


FRACTION = 0.4  # percents that a fraction in words may be off


def _in_unit(figure: Figure, kind: str, size: float) -> Figure:
    other = None if figure.other is None else figure.other * size
    return Figure(figure.low * size, figure.high * size, figure.below * size, figure.above * size, size, kind, other=other)


def _bounded(figure: Figure, before: str, after: str) -> Figure:
    if not figure.kind and 1000 <= figure.low <= 2100 and (side := SIDE.search(before)):
        return replace(figure, bound=side[1].lower())
    bound = BOUND.search(before) or BOUND_AFTER.search(after)
    if bound is None:
        return figure
    if bound["low"]:
        return replace(figure, below=0.0, above=0.5 * abs(figure.high), bound="low")
    if bound["high"]:
        return replace(figure, below=0.5 * abs(figure.low), above=0.0, bound="high")
    return replace(figure, bound="high")


def _word(match: re.Match[str]) -> Figure:
    unit = (match["unit"] or "").lower()
    value = count(match["word"]) * (SCALES | UNITS).get(unit, 1.0) + count(match["over"] or "zero")
    value *= SCALES.get((match["times"] or "").lower(), 1.0)
    return Figure(value, value)


def count(words: str) -> float:
    tens, _, digit = _small(words).partition("-")
    return (COUNTS | DIGITS)[tens] + DIGITS.get(digit, 0.0)


def rank(words: str) -> float:
    tens, _, last = _small(words).rpartition("-")
    return COUNTS.get(tens, 0.0) + RANKED[last]


def _small(word: str) -> str:
    """The word in small letters, of which `re.IGNORECASE` takes a dotless `ı` for an `i`, too."""
    return word.casefold().replace("i\u0307", "i").replace("ı", "i")


def _digits(match: re.Match[str], is_money: bool) -> Figure:
    """Slack is 0 for a year or a small count, else one unit of the last digit that is not zero, and 5 % at most."""
    letter = (match["letter"] or "").strip()
    if letter in ("m", "b") and not is_money:
        letter = ""
    scale = (SCALES | SHORT).get((match["scale"] or "").lower(), LETTERS.get(letter, 1.0))
    written, other = _readings(match["digits"])
    value, decimals = float(written), len(written.partition(".")[2])
    exact = scale == 1.0 and not decimals and (value < 100 or ("," not in match["digits"] and 1000 <= value <= 2100))
    zeros = 0 if decimals else len(written) - len(written.rstrip("0"))
    exact = exact or (scale == 1.0 and not zeros and not decimals)
    slack = 0.0 if exact else min(10.0 ** (zeros - decimals), 0.05 * value) * scale
    other = other if scale == 1.0 else None  # the point of `2.350 billion` stands before decimals
    return Figure(value * scale, value * scale, slack, slack, other=other)


def _readings(digits: str) -> tuple[str, float | None]:
    """The digits as Python writes them, and what else they may mean: a comma or a point stands before decimals or thousands."""
    if digits.isdecimal():
        return digits, None
    if re.fullmatch(r"\d+,(?:\d{1,2}|\d{4,})", digits):
        return digits.replace(",", "."), None  # `1,8260`
    if re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}", digits):
        return digits.replace(".", ""), None  # `1.234.567`
    if digits.count(".") > 1:
        head, _, last = digits.rpartition(".")
        return f"{re.sub(r'[.,]', '', head)}.{last}", None
    if re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", digits):
        return digits, float(digits.replace(".", ""))  # `16.181`
    return digits.replace(",", ""), None
