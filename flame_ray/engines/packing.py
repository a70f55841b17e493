"""Puts several sequences into a row, so that less padding is computed. No sequence sees another one.

`packed` is for any sequences. The positions of a row start at 0 again where a sequence begins. From that transformers makes a
mask that keeps sequences apart, and lets attention kernels for packed rows skip what it masks.

`sharing_prompts` is for several responses to a prompt, which is computed once for all of them. A prompt lies in its row
without its last token; that token lies before each response, which is predicted from it: [a b] [c, response] [c, response].
A response sees its prompt and itself, by a mask of its own, and its positions begin where the prompt ends.

Padding lies at position 0, apart from everything.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from flame_ray.engines.base import Continuation
from flame_ray.engines.batch import PAD, Batch, left_padded
from flame_ray.errors import EngineError

Layout = Callable[[Sequence[Continuation]], Batch]
ALIKE = {"float32": 1e-3, "bfloat16": 0.1}  # nats a token, by which a sequence in a shared row may differ from the same alone
PROBES = (  # ids that every vocabulary has; the first two share a prompt
    Continuation((1, 2, 3), (4, 5, 6, 7)),
    Continuation((1, 2, 3), (5, 1)),
    Continuation((7, 6), (5, 4, 3)),
)
# Columns at which attention takes as long as the rest of a pass, for a model as narrow as SmolLM2-135M. Only the number of rows
# depends on it.
COSTLY_COLUMNS = 1000


def packed(sequences: Sequence[Continuation]) -> Batch:
    """Each sequence as an example of its own, of weight 1, in rows as long as the longest of them (first fit decreasing)."""
    alone = left_padded(sequences)
    rows = _first_fit([len(each.prompt_token_ids) + len(each.token_ids) for each in sequences], alone.token_ids.shape[1])
    shape = len(rows), alone.token_ids.shape[1]
    token_ids, position_ids = torch.full(shape, PAD), torch.zeros(shape, dtype=torch.long)
    owners = torch.full(shape, -1)  # the number of the sequence that a response token belongs to
    for row, members in enumerate(rows):
        end = shape[1]
        for number in members:
            ids = [*sequences[number].prompt_token_ids, *sequences[number].token_ids]
            token_ids[row, end - len(ids) : end] = torch.tensor(ids)
            position_ids[row, end - len(ids) : end] = torch.arange(len(ids))
            owners[row, end - len(sequences[number].token_ids) : end] = number
            end -= len(ids)
    return _laid_out(alone, token_ids, None, position_ids, owners)


def sharing_prompts(sequences: Sequence[Continuation]) -> Batch:
    """Each sequence as an example of its own, of weight 1; those of one prompt lie in one row, which may have more prompts."""
    alone = left_padded(sequences)
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, each in enumerate(sequences):
        groups.setdefault(each.prompt_token_ids, []).append(number)
    pieces_G = [
        _pieces(prompt, [(number, sequences[number].token_ids) for number in group]) for prompt, group in groups.items()
    ]
    lengths_G = [sum(len(ids) for ids, _, _ in pieces) for pieces in pieces_G]
    rows = _least_costly(lengths_G)
    shape = len(rows), max(sum(lengths_G[place] for place in row) for row in rows)
    token_ids, position_ids = torch.full(shape, PAD), torch.zeros(shape, dtype=torch.long)
    owners, prompts, parts = (torch.full(shape, -1) for _ in range(3))
    for row, members in enumerate(rows):
        start = shape[1] - sum(lengths_G[place] for place in members)
        for place in members:
            for part, (ids, position, number) in enumerate(pieces_G[place]):
                columns = slice(start, start + len(ids))
                token_ids[row, columns] = torch.tensor(ids, dtype=torch.long)
                position_ids[row, columns] = position + torch.arange(len(ids))
                prompts[row, columns], parts[row, columns] = place, part
                owners[row, start + 1 : start + len(ids)] = number
                start += len(ids)
    return _laid_out(alone, token_ids, _sees(prompts, parts), position_ids, owners)


def check_layout(layout: Layout, logps: Callable[[Batch], Tensor], dtype: str) -> None:
    """Raise EngineError unless a model keeps sequences that share a row apart; `logps`: those of a batch's sequences [N]."""
    gaps = (logps(layout(PROBES)) - logps(left_padded(PROBES))).abs()
    tokens = torch.tensor([len(each.token_ids) for each in PROBES])
    if not (gaps / tokens <= ALIKE[dtype]).all():
        raise EngineError(
            "a model that keeps packed sequences apart by their positions",
            f"log-probabilities that differ by {float(gaps.max()):.3g} nats from those of the same sequences alone",
            "set learner.packing to false: answers of like length then share a pass",
        )


def _pieces(prompt: tuple[int, ...], responses: list[tuple[int, tuple[int, ...]]]) -> list[tuple[tuple[int, ...], int, int]]:
    """Token ids, first position and owner of the prompt, which no sequence owns, and of each response after its last token."""
    last = len(prompt) - 1
    return [(prompt[:-1], 0, -1), *(((prompt[-1], *token_ids), last, number) for number, token_ids in responses)]


def _sees(prompts: Tensor, parts: Tensor) -> Tensor:
    """[U, 1, T, T]: which columns a column sees: earlier ones of its prompt, or of its response; padding sees padding."""
    is_alike = (prompts[:, :, None] == prompts[:, None]) & ((parts[:, :, None] == parts[:, None]) | (parts[:, None] == 0))
    return is_alike.tril()[:, None]


def _laid_out(alone: Batch, token_ids: Tensor, mask: Tensor | None, position_ids: Tensor, owners: Tensor) -> Batch:
    """A batch in rows. `owners` [U, T]: the number of the sequence that a response token belongs to, -1 for other tokens."""
    rows_N = torch.stack([(owners == number).any(1).nonzero()[0, 0] for number in range(len(alone.rows_N))])
    owners = owners[:, int((owners >= 0).any(0).nonzero()[0]) :]
    responses_NR = owners[rows_N] == torch.arange(len(rows_N))[:, None]
    return replace(
        alone,
        token_ids=token_ids,
        attention_mask=mask,
        position_ids=position_ids,
        response_mask=owners >= 0,
        rows_N=rows_N,
        responses_NR=responses_NR,
        counted_NR=responses_NR,
    )


def _first_fit(lengths: Sequence[int], columns: int) -> list[list[int]]:
    """The numbers of the sequences in each row; the longest sequences choose first."""
    rows: list[list[int]] = []
    free: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda number: (-lengths[number], number)):
        row = next((row for row, room in enumerate(free) if room >= lengths[number]), len(rows))
        if row == len(rows):
            rows.append([])
            free.append(columns)
        rows[row].append(number)
        free[row] -= lengths[number]
    return rows


def _least_costly(lengths: Sequence[int]) -> list[list[int]]:
    """As many rows as cost the least: few long rows have little padding, many short ones little attention."""
    candidates = [_balanced(lengths, count) for count in range(1, len(lengths) + 1)]

    def cost(rows: list[list[int]]) -> float:
        columns = max(sum(lengths[place] for place in row) for row in rows)
        return len(rows) * columns * (1 + columns / COSTLY_COLUMNS)

    return min(candidates, key=cost)


def _balanced(lengths: Sequence[int], count: int) -> list[list[int]]:
    """Rows of about equal length: the longest first, each to the row that is shortest so far."""
    rows: list[list[int]] = [[] for _ in range(count)]
    totals = [0] * count
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        row = min(range(count), key=totals.__getitem__)
        rows[row].append(place)
        totals[row] += lengths[place]
    return rows
