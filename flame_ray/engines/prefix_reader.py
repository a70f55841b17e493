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
from transformers import DynamicCache

from flame_ray.engines.finetuned import READ_AFTER, load_base, load_tensors, model_description, short_floats, trained_tensors
from flame_ray.errors import ModelError
from flame_ray.storage.atomic import sha256_of

# Prefixes whose keys and values are kept, some 10 MB each. In the quickstart, some 70 titles of evaluations and 50 of training
# prompts take turns: with fewer places, none would be there any more when its turn comes again.
KEPT = 128
MOST_TOGETHER = 40  # continuations of a sequence: attention costs the square of its length
PASS_TOKENS = 1024  # of the rows that share a pass, so that the model's weights are read from memory less often
Read = Sequence[tuple[Tensor, Tensor]]  # keys and values of a prefix, by block
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
        self.head = nn.Linear(len(READ_AFTER) * width, outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, prefix: Sequence[int], continuations: Sequence[Sequence[int]], read: Read | None = None) -> Tensor:
        """Logits [N, outputs] of N continuations of a prefix, all as token ids.

        `read` are the keys and values of the prefix by block, if it has been read before.
        """
        laid = layout(len(prefix), continuations)
        ids_T = torch.tensor([*prefix, *laid.tokens])
        start = 0 if read is None else len(prefix)
        states = self.blocks(
            input_ids=ids_T[None, start:],
            position_ids=laid.positions_T[None, start:],
            attention_mask=laid.seen_TT[None, None, start:],
            past_key_values=None if read is None else DynamicCache(read),
            use_cache=read is not None,
            output_hidden_states=True,
        ).hidden_states
        return self._logits(states, torch.zeros_like(laid.last_N), laid.last_N - start)

    def together(self, asked: Sequence[Asked]) -> Tensor:
        """Logits [N, outputs] of all continuations of several prefixes, in one pass: a row each, padded at its end."""
        laid_U = [layout(len(prefix), continuations) for prefix, continuations in asked]
        columns = max(len(laid.positions_T) for laid in laid_U)
        ids_UT, positions_UT = torch.zeros(2, len(asked), columns, dtype=torch.long)
        seen_UTT = torch.eye(columns, dtype=torch.bool).repeat(len(asked), 1, 1)
        for row, ((prefix, _), laid) in enumerate(zip(asked, laid_U, strict=True)):
            end = len(laid.positions_T)
            ids_UT[row, :end] = torch.tensor([*prefix, *laid.tokens])
            positions_UT[row, :end] = laid.positions_T
            seen_UTT[row, :end, :end] = laid.seen_TT
        states = self.blocks(
            input_ids=ids_UT,
            position_ids=positions_UT,
            attention_mask=seen_UTT[:, None],
            use_cache=False,
            output_hidden_states=True,
        ).hidden_states
        rows_N = torch.repeat_interleave(torch.tensor([len(laid.last_N) for laid in laid_U]))
        return self._logits(states, rows_N, torch.cat([laid.last_N for laid in laid_U]))

    def _logits(self, states: Sequence[Tensor], rows_N: Tensor, last_N: Tensor) -> Tensor:
        """Of the states [U, T, width] after each block, at the last token of each continuation."""
        last = torch.stack([states[block][rows_N, last_N].float() for block in READ_AFTER], dim=1)
        scaled = last * torch.rsqrt(last.square().mean(-1, keepdim=True) + 1e-6)
        with torch.autocast("cpu", enabled=False):
            logits: Tensor = self.head(scaled.flatten(1))
        return logits


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

    def logits_of(self, prefix: Sequence[int], continuations: Sequence[Sequence[int]]) -> np.ndarray:
        """Float32 [N, outputs] of N continuations of a prefix, all as token ids."""
        logits = np.zeros((len(continuations), self._model.head.out_features), np.float32)
        order = sorted(range(len(continuations)), key=lambda place: tuple(continuations[place]))  # so that beginnings meet
        with torch.inference_mode(), short_floats():
            read = [(keys.to(dtype), values.to(dtype)) for keys, values, dtype in self._read(tuple(prefix))]
            for start in range(0, len(order), MOST_TOGETHER):
                places = order[start : start + MOST_TOGETHER]
                logits[places] = self._model(prefix, [continuations[place] for place in places], read).float().numpy()
        return logits

    def logits_of_each(self, asked: Sequence[Asked]) -> list[np.ndarray]:
        """As `logits_of` for each prefix, none of which is kept. Prefixes of like length share a pass."""
        parts = [
            (place, (prefix, continuations[start : start + MOST_TOGETHER]))
            for place, (prefix, continuations) in enumerate(asked)
            for start in range(0, len(continuations), MOST_TOGETHER)
        ]
        found: dict[int, np.ndarray] = {}  # of each part
        with torch.inference_mode(), short_floats():
            for numbers in _passes([len(prefix) + sum(map(len, ids)) for _, (prefix, ids) in parts]):
                logits = self._model.together([parts[number][1] for number in numbers]).float().numpy()
                ends = np.cumsum([len(parts[number][1][1]) for number in numbers])[:-1]
                found |= zip(numbers, np.split(logits, ends), strict=True)
        of_each: list[list[np.ndarray]] = [[np.zeros((0, self._model.head.out_features), np.float32)] for _ in asked]
        for number, (place, _) in enumerate(parts):
            of_each[place].append(found[number])
        return [np.concatenate(each) for each in of_each]

    def _read_prefix(self, prefix: tuple[int, ...]) -> list[tuple[Tensor, Tensor, torch.dtype]]:
        """By block, the keys and values of a prefix in at most 16 bits, and the dtype that they had."""
        blocks = self._model.blocks(input_ids=torch.tensor([prefix]), use_cache=True).past_key_values.layers
        return [(_halved(each.keys), _halved(each.values), each.keys.dtype) for each in blocks]


def _passes(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The places of sequences of such lengths, in groups that have at most PASS_TOKENS with their padding, or one sequence.

    >>> list(_passes([30, PASS_TOKENS, 20]))
    [[2, 0], [1]]
    """
    together: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if together and lengths[place] * (len(together) + 1) > PASS_TOKENS:
            yield together
            together = []
        together.append(place)
    if together:
        yield together


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
