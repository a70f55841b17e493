"""Verdicts on disk: asked once, by many processes, through damage."""

import gc
import logging
import multiprocessing
import sqlite3

import pytest

from flame_ray.errors import StorageError
from flame_ray.rewards.factuality.check.cached import CachedChecker, _set_aside
from flame_ray.types import Claim, Fact, Passage, Verdict, VerdictLabel

PERU, KENYA = Passage("pe", "Peru", "Lima"), Passage("ke", "Kenya", "Nairobi")


class Counting:
    """Supports a fact by the last passage; `label` is what it says; every claim that it was asked is in `asked`."""

    threshold = 0.25

    def __init__(self, identity="counting", label=VerdictLabel.SUPPORTED):
        self.identity, self.label, self.asked = identity, label, []

    def check(self, claims):
        self.asked += claims
        return tuple(
            Verdict(each.fact, self.label, 0.1 + len(each.fact.text), each.passages_K[-1].id if each.passages_K else None)
            for each in claims
        )


def claim(text, *passages, sentence=0):
    return Claim(Fact(text, sentence), passages or (PERU, KENYA))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "verdicts.sqlite"


def asked(path, *claims, **settings):
    """The texts that reach the checker."""
    checker = Counting(**settings)
    CachedChecker(checker, path).check(claims)
    return [each.fact.text for each in checker.asked]


def test_a_verdict_is_the_same_the_second_time_and_the_checker_is_not_asked_again(path):
    claims = [claim("a"), claim("bb", KENYA), claim("c", sentence=4)]
    fresh = CachedChecker(Counting(), path).check(claims)
    assert asked(path, *claims) == []
    assert CachedChecker(Counting(), path).check(claims) == fresh == Counting().check(claims)


def test_only_what_is_missing_is_asked_once_and_answers_keep_their_order(path):
    checker = Counting()
    cached = CachedChecker(checker, path)
    cached.check([claim("b")])
    found = cached.check([claim("c"), claim("b", sentence=1), claim("c", sentence=2), claim("a"), claim("b", sentence=3)])
    assert [each.fact.text for each in checker.asked] == ["b", "c", "a"]
    assert [(verdict.fact.text, verdict.fact.sentence) for verdict in found] == [
        ("c", 0), ("b", 1), ("c", 2), ("a", 0), ("b", 3),
    ]  # fmt: skip
    assert cached.check([]) == () and cached.threshold == 0.25 and cached.identity == "counting"


@pytest.mark.parametrize(
    "other",
    [
        claim("ab"),
        claim("a", KENYA, PERU),
        claim("a", PERU),
        claim("a", PERU, Passage("ke", "Kenya", "Mombasa")),
        claim("a", PERU, Passage("ke", "Congo", "Nairobi")),
        claim("a", PERU, Passage("ke", "KenyaN", "airobi")),
        Claim(Fact("a", 0), ()),
    ],
)
def test_another_fact_or_other_evidence_is_asked_about(path, other):
    asked(path, claim("a"))
    assert asked(path, other) == [other.fact.text]


def test_another_checker_is_asked_itself(path):
    asked(path, claim("a"))
    assert asked(path, claim("a"), identity="another") == ["a"]


def test_the_deciding_passage_is_named_as_the_claim_names_it(path):
    CachedChecker(Counting(), path).check([claim("a", PERU, KENYA)])
    renamed = claim("a", Passage("x", "Peru", "Lima"), Passage("y", "Kenya", "Nairobi"))
    assert asked(path, renamed) == []
    assert CachedChecker(Counting(), path).check([renamed])[0].passage_id == "y"


def test_a_verdict_on_which_the_checker_failed_is_not_kept(path):
    assert asked(path, claim("a"), label=VerdictLabel.ERROR) == ["a"]
    assert asked(path, claim("a")) == ["a"]


@pytest.mark.parametrize("text", ["", "秘鲁", "\x00\ud800", "x" * 100_000])
def test_any_text_is_kept(path, text):
    asked(path, claim(text))
    assert asked(path, claim(text)) == []


def test_thousands_at_once(path):
    claims = [claim(f"fact {number}") for number in range(3000)]
    assert len(asked(path, *claims)) == 3000
    assert asked(path, *claims) == []


@pytest.mark.parametrize("damage", ["no database", "a torn page", "cut short"])
def test_a_damaged_file_is_set_aside_with_a_warning_and_begun_anew(path, damage, caplog):
    many = [claim(f"fact {number}") for number in range(2000)]
    asked(path, *many)
    gc.collect()  # closes the file, and so brings all of it out of the write-ahead log
    whole = path.read_bytes()
    torn = whole[:4096] + b"\x55" * (len(whole) - 4096)
    path.write_bytes(
        {"no database": b"something else" * 400, "a torn page": torn, "cut short": whole[: len(whole) // 2]}[damage]
    )
    with caplog.at_level(logging.WARNING):
        assert len(asked(path, *many)) == 2000
    assert asked(path, *many) == []
    assert "set aside" in caplog.text and len(list(path.parent.glob("*.damaged-*"))) >= 1


def test_a_row_that_holds_no_verdict_is_asked_about_again(path):
    asked(path, claim("a"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE verdicts SET label = 'supportef'")
    assert asked(path, claim("a")) == ["a"]
    assert asked(path, claim("a")) == []


def test_a_file_that_another_process_has_begun_anew_meanwhile_is_not_set_aside(path, caplog):
    late = CachedChecker(Counting(), path)
    path.write_bytes(b"something else" * 400)
    asked(path, claim("a"))
    with caplog.at_level(logging.WARNING):
        assert late.check([claim("a")]) == Counting().check([claim("a")]) and late._checker.asked == []
    assert len(list(path.parent.glob("*.damaged-*"))) == 1


def test_a_process_that_comes_late_to_the_damage_leaves_the_new_file_alone(path):
    asked(path, claim("a"))
    _set_aside(path, sqlite3.DatabaseError("what the file before it had"))
    assert asked(path, claim("a")) == [] and not list(path.parent.glob("*.damaged-*"))


def test_a_file_that_cannot_be_written_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"factuality\.cache"):
        CachedChecker(Counting(), tmp_path / "file" / "verdicts.sqlite")
    (tmp_path / "verdicts.sqlite").mkdir()
    with pytest.raises(StorageError, match="unable to open"):
        CachedChecker(Counting(), tmp_path / "verdicts.sqlite").check([claim("a")])


def _work(path, process):
    cached = CachedChecker(Counting(), path)
    for number in range(40):
        cached.check([claim(f"shared {number}"), claim(f"{process} has {number}")])


def test_several_processes_write_at_once_and_nothing_is_lost(path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_work, args=(path, process)) for process in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert sqlite3.connect(path).execute("SELECT count(*) FROM verdicts").fetchone() == (40 + 3 * 40,)
