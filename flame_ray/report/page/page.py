"""Puts the page together: one HTML file that holds all it shows, whose policy allows no script but its own and no network."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from xml.etree.ElementTree import Element

from flame_ray.report.page.markup import el, html, plain
from flame_ray.report.page.records import RunRecord, SftRecord
from flame_ray.report.page.sections import sections

POLICY = "default-src 'none'; script-src '{script}'; style-src '{style}'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class Page:
    """What the page shows of runs and of fine-tunings (`tuned`). `answers`: as `answers.packed` gives them, and `prompts` how
    many held-out prompts there are.

    `made`: when and by which version. `version`: of a page that follows its runs, another one whenever these have gone on; None
    for a file.
    """

    runs: tuple[RunRecord, ...]
    answers: Mapping[str, Any]
    prompts: int
    made: str
    version: str | None = None
    tuned: tuple[SftRecord, ...] = ()

    @property
    def names(self) -> str:
        return ", ".join([*(each.id for each in self.runs), *(each.id for each in self.tuned)])


def render(page: Page) -> str:
    """The whole file."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = POLICY.format(script=_digest(script), style=_digest(style)) + ("; connect-src 'self'" if page.version else "")
    left_out = page.prompts - len(page.answers["prompts"])
    data = {"version": page.version, "left_out": left_out, "after": _delivered(page), **page.answers}
    filled = {
        "POLICY": policy,
        "TITLE": html(el("title", f"flame-ray: {page.names}")),
        "STYLE": style,
        "NAMES": html(el("small", page.names)),
        "LINKS": html(*_links(found := sections(page.runs, page.tuned), page)),
        "SECTIONS": html(*found),
        "HIDDEN": "" if page.runs else " hidden",
        "MADE": html(el("p", page.made)),
        "DATA": json_text(data),
        "SCRIPT": script,
    }
    return re.sub("@@([A-Z]+)@@", lambda place: filled[place[1]], _asset("page.html"))  # what is filled in is not read again


def json_text(data: Mapping[str, Any]) -> str:
    """JSON that no text in it can end, or turn into markup, wherever it stands in a page."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def _delivered(page: Page) -> int:
    """The place among the sides of what the first run delivers: its best round, or else its last one."""
    if not page.runs:
        return 0
    places = {side["round"]: place for place, side in enumerate(page.answers["sides"]) if side["run"] == plain(page.runs[0].id)}
    return places.get(page.runs[0].best, max(places.values(), default=0))


def _links(found: Sequence[Element], page: Page) -> list[Element]:
    titled = [(section.get("id"), next(section.iter("h2")).text or "") for section in found]
    if page.runs:  # fine-tunings have no held-out answers
        titled.append(("answers", "Answers"))
    return [el("a", plain(title), href=f"#{id}") for id, title in titled]


def _asset(name: str) -> str:
    return files("flame_ray.report.page").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """As a policy names what may run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
