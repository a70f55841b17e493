"""`flame-ray pairs`: writes the preference pairs of a run as a table in TRL's format, which other trainers and a run can read.

The pairs are those that a run has trained on; or, of two fine-tunings, the answers that their models gave of themselves before
any tuning, the first one's as the better side.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from flame_ray.commands.out import check_out_file
from flame_ray.errors import DataError
from flame_ray.journal.run_folder import CONFIG, RunFolder, find_run
from flame_ray.journal.sft_journal import ROUND
from flame_ray.journal.shards import Shards
from flame_ray.sft import ELICITED
from flame_ray.shown import say
from flame_ray.storage.jsonl import write_jsonl
from flame_ray.types import Group, Pair, PromptSet, Response

PAIRS = re.compile(r"rounds/(\d{4,})/pairs\.json\.gz")
Row = dict[str, Any]


def pairs(run: str, out: Path, console: Console, over: str | None = None) -> None:
    """Writes a row a pair: `prompt`, `chosen` and `rejected` as chats, and where they come from.

    With `over`, the answers that `run` elicited are chosen over those that `over` elicited for the same instructions. Raises
    DataError if there is no pair, before anything is written.
    """
    check_out_file(out)
    left_out = Counter[str]()
    folder = find_run(run, "the run whose pairs are written")
    if over is None:
        rows = list(_trained(folder))
    else:
        rows = list(_elicited(folder, find_run(over, "the run whose answers are rejected"), left_out))
    if not rows:
        raise _no_pairs(folder, over, left_out)
    write_jsonl(out, types_first(rows), "--out")
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(row["kind"] for row in rows).items()))
    lost = f"; left out: {_listed(left_out)}" if +left_out else ""
    say(console, f"{len(rows)} pairs ({kinds}{lost}): {out}")


def types_first(rows: Sequence[Row]) -> list[Row]:
    """The rows, beginning with those that first have a value in some column, so that the first few show every column's type.

    `datasets` takes the types of a JSONL file from its first 10 MB. A column that has only nulls there may have no value later.

    >>> types_first([{"a": 1, "b": None}, {"a": 2, "b": None}, {"a": 3, "b": 0.5}])
    [{'a': 1, 'b': None}, {'a': 3, 'b': 0.5}, {'a': 2, 'b': None}]
    """
    typed, first, others = set[str](), list[Row](), list[Row]()
    for row in rows:
        named = {name for name, value in row.items() if value is not None}
        (others if named <= typed else first).append(row)
        typed |= named
    return first + others


def _trained(folder: RunFolder) -> Iterator[Row]:
    """The pairs of all rounds. A round's prompts are stored beside them; one that was given its pairs has none."""
    folder.check_format()
    shards, name = Shards(folder.storage), _name(folder)
    for round in sorted(int(match[1]) for match in map(PAIRS.fullmatch, folder.storage.names("rounds")) if match):
        if not shards.has(round, "prompts"):
            fix = "use that file"
            raise DataError("pairs that the run has sampled", f"{folder.storage.url}, whose pairs came from a file", fix)
        texts = {prompt.id: prompt.text for prompt in shards.read(round, "prompts", PromptSet).prompts_P}
        for pair in shards.read_pairs(round).pairs_D:
            yield _row(texts[pair.prompt_id], pair.chosen, pair.rejected, pair.kind) | _scores(pair) | {"run": name}


def _elicited(better: RunFolder, worse: RunFolder, left_out: Counter[str]) -> Iterator[Row]:
    """The answers to an instruction side by side: the first whole one over the first, the second over the second."""
    rejected_by_id = {group.prompt.id: group for group in _groups(worse)}
    name = f"{_name(better)} over {_name(worse)}"
    for group in sorted(_groups(better), key=lambda group: group.prompt.id):
        other = rejected_by_id.get(group.prompt.id)
        if other is None or other.prompt.text != group.prompt.text:
            left_out["instructions of one run alone"] += 1
            continue
        sides = [_whole(each, left_out) for each in (group, other)]
        for chosen, rejected in zip(*sides, strict=False):
            if chosen.text.strip() == rejected.text.strip():
                left_out["ties"] += 1
            else:
                yield _row(group.prompt.text, chosen, rejected, ELICITED) | {"run": name}


def _groups(folder: RunFolder) -> Iterator[Group]:
    folder.check_format()
    return Shards(folder.storage).stream(ROUND, ELICITED, Group)


def _whole(group: Group, left_out: Counter[str]) -> list[Response]:
    found = [response for response in group.responses_G if not response.truncated and response.text.strip()]
    left_out["answers cut off or empty"] += len(group.responses_G) - len(found)
    return found


def _row(prompt: str, chosen: Response, rejected: Response, kind: str) -> Row:
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "chosen": [{"role": "assistant", "content": chosen.text.strip()}],
        "rejected": [{"role": "assistant", "content": rejected.text.strip()}],
        "kind": kind,
        "round": chosen.id.round,
        "prompt_id": chosen.id.prompt_id,
        "chosen_id": str(chosen.id),
        "rejected_id": str(rejected.id),
        "weight_version": chosen.weight_version,
        "chosen_truncated": chosen.truncated,
        "rejected_truncated": rejected.truncated,
    }


def _scores(pair: Pair) -> Row:
    facts = {"chosen_factuality": pair.chosen_facts, "rejected_factuality": pair.rejected_facts}
    scores = {"chosen_score": pair.chosen_score, "rejected_score": pair.rejected_score}
    return scores | {name: side and side.factuality for name, side in facts.items()}


def _name(folder: RunFolder) -> str:
    return folder.storage.url.rpartition("/")[2]


def _listed(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted((+left_out).items()))


def _no_pairs(folder: RunFolder, over: str | None, left_out: Counter[str]) -> DataError:
    url = folder.storage.url
    if not folder.storage.exists(CONFIG):
        return DataError("the folder of a run", f"no {folder.storage.at(CONFIG)}", "give a run's id under runs/, or its folder")
    if over is None:
        return DataError("preference pairs in the run", f"none in {url}", "give a run of a loss that compares two answers")
    expected = "two runs of `flame-ray sft` that elicited answers to the same instructions"
    return DataError(
        expected, f"{url} and {over}: {_listed(left_out) or 'no answers'}", "elicit from the same sft.sources in both"
    )
