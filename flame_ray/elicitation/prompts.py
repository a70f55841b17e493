"""Makes the few-shot prompt of each instruction, from the demonstrations that are most like it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from flame_ray.elicitation.few_shot import FewShot, can_be_shown, fitted_prompt
from flame_ray.elicitation.similar import Scores, distinct, nearest
from flame_ray.sft import Demonstration
from flame_ray.types import Passage, Prompt


@dataclass(frozen=True, slots=True)
class PromptMaker:
    """`pool`: what may be shown, scored by `scores`. `shots`: how many to show, if `limit` tokens have room for them."""

    pool: Sequence[Demonstration]
    scores: Scores
    shots: int
    length: Callable[[str], int]
    limit: int

    def few_shot(self, prompt: Prompt, passages_K: Sequence[Passage] = ()) -> FewShot | None:
        """The prompt; None if the instruction alone is too long."""
        shown = nearest(prompt.text, self.pool, self.scores, self.shots)
        return fitted_prompt(prompt.text, shown, passages_K, self.length, self.limit)


def shown_pool(seeds_D: Sequence[Demonstration]) -> list[Demonstration]:
    """What may be shown: one answer to each instruction, unless a heading of the prompt stands in it."""
    return distinct([each for each in seeds_D if can_be_shown(each)])


def as_prompt(prompt: Prompt, few_shot: FewShot) -> Prompt:
    """The few-shot text under the id of its instruction."""
    return replace(prompt, text=few_shot.text)
