"""Reads preference pairs from a table in TRL's preference format: an instruction, the better answer and the worse one.

The columns are `prompt`, `chosen` and `rejected`, each a text or a chat. Without `prompt`, both sides are chats that begin with
it. `kind`, and `score`, `factuality` and `truncated` of each side (as in `chosen_score`), are read if they are there, and all
other columns are left alone. (TRL: https://huggingface.co/docs/trl/dataset_formats, type "preference".)
"""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from flame_ray.errors import DataError
from flame_ray.prompts.instructions import Turn, chat_of, no_column, text_of, turns_of
from flame_ray.prompts.load import normal
from flame_ray.prompts.rows import read_rows
from flame_ray.storage.jsonl import Row

SETTING = "pairs.file"
SIDES = ("chosen", "rejected")
GIVEN = "given"  # the kind of a pair whose row names none


@dataclass(frozen=True, slots=True)
class GivenPair:
    """Two answers to an instruction, of which somebody prefers `chosen`. What a row does not say is None.

    >>> GivenPair("Where is Lima?", "In Peru.", "In Chile.").kind
    'given'
    """

    prompt: str
    chosen: str
    rejected: str
    kind: str = GIVEN
    scores: tuple[float | None, float | None] = (None, None)  # of the chosen side, and of the rejected one
    factuality: tuple[float | None, float | None] = (None, None)
    truncated: tuple[bool, bool] = (False, False)  # whether a side was cut off, so that it has no end to learn


@dataclass(frozen=True, slots=True)
class GivenPairs:
    """Pairs in the order of their rows. `left_out` counts, by reason, what of the rows is not among them."""

    pairs_D: tuple[GivenPair, ...]
    left_out: dict[str, int]


def read_given_pairs(name: str, by_factuality: bool = False) -> GivenPairs:
    """The pairs of a JSONL, JSON or Parquet file, or of a `datasets` name. Raises DataError, naming the row.

    `by_factuality`: the loss compares how factual both sides are, so that pairs which all do not say so are refused.

    A row that is no preference is counted: one without a side, with two equal ones, with sides that answer different prompts,
    or with several turns before its answers.
    """
    left_out = Counter[str]()
    found = [pair for row in read_rows(name, SETTING) if (pair := _pair(row, left_out))]
    kept = {(normal(pair.prompt), pair.chosen, pair.rejected): pair for pair in reversed(found)}
    left_out["repeated"] += len(found) - len(kept)
    if not kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in (+left_out).items())
        raise DataError(f"at least one pair in {name}", reasons or "no rows", f"name a file of preferences in {SETTING}")
    if by_factuality and all(None in pair.factuality for pair in kept.values()):
        columns = " and ".join(f"`{side}_factuality`" for side in SIDES)
        shown, fix = f"none in {len(kept)} pairs of {name}", "add both columns, or set learner.loss to dpo"
        raise DataError(f"numbers in {columns}, which learner.loss fdpo compares", shown, fix)
    return GivenPairs(tuple(reversed(kept.values())), dict(+left_out))


def _pair(row: Row, left_out: Counter[str]) -> GivenPair | None:
    """None: the row is left out, and counted."""
    _check_columns(row)
    chosen, rejected = (_turns(row, side, "assistant") for side in SIDES)
    if _is_blank(chosen) or _is_blank(rejected):
        left_out["without a side"] += 1
        return None
    prompt = _prompt(row, (chosen[:-1], rejected[:-1]), left_out)
    answers = [_answer(row, side, turns) for side, turns in zip(SIDES, (chosen, rejected), strict=True)]
    if prompt is None:
        return None
    if answers[0] == answers[1]:
        left_out["a tie"] += 1
        return None
    kind = row.text("kind").strip() if row.columns.get("kind") is not None else GIVEN
    truncated = _truncated(row, "chosen"), _truncated(row, "rejected")
    return GivenPair(prompt, answers[0], answers[1], kind, _numbers(row, "score"), _factuality(row), truncated)


def _check_columns(row: Row) -> None:
    for column in SIDES:
        if column not in row.columns:
            is_single = "completion" in row.columns or "label" in row.columns
            fix = f"give {SETTING} rows with `prompt`, `chosen` and `rejected`"
            raise no_column(row, column, f"{fix}: an answer with a label is no pair" if is_single else fix)


def _prompt(row: Row, before: tuple[list[Turn], list[Turn]], left_out: Counter[str]) -> str | None:
    """The instruction: in the column `prompt`, or before both answers. None: the row is left out, and counted."""
    own = _turns(row, "prompt", "user") if "prompt" in row.columns else []
    stated = own or before[0]
    asked = _spoken(stated)
    if not asked:
        raise row.unusable("an instruction in the column `prompt`, or before the answer in `chosen`", row.columns.get("prompt"))
    if any(_spoken(turns) != asked for turns in before if turns or not own):
        left_out["with sides of different prompts"] += 1
        return None
    if [turn.role for turn in asked] != ["user"]:
        left_out["of several turns"] += 1
        return None
    left_out["system message"] += len(asked) < len(stated)
    return text_of(row, asked[0])


def _spoken(turns: list[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn.role != "system"]


def _answer(row: Row, column: str, turns: list[Turn]) -> str:
    if turns[-1].role != "assistant":
        raise row.unusable(f"an answer of the assistant at the end of `{column}`", turns[-1].role)
    return text_of(row, turns[-1])


def _turns(row: Row, column: str, role: str) -> list[Turn]:
    """A chat's messages; a text is one of `role`. [] for a column that holds nothing."""
    value: Any = row.columns[column]
    chat = chat_of(value)
    if chat is not None:
        return turns_of(row, chat)
    if not isinstance(value, str | None):
        raise row.unusable(f"text or a list of messages in the column `{column}`", value)
    return [Turn(role, value)] if value and value.strip() else []


def _is_blank(side: list[Turn]) -> bool:
    content = side[-1].content if side else None
    return content is None or (isinstance(content, str) and not content.strip())


def _factuality(row: Row) -> tuple[float | None, float | None]:
    found = _numbers(row, "factuality")
    for side, value in zip(SIDES, found, strict=True):
        if value is not None and not 0 <= value <= 1:
            raise row.unusable(f"a number from 0 to 1, or null, in the column `{side}_factuality`", value)
    return found


def _truncated(row: Row, side: str) -> bool:
    """Whether the side was cut off; a row that does not say so has whole ones."""
    value = row.columns.get(f"{side}_truncated")
    if not isinstance(value, bool | None):
        raise row.unusable(f"true, false or null in the column `{side}_truncated`", value)
    return bool(value)


def _numbers(row: Row, of: str) -> tuple[float | None, float | None]:
    chosen, rejected = (_number(row, f"{side}_{of}") for side in SIDES)
    return chosen, rejected


def _number(row: Row, column: str) -> float | None:
    value = row.columns.get(column)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise row.unusable(f"a number or null in the column `{column}`", value)
    return None if math.isnan(value) else float(value)
