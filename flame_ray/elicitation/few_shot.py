"""Builds the prompts that show a model some instructions with their answers, then one without. Pure.

The prompt is plain text, so that it suits a model without a chat template.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flame_ray.types import Demonstration, Passage

INSTRUCTION, RESPONSE, PASSAGE = "### Instruction:", "### Response:", "### Passage:"
STOP = (f"\n{INSTRUCTION}", f"\n{PASSAGE}")  # an answer ends where the next example would begin


@dataclass(frozen=True, slots=True)
class FewShot:
    """A prompt, how many examples and passages it shows, and how many it has no room for."""

    text: str
    shots: int
    passages: int
    shots_left_out: int
    passages_left_out: int


def few_shot_prompt(instruction: str, nearest: Sequence[Demonstration], passages_K: Sequence[Passage] = ()) -> str:
    """The examples, the nearest one last; then the passages, the best one first; then the instruction.

    >>> from flame_ray.types import Prompt
    >>> lima = Demonstration(Prompt("lima", "Where is Lima?"), "In Peru.", source="seeds.jsonl")
    >>> print(few_shot_prompt("Where is Quito?", [lima], [Passage("ec", "Ecuador", "Its capital is Quito.")]))
    ### Instruction:
    Where is Lima?
    <BLANKLINE>
    ### Response:
    In Peru.
    <BLANKLINE>
    ### Passage:
    Ecuador: Its capital is Quito.
    <BLANKLINE>
    ### Instruction:
    Where is Quito?
    <BLANKLINE>
    ### Response:
    <BLANKLINE>
    """
    shown = [part for each in reversed(nearest) for part in (_asked(each.prompt.text), f"{RESPONSE}\n{each.answer}")]
    evidence = [f"{PASSAGE}\n{each.title}: {each.text}" for each in passages_K]
    return "\n\n".join((*shown, *evidence, _asked(instruction), f"{RESPONSE}\n"))


def fitted_prompt(
    instruction: str,
    nearest: Sequence[Demonstration],
    passages_K: Sequence[Passage],
    length: Callable[[str], int],
    limit: int,
) -> FewShot | None:
    """The prompt with as many examples as `limit` tokens have room for, and then as many passages: the farthest ones are left
    out. None if the instruction alone does not fit.
    """
    tries = [(shots, len(passages_K)) for shots in range(len(nearest), -1, -1)]
    tries += [(0, passages) for passages in range(len(passages_K) - 1, -1, -1)]
    for shots, passages in tries:
        text = few_shot_prompt(instruction, nearest[:shots], passages_K[:passages])
        if length(text) <= limit:
            return FewShot(text, shots, passages, len(nearest) - shots, len(passages_K) - passages)
    return None


def can_be_shown(demonstration: Demonstration) -> bool:
    """Whether its texts are without the headings that would end it too soon."""
    headings = (INSTRUCTION, RESPONSE, PASSAGE)
    return not any(heading in text for heading in headings for text in (demonstration.prompt.text, demonstration.answer))


def _asked(instruction: str) -> str:
    return f"{INSTRUCTION}\n{instruction}"
