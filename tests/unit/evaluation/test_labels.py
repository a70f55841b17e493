"""Lines of human labels: what they become, and what is refused with the number of its line."""

import json

import pytest

from flame_ray.errors import DataError
from flame_ray.evaluation.labels import (
    claim_of,
    fact_of,
    judgement_of,
    preference_of,
    read_claims,
    read_facts,
    read_texts,
    response_of,
)
from flame_ray.storage.jsonl import Row, parse_line

ASKED = {"claim": "Lima is the capital.", "prompt": "What is the capital of Peru?", "label": "not_found"}
CLAIM = {"claim": "Lima is the capital.", "evidence": ["Peru:", "Its capital is Lima."], "label": "supported", "group": "mine"}
RESPONSE = {"prompt": "Peru?", "response": "Lima.", "system": "a", "supported": 3, "unsupported": 0, "evidence": ["Lima."]}


def row(columns, **other) -> Row:
    return parse_line(json.dumps({**columns, **other}).encode(), 7, "l.jsonl")


def test_a_claim_has_its_evidence_its_label_and_its_group():
    found = claim_of(row(CLAIM))
    assert found.claim.fact.text == "Lima is the capital."
    assert [passage.text for passage in found.claim.passages_K] == ["Peru:\nIts capital is Lima."]
    assert (found.supported, found.group) == (True, "mine")


@pytest.mark.parametrize(
    ("label", "supported"), [("supported", True), ("not_supported", False), ("contradicted", False), ("not_found", False)]
)
def test_all_labels_but_supported_count_as_not_supported(label, supported):
    assert claim_of(row(CLAIM, label=label)).supported is supported
    assert fact_of(row(CLAIM, label=label), corpus=False).supported is supported


def test_a_claim_with_a_prompt_and_no_evidence_is_left_to_the_corpus():
    for columns in (ASKED, ASKED | {"evidence": None}):
        found = fact_of(row(columns, group="mine"), corpus=True)
        assert (found.task.fact.text, found.task.prompt, found.task.given) == (ASKED["claim"], ASKED["prompt"], None)
        assert (found.supported, found.group) == (False, "mine")


def test_a_claim_with_evidence_is_checked_on_that_whatever_else_it_has():
    for evidence in (["Its capital is Lima."], []):
        found = fact_of(row(ASKED, evidence=evidence), corpus=True)
        assert [passage.text for passage in found.task.given] == evidence


@pytest.mark.parametrize(
    ("columns", "corpus", "parts"),
    [
        ({"claim": "a", "label": "supported"}, True, ["`evidence`", "`prompt` with --corpus", "neither", "add one"]),
        ({"claim": "a", "label": "supported", "evidence": None, "prompt": None}, True, ["neither"]),
        (ASKED, False, ["--corpus", "--corpus factbook"]),
        (ASKED | {"prompt": " "}, True, ["`prompt`"]),
        (ASKED | {"evidence": "Lima."}, True, ["list of texts"]),
        (ASKED | {"label": "true"}, True, ["supported, not_supported, contradicted, not_found"]),
    ],
)
def test_a_claim_that_cannot_be_checked_is_named_with_its_line_and_what_to_do(columns, corpus, parts):
    with pytest.raises(DataError, match=r"l\.jsonl:7") as error:
        fact_of(row(columns), corpus)
    assert all(part in str(error.value) for part in parts), str(error.value)


def test_claims_with_evidence_and_with_a_prompt_may_stand_in_one_file(tmp_path):
    path = tmp_path / "l.jsonl"
    path.write_text(f"{json.dumps(CLAIM)}\n{json.dumps(ASKED)}\n")
    assert [each.task.given is None for each in read_facts(path, corpus=True)] == [False, True]
    with pytest.raises(DataError, match=r"l\.jsonl:2"):
        read_facts(path, corpus=False)


def test_a_group_is_optional_and_evidence_may_be_empty():
    found = claim_of(row(CLAIM, group=None, evidence=[]))
    assert found.group is None and found.claim.passages_K == ()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"claim": ""}, "`claim`"),
        ({"claim": 3}, "`claim`"),
        ({"evidence": "Lima."}, "list of texts"),
        ({"evidence": ["Lima.", None]}, "list of texts"),
        ({"label": "true"}, "supported, not_supported"),
        ({"label": True}, "`label`"),
        ({"group": 3}, "`group`"),
    ],
)
def test_a_malformed_claim_is_named_with_its_line(change, part):
    with pytest.raises(DataError, match=r"l\.jsonl:7") as error:
        claim_of(row(CLAIM, **change))
    assert part in str(error.value)


def test_a_claim_without_a_column_is_named_with_those_that_it_has():
    with pytest.raises(DataError, match=r"`label`.*l.jsonl:7: the columns claim, evidence"):
        claim_of(row({"claim": "a", "evidence": []}))


def test_a_response_has_its_counts_its_system_and_its_evidence():
    found = response_of(row(RESPONSE), corpus=False)
    assert (found.supported, found.unsupported, found.system) == (3, 0, "a")
    assert found.task.given is not None and found.task.given[0].text == "Lima."


def test_a_response_without_evidence_needs_a_corpus():
    bare = {key: value for key, value in RESPONSE.items() if key != "evidence"}
    assert response_of(row(bare), corpus=True).task.given is None
    with pytest.raises(DataError, match=r"--corpus.*l.jsonl:7"):
        response_of(row(bare), corpus=False)


@pytest.mark.parametrize("count", [-1, 1.5, "3", None, True])
def test_a_count_that_is_none_is_refused(count):
    with pytest.raises(DataError, match="count of facts in the column `supported`"):
        response_of(row(RESPONSE, supported=count), corpus=False)


PREFERENCE = {"prompt": "Peru?", "a": "Lima.", "b": "", "helpful": "a", "group": "mine"}


def test_a_preference_has_two_responses_to_one_prompt_and_says_which_is_better():
    found = preference_of(row(PREFERENCE))
    assert (found.pair.prompt.text, [each.text for each in found.pair.responses_G]) == ("Peru?", ["Lima.", ""])
    assert len({each.id for each in found.pair.responses_G}) == 2
    assert (found.first_wins, found.group) == (1.0, "mine")
    assert [preference_of(row(PREFERENCE, helpful=each)).first_wins for each in ("b", "tie")] == [0.0, 0.5]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"helpful": "A"}, "a, b, tie"),
        ({"helpful": None}, "`helpful`"),
        ({"b": None}, "`b`"),
        ({"prompt": ""}, "`prompt`"),
        ({"group": 3}, "`group`"),
    ],
)
def test_a_preference_that_cannot_be_read_is_named_with_its_line(change, part):
    with pytest.raises(DataError, match=r"l\.jsonl:7") as error:
        preference_of(row(PREFERENCE, **change))
    assert part in str(error.value)


def test_labels_are_read_whole_and_blank_lines_are_none(tmp_path):
    path = tmp_path / "l.jsonl"
    path.write_text(f"{json.dumps(CLAIM)}\n\n{json.dumps(CLAIM)}")
    assert len(read_claims(path)) == 2


@pytest.mark.parametrize(("text", "part"), [("", "no line in"), ("\n\n", "no line in"), ('{}\n{"claim": 1', "l.jsonl:1")])
def test_a_file_without_labels_is_refused(tmp_path, text, part):
    path = tmp_path / "l.jsonl"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_claims(path)
    assert part in str(error.value)


def test_a_text_has_its_label_in_any_of_the_usual_words(tmp_path):
    path = tmp_path / "texts.jsonl"
    rows = [("a", True, None), ("b", "yes", "mine"), ("c", False, None), ("d", "No", None), ("e", 1, None)]
    path.write_text("".join(json.dumps({"sentence": s, "label": label, "group": g}) + "\n" for s, label, g in rows))
    found = read_texts(path, "sentence")
    assert {each.text: each.fact_based for each in found} == {"a": True, "b": True, "c": False, "d": False, "e": True}
    assert found[1].group == "mine"


@pytest.mark.parametrize("label", [None, "perhaps", 2, ""])
def test_a_text_with_another_label_is_refused_with_its_line(tmp_path, label):
    path = tmp_path / "texts.jsonl"
    path.write_text(json.dumps({"prompt": "a", "label": True}) + "\n" + json.dumps({"prompt": "b", "label": label}) + "\n")
    with pytest.raises(DataError, match=r"`label` to be one of true, yes, 1.*texts\.jsonl:2"):
        read_texts(path, "prompt")


JUDGED = {"prompt": "Name a river.", "response": "", "rationale": "It names none.", "score": 0}


def test_a_judgement_has_its_reasons_and_its_score_and_may_be_of_an_empty_response():
    found = judgement_of(row(JUDGED, score=2.5))
    assert (found.instruction, found.response, found.rationale, found.score) == ("Name a river.", "", "It names none.", 2.5)


@pytest.mark.parametrize("score", [-1, 5.5, "4", None, True, [4]])
def test_a_score_off_the_scale_is_refused_with_its_line(score):
    with pytest.raises(DataError, match=r"a score from 0 to 5 in the column `score`; found l\.jsonl:7"):
        judgement_of(row(JUDGED, score=score))


def test_a_rationale_that_ends_in_a_score_is_refused_because_the_two_might_differ():
    with pytest.raises(DataError, match=r"a rationale without its score.*Score: 3"):
        judgement_of(row(JUDGED, rationale="It names none.\nScore: 3"))
