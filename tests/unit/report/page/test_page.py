"""The page as a file: complete, without network, within its size, and harmless whatever a model wrote."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from flame_ray.report.page.answers import drawn, packed, parts
from flame_ray.report.page.page import Page, render
from flame_ray.report.page.records import Answer, CheckedFact, Question, Side
from flame_ray.types import VerdictLabel
from tests.builders import make_passage
from tests.unit.report.page.runs import make_round, make_run

HANDLERS = [
    "<svg onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "' onmouseover='alert(1)",
    "<base href=//evil>",
    "<meta http-equiv=refresh content=0>",
    "<!--<script>",
    "</style><style>*{display:none}",
    "&lt;img src=x onerror=alert(1)&gt;",
    "]]>\x00\u2028\u2029",
]
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)><!-- @@DATA@@ @@SCRIPT@@"
QUESTION = Question("peru", "Where is Peru?", needs_facts=True)


def make_answer(text="It borders Chile.", *, fact="Peru borders Chile", passage="pe", **fields) -> Answer:
    facts = (CheckedFact(fact, 0, VerdictLabel.SUPPORTED, 0.9, passage, True),)
    evidence = (make_passage("Chile 168 km"), make_passage("Lima", id="pe/1"))
    return Answer(text, **({"facts": facts, "precision": 1.0, "sentences": (text,), "evidence": evidence} | fields))


def make_side(round=0, run="mine", **answers: Answer) -> Side:
    return Side(
        run, round, {Question(id, f"Where is {id.title()}?"): each for id, each in (answers or {"peru": make_answer()}).items()}
    )


def make_page(*runs, sides=None, version=None, prompts=1) -> str:
    answers = packed([QUESTION], sides or [make_side(), make_side(1)])
    return render(Page(runs or (make_run(),), answers, prompts, "Made today.", version))


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.data, self._in = [], {"script": [], "style": []}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag in self.data:
            self._in = self.data[tag]
            self._in.append("")

    def handle_endtag(self, tag):
        self._in = None

    def handle_data(self, data):
        if self._in is not None:
            self._in[-1] += data


def data(text):
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)[1])


def evil_run():
    audit = {
        "readers": [{"name": EVIL, "labels": 1}],
        "rounds": [{"round": 0, "facts": 1, "prompts": 1, "precision": {"value": 0.5, "ci95": [None, None], "n": 1}}],
        "agreement": [{"readers": [EVIL, "b"], "column": "label", "n": 1, "share": 1.0, "kappa": None}],
        "notes": [EVIL],
    }
    rounds = [make_round(0), make_round(1, dropped={EVIL: 1}, pairs={EVIL: 2}, training={EVIL: 1.0})]
    return make_run(*rounds, id=EVIL, status="failed", error=EVIL, about={EVIL: EVIL}, judge=EVIL, audit=audit)


def test_text_of_a_model_or_of_a_run_stays_text():
    evil = make_answer(EVIL, fact=EVIL, missing=EVIL, evidence=(make_passage(EVIL, title=EVIL),))
    plain_run = make_run(*evil_run().rounds, audit=evil_run().audit, status="failed", error="x")
    text, plain = make_page(evil_run(), sides=[Side(EVIL, 0, {QUESTION: evil})]), make_page(plain_run)
    assert [tag for tag, _ in Tags(text).found] == [tag for tag, _ in Tags(plain).found]
    assert Tags(text).data["script"][1:] == Tags(plain).data["script"][1:]
    found = data(text)
    assert found["prompts"][0]["answers"][0]["facts"][0]["text"] == EVIL and found["sides"][0]["run"] == EVIL


def test_the_policy_names_the_page_s_own_script_and_style_and_nothing_else():
    text = make_page()
    tags = Tags(text)
    (policy,) = [attrs["content"] for tag, attrs in tags.found if attrs.get("http-equiv") == "Content-Security-Policy"]

    def digest(content):
        return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"

    script, style = digest(tags.data["script"][1]), digest(tags.data["style"][0])
    assert policy == f"default-src 'none'; script-src {script}; style-src {style}; base-uri 'none'; form-action 'none'"


def test_the_page_needs_no_network_and_has_no_style_or_handler_in_a_tag():
    text = make_page()
    assert not re.search(r"https?://|//cdn|@import|url\(", text)
    attributes = {name for _, attrs in Tags(text).found for name in attrs}
    assert not {"src", "style"} & attributes and not any(name.startswith("on") for name in attributes)
    assert all(attrs["href"].startswith("#") for tag, attrs in Tags(text).found if "href" in attrs)


def test_only_a_page_that_follows_its_runs_may_ask_its_own_server():
    assert "connect-src" not in make_page() and data(make_page())["version"] is None
    live = make_page(version="abc")
    assert "; connect-src 'self'\"" in live and data(live)["version"] == "abc"


def test_every_link_leads_to_a_section_and_every_name_stands_once():
    tags = Tags(make_page(make_run(), make_run(id="theirs"))).found
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"][1:] for tag, attrs in tags if tag == "a"} <= set(ids)
    assert {attrs["aria-labelledby"] for _, attrs in tags if "aria-labelledby" in attrs} <= set(ids)


def test_every_drawing_and_every_field_has_a_name():
    tags = Tags(make_page()).found
    assert all(attrs.get("role") == "img" and attrs["aria-label"] for tag, attrs in tags if tag == "svg")
    text = make_page()
    for id in re.findall(r"<(?:select|input)[^>]* id=\"([\w-]+)\"", text):
        assert re.search(rf"<label[^>]*>[^<]+<(?:select|input)[^>]* id=\"{id}\"", text), id


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("complete", "complete"),
        ("running", "not finished"),
        ("interrupted", "interrupted, to be resumed"),
        ("failed", "failed"),
    ],
)
def test_the_page_says_how_a_run_ended(status, words):
    assert f"<strong>{words}" in make_page(make_run(status=status)) and "round 1 of 1" in make_page(make_run(status=status))


def test_a_run_without_any_result_is_a_page_too():
    run = make_run(make_round(0), status="running", seconds=None, stages=())
    empty = render(Page((run.__class__(**{**_fields(run), "rounds": ()}),), packed([], []), 0, "Made today."))
    for words in (
        "before its first evaluation",
        "No round was evaluated yet.",
        "No stage has started yet.",
        "once it is complete",
    ):
        assert words in empty
    assert data(empty)["prompts"] == []


def _fields(run):
    return {name: getattr(run, name) for name in run.__slots__}


def test_what_a_run_reached_is_that_of_its_best_round():
    run = make_run(make_round(0, 0.3), make_round(1, 0.6), make_round(2, 0.4), best=1)
    text = make_page(run)
    assert "0.30 → 0.60" in text and "0.30 → 0.40" not in text and "round 0 to 1" in text
    assert data(make_page(run, sides=[make_side(0), make_side(1), make_side(2)]))["after"] == 1
    assert data(make_page(make_run(), sides=[make_side(0), make_side(1)]))["after"] == 1


def test_runs_that_others_measured_have_a_figure_of_their_own_and_the_page_says_so():
    alike = make_page(make_run(), make_run(id="theirs"))
    apart = make_page(make_run(), make_run(id="theirs", measure="two"))
    assert alike.count('class="paths"') == 1 and apart.count('class="paths"') == 2
    assert "other scores cannot be compared" in apart and "other scores cannot be compared" not in alike


def test_a_change_that_people_found_is_named_with_what_changes():
    finding = {"value": 0.5, "ci95": [0.4, 0.6], "n": 9}
    rounds = [{"round": 0, "facts": 1, "prompts": 1, "precision": finding, "change": finding, "debiased_change": finding}]
    text = make_page(make_run(audit={"readers": [], "rounds": rounds, "agreement": [], "notes": []}))
    assert "by people: </span>change from the first round</span></th><td>+0.50 [0.40, 0.60]" in text
    assert "precision, verdicts corrected by people: </span>change from the first round" in text


# Answers


def test_each_passage_is_there_once_and_facts_name_it_by_its_place():
    found = packed([QUESTION], [make_side(), make_side(1)])
    assert found["passages"] == [("Peru", "Chile 168 km"), ("Peru", "Lima")]
    before, after = found["prompts"][0]["answers"]
    assert (before["evidence"], after["evidence"]) == ([0, 1], [0, 1])
    assert before["facts"] == [
        {"text": "Peru borders Chile", "verdict": "supported", "score": 0.9, "sentence": 0, "relevant": True, "passage": 0}
    ]
    assert found["sides"] == [{"run": "mine", "round": 0}, {"run": "mine", "round": 1}]


def test_a_side_without_an_answer_has_none_and_a_prompt_without_any_is_left_out():
    found = packed([QUESTION, Question("mali", "Where is Mali?")], [make_side(), make_side(1, chile=make_answer())])
    assert [each["text"] for each in found["prompts"]] == ["Where is Peru?"]
    assert found["prompts"][0]["answers"][1] is None


def test_the_pieces_of_an_answer_give_the_whole_answer():
    text = "Hello.\n* Chile\n* Peru\nBye"
    found = list(parts(text, ["Hello.", "not in it", "Chile", "Peru"]))
    assert "".join(piece for piece, _ in found) == text
    assert [(piece, place) for piece, place in found if place >= 0] == [("Hello.", 0), ("Chile", 2), ("Peru", 3)]


def test_signs_that_turn_the_direction_of_text_are_spelled_out_and_lines_are_kept():
    (entry,) = packed([QUESTION], [make_side(peru=make_answer("a\n\tb\u202ec\x1b", sentences=()))])["prompts"]
    assert entry["answers"][0]["parts"] == [["a\n\tb\\u202ec\\x1b", -1]]


def test_a_score_that_is_no_number_is_null():
    fact = CheckedFact("x", 0, VerdictLabel.ERROR, float("nan"), None, True)
    answer = make_answer(facts=(fact,), helpfulness=float("inf"))
    found = data(make_page(sides=[make_side(peru=answer)]))["prompts"][0]["answers"][0]
    assert (found["facts"][0]["score"], found["helpfulness"]) == (None, None)


def test_answers_are_drawn_alike_each_time_and_keep_their_order():
    questions = [Question(str(number), "?") for number in range(100)]
    few, more = drawn(questions, sides=2, most=20), drawn(questions, sides=2, most=60)
    assert (len(few), len(more)) == (10, 30) and set(few) < set(more)
    assert few == sorted(few, key=questions.index) and few != questions[:10]
    assert drawn(questions, sides=2, most=1000) == questions


def test_answers_stay_within_their_bytes_and_the_page_says_how_many_are_left_out():
    questions = [Question(str(number), "?") for number in range(40)]
    side = Side("mine", 0, {each: make_answer("x" * 1000) for each in questions})
    found = packed(questions, [side], most=20_000)
    assert 5 < len(found["prompts"]) < 20 and len(json.dumps(found)) < 20_000
    text = render(Page((make_run(),), found, 40, "Made today."))
    assert data(text)["left_out"] == 40 - len(found["prompts"])


@pytest.mark.parametrize("evil", HANDLERS)
def test_no_handler_link_or_style_of_a_model_comes_into_the_page(evil):
    answer = make_answer(evil, fact=evil, missing=evil, evidence=(make_passage(evil, title=evil),))
    text = make_page(
        make_run(make_round(0), make_round(1, dropped={evil: 1}), error=evil, status="failed", about={evil: evil}),
        sides=[make_side(peru=answer)],
    )
    plain = make_page(
        make_run(make_round(0), make_round(1, dropped={"x": 1}), error="x", status="failed", about={"x": "x"}),
        sides=[make_side(peru=make_answer("x"))],
    )
    assert [tag for tag, _ in Tags(text).found] == [tag for tag, _ in Tags(plain).found]
    assert not [name for _, attrs in Tags(text).found for name in attrs if name.startswith("on") or name == "style"]
    assert all(attrs["href"].startswith("#") for _, attrs in Tags(text).found if "href" in attrs)
    assert (
        "\x00" not in text and "<" not in re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)[1]
    )


def test_the_data_of_a_page_holds_no_password_of_a_url():
    url = "s3://me:hunter2@bucket/runs/mine"
    text = make_page(make_run(id=url), sides=[make_side(run=url), make_side(1, run=url)])
    assert "hunter2" not in text and data(text)["sides"][1] == {"run": "s3://me:***@bucket/runs/mine", "round": 1}
    assert data(text)["after"] == 1  # the run is known by the name that is shown
