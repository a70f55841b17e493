"""Verdicts on disk: each is asked for once."""

import hashlib
import sqlite3

import pytest

from flame_ray.rewards.factuality.check.cached import CachedChecker, _key
from flame_ray.types import Passage, VerdictLabel
from tests.builders import make_claim
from tests.doubles import FakeChecker

PERU, KENYA = Passage("pe", "Peru", "Lima"), Passage("ke", "Kenya", "Nairobi")


def counting(**settings):
    """Every text has a score of its own."""
    return FakeChecker(score=lambda text: 0.1 + len(text), threshold=0.25, **settings)


def claim(text, *passages, sentence=0):
    return make_claim(text, *(passages or (PERU, KENYA)), sentence=sentence)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "verdicts.sqlite"


def asked(path, *claims, **settings):
    """The texts that reach the checker."""
    checker = counting(**settings)
    CachedChecker(checker, path).check(claims)
    return [each.fact.text for each in checker.asked]


def test_a_verdict_is_the_same_the_second_time_and_the_checker_is_not_asked_again(path):
    claims = [claim("a"), claim("bb", KENYA), claim("c", sentence=4)]
    fresh = CachedChecker(counting(), path).check(claims)
    assert asked(path, *claims) == []
    assert CachedChecker(counting(), path).check(claims) == fresh == counting().check(claims)


def test_only_what_is_missing_is_asked_once_and_answers_keep_their_order(path):
    checker = counting()
    cached = CachedChecker(checker, path)
    cached.check([claim("b")])
    found = cached.check([claim("c"), claim("b", sentence=1), claim("c", sentence=2), claim("a"), claim("b", sentence=3)])
    assert [each.fact.text for each in checker.asked] == ["b", "c", "a"]
    assert [(verdict.fact.text, verdict.fact.sentence) for verdict in found] == [
        ("c", 0), ("b", 1), ("c", 2), ("a", 0), ("b", 3),
    ]  # fmt: skip
    assert cached.check([]) == () and cached.threshold == 0.25 and cached.identity == "fake"


@pytest.mark.parametrize(
    "other",
    [
        claim("ab"),
        claim("a", KENYA, PERU),
        claim("a", PERU),
        claim("a", PERU, Passage("ke", "Kenya", "Mombasa")),
        claim("a", PERU, Passage("ke", "Congo", "Nairobi")),
        claim("a", PERU, Passage("ke", "KenyaN", "airobi")),
        make_claim("a"),
    ],
)
def test_another_fact_or_other_evidence_is_asked_about(path, other):
    asked(path, claim("a"))
    assert asked(path, other) == [other.fact.text]


def test_another_checker_is_asked_itself(path):
    asked(path, claim("a"))
    assert asked(path, claim("a"), identity="another") == ["a"]


def test_the_deciding_passage_is_named_as_the_claim_names_it(path):
    CachedChecker(counting(), path).check([claim("a", PERU, KENYA)])
    renamed = claim("a", Passage("x", "Peru", "Lima"), Passage("y", "Kenya", "Nairobi"))
    assert asked(path, renamed) == []
    assert CachedChecker(counting(), path).check([renamed])[0].passage_id == "y"


def test_a_verdict_on_which_the_checker_failed_is_not_kept(path):
    assert asked(path, claim("a"), says=lambda text: VerdictLabel.ERROR) == ["a"]
    assert asked(path, claim("a")) == ["a"]


def test_a_row_that_holds_no_verdict_is_asked_about_again(path):
    asked(path, claim("a"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE answers SET value = replace(value, 'supported', 'supportef')")
    assert asked(path, claim("a")) == ["a"]
    assert asked(path, claim("a")) == []


def test_verdicts_come_though_the_disk_is_too_full_to_keep_them(path, caplog):
    checker = counting()
    cached, claims = CachedChecker(checker, path), [claim(f"fact {number} " * 99) for number in range(99)]
    cached.check([claim("a")])
    cached._cache._open().execute("PRAGMA max_page_count=1")
    assert cached.check(claims) == cached.check(claims) == counting().check(claims)
    assert len(checker.asked) == 1 + 2 * len(claims) and len(caplog.records) == 1


def test_a_key_is_the_hash_of_each_text_after_its_length():
    for passages in ((), (PERU,), (PERU, KENYA), (Passage("x", "", "S\u00e3o \ud800"),)):
        digest = hashlib.sha256()
        for text in ("me", "a fact", *(text for passage in passages for text in (passage.title, passage.text))):
            data = text.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        assert _key("me", make_claim("a fact", *passages)) == digest.hexdigest()
