"""The page of `flame-ray report` in a real browser: on a screen and a phone, by keyboard, in the dark, following a run."""

import threading
from pathlib import Path

import pytest

from flame_ray.commands.report import make_page
from flame_ray.commands.report_live import LivePage, make_server
from flame_ray.journal.run_record import RunReader
from flame_ray.report.page.page import render
from tests.browser import CHROMIUM, browser
from tests.shown_runs import HOSTILE, add_audit, make_shown_run

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
CONTRASTS = Path(__file__).with_name("contrasts.js")
SHOWN = HOSTILE.replace("\u202e", "\\u202e")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs that can be compared; facts, prompts and reasons of the first are hostile."""
    root = tmp_path_factory.mktemp("runs")
    first, second = make_shown_run(root, "mine"), make_shown_run(root, "theirs", better=0.4)
    add_audit(first)
    return first, second


@pytest.fixture(scope="module")
def address(runs, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(make_page([RunReader(run) for run in runs], 10_000)))
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture
def page(chromium, address):
    """The file, newly opened on a wide screen. Whatever a test does, nothing goes wrong in it and nothing is fetched."""
    chromium.errors.clear()
    chromium.requests.clear()
    chromium.open(address)
    yield chromium
    chromium.get("1")  # events until now are read
    assert chromium.errors == [] and set(chromium.requests) == {address}


def count(page, selector):
    return page.get(f"document.querySelectorAll({selector!r}).length")


def focus(page):
    return page.get("document.activeElement.textContent || document.activeElement.id")


def test_all_sections_are_drawn(page):
    assert page.get("[...document.querySelectorAll('main h2')].map((each) => each.textContent)") == [
        *("Runs", "Helpfulness against factuality", "Round by round", "Pairs"),
        *("Timeline", "Tables", "Audit by people", "Answers"),
    ]
    assert page.get(
        "[...document.querySelectorAll('#figure svg, #pairs svg, #timeline svg')].every((each) => each.clientHeight > 40)"
    )
    assert count(page, "#figure circle.dot") == 8 and count(page, "#list li") == 25


def test_text_of_a_model_is_shown_and_does_not_act(page):
    assert page.get("document.title") == "flame-ray: mine, theirs" and page.get("document.images.length") == 0
    assert count(page, "script") == 2
    page.get("byId('query').value = 'onerror'; apply()")
    assert 0 < page.get("found.length") < page.get("data.prompts.length")
    page.get("choose(found.find((prompt) => before(prompt).facts?.some((fact) => fact.text.includes('onerror'))))")
    page.get("document.querySelectorAll('#detail details').forEach((each) => { each.open = true; })")
    page.wait("[...document.querySelectorAll('#detail blockquote')].some((each) => each.textContent.includes('onerror'))")
    assert SHOWN in page.get("byId('detail').textContent") and page.get("document.images.length") == 0
    assert SHOWN in page.get("byId('audit').textContent")
    assert page.get("document.title") == "flame-ray: mine, theirs"


def test_a_script_that_came_into_the_page_would_not_run(page):
    page.get("document.body.append(document.createRange().createContextualFragment('<script>document.title = 1</script>'))")
    page.get("new Promise((done) => setTimeout(done, 100))")
    assert page.get("document.title") == "flame-ray: mine, theirs"
    assert page.errors and "Content Security Policy" in page.errors[0]
    page.errors.clear()


def test_the_page_is_used_by_keyboard_alone(page):
    page.press("Tab")
    assert focus(page) == "Skip to the content"
    page.press("/")
    assert focus(page) == "query"
    page.type("capital")
    prompts = page.get("found.length")
    assert 0 < prompts < page.get("data.prompts.length") and page.get(
        "found.every((each) => haystack(each, after(each)).includes('capital'))"
    )
    page.press("j")  # typed into the field, and no step
    assert page.get("byId('query').value") == "capitalj" and page.get("found.length") == 0
    page.get("byId('query').value = ''; apply(); byId('list').querySelector('button').focus()")
    page.press("Tab")
    page.press("Enter")
    assert page.get("found.indexOf(current)") == 1 and page.get("document.activeElement.id") == "detail"
    page.press("j")
    page.press("j")
    page.press("k")
    assert page.get("found.indexOf(current)") == 2
    page.get("choose(found.find((prompt) => before(prompt).facts?.length), true)")
    page.get("document.querySelector('#detail .fact summary').focus()")
    page.press("Enter")
    page.wait("document.querySelectorAll('#detail .fact[open] blockquote').length > 0")


def test_a_click_on_a_sentence_opens_its_facts_with_their_evidence(page):
    page.get(
        "choose(found.find((each) => after(each).facts?.some((fact) => fact.passage !== null && fact.sentence === 1)), true)"
    )
    page.get("document.querySelector('#detail mark.sentence').click()")
    page.wait("document.querySelector('#detail .fact[open] .evidence') !== null")
    assert page.get("document.querySelector('#detail .fact[open] cite').textContent") in page.get(
        "data.passages.map(([title]) => title)"
    )


def test_a_verdict_has_a_sign_and_a_word_beside_its_colour(page):
    signs = page.get(
        "[...document.querySelectorAll('#detail .fact')].map((each) => "
        "[each.classList[1], each.querySelector('.sign').textContent, each.querySelector('small').textContent])"
    )
    words = {"supported": "✓", "contradicted": "✗", "not_found": "?", "says_nothing": "–"}
    assert signs and all(words[verdict] == sign and text.startswith(verdict.replace("_", " ")) for verdict, sign, text in signs)


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ("better", "rise(each) > 0"),
        ("worse", "rise(each) < 0"),
        ("truncated", "before(each).truncated || after(each).truncated"),
        ("missing", "before(each).missing !== null"),
    ],
)
def test_a_filter_leaves_what_it_says_and_a_clear_brings_all_back(change, holds, page):
    page.get(f"byId('change').value = {change!r}; apply()")
    assert 0 < page.get("found.length") < page.get("data.prompts.length") and page.get(f"found.every((each) => {holds})")
    assert page.get("byId('count').textContent") == page.get("`${found.length} of ${data.prompts.length} prompts`")
    page.get("document.querySelector('#controls button').click()")
    page.wait("found.length === data.prompts.length")


def test_rounds_of_two_runs_are_compared_side_by_side(page):
    assert page.get("byId('after').selectedOptions[0].textContent") == "mine, round 2"
    page.get("byId('before').value = 3; byId('after').value = 7; apply()")
    assert page.get("[...document.querySelectorAll('.sides h4')].map((each) => each.textContent)") == [
        "mine, round 4",
        "theirs, round 4",
    ]
    page.get("byId('before').value = 7; apply()")
    assert count(page, ".sides h4") == 1


def test_prompts_are_ordered_by_their_change(page):
    page.get("byId('order').value = 'fall'; apply()")
    falls = page.get("found.map(rise).filter((each) => each !== null)")
    assert falls == sorted(falls) and falls[0] < 0


def test_a_wide_screen_shows_five_rounds_at_once_and_all_filters_in_one_row(page):
    assert page.get(
        "[...document.querySelectorAll('#tables > * > div > .scroll')].every((e) => e.scrollWidth <= e.clientWidth)"
    )
    assert (
        page.get("new Set([...document.querySelectorAll('#controls > *')].map((e) => e.getBoundingClientRect().bottom)).size")
        == 1
    )
    for section in ("figure", "pairs"):
        chart, table = (
            page.get(f"document.querySelector('#{section} .beside > :{which}-child').getBoundingClientRect().toJSON()")
            for which in ("first", "last")
        )
        assert table["left"] >= chart["right"] and table["top"] < chart["bottom"]


def test_a_phone_shows_the_newest_round_of_each_table_and_no_name_of_a_row_in_more_than_three_lines(page, address):
    page.open(address, width=390, height=844)
    seen = "(e) => e.querySelector('thead th:nth-child(2)').getBoundingClientRect().right <= 390"
    assert page.get(f"[...document.querySelectorAll('#tables > * > div table, #audit table')].every({seen})")
    high = page.get(
        "Math.max(...[...document.querySelectorAll('#tables tbody th')].map((e) => e.getBoundingClientRect().height))"
    )
    assert high < 85  # three lines and their padding


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_a_phone_and_no_text_fades_into_its_background(dark, page, address):
    page.open(address, width=390, height=844, dark=dark)
    page.get("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.get("document.documentElement.scrollWidth") == 390
    assert page.get(CONTRASTS.read_text()) == []


def test_a_screen_reader_finds_names_for_all_that_can_be_used(page):
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = [(each["role"]["value"], each.get("name", {}).get("value", "")) for each in nodes if not each["ignored"]]
    usable = {"button", "link", "combobox", "searchbox", "image", "region", "navigation", "search", "DisclosureTriangle"}
    assert [each for each in roles if each[0] in usable and not each[1].strip()] == []
    assert {"main", "banner", "contentinfo", "status", "table"} <= {role for role, _ in roles}


def test_ten_thousand_answers_are_searched_at_once(page):
    """The prompts of a run many times over, so that their text need not be made."""
    page.get(
        "(() => { const many = data.prompts; data.prompts = []; "
        "while (data.prompts.length < 5000) data.prompts.push(...structuredClone(many)); data.prompts.length = 5000; })()"
    )
    page.get("byId('query').value = 'borders'")
    took = page.get("(() => { const start = performance.now(); apply(); return performance.now() - start; })()")
    assert page.get("found.length") > 1000 and count(page, "#list li") == 25
    assert took < 1000  # some 40 ms on a quiet machine


def test_a_page_follows_its_run_and_keeps_what_is_chosen_and_open(chromium, tmp_path):
    run = make_shown_run(tmp_path, "live", rounds=2, heldout=12)
    whole = run.summary()
    run.write_json("summary.json", {**whole, "status": "running", "rounds": whole["rounds"][:2]})
    reader = RunReader(run)
    server = make_server(LivePage(reader.version, lambda version: render(make_page([reader], 100, version))), 0, "token")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        chromium.errors.clear()
        chromium.open(server.address)
        chromium.get("choose(found[3], true); document.querySelector('#sections details').open = true")
        chosen = chromium.get("current.text")
        chromium.wait("byId('live-state').textContent === 'Follows the run; up to date.'")
        chromium.get("byId('list').querySelectorAll('button')[2].focus()")
        run.write_json("summary.json", whole)
        chromium.wait("data.sides.length === 3")
        assert chromium.get("document.activeElement === byId('list').querySelectorAll('button')[2]")
        assert chromium.get("current.text") == chosen and chromium.get("document.querySelector('#sections details').open")
        assert "complete" in chromium.get("byId('runs').textContent")
        assert chromium.get("byId('live-state').textContent").startswith("Updated at ")
        chromium.get("byId('pause').click()")
        run.write_json("summary.json", {**whole, "status": "failed"})
        chromium.get("follow()")
        assert "complete" in chromium.get("byId('runs').textContent")
        chromium.get("byId('pause').click()")
        chromium.wait("byId('runs').textContent.includes('failed')")
        assert chromium.errors == []
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    chromium.wait("byId('live-state').textContent.startsWith('The command has ended')")
