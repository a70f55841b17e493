"""Loads the prompts that the settings name, and draws the prompts of a round."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from flame_ray.config import PromptsConfig, PromptSource, RunConfig
from flame_ray.errors import DataError
from flame_ray.prompts.built_in import factbook_prompts, labelled_sentences, open_ended_prompts
from flame_ray.prompts.instructions import (
    CHATS,
    chat_of,
    count_beside,
    each_instance,
    first_request,
    input_of,
    joined,
    no_column,
)
from flame_ray.prompts.rows import read_rows
from flame_ray.prompts.split import split_of, stable_fraction
from flame_ray.shown import as_json
from flame_ray.storage.jsonl import Row
from flame_ray.types import Prompt, Split

BUILT_IN = {"factbook": factbook_prompts, "open-ended": open_ended_prompts, "sentences": labelled_sentences}
LABELS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
SPLITS = {split.value: split for split in Split}
SETTING, COLUMN = "prompts.sources", PromptSource.model_fields["column"].default

log = logging.getLogger(__name__)

Meaning = TypeVar("Meaning", bool, Split)


@dataclass(frozen=True, slots=True)
class LoadedPrompts:
    """The prompts of a run. `places`: the row of each one that is not built in, by its id.

    `left_out`: by reason, the prompts that are left out, and those that have lost a part of their row.
    """

    prompts: tuple[Prompt, ...]
    places: Mapping[str, str]
    left_out: Mapping[str, int]


def load_prompts(config: PromptsConfig) -> LoadedPrompts:
    """The prompts of every source, within its limits: each text once, in the order of the splits.

    Raises DataError, naming file and line, unless there is at least one prompt to train on and one held out.
    """
    taken: dict[str, str] = {}
    read = [_Reader(source, taken=taken) for source in config.sources]
    found: list[Prompt] = []
    for reader in read:
        of_source = tuple(reader.prompts())
        found += of_source
        taken.update((prompt.id, normal(prompt.text)) for prompt in of_source)
    prompts = _without_repeats(tuple(found), "the sources together")
    _check_ids(prompts)
    check_splits(prompts)
    left_out: Counter[str] = sum((reader.left_out for reader in read), Counter())
    return LoadedPrompts(prompts, {id: place for reader in read for id, place in reader.places.items()}, dict(left_out))


def check_splits(prompts: tuple[Prompt, ...], left_out: str = "") -> None:
    """Raises DataError unless there is at least one prompt to train on and one held out."""
    counts = Counter(prompt.split for prompt in prompts)
    found = f"{counts[Split.TRAIN]} training and {counts[Split.HELDOUT]} held-out prompts{left_out}"
    if not counts[Split.TRAIN]:
        raise DataError("at least one training prompt", found, "lower heldout_fraction, or correct the column `split`")
    if not counts[Split.HELDOUT]:
        raise DataError("at least one held-out prompt", found, "raise heldout_fraction, or add prompts with split heldout")


def check_development(prompts: Iterable[Prompt], config: RunConfig) -> None:
    """Raises DataError if development prompts are to choose the best round, and there are none."""
    if config.select == "best" and not any(prompt.split is Split.DEV for prompt in prompts):
        fix = "set dev_fraction in prompts.sources, mark rows `dev` in a column `split`, or set run.select to last"
        raise DataError("development prompts, as run.select is best", "none among the prompts", fix)


def prompts_of(source: PromptSource, setting: str) -> tuple[Prompt, ...]:
    """The prompts of one source of `setting`, within its limits. Raises DataError, naming file and line."""
    return tuple(_Reader(source, setting).prompts())


def draw(prompts: tuple[Prompt, ...], count: int, seed: int, round: int) -> tuple[Prompt, ...]:
    """`count` training prompts of a round, without replacement, or all of them if there are fewer.

    The share of prompts that need facts is that of the whole pool, rounded. Whether a prompt needs facts is what the classifier
    decided or, before that, what its label says. The order of `prompts` does not matter, as each has its own place in the
    round's shuffle.
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
    """`count` divided in proportion to `sizes`; the largest remainders are rounded up."""
    total = sizes.total()
    shares = Counter({group: count * size // total for group, size in sizes.items()})
    by_remainder = sorted(sizes, key=lambda group: (-(count * sizes[group] % total), -sizes[group], str(group)))
    for group in by_remainder[: count - shares.total()]:
        shares[group] += 1
    return shares


def prompt_digests(prompts_P: Iterable[Prompt]) -> dict[str, str]:
    """By source, what tells the content of its prompts, whatever their order."""
    in_order = sorted(prompts_P, key=lambda prompt: prompt.id)
    return digests((each.source or "", [each.id, each.text, each.label, each.split]) for each in in_order)


def digests(contents: Iterable[tuple[str, Sequence[Any]]]) -> dict[str, str]:
    """By source, a digest of all its contents, in order.

    >>> digests([("a", [1]), ("b", [2])])["a"] == digests([("a", [1])])["a"]
    True
    """
    found: dict[str, Any] = {}
    for source, content in contents:
        found.setdefault(source, hashlib.sha256()).update(json.dumps(content).encode())
    return {source: digest.hexdigest() for source, digest in found.items()}


class _Reader:
    """Reads one source, which `setting` names. `places` and `left_out` are those of `LoadedPrompts`.

    `taken`: the normal texts of the sources before, by their ids.
    """

    def __init__(self, source: PromptSource, setting: str = SETTING, taken: Mapping[str, str] | None = None):
        self._source, self._setting = source, setting
        self._taken = {} if taken is None else taken
        self.places: dict[str, str] = {}
        self.left_out: Counter[str] = Counter()

    def prompts(self) -> Iterator[Prompt]:
        source = self._source
        prompts = BUILT_IN[source.source]() if source.source in BUILT_IN else self._read()
        prompts = tuple(replace(_developing(prompt, source), source=Path(source.source).stem) for prompt in prompts)
        left = {Split.TRAIN: source.limit, Split.DEV: source.dev_limit, Split.HELDOUT: source.heldout_limit}
        for split, limit in left.items():
            yield from [prompt for prompt in prompts if prompt.split == split][:limit]

    def _read(self) -> tuple[Prompt, ...]:
        name = self._source.source
        rows = read_rows(name, self._setting, tuple(BUILT_IN), texts=self._source.column)
        prompts = tuple(self._parse(row) for row in each_instance(rows))
        if not prompts:
            raise DataError(f"prompts in {name}", "no rows", f"name a source with at least one prompt in {self._setting}")
        for reason, count in (+self.left_out).items():
            log.warning("%s: %d of %d prompts without their %s", name, count, len(prompts), reason)
        return _without_repeats(prompts, name)

    def _parse(self, row: Row) -> Prompt:
        source, text, label = self._source, self._text(row), None
        if source.label_column is not None:
            self._require(row, source.label_column, "label_column")
            label = word_of(row, source.label_column, LABELS)
        by_text = split_of(normal(text), source.heldout_fraction)
        split = word_of(row, "split", SPLITS) if "split" in row.columns else by_text
        id = own_id(id_of(row, text, source.source), text, source.source, self._taken)
        prompt = Prompt(id=id, text=text.strip(), split=split, label=label)
        self.places.setdefault(prompt.id, row.where)
        return prompt

    def _text(self, row: Row) -> str:
        """The instruction, with the text that it is about."""
        source, column = self._source, self._prompt_column(row)
        value = row.columns[column]
        chat = chat_of(value)
        text = value if chat is None else first_request(row, chat, column, self.left_out)
        if not isinstance(text, str) or not text.strip():
            raise DataError(
                f"text in column {column!r}, or a list of messages",
                f"{row.where}: {as_json(text)}",
                "correct or remove that row",
            )
        count_beside(row, (column,), self.left_out)
        input = input_of(row, source.input_column, (column,), f"{source.source} in {self._setting}")
        return joined(text, input) if input else text

    def _prompt_column(self, row: Row) -> str:
        """The column with the prompt. Where the default one is not there, a column of chats stands in for it."""
        named = self._source.column
        if named not in row.columns and named == COLUMN:
            named = next((name for name in CHATS if chat_of(row.columns.get(name)) is not None), named)
        self._require(row, named, "column")
        return named

    def _require(self, row: Row, name: str, setting: str) -> None:
        if name not in row.columns:
            raise no_column(row, name, f"name an existing column in {self._setting}: {setting}")


def _developing(prompt: Prompt, source: PromptSource) -> Prompt:
    """The prompt, for development if it is one of the source's share. All prompts about a country go the same way."""
    key = prompt.id.rpartition("/")[0] if source.source == "factbook" else normal(prompt.text)
    moves = prompt.split == Split.TRAIN and stable_fraction(f"dev/{key}") < source.dev_fraction
    return replace(prompt, split=Split.DEV) if moves else prompt


def word_of(row: Row, column: str, words: dict[str, Meaning]) -> Meaning:
    value = row.columns[column]
    word = str(value).strip().lower()
    if word not in words:
        found = f"{row.where}: {as_json(value)}"
        raise DataError(f"one of {', '.join(words)} in column {column!r}", found, "correct that row")
    return words[word]


def id_of(row: Row, text: str, source: str) -> str:
    """The row's own `id`; otherwise one made from the text, which stays the same when rows are added or moved."""
    if row.columns.get("id") not in (None, ""):
        return str(row.columns["id"])
    return id_of_text(text, source)


def own_id(id: str, text: str, source: str, taken: Mapping[str, str]) -> str:
    """The id, or one made from the text where another source gave that id to another text: many sets number their rows from 0.

    `taken`: the normal texts of the sources before, by their ids.

    >>> own_id("0", "Name a river.", "b.jsonl", {"0": "name a bird."}).startswith("b/")
    True
    """
    return id if taken.get(id, normal(text)) == normal(text) else id_of_text(text, source)


def id_of_text(text: str, source: str) -> str:
    """The id of a prompt that has none of its own."""
    return f"{Path(source).stem}/{int(stable_fraction(normal(text)) * 2**48):012x}"


def normal(text: str) -> str:
    """A text without differences of case and blanks, to find repeats."""
    return " ".join(text.casefold().split())


def _without_repeats(prompts: tuple[Prompt, ...], where: str) -> tuple[Prompt, ...]:
    """Each text once, whatever its case and spaces; of two copies, the one to train on is kept, or else the development one.

    A held-out prompt that is also trained on, or that chose the round, would make the evaluation look better than it is.
    """
    kept: dict[str, Prompt] = {}
    leaked = 0
    for prompt in sorted(prompts, key=lambda prompt: list(Split).index(prompt.split)):
        first = kept.setdefault(normal(prompt.text), prompt)
        leaked += first.split != prompt.split
    repeats = len(prompts) - len(kept)
    if repeats:
        log.warning("%s: dropped %d repeated prompts, %d of them copies of prompts of another split", where, repeats, leaked)
    return tuple(kept.values())


def _check_ids(prompts: tuple[Prompt, ...]) -> None:
    twice = [id for id, count in Counter(prompt.id for prompt in prompts).items() if count > 1]
    if twice:
        found = f"{len(twice)} used twice, such as {twice[0]!r}"
        raise DataError("a different id for each prompt", found, "make the column `id` unique in its source, or leave it out")
