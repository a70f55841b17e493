"""One factuality worker: what it yields, and when it reads what it needs."""

import inspect

import pytest

from flame_ray.config import FactualityConfig
from flame_ray.errors import DataError, ModelError
from flame_ray.rewards.factuality.actor import FactualityActor
from flame_ray.rewards.factuality.reward import FactTask, Task
from flame_ray.types import Fact, Group, Passage, Prompt
from tests.builders import make_response

PASSAGE = Passage("mine", "Peru", "Land boundaries, border countries: Chile 168 km")
PROMPT = Prompt("p", "Which countries border Peru?")
RESPONSE = make_response("Peru borders Chile.", round=0)
NOWHERE = FactualityConfig(corpus="nowhere.jsonl")


def test_every_answer_is_a_generator_because_ray_sends_into_it():
    actor = FactualityActor(NOWHERE, corpus=False)
    task, fact = Task(PROMPT, RESPONSE, (PASSAGE,)), FactTask(Fact("Peru borders Chile", 0), given=(PASSAGE,))
    for answers in (actor.score_tasks([task] * 2), actor.check([fact] * 2), actor.described([None] * 2)):
        assert inspect.isgenerator(answers)
        assert next(answers)[0] == 0
        assert answers.send("what Ray sends")[0] == 1


def test_scores_come_with_their_positions_and_can_be_sent_into():
    answers = FactualityActor(FactualityConfig()).score([Group(PROMPT, (RESPONSE,))] * 2)
    position, (found,) = next(answers)
    assert (position, found.supported) == (0, 1)
    assert answers.send("what Ray sends")[0] == 1


def test_who_brings_evidence_needs_no_corpus():
    actor = FactualityActor(NOWHERE, corpus=False)
    assert actor.ready() == 0
    ((_, found),) = actor.score_tasks([Task(PROMPT, RESPONSE, (PASSAGE,))])
    assert found.supported == 1 and found.passages_K == (PASSAGE,)


def test_a_corpus_or_a_model_that_cannot_be_read_is_raised_by_ready_and_not_by_the_constructor():
    with pytest.raises(DataError, match=r"nowhere\.jsonl"):
        FactualityActor(NOWHERE).ready()
    with pytest.raises(ModelError, match="nowhere"):
        FactualityActor(FactualityConfig(checker="nli", checker_model="./nowhere"), corpus=False).ready()


def test_its_checker_is_described_by_threshold_and_identity():
    ((_, (threshold, identity)),) = FactualityActor(FactualityConfig(threshold=0.25), corpus=False).described([None])
    assert threshold == 0.25 and identity.startswith("lexical/")
