"""What the learner trains on: pairs or single responses become examples, and examples become batches. No tensors yet.

An example holds the sampler's own token ids: nothing is rendered or tokenized again. The stop token is already the last of
`token_ids` where the model ended its text.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from flame_ray.engines.base import Continuation
from flame_ray.errors import DataError
from flame_ray.learner.masks import Decode, decoded, sentence_spans, token_mask
from flame_ray.types import FACTUALITY, WEIGHTED, Graded, Pair, Response, SideFacts


@dataclass(frozen=True, slots=True)
class Example:
    """What one term of the loss is made of; every example of a round has the same number of sequences.

    `index`: its place in the round's examples. `sequences`: of a preference pair the chosen, then the rejected side.
    `weight`: how much it counts in the mean loss; 0 for a copy that only fills a batch up. `fact_gap`, `flipped`, of a pair,
    and `advantage`, of a single response, are as in `Batch`. `counted`: which response tokens of each sequence count in its
    log-probability; empty: all.

    >>> prompt, chosen, rejected = (1, 2), (3, 4), (5,)
    >>> Example(0, (Continuation(prompt, chosen), Continuation(prompt, rejected))).columns
    4
    """

    index: int
    sequences: tuple[Continuation, ...]
    weight: float = 1.0
    fact_gap: float = 0.0
    flipped: bool = False
    advantage: float = 0.0
    counted: tuple[tuple[bool, ...], ...] = ()

    @property
    def columns(self) -> int:
        """Tokens of its longest sequence."""
        return max(len(each.prompt_token_ids) + len(each.token_ids) for each in self.sequences)

    @property
    def response_tokens(self) -> int:
        return sum(len(each.token_ids) for each in self.sequences)


def pair_examples(
    pairs_D: Sequence[Pair], decode: Decode | None = None, balance: Literal["prompts", "kinds"] = "prompts"
) -> tuple[Example, ...]:
    """An example a pair. `balance`: what counts once, whatever number of pairs it gave (see `pairs.balance`).

    With `decode` (see `masks.py`), pairs that factuality orders count by their sentences: on the chosen side those that hold,
    on the rejected side those that do not. Raises DataError where two sides were not sampled from the same prompt tokens.
    """
    for pair in pairs_D:
        if pair.chosen.prompt_token_ids != pair.rejected.prompt_token_ids:
            raise DataError(
                "two sides of a pair with the same prompt tokens",
                f"{pair.chosen.id} and {pair.rejected.id} differ",
                "sample both sides from one rendering of the prompt",
            )
    return tuple(
        Example(
            index,
            tuple(Continuation(side.prompt_token_ids, side.token_ids) for side in (pair.chosen, pair.rejected)),
            weight,
            fact_gap=pair.fact_gap or 0.0,
            flipped=pair.flipped,
            counted=_counted(pair, decode) if decode else (),
        )
        for index, (pair, weight) in enumerate(zip(pairs_D, _weights(pairs_D, balance), strict=True))
    )


def _weights(pairs_D: Sequence[Pair], balance: Literal["prompts", "kinds"]) -> list[float]:
    """Each prompt's sum to 1; or each kind's sum to the same, of which each of its prompts has the same share."""
    of_prompt = Counter(pair.prompt_id for pair in pairs_D)
    if balance == "prompts":
        return [1 / of_prompt[pair.prompt_id] for pair in pairs_D]
    of_both = Counter((pair.kind, pair.prompt_id) for pair in pairs_D)
    prompts = Counter(kind for kind, _ in of_both)
    share = {kind: len(of_prompt) / (count * len(prompts)) for kind, count in prompts.items()}
    return [share[pair.kind] / of_both[pair.kind, pair.prompt_id] for pair in pairs_D]


def graded_examples(graded_D: Sequence[Graded]) -> tuple[Example, ...]:
    """An example a response, of weight (how often it is there) / (responses to its prompt), so that each prompt counts once."""
    of_prompt = Counter(each.prompt_id for each in graded_D)
    times = Counter(each.response.id for each in graded_D)
    once_D = {each.response.id: each for each in graded_D}.values()
    return tuple(
        Example(
            index,
            (Continuation(each.response.prompt_token_ids, each.response.token_ids),),
            times[each.response.id] / of_prompt[each.prompt_id],
            advantage=each.advantage or 0.0,
        )
        for index, each in enumerate(once_D)
    )


def _counted(pair: Pair, decode: Decode) -> tuple[tuple[bool, ...], ...]:
    """Of a pair that another reward orders, or that has no verdicts, all tokens count."""
    if pair.kind not in (FACTUALITY, WEIGHTED) or pair.chosen_facts is None or pair.rejected_facts is None:
        return ()
    chosen = _stating(pair.chosen, pair.chosen_facts, True, decode)
    return chosen, _stating(pair.rejected, pair.rejected_facts, False, decode)


def _stating(response: Response, facts: SideFacts, holds: bool, decode: Decode) -> tuple[bool, ...]:
    """The tokens of the sentences that hold, or of those that do not. A sentence of which no fact counts is neither."""
    text = decoded(response.token_ids, decode)
    spans = sentence_spans(text.text, [each.text for each in facts.sentences_S])
    wanted = [span for span, each in zip(spans, facts.sentences_S, strict=True) if span and each.holds is holds]
    return token_mask(text.spans_T, wanted)


def digest(examples_D: Sequence[Example]) -> str:
    """A hash of a round's examples: all that a loss reads of them, in their order."""
    return hashlib.sha256(json.dumps([_content(each) for each in examples_D]).encode()).hexdigest()


def _content(example: Example) -> list:
    sequences = [[each.prompt_token_ids, each.token_ids] for each in example.sequences]
    return [example.weight, example.fact_gap, example.flipped, example.advantage, example.counted, *sequences]


def global_batches(examples_D: Sequence[Example], size: int, seed: int) -> list[list[Example]]:
    """The examples in batches of `size`, in an order that depends on `seed` alone; the last batch is filled up.

    A prompt's examples stay together if they may share a sequence, and so its forward pass (see `collate.py`).
    """
    groups = by_prompt(examples_D)
    Random(seed).shuffle(groups)
    shuffled = [example for group in groups for example in group]
    return [filled_up(shuffled[start : start + size], size) for start in range(0, len(shuffled), size)]


def by_prompt(examples_D: Sequence[Example]) -> list[list[Example]]:
    """Those of several sequences by their prompt; those of one sequence alone, as they share nothing."""
    groups: dict[tuple[int, ...] | int, list[Example]] = {}
    for place, example in enumerate(examples_D):
        key = example.sequences[0].prompt_token_ids if len(example.sequences) > 1 else place
        groups.setdefault(key, []).append(example)
    return list(groups.values())


def filled_up(batch: Sequence[Example], multiple: int) -> list[Example]:
    """The batch, extended to a multiple of so many with weight-0 copies of its shortest example (the cheapest to run)."""
    filler = replace(min(batch, key=lambda example: example.columns), weight=0.0)
    return [*batch, *[filler] * (-len(batch) % multiple)]
