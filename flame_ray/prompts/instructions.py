"""Finds the instruction in a row of a table: a text or a chat, with the text that it is about."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flame_ray.errors import DataError
from flame_ray.shown import as_json
from flame_ray.storage.jsonl import Row

CHATS = ("messages", "conversations", "conversation")  # as many sets call a column of chats
INSTANCES, OF_INSTANCES = "instances", ("input", "output")  # as self-instruct's files nest a text and the answer to it
# As many sets call the text that an instruction is about; not `text`, which in Alpaca's file is the whole prompt.
INPUTS = ("input", "inputs", "context", "document", "passage", "article", "paragraph", "story", "background")
BESIDE = {"system": "system message", "system_prompt": "system message", "history": "earlier turns"}  # columns, left out
USERS, ASSISTANTS = ("user", "human", "prompter"), ("assistant", "gpt", "model", "chatbot", "bot")  # as sets call them
TOOLS = ("tool", "function", "function_call", "observation")
ROLES = (
    dict.fromkeys(USERS, "user")
    | dict.fromkeys(ASSISTANTS, "assistant")
    | dict.fromkeys(("system", "developer"), "system")
    | dict.fromkeys(TOOLS, "tool")
)
SPEAKS, SAYS = ("role", "from"), ("content", "value")  # the two ways to write a message


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a chat. `content` is as the row has it: a call of a tool, for one, has no text."""

    role: str  # system, user, assistant or tool
    content: Any


def chat_of(value: Any) -> Sequence[Any] | None:
    """The messages of a chat: a list, a mapping of two lists as `datasets` may give it, or either as JSON. None: no chat.

    >>> chat_of('[{"role": "user", "content": "Hi"}]') == chat_of({"role": ["user"], "content": ["Hi"]})
    True
    """
    if isinstance(value, str):
        value = _json(value)
    if isinstance(value, Mapping) and all(isinstance(_first(value, keys), list) for keys in (SPEAKS, SAYS)):
        sides = zip(_first(value, SPEAKS), _first(value, SAYS), strict=False)
        return [{"role": role, "content": content} for role, content in sides]
    return value if isinstance(value, list) else None


def turns_of(row: Row, chat: Sequence[Any]) -> list[Turn]:
    """The messages of a chat, by the roles that they have here. Raises DataError, naming the row, for an unknown role."""
    turns = []
    for message in chat:
        if not isinstance(message, Mapping):
            raise row.unusable("messages with role and content", message)
        role = _first(message, SPEAKS)
        if not isinstance(role, str) or role.lower() not in ROLES:
            raise row.unusable(f"messages whose role is one of {', '.join(ROLES)}", role)
        turns.append(Turn(ROLES[role.lower()], _first(message, SAYS)))
    return turns


def text_of(row: Row, turn: Turn) -> str:
    """What a message says: a text, or a list of parts that are all text. Raises DataError, naming the row, for any other."""
    content = turn.content
    if isinstance(content, list) and content and all(isinstance(part, Mapping) and _is_text(part) for part in content):
        content = "\n".join(part["text"] for part in content)
    if not isinstance(content, str) or not content.strip():
        raise row.unusable("messages with text in their content", content)
    return content.strip()


def first_request(row: Row, chat: Sequence[Any], column: str, left_out: Counter[str]) -> str:
    """What the user says first. `left_out` counts chats that say more: a system message, or requests after the first.

    Raises DataError, naming the row, for a chat that the user does not begin.
    """
    turns = turns_of(row, chat)
    spoken = [turn for turn in turns if turn.role != "system"]
    if not spoken or spoken[0].role != "user":
        found = ", ".join(turn.role for turn in turns) or "no message"
        raise row.unusable(f"a chat that a user's message begins, in `{column}`", found)
    left_out["system message"] += len(spoken) < len(turns)
    left_out["turns after the first"] += sum(turn.role == "user" for turn in spoken) > 1
    return text_of(row, spoken[0])


def each_instance(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows, with the `input` and `output` of their `instances` as columns: a row for each instance, as they are trained on.

    >>> row = Row("tasks.jsonl:1", 1, {"instruction": "Greet.", "instances": [{"input": "Ada", "output": "Hello, Ada."}]})
    >>> [each.columns["input"] for each in each_instance([row])]
    ['Ada']
    """
    for row in rows:
        instances = row.columns.get(INSTANCES)
        if not isinstance(instances, list) or not instances or not all(isinstance(each, Mapping) for each in instances):
            yield row
            continue
        for number, instance in enumerate(instances, start=1):
            columns = {name: instance[name] for name in OF_INSTANCES if name in instance} | row.columns
            where = row.where if len(instances) == 1 else f"{row.where}, instance {number}"
            if number > 1 and row.columns.get("id") not in (None, ""):
                columns["id"] = f"{row.columns['id']}/{number}"
            yield Row(where, row.number, columns)


def input_of(row: Row, named: str | bool | None, taken: Sequence[str], source: str) -> str:
    """The text that belongs to the instruction, from the column `named`; False: there is none.

    None: a row that has such a text in a column of a usual name, other than those `taken`, raises DataError. `source` is the
    set and the setting that names it, for that error.
    """
    if isinstance(named, str):
        if named not in row.columns:
            raise no_column(row, named, f"name an existing column with `input_column` for {source}")
        value = row.columns[named]
        return "" if value is None else row.text(named, blank=True).strip()
    for name in INPUTS if named is None else ():
        text = row.columns.get(name)
        if name not in taken and isinstance(text, str) and text.strip():
            fix = f"set `input_column: {name}` for {source}, or `input_column: false` if the text is to be left out"
            expected = f"no text in the column `{name}`, which the instruction would lose"
            raise DataError(expected, f"{row.where}: {as_json(text)}", fix)
    return ""


def count_beside(row: Row, taken: Sequence[str], left_out: Counter[str]) -> None:
    """Count what a row says beside its instruction, in columns of usual names."""
    left_out.update({reason for name, reason in BESIDE.items() if name not in taken and row.columns.get(name)})


def joined(instruction: str, input: str) -> str:
    """The instruction with its text after a blank line, as Alpaca joins them."""
    return "\n\n".join(filter(None, [instruction.strip(), input.strip()]))


def no_column(row: Row, column: str, fix: str) -> DataError:
    found = f"{row.where} with the columns {', '.join(map(str, row.columns)) or '(none)'}"
    return DataError(f"a column `{column}`", found, fix)


def _json(text: str) -> Any:
    """The chat that a text is in JSON; None for any other text."""
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if value and all(isinstance(each, dict) and str(_first(each, SPEAKS)) in ROLES for each in value) else None


def _first(message: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((message[key] for key in keys if message.get(key) is not None), None)


def _is_text(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "text" and isinstance(part.get("text"), str)
