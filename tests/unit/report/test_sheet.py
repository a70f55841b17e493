"""The sheet of an audit: blind, the same in three formats, and harmless whatever a model wrote."""

import csv
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from flame_ray.report.sheet import Item, Sheet, jsonl, page, sheet_files, table
from tests.builders import make_passage

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def make_item(id="ab12-1", *, fact="Peru borders Chile", response="Hello. It borders Chile.", passages=None):
    passages = (make_passage("Chile 168 km"), make_passage("Lima")) if passages is None else passages
    return Item(id, "Which countries border Peru?", response, "It borders Chile.", fact, tuple(passages))


def make_sheet(*items):
    return Sheet("ab12", "mine", items or (make_item(), make_item("ab12-2")))


def rows(sheet):
    return list(csv.DictReader(io.StringIO(table(sheet).removeprefix("\ufeff"))))


def data(text):
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)[1])


def test_a_sheet_has_a_page_a_jsonl_file_and_a_table():
    assert list(sheet_files(make_sheet())) == ["sheet.html", "sheet.jsonl", "sheet.csv"]


def test_a_line_of_jsonl_holds_all_that_a_reader_needs_and_empty_columns_to_fill():
    first, second = map(json.loads, jsonl(make_sheet()).splitlines())
    assert first == {
        "id": "ab12-1",
        "prompt": "Which countries border Peru?",
        "response": "Hello. It borders Chile.",
        "sentence": "It borders Chile.",
        "fact": "Peru borders Chile",
        "label": None,
        "says_nothing": None,
        "faithful": None,
        "relevant": None,
        "evidence": [{"title": "Peru", "text": "Chile 168 km"}, {"title": "Peru", "text": "Lima"}],
        "run": "mine",
    }
    assert second["id"] == "ab12-2"


def test_the_table_has_the_same_columns():
    first, _ = rows(make_sheet())
    assert first["evidence"] == "Peru\nChile 168 km\n\nPeru\nLima"
    assert first.keys() == json.loads(jsonl(make_sheet()).splitlines()[0]).keys()
    assert {name for name, value in first.items() if value == ""} == {"label", "says_nothing", "faithful", "relevant"}


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "\tx"])
def test_no_text_is_a_formula_of_a_spreadsheet(text):
    (row,) = rows(make_sheet(make_item(fact=text, response=text)))
    assert row["fact"] == row["response"] == f"'{text}"


def test_a_cell_that_a_spreadsheet_would_cut_says_where_the_rest_is():
    (row,) = rows(make_sheet(make_item(passages=[make_passage("x" * 40_000)])))
    assert len(row["evidence"]) < 32_767 and row["evidence"].endswith("[cut; sheet.html has all of it]")


def test_the_page_holds_each_passage_once():
    found = data(page(make_sheet()))
    assert found["passages"] == [["Peru", "Chile 168 km"], ["Peru", "Lima"]]
    assert [item["evidence"] for item in found["items"]] == [[0, 1], [0, 1]]
    assert (found["sheet"], found["run"]) == ("ab12", "mine")


class Scripts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def tags(text):
    parser = Scripts()
    parser.feed(text)
    return parser.tags


def test_text_of_a_model_stays_text_in_the_page():
    evil = make_item(EVIL, fact=EVIL, response=EVIL, passages=[make_passage(EVIL, title=EVIL)])
    text = page(Sheet("ab12", EVIL, (evil,)))
    assert [tag for tag, _ in tags(text)] == [tag for tag, _ in tags(page(make_sheet()))]
    assert data(text)["items"][0]["fact"] == EVIL and data(text)["run"] == EVIL


def test_text_that_looks_like_a_place_of_the_template_stays_text():
    assert data(page(make_sheet(make_item(fact="@@DATA@@ @@NONCE@@"))))["items"][0]["fact"] == "@@DATA@@ @@NONCE@@"


def test_signs_that_turn_the_direction_of_text_are_spelled_out():
    found = data(page(make_sheet(make_item(fact="Peru \u202eelihC\u202c", response="one\ntwo\x1b[31m"))))["items"][0]
    assert found["fact"] == "Peru \\u202eelihC\\u202c"
    assert found["response"] == "one\ntwo\\x1b[31m"


def test_the_page_needs_no_network_and_forbids_it():
    """No address but of itself, and a policy under which neither text nor a fault in the page can fetch anything."""
    text = page(make_sheet())
    assert not re.search(r"https?://|//cdn|@import|url\(", text)
    assert [attrs for tag, attrs in tags(text) if {"src", "href"} & attrs.keys()] == []
    (policy,) = [attrs["content"] for tag, attrs in tags(text) if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'nonce-ab12';") and "unsafe" not in policy
    scripts = [attrs for tag, attrs in tags(text) if tag in ("script", "style")]
    assert len(scripts) == 3 and all(attrs["nonce"] == "ab12" for attrs in scripts)


def test_the_page_explains_every_label():
    text = page(make_sheet())
    for words in (
        "Supported",
        "Contradicted",
        "Not found",
        "Says nothing",
        "Not what the answer says",
        "Answers the instruction?",
    ):
        assert f"<dt>{words} <kbd>" in text


# In a browser, where there is one


@pytest.fixture
def browse(tmp_path):
    """Opens a page, does something in it, and returns what it leaves in the document's title as JSON."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")

    def browse(sheet, script):
        run = f"(async () => {{ {script} }})().then((found) => {{ document.title = JSON.stringify(found); }});"
        script = f'<script nonce="{sheet.id}">{PRESS}\n{run}</script>'
        path = tmp_path / "sheet.html"
        path.write_text(page(sheet).replace("</body>", f"{script}</body>"))
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
        done = subprocess.run(
            [*command, "--virtual-time-budget=3000", "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=90
        )
        title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
        assert title, done.stderr[-2000:]
        return json.loads(title[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))

    return browse


PRESS = """
document.getElementById("guide").close();
const type = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const press = (...keys) => keys.forEach(type);
let file = null;  // the last one that was saved
URL.createObjectURL = (blob) => { file = blob; return "blob:none"; };
HTMLAnchorElement.prototype.click = function () { file.name = this.download; };
const saved = async () => { press("d"); return (await file.text()).trim().split("\\n").filter(Boolean).map(JSON.parse); };
"""
THREE = (make_item("ab12-1"), make_item("ab12-2", fact="Two"), make_item("ab12-3", fact="Three"))


def test_keys_label_go_on_and_save(browse):
    found = browse(make_sheet(*THREE), 'press("1", "v", "y", "3", "k"); return [place, await saved(), file.name];')
    assert found[0] == 1 and found[2] == "reader-ab12.jsonl"
    assert found[1] == [
        {"id": "ab12-1", "run": "mine", "label": "supported", "says_nothing": False, "faithful": True, "relevant": None},
        {"id": "ab12-2", "run": "mine", "label": "not_found", "says_nothing": True, "faithful": True, "relevant": True},
    ]


def test_a_key_pressed_twice_takes_its_answer_back(browse):
    found = browse(make_sheet(*THREE), 'byId("advance").checked = false; press("2", "f", "2", "f"); return await saved();')
    assert found == []


def test_labels_are_kept_for_each_reader_when_the_page_is_opened_again(browse):
    again = """
      press("1"); byId("reader").value = "ben"; byId("reader").onchange({ target: byId("reader") });
      const before = [place, Object.keys(answers).length]; press("2", "2");
      open("reader"); const first = Object.keys(answers).length;
      open("ben"); return [before, first, Object.keys(answers).length, recall(STORE, "")];
    """
    assert browse(make_sheet(*THREE), again) == [[0, 0], 1, 2, "ben"]


def test_a_file_of_labels_fills_what_is_open_and_replaces_nothing(browse):
    lines = [{"id": f"ab12-{n}", "label": "contradicted"} for n in (1, 2)] + [{"id": "x-3", "label": "supported"}]
    text = json.dumps("\n".join(map(json.dumps, lines)) + "\n{")
    load = f'await load(new File([{text}], "a.jsonl"));'
    told = 'const told = byId("warning").textContent;'
    found = browse(make_sheet(*THREE), f'press("1"); {load} {told} return [await saved(), told];')
    assert [row["label"] for row in found[0]] == ["supported", "contradicted"]
    assert found[1] == "1 labels loaded from a.jsonl; 2 lines are not labels of this sheet"


def test_a_remark_without_a_label_is_loaded_too(browse):
    text = json.dumps(json.dumps({"id": "ab12-2", "faithful": False}))
    load = f'await load(new File([{text}], "a.jsonl"));'
    remark = {"label": None, "says_nothing": None, "faithful": False, "relevant": None}
    assert browse(make_sheet(*THREE), f'{load} return answers["ab12-2"];') == remark


def test_what_is_typed_into_a_field_is_no_label(browse):
    typed = """
      byId("find").focus(); byId("find").dispatchEvent(new KeyboardEvent("keydown", { key: "1", bubbles: true }));
      byId("find").value = "lima"; showEvidence();
      return [await saved(), byId("passages").children.length, byId("passages").querySelector("mark").textContent];
    """
    assert browse(make_sheet(*THREE), typed) == [[], 1, "Lima"]


def test_a_script_in_a_fact_is_shown_and_does_not_run(browse):
    evil = make_item(fact=EVIL, response=f"{EVIL} It borders Chile.", passages=[make_passage(EVIL, title=EVIL)])
    found = browse(
        make_sheet(evil),
        'return [byId("fact").textContent, document.images.length, document.title, byId("passages").textContent];',
    )
    assert found == [EVIL, 0, "Audit of mine", EVIL * 2]


def test_the_sentence_of_the_fact_is_marked_in_the_answer(browse):
    found = browse(
        make_sheet(*THREE), 'return [...document.querySelectorAll("#response .here")].map((each) => each.textContent);'
    )
    assert found == ["It borders Chile."]


def test_labels_made_by_keys_are_read_back(browse, tmp_path):
    from flame_ray.evaluation.audit.labels import read_labels

    path = tmp_path / "reader-ab12.jsonl"
    lines = browse(make_sheet(*THREE), 'press("1", "2", "v"); return await saved();')
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    reader = read_labels(path, "reader", "ab12", "mine", {item.id for item in THREE})
    assert [answer.supported for answer in reader.answers.values()] == [True, False, None]
    assert [note.partition(": ")[2] for note in reader.notes] == ["no `label` in line 3", "no `faithful` in line 3"]


def test_a_table_that_is_printed_on_a_terminal_does_not_act_there():
    sheet = make_sheet(make_item(fact="Peru \x1b]52;c;cm0=\x07\x9b2J\u202eelihC\x00\x08", response="one\r\ntwo\tthree"))
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\x00", "\x08"} & set(table(sheet))
    (row,) = rows(sheet)
    assert row["fact"] == r"Peru \x1b]52;c;cm0=\x07\x9b2J\u202eelihC\x00\x08" and row["response"] == "one\\x0d\ntwo\tthree"
