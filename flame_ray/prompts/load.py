"""From the settings to prompts, and from prompts to the ones of a round.

In: `PromptsConfig`. Out: the union of its sources, each text once, training prompts first; `draw` takes a round's share.
Every fault of a file is a `DataError` that names the file and the line. Knows nothing of models, or of what the
classifier decides.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from flame_ray.config import PromptsConfig, PromptSource
from flame_ray.errors import DataError
from flame_ray.prompts.factbook import factbook_prompts
from flame_ray.prompts.open_ended import open_ended_prompts
from flame_ray.prompts.split import split_of, stable_fraction
from flame_ray.types import Prompt, Split

BUILT_IN = {"factbook": factbook_prompts, "open-ended": open_ended_prompts}
LABELS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
SPLITS = {split.value: split for split in Split}

log = logging.getLogger(__name__)

# A row of a source and where it is, such as "mine.jsonl:12".
Row = tuple[str, dict[str, Any]]
Meaning = TypeVar("Meaning", bool, Split)


def load_prompts(config: PromptsConfig) -> tuple[Prompt, ...]:
    """The prompts of every source, within its limits; at least one for training and one held out."""
    prompts = tuple(prompt for source in config.sources for prompt in _of_source(source))
    prompts = _without_repeats(prompts, "the sources together")
    _check_ids(prompts)
    counts = Counter(prompt.split for prompt in prompts)
    found = f"{counts[Split.TRAIN]} training and {counts[Split.HELDOUT]} held-out prompts"
    if not counts[Split.TRAIN]:
        raise DataError("at least one training prompt", found, "lower heldout_fraction, or correct the column `split`")
    if not counts[Split.HELDOUT]:
        raise DataError("at least one held-out prompt", found, "raise heldout_fraction, or add prompts with split heldout")
    return prompts


def draw(prompts: tuple[Prompt, ...], count: int, seed: int, round: int) -> tuple[Prompt, ...]:
    """A round's training prompts, without replacement; as many need facts as in the whole pool, rounded.

    A pool smaller than `count` is taken whole. Needing facts is what was decided or, before that, what the set's label says.
    The order of `prompts` does not matter: each has its own place in the round's shuffle.
    """
    pool = [prompt for prompt in prompts if prompt.split == Split.TRAIN]
    pool.sort(key=lambda prompt: (stable_fraction(f"{seed}/{round}/{prompt.id}"), prompt.id))
    shares = _shares(Counter(_needs_facts(prompt) for prompt in pool), min(count, len(pool)))
    drawn = []
    for prompt in pool:
        if shares[_needs_facts(prompt)]:
            shares[_needs_facts(prompt)] -= 1
            drawn.append(prompt)
    return tuple(drawn)


def _needs_facts(prompt: Prompt) -> bool | None:
    return prompt.label if prompt.fact_based is None else prompt.fact_based


def _shares(sizes: Counter, count: int) -> Counter:
    """`count` divided in proportion to `sizes`; what rounding down leaves goes to the largest remainders."""
    total = sizes.total()
    shares = Counter({group: count * size // total for group, size in sizes.items()})
    by_remainder = sorted(sizes, key=lambda group: (-(count * sizes[group] % total), -sizes[group], str(group)))
    for group in by_remainder[: count - shares.total()]:
        shares[group] += 1
    return shares


def _of_source(source: PromptSource) -> Iterator[Prompt]:
    if source.source in BUILT_IN:
        prompts = BUILT_IN[source.source]()
    else:
        prompts = tuple(_parse(row, where, source) for where, row in _rows(source.source))
        if not prompts:
            raise DataError(f"prompts in {source.source}", "no rows", "give a source that holds at least one prompt")
        prompts = _without_repeats(prompts, source.source)
    left = {Split.TRAIN: source.limit, Split.HELDOUT: source.heldout_limit}
    for split, limit in left.items():
        yield from [prompt for prompt in prompts if prompt.split == split][:limit]


def _rows(name: str) -> Iterator[Row]:
    path = Path(name).expanduser()
    looks_like_a_file = path.suffix in {".jsonl", ".parquet", ".json", ".csv", ".tsv", ".txt"}
    if looks_like_a_file and not path.is_file():
        fix = f"correct the path in prompts.sources; it is looked up from {Path.cwd()}"
        raise DataError("a prompt file", f"nothing at {path}", fix)
    if path.suffix == ".jsonl":
        return _jsonl_rows(path)
    if path.suffix == ".parquet":
        return _parquet_rows(path)
    if looks_like_a_file:
        raise DataError("a .jsonl or .parquet file", str(path), "write one JSON object a line, with the prompt in a column")
    return _dataset_rows(name)


def _jsonl_rows(path: Path) -> Iterator[Row]:
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line.decode("utf-8"))
        except ValueError as error:  # malformed JSON, or bytes that are not UTF-8
            raise DataError("one JSON object a line", f"{where}: {error}", "correct that line") from error
        if not isinstance(row, dict):
            raise DataError("one JSON object a line", f"{where}: a {type(row).__name__}", "make each line an object")
        yield where, row


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError("a readable Parquet file", f"{path}: {error}", "write the file anew") from error
    return ((f"{path}: row {number}", row) for number, row in enumerate(rows, start=1))


def _dataset_rows(name: str) -> Iterator[Row]:
    import datasets  # seconds to import: only for those who name a data set

    try:
        rows = datasets.load_dataset(name, split="train")
    except (OSError, ValueError, RuntimeError) as error:  # not found, no network, no split `train`, a script that is refused
        fix = f"name one of {', '.join(BUILT_IN)}, a .jsonl or .parquet file, or a data set that this machine can load"
        raise DataError(f"a data set {name!r} with a split `train`", str(error), fix) from error
    return ((f"{name}: row {number}", dict(row)) for number, row in enumerate(rows, start=1))


def _parse(row: dict[str, Any], where: str, source: PromptSource) -> Prompt:
    text = _column(row, source.column, where, "column")
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"text in column {source.column!r}", f"{where}: {text!r:.80}", "correct or remove that row")
    label = None
    if source.label_column is not None:
        label = _word(_column(row, source.label_column, where, "label_column"), LABELS, source.label_column, where)
    by_text = split_of(_normal(text), source.heldout_fraction)
    split = _word(row["split"], SPLITS, "split", where) if "split" in row else by_text
    return Prompt(id=_id_of(row, text, source.source), text=text.strip(), split=split, label=label)


def _column(row: dict[str, Any], name: str, where: str, setting: str) -> Any:
    if name not in row:
        found = f"{where} with the columns {', '.join(map(str, row)) or '(none)'}"
        raise DataError(f"a column {name!r}", found, f"name an existing column in prompts.sources: {setting}")
    return row[name]


def _word(value: Any, words: dict[str, Meaning], column: str, where: str) -> Meaning:
    word = str(value).strip().lower()
    if word not in words:
        raise DataError(f"one of {', '.join(words)} in column {column!r}", f"{where}: {value!r:.80}", "correct that row")
    return words[word]


def _id_of(row: dict[str, Any], text: str, source: str) -> str:
    """The row's own `id`; else one made of the text, which stays the same when rows are added or moved."""
    if row.get("id") not in (None, ""):
        return str(row["id"])
    return f"{Path(source).stem}/{int(stable_fraction(_normal(text)) * 2**48):012x}"


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())


def _without_repeats(prompts: tuple[Prompt, ...], where: str) -> tuple[Prompt, ...]:
    """Each text once, whatever its case and spaces, training first: a held-out prompt that is also trained on would flatter."""
    kept: dict[str, Prompt] = {}
    leaked = 0
    for prompt in sorted(prompts, key=lambda prompt: prompt.split == Split.HELDOUT):
        first = kept.setdefault(_normal(prompt.text), prompt)
        leaked += first.split != prompt.split
    repeats = len(prompts) - len(kept)
    if repeats:
        log.warning("%s: dropped %d repeated prompts, %d of them held-out copies of training prompts", where, repeats, leaked)
    return tuple(kept.values())


def _check_ids(prompts: tuple[Prompt, ...]) -> None:
    twice = [id for id, count in Counter(prompt.id for prompt in prompts).items() if count > 1]
    if twice:
        found = f"{len(twice)} used twice, such as {twice[0]!r}"
        raise DataError("prompt ids that differ", found, "make the column `id` unique over all sources, or leave it out")
