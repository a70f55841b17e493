"""A judge worker around an engine that answers by a rule."""

import inspect

import pytest

from flame_ray.config import JudgeConfig
from flame_ray.engines.vllm_engine import VllmOptions
from flame_ray.errors import ModelError
from flame_ray.prompts.classify import NO, QUESTION, YES, classification_messages
from flame_ray.rewards.judge.actor import JudgeActor, make_judge
from flame_ray.rewards.judge.backtranslation import BacktranslationJudge
from flame_ray.rewards.judge.pairwise import PairwiseJudge
from flame_ray.rewards.judge.preference import PreferenceJudge
from flame_ray.rewards.judge.rubric import RubricJudge
from tests.builders import make_group, make_response
from tests.doubles import FakeEngine


class ChoosingEngine(FakeEngine):
    """Says of every chat what the tokens' ids are."""

    def choices(self, prompts, token_ids):
        return [tuple(map(float, token_ids)) for _ in prompts]


def actor(engine: FakeEngine, max_length: int = 1000) -> JudgeActor:
    """As its constructor leaves it, but for the engine."""
    made = JudgeActor.__new__(JudgeActor)
    engine.max_length = max_length
    made._engine, made._judge = engine, make_judge(lambda: engine, JudgeConfig(), 7)
    return made


@pytest.mark.parametrize(
    ("backend", "kind"),
    [
        ("rubric", RubricJudge),
        ("backtranslation", BacktranslationJudge),
        ("preference", PreferenceJudge),
        ("pairwise", PairwiseJudge),
    ],
)
def test_the_settings_choose_the_judge_and_only_one_that_asks_the_model_starts_its_engine(backend, kind):
    engines, config = [FakeEngine()], JudgeConfig(backend=backend)
    assert isinstance(make_judge(engines.pop, config, 7), kind)
    assert (engines == []) == config.kind.asks_model


def test_a_folder_without_weights_of_the_judge_is_refused_by_name(tmp_path):
    with pytest.raises(ModelError, match=rf"nothing at {tmp_path}.*flame-ray train-judge"):
        make_judge(FakeEngine, JudgeConfig(backend="preference", preferences=str(tmp_path)), 7)


@pytest.mark.parametrize(("is_asked", "at_start"), [(True, 1), (False, 0)])
def test_the_engine_of_a_judge_with_a_model_of_its_own_starts_with_it_only_if_it_is_asked_too(is_asked, at_start):
    built = []
    options = VllmOptions("/model", "float32", 1000, 8, 1.0, 0.8, seed=0)
    judge = JudgeActor(
        options, JudgeConfig(backend="preference"), 7, is_asked, lambda given: built.append(given) or ChoosingEngine()
    )
    judge._judge = None  # its own model
    assert judge.ready() == 0 and built == [options] * at_start
    assert len(list(judge.choose([[{"role": "user", "content": "Which?"}]], ["yes"]))) == 1
    assert built == [options]


def test_scores_come_back_in_groups_and_in_order():
    left = iter([-2.0, -4.0, -0.5])
    groups = [make_group(make_response("a", index=0), make_response("b", index=1)), make_group(make_response("c", index=2))]
    found = list(actor(FakeEngine(weighs=lambda asked: (next(left),))).score(groups))
    assert [(place, [score.value for score in scores_G]) for place, scores_G in found] == [(0, [-2.0, -4.0]), (1, [-0.5])]
    assert [score.response_id.index for _, scores_G in found for score in scores_G] == [0, 1, 2]


def test_a_choice_between_words_is_by_the_first_token_of_each_with_the_position_of_its_chat():
    engine = ChoosingEngine()
    yes, _, no = engine.encode("yes other no")
    chats = [[{"role": "user", "content": "Which?"}]] * 2
    answers = actor(engine).choose(chats, ("yes other", "no"))
    assert inspect.isgenerator(answers)
    assert next(answers) == (0, (yes, no))
    assert answers.send("what Ray sends") == (1, (yes, no))


def test_a_chat_is_answered_greedily_and_one_without_room_is_not():
    judge = actor(FakeEngine(writes=lambda text: f"to {text}"), max_length=6)
    chats = [[{"role": "user", "content": text}] for text in ("one", "one two three four five", "two")]
    answers = dict(judge.write(chats, 4))
    assert answers[0].text == "to one" and answers[1] is None and answers[2].text == "to two"
    assert {(request.max_tokens, request.temperature) for request in judge._engine.requests} == {(4, 0.0)}


def test_a_question_about_an_instruction_that_is_too_long_loses_the_middle_of_the_instruction():
    """The classification adds 267 tokens to a prompt that the policy itself has room for."""
    instruction = f"First words. {'very ' * 500}last words."
    engine = FakeEngine(says=lambda text: (-1.0, -2.0))
    short, long = (classification_messages(text) for text in ("Which?", instruction))
    judge = actor(engine, max_length=300)
    assert len(engine.render(short)) < 300 <= len(engine.render(long))
    assert list(judge.choose([short, long], (YES, NO))) == [(0, (-1.0, -2.0)), (1, (-1.0, -2.0))]
    asked = engine.prompts[1]
    assert len(engine.encode(asked)) < 300
    assert "First words. very" in asked and " ... " in asked and asked.endswith(f"very last words.\n\n{QUESTION}")
    assert engine.prompts[0] == "\n".join(message["content"] for message in short)


def test_a_chat_that_fits_is_asked_as_it_is_and_one_that_cannot_be_made_to_fit_is_the_engines_to_refuse():
    engine = FakeEngine()
    list(actor(engine, max_length=8).choose([[{"role": "user", "content": "word " * 40}]], (YES, NO)))
    assert len(engine.encode(engine.prompts[0])) >= 8
