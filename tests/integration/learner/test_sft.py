"""Supervised fine-tuning on the learner, against a slow loop of transformers and torch."""

import random

import pytest
import torch

from flame_ray.config import LearnerConfig, ModelConfig
from flame_ray.engines.base import Continuation
from flame_ray.engines.chat import ChatTokenizer
from flame_ray.engines.models import reference
from flame_ray.engines.text_config import longest
from flame_ray.learner.data import Example
from flame_ray.learner.demonstrations import demonstration_examples
from flame_ray.learner.group import LearnerGroup
from flame_ray.prompts.demonstrations import load_demonstrations
from tests.integration.learner.conftest import BASE, SEED, VOCAB
from tests.integration.slow_sft import slow_sft

NLL = {"loss": "nll", "lora": None, "epochs": 2}
CLOSE = 1e-4  # nats a token


@pytest.fixture(scope="module")
def answers():
    """Eleven, of unequal lengths: the last of three batches is filled up."""
    rnd = random.Random(5)

    def ids(count):
        return tuple(rnd.randrange(2, VOCAB) for _ in range(count))

    sequences = [Continuation(ids(rnd.randrange(2, 9)), ids(rnd.randrange(1, 24))) for _ in range(11)]
    return tuple(Example(place, (each,), float(len(each.token_ids))) for place, each in enumerate(sequences))


@pytest.fixture(scope="module")
def slow(model_path, answers):
    return slow_sft(model_path, answers, LearnerConfig(**{**BASE, **NLL}), SEED)


SPREADS = {
    "one rank": {},
    "two ranks, ZeRO 2": {"workers": 2, "micro_batch_pairs": 1, "zero_stage": 2},
    "two ranks, ZeRO 3, packed": {"workers": 2, "micro_batch_pairs": 2, "zero_stage": 3, "packing": True},
    "packed": {"packing": True},
}


@pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS.keys())
def test_losses_and_weights_are_those_of_a_slow_loop(learner, answers, slow, weights, spread):
    group = learner(**NLL, **spread)
    report = group.train(answers, round=1)
    assert report.step_losses == pytest.approx(slow.losses, abs=CLOSE)
    assert len(slow.losses) == report.steps == 6 and slow.losses[-1] < slow.losses[0] - 0.1
    tokens = sum(each.response_tokens for each in answers)
    assert (report.examples, report.tokens) == (11, 2 * tokens)
    for name, value in weights(group).items():
        torch.testing.assert_close(value, slow.weights[name], atol=2e-5, rtol=1e-3, msg=name)


@pytest.mark.long
def test_on_a_language_model_losses_are_those_of_a_slow_loop_too(cluster, model):
    """SmolLM2-135M and the first sixteen of the built-in seeds, in float32: four steps."""
    from flame_ray.config import DemonstrationSource

    seeds = load_demonstrations([DemonstrationSource(source="seeds", limit=16)]).demonstrations
    examples = demonstration_examples(seeds, ChatTokenizer(model, ModelConfig()), longest(model, ModelConfig()), 0.0).examples_D
    config = LearnerConfig(**{**BASE, **NLL, "epochs": 1, "lr": 2e-5, "lr_final": 2e-6})
    group = LearnerGroup.start(reference(str(model)), config, SEED, {"name": "sft", "num_cpus": 0.1})
    try:
        report = group.train(examples, round=1)
    finally:
        group.stop()
    assert report.step_losses == pytest.approx(slow_sft(model, examples, config, SEED).losses, abs=CLOSE)
