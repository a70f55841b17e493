"""Reads the layout of a response: what of it is said, line by line, and under which headings and list items it stands.

Thought, citation markers, lists of references, code and markup are no statements, so none of them is left.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from flame_ray.rewards.factuality.decompose.json_answer import as_list

_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False})
    .enable(["table", "strikethrough"])
    .disable(["code", "lheading", "reference", "entity"])
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a paragraph, a list item, or a row of a table.

    >>> lines("Neighbours of Peru:\\n- Chile\\n- **Brazil**")[1]
    Line(text='Chile', parents=('Neighbours of Peru:',), is_item=True, is_heading=False)
    """

    text: str
    parents: tuple[str, ...] = ()  # the headings, introductions and list items that it stands under, the nearest last
    is_item: bool = False
    is_heading: bool = False


def lines(text: str) -> tuple[Line, ...]:
    """The lines of a response that say something, without their markup."""
    tokens = _MARKDOWN.parse(_as_markdown(_without_citations(_with_list_numbers(as_list(_answer(text))))))
    return tuple(_without_references(_Reader().read(tokens)))


# --- what is no answer ----------------------------------------------------------------------------------------------

_THINK = (
    r"(?:\w+[:_])*(?:think|thinking|thoughts?|reason|reasoning|reflection|scratchpad|analysis|monologue|plan|planning"
    r"|draft|critique)"
)
ESCAPED = re.compile(rf"&lt;(/?{_THINK})&gt;", re.IGNORECASE)
THOUGHT = re.compile(
    r"<details\b[^>]*>\s*<summary>[^<]*(?:think|thought|reason)[^<]*</summary>.*?</details>|"
    rf"<\|?{_THINK}\|?>.*?</?\|?/?{_THINK}\|?>|\[THINK\].*?\[/THINK\]|◁think▷.*?◁/think▷"
    r"|<\|channel\|>analysis.*?(?=<\|channel\|>final|\Z)",
    re.DOTALL | re.IGNORECASE,
)
THOUGHT_ENDS = re.compile(rf"^.*(?:</{_THINK}>|\[/THINK\]|◁/think▷)", re.DOTALL | re.IGNORECASE)
THOUGHT_BEGINS = re.compile(rf"(?:<{_THINK}(?:\s[^<>]*)?>|\[THINK\]|◁think▷).*$", re.DOTALL | re.IGNORECASE)


def _answer(text: str) -> str:
    """The text without the model's thought; a thought that never ends leaves nothing after it."""
    text = ESCAPED.sub(r"<\1>", text) if "&lt;" in text else text
    if not any(mark in text for mark in "<[◁"):
        return text
    return THOUGHT_BEGINS.sub("", THOUGHT_ENDS.sub("", THOUGHT.sub("", text)))


# --- citations and references ---------------------------------------------------------------------------------------

_YEAR = r"(?:1[5-9]|20)\d\d[a-z]?"
_AUTHORS = r"[A-Z][\w'’.-]+(?:,? (?:and|&|et al\.?|[A-Z][\w'’.-]+))*"
_MARKS = r"\d{1,3}(?:\s?[,;–-]\s?\d{1,3})*"
_CITED = (
    r"(?i:notes?|footnotes?|refs?|references?|sources?|passages?|documents?|docs?|excerpts?|snippets?|contexts?|chunks?"
    r"|search results?|citations?)"
)
_PAPERS = (
    r"(?:[A-Z][\w.&]* )*(?:Wikipedia|Britannica|Factbook|News|Times|Post|Journal|Tribune|Herald|Guardian|Gazette|Magazine"
    r"|Encyclop(?:a|ae|æ)dia|Geographic|Reuters|BBC|CNN|NPR)(?: [A-Z]\w+)?"
)
CITATION = re.compile(
    r"\s?\[\[[^\]]*\]\]\([^)\s]*\)|"
    rf"\s?\\?\[\^?{_MARKS}\\?\](?:\([^)\s]*\))?|\s?\{{{_MARKS}\}}"
    rf"|\s?\\?\[(?:{_CITED}(?: needed|\b[^\w\]][^\]\n]{{0,60}}|\d+)?|needs citation|dubious|ibid\.?|pp?\. ?[\d–-]+)\\?\](?!\()"
    r"|\s?【[^】]*】|\s?\ue200[^\ue201]*\ue201"
    r"|\s?\[\^[\w-]+\](?!:)"
    r"|(?:(?<=[.,)])|(?<=[a-z]{3}))[\u00b9\u00b2\u00b3\u2070\u2074-\u2079]+(?=[\s.,;]|$)"
    r"|\s?\((?:\[[^\]]*\]\([^)\s]*\)(?:[,;] )?)+\)|\s?\(<?https?://[^)\s]*>?\)|\s?<https?://[^>\s]*>"
    r"|(?<![(\[\"'=/])\s?https?://[^\s)\]]+|\s?\b(?i:doi): ?10\.[^\s)\]]+(?<![.,;])"
    r"|\s?\((?:[Ss]ources?|[Rr]ef(?:erence)?s?|[Cc]f\.|[Ss]ee|via|[Rr]etrieved from|[Aa]ccording to|ISBN|ISSN|DOI|PMID"
    r"|arXiv)\b:?[^()]*\)"
    rf"|\s?\({_CITED} ?#?\d[^()]*\)|\s?\((?:CIA )?(?:World )?{_PAPERS}(?:, [^()]*\d{{4}})?\)"
    rf"|\s?[–—-] [Ss]ources?: [A-Z][^.\n]*|, according to (?:the )?\[?{_PAPERS}(?:\]\([^)\s]*\))?(?=[.!]?(?:\s|$))"
    rf"|\s?\[{_AUTHORS},? {_YEAR}(?:, pp?\. ?[\d–-]+)?\]|\s?\[\d{{1,3}}, pp?\. ?[\d–-]+\]"
    rf"|\s?\({_AUTHORS},? (?:\d{{4}}, )?{_YEAR}(?:, pp?\. ?[\d–-]+|: ?[\d–-]+)?(?:; {_AUTHORS},? {_YEAR})*\)"
)
# Every citation has one of these; without one, the longer pattern need not be tried.
MAY_CITE = re.compile(r"[\[({【\ue200\u00b9\u00b2\u00b3\u2070\u2074-\u2079]|https?://|(?i:doi|source|according)")
# `It opened in 1937 (1).`: a mark, if the marks of the text count from one
IN_PARENTHESES = re.compile(rf"\s?\({_MARKS}\)(?=[.,;!]|\s*$)|(?<=[.!])\({_MARKS}\)", re.MULTILINE)
LINK = re.compile(r"!\[[^\]]*\]\([^)]*\)|\[([^\]]+)\]\((?:<[^>]*>|[^)\s]*)(?: \"[^\"]*\")?\)")
REFERENCES = re.compile(
    r"^(?:\W*\d*\W*)?(?:references?|sources?(?: used| consulted| cited)?|bibliography|works cited"
    r"|citations?|literature(?: cited)?|further reading|see also"
    r"|external links|footnotes"
    r"|cited works)\W*$",
    re.IGNORECASE,
)
# A line that is one reference: `[1] Smith, J. (2011). A history of Lima.`, `[^1]: ...`, `Source: Wikipedia`
REFERENCE = re.compile(
    rf"^(?:\[\^?(?!{_YEAR})\w{{1,4}}\]:? |(?:sources?|references?|retrieved from|citation)(?:: |:?\*\*:? )|(?:https?://|www\.|doi:)"
    rf"|[A-Z][\w'’-]+, [A-Z]\.[^.]*\({_YEAR}\)\.)",
    re.IGNORECASE,
)


def _with_list_numbers(text: str) -> str:
    """`[1] Lima is large. [2] It is old.` -> `1. Lima is large. 2. It is old.`: a text that begins so is a list."""
    return LIST_NUMBER.sub(r"\1. ", text) if LIST_NUMBER.match(text) else text


LIST_NUMBER = re.compile(r"(?:^|(?<=[.!?] ))\[(\d{1,2})\]:? (?=\S)", re.MULTILINE)


def _without_citations(text: str) -> str:
    """`Lima is the capital.[1]` -> `Lima is the capital.`; lines that are references go."""
    kept = [line for line in text.split("\n") if not REFERENCE.match(line.lstrip(" -*•>\t"))]
    without = "\n".join(kept)
    without = CITATION.sub("", without) if MAY_CITE.search(without) else without
    without = IN_PARENTHESES.sub("", without) if "(1)" in without else without
    return LINK.sub(lambda found: found[1] or "", without) if "[" in without else without


def _without_references(lines_: Iterator[Line]) -> Iterator[Line]:
    """The lines without those under a heading such as `References:`."""
    inside = False
    for line in lines_:
        if REFERENCES.match(line.text):
            inside = True
        elif line.is_heading:
            inside = False
        if not inside and not any(REFERENCES.match(parent) for parent in line.parents):
            yield line


# --- HTML and Markdown ----------------------------------------------------------------------------------------------

_INLINE_TAGS = (
    "b|i|em|strong|u|span|a|sup|sub|small|mark|code|font|div|section|article|blockquote|center|html|body|head|tbody|thead"
    "|img|cite|q|abbr|main|header|footer|figure|figcaption|caption|details|summary|answer|response|final"
)
_BREAK_TAGS = "p|br|hr|ul|ol|dl|dd|dt|table|/li|/tr|h[1-6]"
HTML = (
    (re.compile(r"<!--.*?-->|<(script|style|ref|s|del|strike)\b[^>]*>.*?</\1>|<ref\b[^>]*/>", re.DOTALL | re.IGNORECASE), ""),
    (re.compile(r"<(sup|cite)>\s*\[?\d{1,3}\]?\s*</\1>", re.IGNORECASE), ""),
    (re.compile(r"<li\b[^>]*>\s*", re.IGNORECASE), "\n- "),
    (re.compile(r"<h[1-6]\b[^>]*>\s*", re.IGNORECASE), "\n\n# "),
    (re.compile(r"</t[dh]>\s*<t[dh]\b[^>]*>", re.IGNORECASE), ": "),
    (re.compile(rf"</?(?:{_BREAK_TAGS})\b[^>]*/?>", re.IGNORECASE), "\n\n"),
    (re.compile(rf"</?(?:{_INLINE_TAGS}|li|t[drh])\b[^>]*>", re.IGNORECASE), ""),
    (re.compile(r"&nbsp;|\u00a0"), " "),
    (re.compile(r"<\|channel\|>final|<\|start\|>assistant|<\|\w+\|>"), ""),
    (re.compile(r"&lt;"), "<"),
    (re.compile(r"&gt;"), ">"),
    (re.compile(r"&quot;"), '"'),
    (re.compile(r"&#39;|&apos;"), "'"),
    (re.compile(r"&amp;"), "&"),
)
LATEX = (
    (re.compile(r"\\(?:text(?:bf|it|rm)?|emph|mathrm|mathbf|boxed|underline|(?:sub)*section\*?)\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\(?:begin|end)\{\w+\*?\}"), "\n"),
    (re.compile(r"\\item\s+"), "- "),
    (re.compile(r"\\[()\[\]]|\\[,;!](?=\S)"), ""),
    (re.compile(r"\\times\b"), "×"),
    (re.compile(r"\\(?=[%$&#_])"), ""),
    (re.compile(r"\$(?=\S)([^$\n]{0,60}?\S)\$(?!\d)"), r"\1"),
)
BULLETS = re.compile(
    r"^([ \t]*)(?:(?:[•–●▪◦‣·∙→➤➢►▶✓✔✅◆■□⁃○]|\([a-zA-Z\d]{1,2}\)|(?:[a-z]|[ivx]{1,4})[.)]|[A-H]\)|\d{1,2}(?:-|/| -)"
    r"|#\d{1,2}:?)"
    r"[ \t]+(?!\d)|\d{1,2}[.)](?=[A-Z]))",
    re.MULTILINE,
)
# `1) Lima is ... 2) It was ...` on one line
NUMBERED = re.compile(
    r"(?:(?<=^)|(?<=[.!?;:,] )|(?<=[.!?;:] {2})|(?<=, and ))[(#]?(\d{1,2})(?:(?:[.)/-] | - "
    r"|(?<=#\d) )(?=[a-zA-Z*\"“])|[.)](?=[A-Z]))",
    re.MULTILINE,
)

NUMBER = re.compile(r"\d(?:[.)/-] | - |[.)][A-Z*\"“])|#\d ")


CIRCLED = {ord(first) + at: f"{at + 1})" for first, many in (("①", 20), ("❶", 10)) for at in range(many)}
KEYCAP = re.compile(r"(\d)\ufe0f?\u20e3")


def _as_markdown(text: str) -> str:
    """The text with its HTML, its bullets and its numbers within a line as Markdown."""
    if any(mark in text for mark in "<&\u00a0"):
        text = TABLE.sub(_table, text)
        for pattern, instead in HTML:
            text = pattern.sub(instead, text)
    if "\\" in text or text.count("$") > 1:
        for pattern, instead in LATEX:
            text = pattern.sub(instead, text)
    text = re.sub(r"^>(?=[$£€]?\d)", "more than ", text, flags=re.MULTILINE)
    text = re.sub(r"[\r\u2028\u2029\x0b\x0c\x85]+", "\n", text)
    text = "\n".join(_numbered_apart(line) for line in KEYCAP.sub(r"\1)", text).translate(CIRCLED).split("\n"))
    return BULLETS.sub(r"\1- ", "\n".join(_with_tables(text.split("\n"))))


def _numbered_apart(line: str) -> str:
    """A line with several numbers that count up, from one or from where the line begins, as one line each."""
    found = list(NUMBERED.finditer(line)) if NUMBER.search(line) else []
    first = 1 if not found or found[0].start() else int(found[0][1])
    if len(found) < 2 or [int(match[1]) for match in found] != list(range(first, first + len(found))):
        return line
    ends = [*(match.start() for match in found[1:]), len(line)]
    items = [f"{match[1]}. {line[match.end() : end].strip(' ,;')}" for match, end in zip(found, ends, strict=True)]
    before = line[: found[0].start()].strip()
    return "\n".join([before, *items] if before else items)


TABLE = re.compile(r"<table\b[^>]*>(.*?)</table>", re.DOTALL | re.IGNORECASE)
ROW, CELL = (re.compile(rf"<{tag}\b[^>]*>(.*?)</{tag}>", re.DOTALL | re.IGNORECASE) for tag in ("tr", "t[dh]"))


def _table(found: re.Match[str]) -> str:
    """A table of HTML as one of Markdown; as it stands if it has no header."""
    if "<th" not in found[1].lower():
        return found[0]
    rows = [" | ".join(" ".join(cell.split()) for cell in CELL.findall(row)) for row in ROW.findall(found[1])]
    return "\n\n" + "\n".join(f"| {row} |" for row in rows) + "\n\n"


FRAME = re.compile(r"^\s*\+(?:[-=]+\+)+\s*$")
RULE = re.compile(r"^[\s|:-]*-[\s|:-]*$")


def _with_tables(lines_: list[str]) -> list[str]:
    """Lines with as many `|` or tabs each become a table; one without a rule below its header gets one."""
    found: list[str] = []
    rows: list[str] = []
    for line in [*(line for line in lines_ if not FRAME.match(line)), ""]:
        row = re.sub(r"(?<=\S)\t+(?=\S)", " | ", line)
        if not rows or _columns(row) != _columns(rows[0]) or not _columns(row):
            found += _as_table(rows)
            rows = []
        if _columns(row):
            rows.append(row)
        else:
            found.append(line)
    return found[:-1]


def _columns(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row.strip(" |")))


def _as_table(rows: list[str]) -> list[str]:
    if len(rows) < 2 or any(map(RULE.match, rows)):
        return rows
    return ["", rows[0], "|".join(["---"] * (_columns(rows[0]) + 1)), *rows[1:], ""]


class _Reader:
    """Walks through the tokens of a Markdown text."""

    def __init__(self) -> None:
        self._headings: dict[int, str] = {}  # by their level
        self._above: list[str] = []  # the list items that are open
        self._lead = ""  # the line that stands just before a list: it ends in a colon, or is a title
        self._leads: list[str] = []
        self._number = ""
        self._header: list[str] | None = None
        self._row: list[str] = []

    def read(self, tokens: Sequence[Token]) -> Iterator[Line]:
        for at, token in enumerate(tokens):
            if token.type in ("bullet_list_open", "ordered_list_open"):
                self._leads.append(self._lead)
                self._above.append("")
            elif token.type in ("bullet_list_close", "ordered_list_close"):
                self._leads.pop()
                self._above.pop()
                self._lead = ""
            elif token.type == "list_item_open":
                self._number = token.info
                self._above[-1] = self._lead = ""
            elif token.type in ("thead_open", "tbody_close"):
                self._header = None
            elif token.type == "tr_open":
                self._row = []
            elif token.type == "tr_close":
                yield from self._of_row()
            elif token.type == "inline":
                yield from self._of_inline(tokens[at - 1], _text(token))
                if not self._lead.endswith(":") and not _opens_list(tokens, at + 2):
                    self._lead = ""

    def _of_inline(self, opened: Token, text: str) -> Iterator[Line]:
        if opened.type in ("th_open", "td_open"):
            self._row.append(text.strip())
        elif opened.type == "heading_open":
            level = int(opened.tag[1])
            self._headings = {each: heading for each, heading in self._headings.items() if each < level} | {level: text.strip()}
            self._lead = ""
            yield Line(text.strip(), is_heading=True)
        else:
            yield from self._of_paragraph(text)

    def _of_paragraph(self, text: str) -> Iterator[Line]:
        year: tuple[str, ...] = ()
        for said in _unwrapped(text):
            if not (said := " ".join(said.split())):
                continue
            if YEAR_ALONE.match(said):
                year = (said,)
            is_item = bool(self._above)
            if is_item and not self._above[-1]:
                if len(self._number) == 4:  # a year, and no number of a list
                    said = f"{self._number}. {said}"
                self._above[-1] = said
                yield Line(said, self._parents(len(self._above) - 1), True)
            else:
                yield Line(said, (*self._parents(len(self._above)), *(year if year != (said,) else ())), is_item)
            self._lead = said if said.endswith(":") or _may_be_title(said) or ANNOUNCES.match(said) else ""

    def _parents(self, depth: int) -> tuple[str, ...]:
        nested = [each for pair in zip(self._leads, [*self._above[:depth], ""], strict=False) for each in pair if each]
        return tuple(dict.fromkeys([*self._headings.values(), *nested]))

    def _of_row(self) -> Iterator[Line]:
        """`| Peru | Lima |` under `| Country | Capital |` -> `Capital: Lima` under `Peru`"""
        if self._header is None:
            self._header = self._row
            return
        first, *cells = self._row
        for name, cell in zip(self._header[1:], cells, strict=False):
            if name and cell and first:  # under an empty first cell, the columns are what the table is about
                key, owner = (name, first) if self._header[0] else (first, name)
                yield Line(f"{key}: {cell}", (*self._headings.values(), owner), True)


ANNOUNCES = re.compile(r"(?:Here|Below) (?:is|are)\b.*\.$")
LONGEST_TITLE, LONGEST_DATE = 8, 3  # words
YEAR_ALONE = re.compile(r"(?:1\d|20)\d\d:?$")  # the lines of its paragraph that follow happened then


def _may_be_title(line: str) -> bool:
    words = len(line.split())
    opens = line[:1].isupper() or (line[:1].isdigit() and words <= LONGEST_DATE)
    return opens and words <= LONGEST_TITLE and not line.endswith((".", "!", "?", ";", ","))


def _opens_list(tokens: Sequence[Token], at: int) -> bool:
    return at < len(tokens) and tokens[at].type in ("bullet_list_open", "ordered_list_open")


def _text(token: Token) -> str:
    parts: list[str] = []
    struck = 0
    for each in token.children or ():
        struck += (each.type == "s_open") - (each.type == "s_close")
        parts.append("" if struck else "\n" if each.type in ("softbreak", "hardbreak") else each.content)
    return STRAY.sub("", "".join(parts))


STRAY = re.compile(
    r"\*\*+|`+|(?<=\w)\*(?=[\s.,;:!?]|$)|^\*+\s*"
    r"|(?<=\s)\*(?=[A-Za-z])",
    re.MULTILINE,
)  # marks without their other half


def _unwrapped(text: str) -> list[str]:
    """The lines of a paragraph; a line that goes on with a small letter belongs to the line before it."""
    found: list[str] = []
    for line in text.split("\n"):
        if found and re.match(r"[a-z(]", line.strip()) and not found[-1].rstrip().endswith((".", "!", "?", ":", ";")):
            found[-1] = f"{found[-1].rstrip()} {line.strip()}"
        else:
            found.append(line)
    return found
