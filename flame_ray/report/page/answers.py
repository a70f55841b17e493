"""Chooses which answers the page holds, and packs them into the JSON that its script reads."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flame_ray.report.page.markup import plain
from flame_ray.report.page.records import Answer, CheckedFact, Question, Side
from flame_ray.types import Passage

MOST_ANSWERS = 10_000
MOST_BYTES = 24 * 2**20  # of answers and their evidence, so that a phone can open the page


def drawn(questions: Sequence[Question], sides: int, most: int = MOST_ANSWERS) -> list[Question]:
    """As many questions as give `most` answers on so many sides: drawn at random, always the same ones, and in their order.

    >>> len(drawn([Question(str(number), "?") for number in range(9)], sides=2, most=8))
    4
    """
    kept = set(sorted(questions, key=_chance)[: most // max(sides, 1)])
    return [each for each in questions if each in kept]


def packed(questions: Sequence[Question], sides: Sequence[Side], most: int = MOST_BYTES) -> dict[str, Any]:
    """JSON values: `sides`, `passages` (title and text, each once) and `prompts` with an answer or null for each side.

    Prompts are taken at random until it has `most` bytes. The others are left out.
    """
    passages = _Passages()
    kept: dict[Question, dict[str, Any]] = {}
    size = 0
    for question in sorted(questions, key=_chance):
        found = [side.answers.get(question) for side in sides]
        if not any(found):
            continue
        entry = {
            "text": plain(question.text),
            "needs_facts": question.needs_facts,
            "answers": [None if each is None else _answer(each, passages) for each in found],
        }
        size += len(json.dumps(entry, ensure_ascii=False).encode()) + passages.new_bytes()
        if size > most:
            break
        kept[question] = entry
    names = [{"run": plain(side.run), "round": side.round} for side in sides]
    return {"sides": names, "passages": passages.texts, "prompts": [kept[each] for each in questions if each in kept]}


class _Passages:
    """Each passage once, by its place."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self._places: dict[tuple[str, str], int] = {}
        self._new = 0

    def place(self, passage: Passage) -> int:
        key = passage.title, passage.text
        if key not in self._places:
            self._places[key] = len(self.texts)
            self.texts.append((plain(passage.title), plain(passage.text)))
            self._new += len(passage.title.encode()) + len(passage.text.encode())
        return self._places[key]

    def new_bytes(self) -> int:
        """Of the passages since the last call."""
        new, self._new = self._new, 0
        return new


def _answer(answer: Answer, passages: _Passages) -> dict[str, Any]:
    places = {each.id: passages.place(each) for each in answer.evidence}
    return {
        "parts": [[plain(text), place] for text, place in parts(answer.text, answer.sentences)],
        "truncated": answer.truncated,
        "helpfulness": _finite(answer.helpfulness),
        "precision": answer.precision,
        "missing": None if answer.missing is None else plain(answer.missing),
        "facts": None if answer.facts is None else [_fact(each, places) for each in answer.facts],
        "evidence": list(places.values()),
    }


def _fact(fact: CheckedFact, places: Mapping[str, int]) -> dict[str, Any]:
    return {
        "text": plain(fact.text),
        "verdict": str(fact.verdict),
        "score": _finite(fact.score),
        "sentence": fact.sentence,
        "relevant": fact.relevant,
        "passage": places.get(fact.passage_id or ""),
    }


def parts(text: str, sentences: Sequence[str]) -> Iterator[tuple[str, int]]:
    """A text cut where its sentences begin and end: each piece with the place of its sentence, -1 for what is between.

    >>> list(parts("Hello. Peru borders Chile.", ["Hello.", "Peru borders Chile."]))
    [('Hello.', 0), (' ', -1), ('Peru borders Chile.', 1)]
    """
    done = 0
    for place, sentence in enumerate(sentences):
        start = text.find(sentence, done) if sentence else -1
        if start < 0:
            continue  # as of a table, whose cells the decomposer has joined
        if start > done:
            yield text[done:start], -1
        done = start + len(sentence)
        yield sentence, place
    if done < len(text):
        yield text[done:], -1


def _finite(value: float | None) -> float | None:
    """JSON has no other numbers."""
    return value if value is not None and math.isfinite(value) else None


def _chance(question: Question) -> str:
    return hashlib.sha256(repr((question.id, question.text)).encode("utf-8", "surrogatepass")).hexdigest()
