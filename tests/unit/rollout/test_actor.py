"""A rollout worker around an engine that finishes its samples in an order of its own."""

import pytest

from flame_ray.engines.base import Continuation, Sample, SampleRequest
from flame_ray.engines.vllm_engine import VllmOptions
from flame_ray.rollout.actor import RolloutActor
from flame_ray.rollout.sampling import SamplingPlan, greedy_plan
from flame_ray.types import Group, Prompt, ResponseId
from tests.doubles import FakeEngine

PROMPTS_P = [Prompt("a", "one"), Prompt("b", "one two")]
PLAN = SamplingPlan(round=2, seed=11, samples=2, max_tokens=16, temperature=0.7)


def worker(engine: FakeEngine) -> RolloutActor:
    return RolloutActor(VllmOptions("/model", "float32", 64, 8, 1.0, 0.8, seed=0), build=lambda options: engine)


def numbered(found: list[tuple[int, Group]]) -> list[tuple[int, str]]:
    return [(number, group.prompt.id) for number, group in found]


def test_each_group_comes_with_its_prompts_number_as_soon_as_it_is_whole():
    engine = FakeEngine(writes=lambda text: f"{len(text.split())} words")
    found = list(worker(engine).generate(PROMPTS_P, PLAN))
    assert numbered(found) == [(1, "b"), (0, "a")]
    for _, group in found:
        assert [response.id for response in group.responses_G] == [ResponseId(2, group.prompt.id, index) for index in (0, 1)]
        assert {response.text for response in group.responses_G} == {f"{len(group.prompt.text.split())} words"}
    assert len({request.seed for request in engine.requests}) == 4


def test_a_call_that_may_leave_samples_ends_early_and_the_next_one_goes_on_with_them_beside_its_own_prompts():
    engine = FakeEngine()
    actor = worker(engine)
    assert numbered(list(actor.generate(PROMPTS_P, PLAN, first=0, left=2))) == [(1, "b")]
    assert len(engine.running) == 2
    more = [Prompt("c", "three"), Prompt("d", "four")]
    assert numbered(list(actor.generate(more, greedy_plan(2, 9), first=2, left=2))) == [(3, "d"), (2, "c")]
    assert numbered(list(actor.generate([], PLAN, first=4, left=0))) == [(0, "a")]
    assert not engine.running
    assert [request.max_tokens for request in engine.requests] == [16] * 4 + [9] * 2


def test_each_sample_carries_the_version_that_was_there_when_its_prompt_came():
    engine = FakeEngine(weight_version=4)
    actor = worker(engine)
    (before,) = [group for _, group in actor.generate(PROMPTS_P[:1], PLAN)]
    engine.load_weights(None, 5)  # type: ignore[arg-type]
    (after,) = [group for _, group in actor.generate(PROMPTS_P[:1], PLAN)]
    assert [{response.weight_version for response in group.responses_G} for group in (before, after)] == [{4}, {5}]


def test_after_an_error_nothing_is_left_in_the_engine_and_the_next_call_begins_anew():
    def refuse(text: str) -> Sample:
        raise KeyError(text)

    engine = FakeEngine(writes=refuse)
    actor = worker(engine)
    with pytest.raises(KeyError, match="two"):
        list(actor.generate(PROMPTS_P, PLAN))
    assert not engine.running
    engine.writes = lambda text: "an answer"
    assert numbered(list(actor.generate(PROMPTS_P, PLAN))) == [(1, "b"), (0, "a")]


def test_texts_that_are_no_chats_are_continued_and_weighed_with_their_places():
    engine = FakeEngine(writes=lambda text: f"after {text}", weighs=lambda asked: (-float(len(asked.token_ids)),))
    actor = worker(engine)
    requests = [SampleRequest(engine.encode(text), 8, stop=("Q:",)) for text in ("one", "two")]
    assert {place: sample.text for place, sample in actor.write(requests)} == {0: "after one", 1: "after two"}
    assert engine.requests[0].stop == ("Q:",)
    weighed = actor.weigh([Continuation((1,), (2, 3)), Continuation((1,), (2,))])
    assert (next(weighed), weighed.send("what Ray sends")) == ((0, (-2.0,)), (1, (-1.0,)))
    engine.says = lambda text: (-float(len(text.split())), -9.0)
    chosen = actor.choose([engine.encode("one two"), engine.encode("three")], (4, 5))
    assert (next(chosen), chosen.send("what Ray sends")) == ((0, (-2.0, -9.0)), (1, (-1.0, -9.0)))


def test_a_prompt_that_is_no_chat_is_continued_as_the_beginning_of_a_document_up_to_a_stop():
    engine = FakeEngine(writes=lambda text: text)
    plan = SamplingPlan(2, 11, samples=1, max_tokens=16, temperature=0.7, chat=False, stop=("\n###",))
    ((_, group),) = worker(engine).generate(PROMPTS_P[:1], plan)
    assert group.responses_G[0].text == "<begin> one"
    assert [request.stop for request in engine.requests] == [("\n###",)]
