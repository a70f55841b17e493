"""Builds HTML and SVG as trees of elements, so that no text can become markup."""

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, tostring

from flame_ray.shown import escaped, without_secrets

Child = Element | str | None


def el(tag: str, *children: Child | Iterable[Child], **attributes: str | float | bool | None) -> Element:
    """An element. Text has its control codes spelled out, and no passwords of URLs. A child or attribute None is left out.

    In names of attributes `_` stands for `-`, and one at the end is dropped: `class_`, `aria_label`.

    >>> html(el("p", "1 < 2, ", el("b", "so"), "!", class_="a"))
    '<p class="a">1 &lt; 2, <b>so</b>!</p>'
    """
    node = Element(tag)
    for name, value in attributes.items():
        if value is not None and value is not False:
            node.set(name.rstrip("_").replace("_", "-"), plain("" if value is True else value))
    for child in _flat(children):
        if isinstance(child, Element):
            node.append(child)
        elif len(node):
            node[-1].tail = (node[-1].tail or "") + plain(child)
        else:
            node.text = (node.text or "") + plain(child)
    return node


def html(*nodes: Element) -> str:
    return "".join(tostring(node, encoding="unicode", method="html") for node in nodes)


def plain(value: str | float) -> str:
    """Text as a person may see it; a number with one decimal at most, as a length in pixels is.

    >>> plain(3.14159), plain(7), plain("a\\x1b[1m")
    ('3.1', '7', 'a\\\\x1b[1m')
    """
    if isinstance(value, str):
        return escaped(without_secrets(value), keep="\t\n")
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def table(caption: str, heading: Sequence[Child], rows: Iterable[Sequence[Child]]) -> Element:
    """A table that scrolls where it is too wide. The first cell of a row names the row."""
    head = el("thead", el("tr", (el("th", cell, scope="col") for cell in heading)))
    body = el("tbody", (el("tr", el("th", row[0], scope="row"), (el("td", cell) for cell in row[1:])) for row in rows))
    region = el("div", el("table", head, body), class_="scroll", tabindex="0", role="region", aria_label=caption)
    return el("div", el("p", caption, class_="caption", aria_hidden="true"), region)  # the region says its caption


def folded(title: str, *children: Child | Iterable[Child]) -> Element:
    """What a click or a key opens."""
    return el("details", el("summary", title), *children)


def _flat(children: Iterable[Child | Iterable[Child]]) -> Iterable[Element | str]:
    for child in children:
        if isinstance(child, Element | str):
            yield child
        elif child is not None:
            yield from _flat(child)
