"""Log-probabilities on a CPU: a shared prompt, padding and batches change no value."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from flame_ray.config import ModelConfig
from flame_ray.engines.base import Continuation
from flame_ray.engines.likelihood import LikelihoodEngine, batches
from flame_ray.engines.models import SMOLLM2, resolve_model


@pytest.fixture(scope="module")
def path() -> str:
    return str(resolve_model(SMOLLM2, ModelConfig()))


def alone(model, asked: Continuation) -> list[float]:
    """One text at a time, with every token's logits."""
    ids = torch.tensor([[*asked.prompt_token_ids, *asked.token_ids]])
    with torch.inference_mode():
        logprobs = model(ids).logits[0].log_softmax(-1)
    start = len(asked.prompt_token_ids)
    return [logprobs[start + k - 1, token].item() for k, token in enumerate(asked.token_ids)]


def test_every_text_has_the_values_that_it_has_alone(path):
    shared = tuple(range(100, 120))
    asked = [
        Continuation(shared, (7, 8, 9)),
        Continuation((5, 6, 900), (11,)),
        Continuation(shared, (40, 41, 42, 43, 44, 45)),
        Continuation((5, 6, 7, 8, 9, 10), (30, 31)),
        Continuation((77,), (3, 4)),
        Continuation(shared, ()),
    ]
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    found = LikelihoodEngine(path, "float32").logprobs(asked)
    for each, values in zip(asked, found, strict=True):
        assert values == pytest.approx(alone(model, each), abs=1e-3)


def test_texts_of_one_prompt_are_scored_together_and_the_others_by_length():
    asked = [Continuation((1,), (2,)), Continuation((3,), (4, 5)), Continuation((1,), (6, 7)), Continuation((8,), (9,) * 4)]
    assert list(batches(asked)) == [[2, 0], [3, 1]]
