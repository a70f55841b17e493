"""Loads demonstrations, which are instructions with answers to learn from: the seed data of FLAME (section 4.1), and others."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flame_ray.config import DemonstrationSource
from flame_ray.errors import DataError
from flame_ray.prompts.load import LABELS, id_of, normal, word_of
from flame_ray.prompts.rows import read_rows
from flame_ray.prompts.trees import first_turns
from flame_ray.sft import Demonstration, DemonstrationSet
from flame_ray.storage.jsonl import Row, read_jsonl
from flame_ray.types import Prompt

SETTING = "sft.sources"
BUILT_IN, SEEDS = "seeds", Path(__file__).with_name("seed_answers.jsonl")  # 48, written for this project
USERS, ASSISTANTS = ("user", "human", "prompter"), ("assistant", "gpt", "model")  # as different sets call them
ROLES = dict.fromkeys(USERS, "user") | dict.fromkeys(ASSISTANTS, "assistant")
INPUT = "input"  # as many sets call the text that an instruction is about
SPEAKS, SAYS = ("role", "from"), ("content", "value")  # the two ways to write a message


def load_demonstrations(sources: Sequence[DemonstrationSource]) -> DemonstrationSet:
    """The demonstrations of every source, within its limit: each once, in the order of the sources.

    Raises DataError, naming file and line, for a row that cannot be read, and if there is no demonstration at all.
    """
    if not sources:
        raise DataError(f"{SETTING} with a set of instructions and answers", "none", f"add one to {SETTING} in the job")
    left_out: Counter[str] = Counter()
    kept: dict[tuple[str, str], Demonstration] = {}
    for source in sources:
        for each in _of_source(source, left_out):
            key = normal(each.prompt.text), each.answer
            left_out["repeated"] += key in kept
            kept.setdefault(key, each)
    _check_ids(kept.values())
    return DemonstrationSet(tuple(kept.values()), dict(+left_out))


def _of_source(source: DemonstrationSource, left_out: Counter[str]) -> list[Demonstration]:
    rows = read_jsonl(SEEDS) if source.source == BUILT_IN else read_rows(source.source, SETTING, (BUILT_IN,))
    read = {"table": _from_table, "chat": _from_chats, "trees": _from_trees}[source.form]
    found = [
        Demonstration(prompt, answer, source.source, source.weight, source.seed)
        for prompt, answer in read(rows, source, left_out)
    ]
    if not found:
        expected, reasons = f"demonstrations in {source.source}", ", ".join(f"{n} {why}" for why, n in left_out.items())
        raise DataError(expected, reasons or "no rows", f"name a source with at least one in {SETTING}, or correct its `form`")
    return found[: source.limit]


def _from_table(rows: Iterator[Row], source: DemonstrationSource, left_out: Counter[str]) -> Iterator[tuple[Prompt, str]]:
    for row in rows:
        prompt, answer = (_text(row, column, source) for column in (source.prompt_column, source.answer_column))
        parts = [prompt.strip(), _input(row, source)]
        yield _prompt(row, "\n\n".join(filter(None, parts)), source), answer.strip()


def _from_chats(rows: Iterator[Row], source: DemonstrationSource, left_out: Counter[str]) -> Iterator[tuple[Prompt, str]]:
    for row in rows:
        turns = _turns(row, source)
        spoken = [turn for turn in turns if turn[0] != "system"]
        if [role for role, _ in spoken[:2]] != ["user", "assistant"]:
            found = ", ".join(role for role, _ in turns) or "no message"
            raise row.unusable(f"a user's message, then the assistant's answer, in `{source.chat_column}`", found)
        left_out["system message"] += len(spoken) < len(turns)
        left_out["turns after the first"] += len(spoken) > 2
        (_, prompt), (_, answer) = spoken[:2]
        yield _prompt(row, prompt, source), answer.strip()


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


def _text(row: Row, column: str, source: DemonstrationSource) -> str:
    if column not in row.columns:
        raise _no_column(row, column)
    value = row.columns[column]
    if isinstance(value, list | Mapping):
        fix = f"set `form: chat` and `chat_column: {column}` for {source.source} in {SETTING}"
        raise DataError(f"text in the column `{column}`", f"{row.where}: a chat or list, {value!r:.60}", fix)
    return row.text(column)


def _input(row: Row, source: DemonstrationSource) -> str:
    """The text that belongs to the instruction. Raises DataError for a row that has one, where the settings name no column."""
    if source.input_column is not None:
        if source.input_column not in row.columns:
            raise _no_column(row, source.input_column)
        return row.text(source.input_column, blank=True).strip()
    unused = row.columns.get(INPUT) if INPUT not in (source.prompt_column, source.answer_column) else None
    if isinstance(unused, str) and unused.strip():
        fix = f"set `input_column: {INPUT}` for {source.source} in {SETTING}"
        raise DataError(
            f"no text in the column `{INPUT}`, which the instruction would lose", f"{row.where}: {unused!r:.60}", fix
        )
    return ""


def _turns(row: Row, source: DemonstrationSource) -> list[tuple[str, str]]:
    """(role, text) of each message of a chat."""
    if source.chat_column not in row.columns:
        raise _no_column(row, source.chat_column)
    chat = row.columns[source.chat_column]
    if not isinstance(chat, list):
        fix = f"set `form: table` for {source.source} in {SETTING}, with its prompt_column and answer_column"
        raise DataError(f"a list of messages in the column `{source.chat_column}`", f"{row.where}: {chat!r:.60}", fix)
    return [_turn(row, message) for message in chat]


def _turn(row: Row, message: Any) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        raise row.unusable("messages with role and content", message)
    role, text = (next((message[key] for key in keys if key in message), None) for keys in (SPEAKS, SAYS))
    if role != "system" and role not in ROLES:
        raise row.unusable(f"messages whose role is system or one of {', '.join(ROLES)}", role)
    if not isinstance(text, str) or not text.strip():
        raise row.unusable("messages with text in their content", text)
    return ROLES.get(role, role), text


def _no_column(row: Row, column: str) -> DataError:
    found = f"{row.where} with the columns {', '.join(map(str, row.columns)) or '(none)'}"
    return DataError(f"a column `{column}`", found, f"name an existing column, or another `form`, in {SETTING}")


def _check_ids(demonstrations: Any) -> None:
    """One id may have several answers, but only one instruction."""
    texts: dict[str, str] = {}
    for each in demonstrations:
        if normal(texts.setdefault(each.prompt.id, each.prompt.text)) != normal(each.prompt.text):
            found = f"{each.prompt.id!r} for two different ones, the second in {each.source}"
            raise DataError(
                "an id for each instruction", found, "make the column `id` unique over all sources, or leave it out"
            )
