"""Takes the first turn out of each of OpenAssistant's message trees: an instruction, and the answer that people rank best.

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


def first_turns(rows: Iterable[Row], language: str, left_out: Counter[str]) -> Iterator[FirstTurn]:
    """The first turn of each tree, in the order of the rows. Trees without one are counted by their reason.

    Raises DataError, naming the row, for a row that is no tree, or that is of the other kind than the first.
    """
    remaining = iter(rows)
    first = next(remaining, None)
    if first is None:
        return
    rows = chain([first], remaining)
    roots = _whole_trees(rows) if set(NESTED) <= first.columns.keys() else _joined_trees(rows)
    for where, root, replies in roots:
        turn = _first_turn(where, root, replies, language)
        if isinstance(turn, FirstTurn):
            yield turn
        else:
            left_out[turn] += 1


def _first_turn(where: str, root: Message, replies: Sequence[Message], language: str) -> FirstTurn | str:
    """The turn, or the reason why there is none."""
    if root.language != language:
        return "tree of another language"
    if root.deleted or not root.text.strip():
        return "tree without an instruction"
    answers = [each for each in replies if each.role == ANSWERS and each.language == language and not each.deleted]
    answers = [each for each in answers if each.text.strip()]
    ranked = [each for each in answers if each.rank is not None]
    if not answers:
        return "tree without an answer"
    if len(answers) > 1 and not ranked:
        return "tree whose answers have no rank"
    best = min(ranked or answers, key=lambda each: each.rank or 0)
    return FirstTurn(root.id, root.text.strip(), best.text.strip(), where)


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
    return DataError(expected, found, f"set `form` of this source in sft.sources to table or chat, or {FIX}")
