"""One verifier: answers in the order of the questions, and a process that ends with its engine."""

import subprocess
import sys
from pathlib import Path

import pytest

from flame_ray.engines.base import Sample, SampleRequest
from flame_ray.engines.models import ModelRef
from flame_ray.engines.vllm_engine import VllmOptions
from flame_ray.errors import EngineDied, ModelError
from flame_ray.rewards.verifier.actor import VerifierActor


class Engine:
    """Finishes its samples in the opposite order; `error` is raised by what computes."""

    max_length = 77

    def __init__(self, error=None):
        self.error = error

    def render(self, messages):
        return tuple(len(message["content"]) for message in messages)

    def encode(self, text):
        return (len(text),)

    def choices(self, prompts, token_ids):
        if self.error:
            raise self.error
        return [tuple(-float(token) for token in token_ids) for _ in prompts]

    def sample(self, requests):
        if self.error:
            raise self.error
        for place in reversed(range(len(requests))):
            yield place, Sample(f"answer {place}", (1,), "stop")


def actor(error=None):
    """As its constructor leaves it, but for the engine."""
    made = VerifierActor.__new__(VerifierActor)
    made._engine = Engine(error)
    return made


def test_samples_come_back_in_the_order_of_their_requests():
    found = actor().sample([SampleRequest((1,), 5)] * 3)
    assert [sample.text for sample in found] == ["answer 0", "answer 1", "answer 2"]


def test_verdicts_are_those_of_the_chat_templates_text(folder):
    found = []
    for template in (None, "{{ messages }}", "{{ messages }}!"):
        made = actor()
        made._options = VllmOptions(ModelRef("mine", str(folder), chat_template=template), "float32", 99, 1, 1.0, 0.5, seed=0)
        found.append(made.about().model)
    assert len({*found}) == 3


def test_what_fits_is_what_the_engine_reads_which_may_be_less_than_the_settings_ask_for(folder):
    made = actor()
    made._options = VllmOptions(ModelRef("mine", str(folder)), "float32", 4096, 1, 1.0, 0.5, seed=0)
    assert made.about().max_length == Engine.max_length


def test_a_model_with_too_few_positions_to_verify_is_refused_by_its_setting(folder):
    model = ModelRef("mine", str(folder), setting="factuality.checker_model")
    made = VerifierActor(VllmOptions(model, "float32", 4096, 1, 1.0, 0.5, seed=0))
    with pytest.raises(ModelError, match=r"at least 1536 positions at factuality\.checker_model; found 64"):
        made.about()


def test_many_chats_are_rendered_at_a_time():
    assert actor().render([[{"role": "user", "content": "abc"}], [{"role": "user", "content": "de"}]]) == [(3,), (2,)]
    assert actor().encode("abcd") == (4,) and actor().choices([(1,), (2,)], (3, 4)) == [(-3.0, -4.0)] * 2


def test_an_error_that_is_the_questions_own_leaves_the_process_alone():
    with pytest.raises(ModelError):
        actor(ModelError("a short prompt", "a long one", "cut it")).choices([(1,)], (1,))


@pytest.mark.parametrize("call", ["choices([(1,)], (1,))", "sample([None])"])
def test_a_process_whose_engine_is_dead_ends_itself_so_that_ray_starts_another(call):
    assert EngineDied.exit_code != 1
    code = f"""
from flame_ray.errors import EngineDied
from tests.unit.rewards.verifier.test_actor import actor
try:
    actor(EngineDied("a living engine", "a dead one", "see its log")).{call}
finally:
    print("went on", flush=True)
"""
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert "the engine is dead" in done.stderr
