"""Runs a small model that reads a prefix once and then scores many continuations of it.

It has the blocks of the fine-tuned checker's model, with an adapter and a head of its own. One sequence holds the prefix and
then the continuations; each continuation sees the prefix and itself, and its positions go on after the prefix's. So the prefix,
which is often longer than a continuation, is read once for all of them. Continuations that begin alike, as most statements on
one title do, share the tokens that they begin with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from flame_ray.engines import segments
from flame_ray.engines.finetuned import READ_AFTER, load_base, load_tensors, model_description, short_floats, trained_tensors
from flame_ray.engines.segments import Read, Segment
from flame_ray.errors import ModelError
from flame_ray.storage.atomic import sha256_of

# Prefixes whose keys and values are kept, some 10 MB each. In the quickstart, some 70 titles of evaluations and 50 of training
# prompts take turns: with fewer places, none would be there any more when its turn comes again.
KEPT = 128
MOST_TOGETHER = 40  # continuations of a sequence: attention costs the square of its length
# Sequences share a pass, so that the model's weights are read from memory less often. It always has so many tokens, unless one
# sequence is longer: a product of another number of rows may be summed in another order, and logits would depend on what else
# was asked.
PASS_TOKENS = 512
Asked = tuple[Sequence[int], Sequence[Sequence[int]]]  # a prefix and its continuations, as token ids


@dataclass(frozen=True, slots=True)
class ReaderKind:
    """What a reader is for: its file of weights, how many logits a continuation gets, and the blocks with an adapter."""

    name: str
    weights: str
    outputs: int
    adapted: range

    @property
    def model(self) -> str:
        """What a file of weights says of the model that it fits."""
        return f"{self.name}: {model_description(self.adapted)}"


class PrefixClassifier(nn.Module):
    """The blocks, and a head of some logits."""

    def __init__(self, blocks: Any, width: int, outputs: int):
        super().__init__()
        self.blocks = blocks
        blocks.set_attn_implementation(segments.NAME)
        self.head = nn.Linear(len(READ_AFTER) * width, outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, prefix: Sequence[int], continuations: Sequence[Sequence[int]]) -> Tensor:
        """Logits [N, outputs] of N continuations of a prefix, all as token ids."""
        return self.together([(prefix, continuations)], [None])

    def together(self, asked: Sequence[Asked], reads: Sequence[Read | None], columns: int = 0) -> Tensor:
        """Logits [N, outputs] of all continuations of several prefixes, in one pass of at least so many columns.

        `reads` are the keys and values of each prefix, if it has been read before.
        """
        tokens: list[int] = []
        positions, ends, laid_out = [], [], []
        for (prefix, continuations), read in zip(asked, reads, strict=True):
            laid, known, at = layout(len(prefix), continuations), 0 if read is None else len(prefix), len(tokens)
            tokens += [*prefix, *laid.tokens][known:]
            positions.append(laid.positions_T[known:])
            ends.append(at + laid.last_N - known)
            laid_out.append(Segment(slice(at, len(tokens)), laid.seen_TT[known:], read))
        padding = torch.zeros(max(0, columns - len(tokens)), dtype=torch.long)
        states = self.blocks(
            input_ids=torch.cat([torch.tensor(tokens), padding])[None],
            position_ids=torch.cat([*positions, padding])[None],
            attention_mask=laid_out[0].seen_TP[None, None],  # not read: each segment has its own
            segments=laid_out,
            use_cache=False,
            output_hidden_states=True,
        ).hidden_states
        ends_N = torch.cat(ends)
        last = torch.stack([states[block][0, ends_N].float() for block in READ_AFTER], dim=1)
        scaled = last * torch.rsqrt(last.square().mean(-1, keepdim=True) + 1e-6)
        with torch.autocast("cpu", enabled=False):
            return torch.cat([self.head(row) for row in scaled.flatten(1)[:, None]])


class PrefixReader:
    """A reader whose weights are in `folder`; `name` identifies them. Raises ModelError; if there are none, with the `fix`."""

    def __init__(self, folder: Path, kind: ReaderKind, fix: str):
        path = folder / kind.weights
        if not path.is_file():
            raise ModelError(f"weights of the reader of {kind.name}", f"nothing at {path}", fix)
        self.tokenizer, self._model = load_reader(kind)
        load_tensors(dict(trained_tensors(self._model)), path, kind.model)
        self._model.blocks = self._model.blocks.merge_and_unload()
        self._model.eval()
        self.name = sha256_of(path)[:16]
        self._read = lru_cache(KEPT)(self._read_prefix)

    def logits_of_each(self, asked: Sequence[Asked], keep: bool) -> list[np.ndarray]:
        """Float32 [N, outputs] of the N continuations of each prefix, all as token ids.

        With `keep`, what was read of a prefix is kept for the next time.
        """
        parts = [part for place, each in enumerate(asked) for part in _parts(place, *each)]
        lengths = [sum(map(len, part.continuations)) + (0 if keep else len(part.prefix)) for part in parts]
        found = [np.zeros((len(continuations), self._model.head.out_features), np.float32) for _, continuations in asked]
        with torch.inference_mode(), short_floats():
            for numbers in _passes(lengths):
                passed = [parts[number] for number in numbers]
                reads = [self._known(part.prefix) if keep else None for part in passed]
                logits = self._model.together([part.asked for part in passed], reads, PASS_TOKENS).float().numpy()
                for part, rows in zip(passed, _split(logits, [len(part.numbers) for part in passed]), strict=True):
                    found[part.place][part.numbers] = rows
        return found

    def _known(self, prefix: Sequence[int]) -> Read:
        return [(keys.to(dtype), values.to(dtype)) for keys, values, dtype in self._read(tuple(prefix))]

    def _read_prefix(self, prefix: tuple[int, ...]) -> list[tuple[Tensor, Tensor, torch.dtype]]:
        """By block, the keys and values of a prefix in at most 16 bits, and the dtype that they had."""
        blocks = self._model.blocks(input_ids=torch.tensor([prefix]), use_cache=True).past_key_values.layers
        return [(_halved(each.keys), _halved(each.values), each.keys.dtype) for each in blocks]


@dataclass(frozen=True, slots=True)
class _Part:
    """A prefix, whose place among those that are asked is `place`, with some of its continuations, by their `numbers`."""

    place: int
    prefix: Sequence[int]
    numbers: list[int]
    continuations: list[Sequence[int]]

    @property
    def asked(self) -> Asked:
        return self.prefix, self.continuations


def _parts(place: int, prefix: Sequence[int], continuations: Sequence[Sequence[int]]) -> Iterator[_Part]:
    """A prefix as often as MOST_TOGETHER asks. Continuations that begin alike stay together."""
    order = sorted(range(len(continuations)), key=lambda number: tuple(continuations[number]))
    for start in range(0, len(order), MOST_TOGETHER):
        numbers = order[start : start + MOST_TOGETHER]
        yield _Part(place, prefix, numbers, [continuations[number] for number in numbers])


def _passes(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The numbers of sequences of such lengths in their order, in groups of at most PASS_TOKENS or of one longer sequence.

    >>> list(_passes([30, PASS_TOKENS, 20, 10]))
    [[0], [1], [2, 3]]
    """
    together: list[int] = []
    for number, length in enumerate(lengths):
        if together and sum(lengths[each] for each in together) + length > PASS_TOKENS:
            yield together
            together = []
        together.append(number)
    if together:
        yield together


def _split(rows: np.ndarray, counts: Sequence[int]) -> list[np.ndarray]:
    return np.split(rows, np.cumsum(counts)[:-1])


def _halved(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.dtype is torch.float32 else tensor


def load_reader(kind: ReaderKind, seed: int = 0) -> tuple[Any, PrefixClassifier]:
    """The tokenizer, and the model with a new adapter that the seed draws and that changes nothing yet. Raises ModelError."""
    tokenizer, base = load_base(seed, kind.adapted)
    return tokenizer, PrefixClassifier(base.blocks, base.head.in_features // len(READ_AFTER), kind.outputs)


def save_reader(model: PrefixClassifier, kind: ReaderKind, folder: Path) -> None:
    """Writes the trained tensors in half precision, with a description of the model that they fit."""
    tensors = {name: each.detach().to(torch.float16).contiguous() for name, each in trained_tensors(model)}
    save_file(tensors, folder / kind.weights, {"model": kind.model})


@dataclass(frozen=True, slots=True)
class Layout:
    """A prefix and N continuations as one sequence of T tokens."""

    tokens: tuple[int, ...]  # those after the prefix
    positions_T: Tensor
    seen_TT: Tensor  # who sees whom
    last_N: Tensor  # the place of each continuation's last token


def layout(prefix: int, continuations: Sequence[Sequence[int]]) -> Layout:
    """The layout of a prefix of so many tokens, and of continuations, which are trees of tokens: each branch sees its stem.

    >>> laid = layout(2, [[5, 6], [5, 7]])
    >>> laid.tokens, laid.positions_T.tolist(), laid.last_N.tolist()
    ((5, 6, 7), [0, 1, 2, 3, 3], [3, 4])
    >>> laid.seen_TT.int().tolist()
    [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 0, 1]]
    """
    places: dict[tuple[int, int], int] = {}  # of a token, by the place of the token before it and its id
    last = []
    for tokens in continuations:
        place = prefix - 1
        for token in tokens:
            place = places.setdefault((place, token), prefix + len(places))
        last.append(place)
    positions = list(range(prefix))
    seen = np.tri(prefix + len(places), dtype=bool)
    for place, (before, _) in enumerate(places, prefix):
        positions.append(positions[before] + 1)
        seen[place] = seen[before]
        seen[place, place] = True
    tokens_after = tuple(token for _, token in places)
    return Layout(tokens_after, torch.tensor(positions), torch.from_numpy(seen), torch.tensor(last, dtype=torch.long))
