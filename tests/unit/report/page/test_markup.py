"""Text stays text in the page, whatever it holds."""

from html.parser import HTMLParser

import pytest

from flame_ray.report.page.markup import el, html, table

EVIL = "</script><img src=x onerror=alert(1)>\"' &amp; <!--"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_text_and_attributes_cannot_become_markup():
    text = html(el("p", EVIL, title=EVIL))
    parser = Tags()
    parser.feed(text)
    assert parser.found == [("p", {"title": EVIL})] and parser.text == EVIL


def test_text_stands_where_it_was_given():
    assert html(el("p", "a", el("b", "c"), "d", "e", el("i"), "f", class_="x")) == '<p class="x">a<b>c</b>de<i></i>f</p>'


def test_what_is_none_is_left_out_and_lists_are_children():
    assert html(el("p", None, ["a", None, [el("b")]], id=None, hidden=True, open=False)) == '<p hidden="">a<b></b></p>'


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\x1b[2J", "a\\x1b[2J"), ("x\u202ey", "x\\u202ey"), ("\ud800", "\\ud800"), ("s3://me:pass@host", "s3://me:***@host")],
)
def test_no_text_acts_and_no_password_is_shown(text, shown):
    assert html(el("p", text, title=text)) == f'<p title="{shown}">{shown}</p>'


def test_a_table_names_its_rows_and_columns_and_can_be_scrolled_by_keyboard():
    text = html(table("All of it", ("", "round 0"), [("precision", "0.5")]))
    assert '<th scope="col">round 0</th>' in text and '<th scope="row">precision</th><td>0.5</td>' in text
    assert 'tabindex="0" role="region" aria-label="All of it"' in text
