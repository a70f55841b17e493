"""Loads demonstrations, which are instructions with answers to learn from: the seed data of FLAME (section 4.1), and others."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flame_ray.config import DemonstrationSource
from flame_ray.errors import DataError
from flame_ray.prompts.instructions import (
    Turn,
    chat_of,
    count_beside,
    each_instance,
    input_of,
    joined,
    no_column,
    text_of,
    turns_of,
)
from flame_ray.prompts.load import LABELS, digests, id_of, normal, own_id, word_of
from flame_ray.prompts.rows import read_rows
from flame_ray.prompts.trees import first_turns
from flame_ray.shown import as_json
from flame_ray.storage.jsonl import Row, read_jsonl
from flame_ray.types import Demonstration, DemonstrationSet, Prompt

log = logging.getLogger(__name__)
SETTING, NO_ANSWER = "sft.sources", "without an answer"
BUILT_IN, SEEDS = "seeds", Path(__file__).with_name("seed_answers.jsonl")  # 48, written for this project


def load_demonstrations(sources: Sequence[DemonstrationSource]) -> DemonstrationSet:
    """The demonstrations of every source, within its limit: each once, in the order of the sources. Those of one instruction
    are of one seed, whatever its case and blanks.

    Raises DataError, naming file and line, for a row that cannot be read, and if there is no demonstration at all.
    """
    if not sources:
        raise DataError(f"{SETTING} with a set of instructions and answers", "none", f"add one to {SETTING} in the job")
    left_out: Counter[str] = Counter()
    kept: dict[tuple[str, str], Demonstration] = {}
    taken: dict[str, str] = {}
    for source in sources:
        found = [_with_own_id(each, taken) for each in _of_source(source, left_out)]
        taken.update((each.prompt.id, normal(each.prompt.text)) for each in found)
        for each in found:
            key = normal(each.prompt.text), each.answer
            left_out["repeated"] += key in kept
            kept.setdefault(key, each)
    _check_ids(kept.values())
    return DemonstrationSet(_with_one_seed_a_text(kept.values()), dict(+left_out))


def _with_one_seed_a_text(demonstrations_D: Collection[Demonstration]) -> tuple[Demonstration, ...]:
    """Every copy of a seed's instruction gets the first one's id, and the label of the first that has one."""
    seeds: dict[str, Prompt] = {}
    for prompt in (each.prompt for each in demonstrations_D if each.is_seed):
        first = seeds.setdefault(normal(prompt.text), prompt)
        if first.label is None:
            seeds[normal(prompt.text)] = replace(first, label=prompt.label)
    found = tuple(replace(each, prompt=seeds[normal(each.prompt.text)]) if each.is_seed else each for each in demonstrations_D)
    labels = [(each.prompt.label, merged.prompt.label) for each, merged in zip(demonstrations_D, found, strict=True)]
    if differing := sum(label not in (None, first) for label, first in labels):
        log.warning("%d seeds have another label than the first of the same instruction, which counts", differing)
    return found


def digests_of(demonstrations_D: Iterable[Demonstration]) -> dict[str, str]:
    """By source, what tells the content of its demonstrations."""
    return digests(
        (each.source, [each.prompt.id, each.prompt.text, each.prompt.label, each.answer]) for each in demonstrations_D
    )


def _with_own_id(each: Demonstration, taken: dict[str, str]) -> Demonstration:
    id = own_id(each.prompt.id, each.prompt.text, each.source, taken)
    return replace(each, prompt=replace(each.prompt, id=id))


def _of_source(source: DemonstrationSource, left_out: Counter[str]) -> list[Demonstration]:
    rows = read_jsonl(SEEDS) if source.source == BUILT_IN else read_rows(source.source, SETTING, (BUILT_IN,))
    read = {"table": _from_table, "chat": _from_chats, "trees": _from_trees}[source.form]
    of_source: Counter[str] = Counter()
    found = [
        Demonstration(prompt, answer, source.source, source.weight, source.seed)
        for prompt, answer in read(rows, source, of_source)
    ]
    left_out.update(of_source)
    if not found:
        expected, reasons = f"demonstrations in {source.source}", ", ".join(f"{n} {why}" for why, n in (+of_source).items())
        raise DataError(expected, reasons or "no rows", f"name a source with at least one in {SETTING}, or correct its `form`")
    return found[: source.limit]


def _from_table(rows: Iterator[Row], source: DemonstrationSource, left_out: Counter[str]) -> Iterator[tuple[Prompt, str]]:
    taken = source.prompt_column, source.answer_column
    for row in each_instance(rows):
        prompt = _said(row, source.prompt_column, "user", source, left_out)
        if _is_blank(row.columns.get(source.answer_column, row)):
            left_out[NO_ANSWER] += 1
            continue
        answer = _said(row, source.answer_column, "assistant", source, left_out)
        count_beside(row, taken, left_out)
        yield _prompt(row, joined(prompt, input_of(row, source.input_column, taken, _named(source))), source), answer.strip()


def _is_blank(answer: Any) -> bool:
    """Whether an answer is no text: nothing, an empty one, or a chat of one message that says nothing."""
    chat = chat_of(answer)
    if chat is not None and len(chat) == 1 and isinstance(chat[0], Mapping):
        answer = chat[0].get("content", chat[0].get("value"))
    return answer is None or (isinstance(answer, str) and not answer.strip())


def _said(row: Row, column: str, role: str, source: DemonstrationSource, left_out: Counter[str]) -> str:
    """A text, or the only message of a chat beside a system message: of more, it is not known which one is meant."""
    if column not in row.columns:
        raise _no_column(row, column)
    chat = chat_of(row.columns[column])
    if chat is None:
        return row.text(column)
    turns = turns_of(row, chat)
    spoken = [turn for turn in turns if turn.role != "system"]
    if [turn.role for turn in spoken] != [role]:
        fix = f"set `form: chat` and `chat_column: {column}` for {_named(source)}, or correct that row"
        expected = f"text in the column `{column}`, or one message of the {role}"
        raise DataError(expected, f"{row.where}: a chat of {_roles(turns)}", fix)
    left_out["system message"] += len(spoken) < len(turns)
    return text_of(row, spoken[0])


def _from_chats(rows: Iterator[Row], source: DemonstrationSource, left_out: Counter[str]) -> Iterator[tuple[Prompt, str]]:
    for row in rows:
        turns = _turns(row, source)
        spoken = [turn for turn in turns if turn.role != "system"]
        if [turn.role for turn in spoken[:2]] != ["user", "assistant"]:
            expected = f"a user's message, then the assistant's answer, in `{source.chat_column}`"
            raise row.unusable(expected, _roles(turns))
        if _is_blank(spoken[1].content):
            left_out[NO_ANSWER] += 1
            continue
        left_out["system message"] += len(spoken) < len(turns)
        left_out["turns after the first"] += len(spoken) > 2
        prompt, answer = (text_of(row, turn) for turn in spoken[:2])
        yield _prompt(row, prompt, source), answer


def _from_trees(rows: Iterator[Row], source: DemonstrationSource, left_out: Counter[str]) -> Iterator[tuple[Prompt, str]]:
    for turn in first_turns(rows, source.language, left_out):
        yield Prompt(turn.id, turn.prompt), turn.answer


def _prompt(row: Row, text: str, source: DemonstrationSource) -> Prompt:
    label = None
    if source.label_column is not None:
        if source.label_column not in row.columns:
            raise _no_column(row, source.label_column)
        label = word_of(row, source.label_column, LABELS)
    return Prompt(id_of(row, text, source.source), text.strip(), label=label)


def _turns(row: Row, source: DemonstrationSource) -> list[Turn]:
    if source.chat_column not in row.columns:
        raise _no_column(row, source.chat_column)
    value = row.columns[source.chat_column]
    chat = chat_of(value)
    if chat is None:
        fix = f"set `form: table` for {_named(source)}, with its prompt_column and answer_column"
        raise DataError(f"a list of messages in the column `{source.chat_column}`", f"{row.where}: {as_json(value)}", fix)
    return turns_of(row, chat)


def _roles(turns: Iterable[Turn]) -> str:
    return ", ".join(turn.role for turn in turns) or "no message"


def _named(source: DemonstrationSource) -> str:
    return f"{source.source} in {SETTING}"


def _no_column(row: Row, column: str) -> DataError:
    return no_column(row, column, f"name an existing column, or another `form`, in {SETTING}")


def _check_ids(demonstrations: Iterable[Demonstration]) -> None:
    """One id may have several answers, but only one instruction."""
    texts: dict[str, str] = {}
    for each in demonstrations:
        if normal(texts.setdefault(each.prompt.id, each.prompt.text)) != normal(each.prompt.text):
            found = f"{each.prompt.id!r} for two different ones, the second in {each.source}"
            raise DataError("an id for each instruction", found, "make the column `id` unique in its source, or leave it out")
