"""Makes the learner's examples from demonstrations: one sequence each, of which only the answer is learned."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from flame_ray.engines.base import Continuation
from flame_ray.engines.text_config import Longest
from flame_ray.errors import DataError
from flame_ray.learner.data import Example
from flame_ray.types import Demonstration


class Chat(Protocol):
    """The token ids of an instruction, up to where its answer begins, and those of an answer, with the end of the turn."""

    def prompt(self, text: str) -> tuple[int, ...]: ...

    def answer(self, text: str) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True)
class SftExamples:
    """`by_source`, `tokens_by_source`: the examples, and the tokens of their answers. `too_long`: demonstrations left out."""

    examples_D: tuple[Example, ...]
    by_source: Mapping[str, int]
    tokens_by_source: Mapping[str, int]
    too_long: int


def demonstration_examples(
    demonstrations_D: Sequence[Demonstration], chat: Chat, longest: Longest, max_dropped: float
) -> SftExamples:
    """An example a demonstration, of weight (tokens of its answer) times the demonstration's own weight.

    One that is longer than `longest` is left out: cut off, it would teach the model to stop in the middle of a sentence.
    Raises DataError if that is more than the share `max_dropped` of them.
    """
    examples: list[Example] = []
    counts, tokens = Counter[str](), Counter[str]()
    for each in demonstrations_D:
        sequence = Continuation(chat.prompt(each.prompt.text), chat.answer(each.answer))
        if len(sequence.prompt_token_ids) + len(sequence.token_ids) <= longest.tokens:
            examples.append(Example(len(examples), (sequence,), each.weight * len(sequence.token_ids)))
            counts[each.source] += 1
            tokens[each.source] += len(sequence.token_ids)
    too_long = len(demonstrations_D) - len(examples)
    if too_long > max_dropped * len(demonstrations_D):
        raise DataError(
            f"at most {max_dropped:.0%} of the demonstrations longer than {longest.tokens} tokens ({longest})",
            f"{too_long} of {len(demonstrations_D)}",
            f"{longest.fix}, or raise sft.max_dropped",
        )
    return SftExamples(tuple(examples), counts, tokens, too_long)
