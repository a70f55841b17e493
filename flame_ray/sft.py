"""Supervised fine-tuning, factuality-aware (FLAME, section 4.1): whose answers the model learns, and the order of the work.

`SftStages` are the calls that do the work: `controller/sft_stages.py` makes them from pools of actors, and the journal records
each.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from flame_ray.config.sft import Answers
from flame_ray.types import Demonstration, Elicited, Group, Prompt, SftReport, SftTraining

ELICITED = "elicited"  # the source of the model's own answers

Prompts = Sequence[Prompt]
Demonstrations = Sequence[Demonstration]


@dataclass(frozen=True)
class SftStages:
    """The stages, in the order in which data flows. `elicit` is given prompts, and the seeds that may be shown with them.

    `save` returns where the model is.
    """

    classify: Callable[[Prompts], Prompts]
    elicit: Callable[[Prompts, Demonstrations], Iterable[Group]]
    train: Callable[[Demonstrations], SftTraining]
    save: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Mixture:
    """Whose answers to which seeds are learned; `weight` is that of an elicited answer.

    >>> mixture = Mixture(fact_based="elicited", others="both")
    >>> mixture.elicits(Prompt("peru", "Where is Peru?", fact_based=False)), mixture.keeps(Prompt("ode", "Write an ode."))
    (True, True)
    """

    fact_based: Answers
    others: Answers
    weight: float = 1.0

    @property
    def needs_classes(self) -> bool:
        """Whether it matters which seeds need facts."""
        return self.fact_based != self.others

    def elicits(self, seed: Prompt) -> bool:
        """Whether the model's own answers to this seed are learned."""
        return self._answers(seed) != "human"

    def keeps(self, seed: Prompt) -> bool:
        """Whether people's answers to this seed are learned."""
        return self._answers(seed) != "elicited"

    def _answers(self, seed: Prompt) -> Answers:
        return self.fact_based if seed.fact_based else self.others


def run_sft(stages: SftStages, demonstrations_D: Demonstrations, mixture: Mixture) -> SftReport:
    """Decide which seeds need facts, let the model answer its share of them, train on the mixture, and save the model."""
    if mixture.needs_classes:
        demonstrations_D = with_prompts(demonstrations_D, stages.classify(seed_prompts(demonstrations_D)))
    seeds_P = seed_prompts(demonstrations_D)
    asked_P = [prompt for prompt in seeds_P if mixture.elicits(prompt)]
    groups_P = stages.elicit(asked_P, [each for each in demonstrations_D if each.is_seed]) if asked_P else ()
    own_D, left_out = own_answers(groups_P, mixture.weight)
    human_D = [each for each in demonstrations_D if not each.is_seed or mixture.keeps(each.prompt)]
    training = stages.train([*human_D, *own_D])
    fact_based = sum(bool(prompt.fact_based) for prompt in seeds_P) if mixture.needs_classes else None
    return SftReport(len(seeds_P), fact_based, Elicited(len(asked_P), len(own_D), left_out), training, stages.save())


def seed_prompts(demonstrations_D: Demonstrations) -> list[Prompt]:
    """Each instruction of the seeds once."""
    return list({each.prompt.id: each.prompt for each in demonstrations_D if each.is_seed}.values())


def with_prompts(demonstrations_D: Demonstrations, decided_P: Prompts) -> Demonstrations:
    """The demonstrations with what was decided on their instructions."""
    decided = {prompt.id: prompt for prompt in decided_P}
    return [replace(each, prompt=decided[each.prompt.id]) if each.is_seed else each for each in demonstrations_D]


def own_answers(groups_P: Iterable[Group], weight: float) -> tuple[list[Demonstration], dict[str, int]]:
    """A demonstration an answer, in the order of the instructions' ids, and how many answers were left out by reason.

    An answer that the token limit cut off would teach the model to stop anywhere.
    """
    found: list[Demonstration] = []
    left_out: Counter[str] = Counter()
    for group in sorted(groups_P, key=lambda group: group.prompt.id):
        left_out["instruction too long"] += not group.responses_G
        for response in group.responses_G:
            if response.truncated or not response.text.strip():
                left_out["cut off" if response.truncated else "empty"] += 1
            else:
                found.append(Demonstration(group.prompt, response.text.strip(), ELICITED, weight))
    return found, dict(+left_out)
