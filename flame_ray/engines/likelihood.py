"""Computes log-probabilities of given texts on a CPU, with less work than vLLM does there.

vLLM projects every token of a prompt onto the vocabulary and reads a shared prompt again for each text. This projects only the
tokens that are asked about, and reads a shared prompt once.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from flame_ray.engines.base import Continuation

BATCH_TOKENS = 4096


class LikelihoodEngine:
    """A causal language model in this process that only scores. `dtype`: `bfloat16`, another name of torch's, or `auto`."""

    def __init__(self, model_path: str, dtype: str, trust_remote_code: bool = False):
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            model_path, dtype=dtype, use_safetensors=True, trust_remote_code=trust_remote_code
        ).eval()

    def logprobs(self, continuations: Sequence[Continuation]) -> list[tuple[float, ...]]:
        """Natural log-probability of each continuation's tokens; see `TextEngine.logprobs`."""
        found: list[tuple[float, ...]] = [()] * len(continuations)
        with torch.inference_mode():
            for places in batches(continuations):
                rows = [continuations[place] for place in places]
                for place, values in zip(places, self._scored(rows), strict=True):
                    found[place] = values
        return found

    def _scored(self, rows: Sequence[Continuation]) -> Iterator[tuple[float, ...]]:
        shared = shared_tokens([row.prompt_token_ids for row in rows])
        states, first = self._states(rows, shared), [len(row.prompt_token_ids) - shared - 1 for row in rows]
        wanted = [states[i, start : start + len(row.token_ids)] for i, (row, start) in enumerate(zip(rows, first, strict=True))]
        logprobs = self._model.get_output_embeddings()(torch.cat(wanted)).float().log_softmax(-1)
        tokens = torch.tensor([token for row in rows for token in row.token_ids])
        values = iter(logprobs.gather(1, tokens[:, None])[:, 0].tolist())
        for row in rows:
            yield tuple(next(values) for _ in row.token_ids)

    def _states(self, rows: Sequence[Continuation], shared: int) -> torch.Tensor:
        """The last block's states [N, T, width] after `shared` tokens, which are read once. There is no mask, because a token
        does not see what is to its right.
        """
        ids = [(*row.prompt_token_ids, *row.token_ids) for row in rows]
        before = None
        if shared:
            before = self._model.base_model(input_ids=torch.tensor([ids[0][:shared]]), use_cache=True).past_key_values
            before.batch_repeat_interleave(len(rows))
        rest = [torch.tensor(each[shared:]) for each in ids]
        padded = torch.nn.utils.rnn.pad_sequence(rest, batch_first=True)
        states: torch.Tensor = self._model.base_model(
            input_ids=padded, past_key_values=before, use_cache=before is not None
        ).last_hidden_state
        return states


def batches(continuations: Sequence[Continuation]) -> Iterator[list[int]]:
    """Places of continuations that are scored together: those of one prompt, and those alone with theirs by length."""
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    for place, each in enumerate(continuations):
        if each.token_ids:
            by_prompt.setdefault(each.prompt_token_ids, []).append(place)
    alone = [places[0] for places in by_prompt.values() if len(places) == 1]
    lengths = [len(each.prompt_token_ids) + len(each.token_ids) for each in continuations]
    for group in (*(places for places in by_prompt.values() if len(places) > 1), alone):
        ordered = sorted(group, key=lambda place: -lengths[place])
        while ordered:
            size = max(1, BATCH_TOKENS // lengths[ordered[0]])
            yield ordered[:size]
            ordered = ordered[size:]


def shared_tokens(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with, less one: the last state of a prompt scores the first token after it.

    >>> shared_tokens([(1, 2, 3), (1, 2, 4)]), shared_tokens([(1, 2), (1, 2)]), shared_tokens([(5,)])
    (1, 1, 0)
    """
    equal = 0
    for column in zip(*prompts, strict=False):
        if len(set(column)) > 1:
            break
        equal += 1
    return max(0, equal - 1)
