"""Takes the first turn out of each of OpenAssistant's message trees: an instruction, and the answers as people rank them.

A source holds whole trees (`message_tree_id`, `prompt` with `replies`), or one message a row (`message_id`, `parent_id`).
Kopf et al. 2023, arXiv 2304.07327, describe both.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from flame_ray.errors import DataError
from flame_ray.storage.jsonl import FIX, Row

ASKS, ANSWERS = "prompter", "assistant"
FLAT = ("message_id", "parent_id", "text", "role", "lang")
NESTED = ("message_tree_id", "prompt")


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a tree. `rank`: 0 is the best among its siblings; None if people did not rank it."""

    id: str
    text: str
    role: str
    language: str
    rank: int | None
    deleted: bool


@dataclass(frozen=True, slots=True)
class FirstTurn:
    """`where` is the row of the tree, or of its first message."""

    id: str
    prompt: str
    answer: str
    where: str


@dataclass(frozen=True, slots=True)
class RankedAnswers:
    """Two or more answers to an instruction, from people's best to their worst."""

    id: str
    prompt: str
    answers: tuple[str, ...]


def first_turns(rows: Iterable[Row], language: str, left_out: Counter[str]) -> Iterator[FirstTurn]:
    """The first turn of each tree, in the order of the rows. Trees without one are counted by their reason.

    Raises DataError, naming the row, for a row that is no tree, or that is of the other kind than the first.
    """
    for where, root, replies in _trees(rows):
        answers = _answers(root, replies, language)
        if isinstance(answers, str):
            left_out[answers] += 1
        elif len(answers) > 1 and not _ranked(answers):
            left_out["tree whose answers have no rank"] += 1
        else:
            best = [*_ranked(answers), *answers][0]
            yield FirstTurn(root.id, root.text.strip(), best.text.strip(), where)


def ranked_answers(rows: Iterable[Row], language: str, left_out: Counter[str]) -> Iterator[RankedAnswers]:
    """The ranked answers of each tree that has two or more; other trees are counted. Raises DataError as `first_turns` does."""
    for _, root, replies in _trees(rows):
        answers = _answers(root, replies, language)
        if isinstance(answers, str):
            left_out[answers] += 1
        elif len(ranked := _ranked(answers)) < 2:
            left_out["tree with fewer than two ranked answers"] += 1
        else:
            yield RankedAnswers(root.id, root.text.strip(), tuple(each.text.strip() for each in ranked))


def _trees(rows: Iterable[Row]) -> Iterator[tuple[str, Message, list[Message]]]:
    """Where each tree is, its first message, and the replies to that."""
    remaining = iter(rows)
    first = next(remaining, None)
    if first is not None:
        rows = chain([first], remaining)
        yield from _whole_trees(rows) if set(NESTED) <= first.columns.keys() else _joined_trees(rows)


def _answers(root: Message, replies: Sequence[Message], language: str) -> list[Message] | str:
    """The answers to the instruction of a tree, or the reason why there are none."""
    if root.language != language:
        return "tree of another language"
    if root.deleted or not root.text.strip():
        return "tree without an instruction"
    answers = [each for each in replies if each.role == ANSWERS and each.language == language and not each.deleted]
    return [each for each in answers if each.text.strip()] or "tree without an answer"


def _ranked(answers: Sequence[Message]) -> list[Message]:
    """Those that have a rank, the best first."""
    return sorted((each for each in answers if each.rank is not None), key=lambda each: each.rank or 0)


def _whole_trees(rows: Iterable[Row]) -> Iterator[tuple[str, Message, list[Message]]]:
    for row in rows:
        if not set(NESTED) <= row.columns.keys() or not isinstance(row.columns["prompt"], Mapping):
            raise _no_tree(row, f"a message tree with {' and '.join(NESTED)}, as the rows before it")
        prompt = row.columns["prompt"]
        replies = prompt.get("replies")
        if not isinstance(replies, list) or not all(isinstance(each, Mapping) for each in replies):
            raise row.unusable("a list of messages in prompt.replies", replies)
        root = _message(row, prompt)
        if root.role != ASKS:
            raise row.unusable(f"a first message whose role is {ASKS}", root.role)
        yield row.where, root, [_message(row, each) for each in replies]


def _joined_trees(rows: Iterable[Row]) -> Iterator[tuple[str, Message, list[Message]]]:
    """All rows are read before the first tree is there: replies may stand anywhere."""
    roots: list[tuple[str, Message]] = []
    replies: dict[str, list[Message]] = defaultdict(list)
    for row in rows:
        if missing := [name for name in FLAT if name not in row.columns]:
            expected = f"trees with {' and '.join(NESTED)}, or messages with {', '.join(FLAT)}"
            raise _no_tree(row, f"{expected} (missing: {', '.join(missing)})")
        message, parent = _message(row, row.columns), row.columns["parent_id"]
        if parent is None:
            roots.append((row.where, message))
        else:
            replies[str(parent)].append(message)
    for where, root in roots:
        yield where, root, replies[root.id]


def _message(row: Row, columns: Mapping[str, Any]) -> Message:
    for name in ("text", "role", "lang"):
        if not isinstance(columns.get(name), str):
            raise row.unusable(f"text in `{name}` of each message", columns.get(name))
    rank = columns.get("rank")
    if rank != rank:  # NaN, as tables with empty cells have it
        rank = None
    if rank is not None and (isinstance(rank, bool) or not isinstance(rank, int | float) or rank % 1):
        raise row.unusable("a whole number, or nothing, in `rank`", rank)
    id = str(columns.get("message_id", row.columns.get("message_tree_id")))
    deleted = bool(columns.get("deleted"))
    return Message(id, columns["text"], columns["role"], columns["lang"], None if rank is None else int(rank), deleted)


def _no_tree(row: Row, expected: str) -> DataError:
    found = f"{row.where}: the columns {', '.join(row.columns) or 'none'}"
    return DataError(expected, found, f"name a file of message trees, or {FIX}; in sft.sources, `form` may be table or chat")
