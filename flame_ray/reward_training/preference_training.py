"""Trains the judge of preferences, on which of two responses to an instruction people find more helpful.

The loss is that of a reward model (Ouyang et al., arXiv 2203.02155, equation 1): minus the log-probability, by Bradley and
Terry, of what people say; of a tie, half that of each order.
"""

import random
from collections.abc import Iterable, Sequence

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from flame_ray.config.reward_training import TrainJudgeConfig
from flame_ray.engines.finetuned import short_floats, trained_tensors
from flame_ray.engines.preference_reader import PREFERENCES, encode
from flame_ray.engines.prefix_reader import PrefixClassifier, load_reader
from flame_ray.evaluation.labels import Preference
from flame_ray.prompts.split import stable_fraction
from flame_ray.reward_training.training import Advance, Pace, adapter_optimizer, descend
from flame_ray.seeds import derived_seed
from flame_ray.types import Group, Prompt, Response, ResponseId

WARM_UP = 10  # steps
HEAD_RATE = 3  # times the learning rate of the adapter
SMOOTHING = 0.05  # readers are not sure of every pair: two of them differ on 1 to 5 of 100


def split_preferences(labelled: Sequence[Preference], aside: float) -> tuple[list[Preference], list[Preference]]:
    """Training pairs, and those of about the share `aside` of the prompts. The same pairs are always split the same way."""
    held_out = [stable_fraction(f"preferences/{_prompt(each)}") < aside for each in labelled]
    train, kept = ([each for each, out in zip(labelled, held_out, strict=True) if out is wanted] for wanted in (False, True))
    return train, kept


def with_off_topic(labelled: Sequence[Preference], count: int, seed: int) -> list[Preference]:
    """The pairs, and `count` more of each prompt: one of its answers, preferred to an answer to another prompt.

    People compare answers of one policy to one prompt, which are mostly on its topic, so their labels do not teach what is not.
    """
    draw = random.Random(derived_seed(seed, "off-topic"))
    answers: dict[str, list[str]] = {}
    for each in labelled:
        better = [response.text for response, wins in zip(each.pair.responses_G, _wins(each), strict=True) if wins >= 0.5]
        answers.setdefault(_prompt(each), []).extend(better)
    prompts = list(answers)
    made = []
    for prompt in prompts if len(prompts) > 1 else ():
        for _ in range(count):
            other = draw.choice([each for each in draw.sample(prompts, 2) if each != prompt])
            texts = (draw.choice(answers[prompt]), draw.choice(answers[other]))
            responses = tuple(Response(ResponseId(0, "made", i), text, (), (), "stop", 0) for i, text in enumerate(texts))
            made.append(Preference(Group(Prompt("made", prompt), responses), 1.0, None))
    return [*labelled, *made]


def train_judge(labelled: Sequence[Preference], config: TrainJudgeConfig, seed: int, advance: Advance) -> PrefixClassifier:
    """All pairs of a prompt are read together. Raises EngineError if the loss is not finite."""
    torch.manual_seed(derived_seed(seed, "training"))
    tokenizer, model = load_reader(PREFERENCES, derived_seed(seed, "adapter"))
    steps = [
        step for epoch in range(config.epochs) for step in _steps(labelled, config.batch, derived_seed(seed, "order", epoch))
    ]
    optimizer = adapter_optimizer(model, dict(trained_tensors(model)), config.lr, HEAD_RATE)
    model.train()

    def losses(step: Sequence[Sequence[Preference]]) -> Iterable[torch.Tensor]:
        size = sum(map(len, step))
        for pairs in step:
            yield _loss(model, tokenizer, pairs) / size

    descend(optimizer, steps, losses, Pace(WARM_UP, "train_judge.lr"), advance)
    return model


def _steps(labelled: Sequence[Preference], batch: int, seed: int) -> list[list[list[Preference]]]:
    """One epoch: the pairs of a prompt together, and `batch` prompts a step, in random order."""
    by_prompt: dict[str, list[Preference]] = {}
    for each in labelled:
        by_prompt.setdefault(_prompt(each), []).append(each)
    shuffled = random.Random(seed).sample(list(by_prompt.values()), len(by_prompt))
    return [shuffled[start : start + batch] for start in range(0, len(shuffled), batch)]


def _loss(model: PrefixClassifier, tokenizer: object, pairs: Sequence[Preference]) -> torch.Tensor:
    """Summed over the pairs of one prompt. A response of several pairs is read once."""
    texts = list(dict.fromkeys(response.text for each in pairs for response in each.pair.responses_G))
    with short_floats():
        scores_N = model(*encode(tokenizer, _prompt(pairs[0]), texts))[:, 0].float()
    first, second = (scores_N[[texts.index(each.pair.responses_G[side].text) for each in pairs]] for side in (0, 1))
    wins = torch.tensor([SMOOTHING / 2 + (1 - SMOOTHING) * each.first_wins for each in pairs])
    return binary_cross_entropy_with_logits(first - second, wins, reduction="sum")


def _wins(labelled: Preference) -> tuple[float, float]:
    return labelled.first_wins, 1 - labelled.first_wins


def _prompt(labelled: Preference) -> str:
    return labelled.pair.prompt.text
