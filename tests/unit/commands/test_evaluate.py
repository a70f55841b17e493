"""What `flame-ray evaluate` keeps and never does again, which model it takes, and when a judge is no judge."""

import io
import json
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml
from rich.console import Console

from flame_ray.cluster.pool import Limits
from flame_ray.commands import evaluate as evaluate_module
from flame_ray.commands import evaluate_pools
from flame_ray.commands.evaluate import (
    Context,
    EvaluateRequest,
    _asks_judge,
    _check_read,
    _check_room,
    _judgements,
    _maker,
    _run,
    _serving,
    measured,
    suite_made_by,
)
from flame_ray.commands.evaluate_stages import EvaluationStages, answers_made_by, judged_by
from flame_ray.commands.evaluated_model import EvaluatedModel, find_model
from flame_ray.config import Config
from flame_ray.config.load import lasting, parse_config
from flame_ray.elicitation.few_shot import STOP
from flame_ray.elicitation.prompts import PromptMaker
from flame_ray.engines.base import Continuation, SampleRequest
from flame_ray.engines.models import KnownModel, ModelRef
from flame_ray.errors import ConfigError, DataError, EngineError, FlameError, ModelError, StorageError
from flame_ray.evaluation.suites import make_suite
from flame_ray.evaluation.suites.base import Answered, Comparison, Suite
from flame_ray.evaluation.suites.facts import FactMeasure
from flame_ray.evaluation.suites.pairwise import NO_ROOM, UNREAD, WinRate
from flame_ray.report.progress import Screen
from flame_ray.rewards.judge.rubric import UNREAD as UNREAD_SCORE
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.storage.atomic import json_digest
from flame_ray.types import Missing, VerdictLabel
from tests.builders import (
    make_demonstration,
    make_fact_score,
    make_group,
    make_missing,
    make_prompt,
    make_response,
    make_sample,
    make_score,
)
from tests.doubles import FakePool, SeenScreen

PROMPTS = [make_prompt(name, f"What is {name}?", fact_based=True) for name in ("a", "b", "c")]


class Workers(FakePool):
    """Notes the plans of what it samples."""

    limits = Limits(workers=1, min_workers=1, batch=4)

    def submit(self, method, item, *context, **how):
        if method == "choose":
            self.contexts = [*getattr(self, "contexts", []), *context]
        self.plans = [*getattr(self, "plans", []), *(each for each in context if isinstance(each, SamplingPlan))]
        return super().submit(method, item, *context, **how)


class FakePools:
    """Pools that answer at once by a rule; each counts what it is asked."""

    def __init__(self, answer=None, judge=None, score=None):
        self.answering, self.judging = Workers(answer or echo), Workers(judge)
        self.scored: list[str] = []
        self._score = score or (lambda task: make_fact_score(VerdictLabel.SUPPORTED))

    def samplers(self):
        return self.answering

    def judge(self):
        return self.judging

    def factuality(self, corpus):
        self.corpus = corpus
        return self

    def scores(self, items):
        for item, task in items:
            self.scored.append(task.response.text)
            yield item, self._score(task)


def echo(method, prompt):
    return make_group(make_response(f"{prompt.text} It is.", round=0, prompt=prompt.id), prompt=prompt)


@pytest.fixture
def stages(monkeypatch, tmp_path):
    """Makes the stages of a new process, which share one cache."""
    monkeypatch.setenv("FLAME_RAY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "judge").mkdir()
    judge = KnownModel(ModelRef("judge"), tmp_path / "judge", {})

    def make(pools: FakePools, fingerprint: str = "mine", seeds=None, limit=1000, **sections) -> EvaluationStages:
        model, config = EvaluatedModel("mine", judge, None, fingerprint), parse_config(sections, "here")
        maker = PromptMaker(seeds, config, words, limit) if seeds else None
        return EvaluationStages(config, model, judge, pools, Screen(Console(file=io.StringIO())), maker)

    return make


def words(text):
    return len(text.split())


def asked(pool: FakePool) -> list[str]:
    return [item.id for _, item in pool.asked]


def test_a_prompt_is_answered_once_and_another_call_answers_only_what_is_new(stages):
    first, second = FakePools(), FakePools()
    answers = stages(first).answers(PROMPTS[:2])
    assert [each.text for each in answers] == ["What is a? It is.", "What is b? It is."]
    assert stages(second).answers(PROMPTS)[:2] == answers
    assert asked(first.answering) == ["a", "b"] and asked(second.answering) == ["c"]


def test_what_a_killed_command_has_answered_is_kept(stages):
    def dies(method, prompt):
        if prompt.id == "c":
            raise EngineError("a", "b", "c")
        return echo(method, prompt)

    with pytest.raises(EngineError):
        stages(FakePools(dies)).answers(PROMPTS)
    after = FakePools()
    stages(after).answers(PROMPTS)
    assert asked(after.answering) == ["c"]


def test_other_weights_or_settings_are_asked_anew_and_more_workers_are_not(stages):
    stages(FakePools()).answers(PROMPTS)
    for changed in ({"fingerprint": "other"}, {"suites": {"max_tokens": 9}}):
        pools = FakePools()
        stages(pools, **changed).answers(PROMPTS)
        assert asked(pools.answering) == ["a", "b", "c"], changed
    pools = FakePools()
    stages(pools, rollout={"workers": 7}).answers(PROMPTS)
    assert asked(pools.answering) == []


def test_suites_with_the_same_prompt_share_its_answer_under_their_own_ids(stages):
    stages(FakePools()).answers(PROMPTS[:1])
    pools = FakePools()
    (answer,) = stages(pools).answers([make_prompt("elsewhere/1", PROMPTS[0].text)])
    assert asked(pools.answering) == [] and answer.id.prompt_id == "elsewhere/1"


SEEDS = [make_demonstration(f"What is {name}?", f"{name} is good.") for name in ("salt", "a", "water")]
TWO = {"sft": {"elicit": {"shots": 2}}}


def continues(method, prompt):
    return make_group(make_response(" It is so.\n", round=0, prompt=prompt.id), prompt=prompt)


def test_a_prompt_is_asked_in_plain_text_after_seeds_that_are_not_itself_and_up_to_the_next_heading(stages):
    pools = FakePools(continues)
    (answer,) = stages(pools, seeds=SEEDS, **TWO).answers(PROMPTS[:1])
    ((_, prompt),), (plan,) = pools.answering.asked, pools.answering.plans
    assert prompt.text.endswith("### Instruction:\nWhat is a?\n\n### Response:\n")
    assert "salt is good." in prompt.text and "water is good." in prompt.text and "a is good." not in prompt.text
    assert (plan.chat, plan.stop, plan.temperature, plan.max_tokens) == (False, STOP, 0.0, 512)
    assert (answer.text, answer.id.prompt_id) == ("It is so.", "a")


def test_answers_to_chats_and_after_other_examples_or_passages_are_others(stages, tmp_path):
    lima = make_prompt("lima", "Where is Lima?")
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"title": "Lima", "text": "A city in Peru."}\n')
    passages = {"sft": {"elicit": {"shots": 2, "passages": 1}}, "factuality": {"corpus": str(corpus)}}
    stages(FakePools(continues), seeds=SEEDS, **TWO).answers([lima])
    for changed in (
        {},
        {"seeds": [*SEEDS, make_demonstration("Who?", "She.")], **TWO},
        {"seeds": SEEDS, "sft": {"elicit": {"shots": 1}}},
        {"seeds": SEEDS, **passages},
    ):
        pools = FakePools(continues)
        stages(pools, **changed).answers([lima])
        assert asked(pools.answering) == ["lima"], changed
    assert "### Passage:\nLima: A city in Peru.\n\n### Instruction:\nWhere is Lima?" in pools.answering.asked[0][1].text
    again = FakePools(continues)
    stages(again, seeds=SEEDS, **TWO).answers([lima])
    assert asked(again.answering) == []


@pytest.mark.parametrize("elicit", [{"similarity": "dense"}, {"passages": 1}])
def test_examples_and_passages_are_those_of_the_content_of_the_models_that_find_them(folder, tmp_path, elicit):
    named = {"embedder": str(folder)}
    sections = {
        "sft": {"elicit": {"shots": 2} | named | elicit},
        "factuality": {"retriever": "dense", "corpus": "factbook"} | named,
    }

    def found():
        return PromptMaker(SEEDS, parse_config(sections, "here"), words, 1000).made_by()

    before = found()
    assert found() == before
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert found() != before


def test_a_prompt_without_room_for_an_answer_is_named(stages):
    long = make_prompt("long", "word " * 30)
    with pytest.raises(DataError, match=r"prompt `long`: 'word word.*suites\.max_length"):
        stages(FakePools(continues), seeds=SEEDS, limit=20, **TWO).answers([PROMPTS[0], long])


def test_what_few_shot_prompts_need_is_missed_before_anything_starts(folder, add_tokenizer):
    add_tokenizer(folder)
    model = EvaluatedModel("mine", KnownModel(ModelRef("mine"), folder, {}), None, "mine")
    assert _maker(Config(), model) is None
    seeds = {"sources": [{"source": "seeds"}]}
    for sft, said in (
        ({}, "sft.sources with a set of instructions"),
        (seeds | {"elicit": {"passages": 1}}, "nowhere.jsonl"),
        (seeds | {"elicit": {"similarity": "dense", "embedder": "./none"}}, r"\./none"),
    ):
        asked_so = {"suites": {"ask": "few_shot"}, "factuality": {"corpus": "nowhere.jsonl"}, "sft": sft}
        with pytest.raises(FlameError, match=said):
            _maker(parse_config(asked_so, "here"), model)


def test_facts_are_checked_once_on_each_corpus_and_a_failure_is_tried_again(stages):
    responses = [make_response("good"), make_response("bad")]

    def score(task):
        return make_missing("worker lost") if task.response.text == "bad" else make_fact_score(VerdictLabel.CONTRADICTED)

    pools = FakePools(score=score)
    found = stages(pools).facts(PROMPTS[:2], responses, "factbook")
    assert found[0].contradicted == 1 and found[0].response_id.prompt_id == "a"
    assert isinstance(found[1], Missing) and pools.scored == ["good", "bad"]
    again = FakePools()
    found = stages(again, factuality={"workers": 3}).facts(PROMPTS[:2], responses, "factbook")
    assert again.scored == ["bad"] and again.corpus == "factbook"
    assert [each.supported for each in found] == [0, 1]
    other = FakePools()
    stages(other, factuality={"retrieve": 3}).facts(PROMPTS[:2], responses, "factbook")
    assert other.scored == ["good", "bad"]


def judge_by(verdicts):
    """Says of a chat what `verdicts` says of its two responses, in the order of the chat."""

    def answer(method, chat):
        assert method == "write"
        text = chat[0]["content"]
        first, second = (text.split(f"⟦response {side}⟧\n")[1].split("\n⟦end")[0] for side in "AB")
        found = verdicts(first, second)
        return found if found is None else make_sample(found)

    return answer


REFERENCES = {"a": "ref", "b": "ref", "c": "ref"}


def test_two_answers_are_compared_in_both_orders(stages):
    responses = [make_response("better"), make_response("alike"), make_response("")]
    pools = FakePools(judge=judge_by(lambda a, b: f"Verdict: {'A' if a == 'better' else 'B' if b == 'better' else 'A'}"))
    found = stages(pools).comparisons(PROMPTS, responses, REFERENCES)
    assert found == [Comparison((1.0, 1.0)), Comparison((1.0, 0.0)), Comparison((0.0,))]
    assert len(pools.judging.asked) == 4  # nobody is asked about an empty answer
    again = FakePools()
    assert stages(again).comparisons(PROMPTS, responses, REFERENCES) == found and again.judging.asked == []


@pytest.mark.parametrize("compare", ["ask", "score"])
def test_an_empty_answer_loses_to_one_that_is_not_whichever_it_is(stages, compare):
    responses = [make_response("full"), make_response(" "), make_response("")]
    pools = FakePools()
    found = stages(pools, suites={"compare": compare}).comparisons(PROMPTS, responses, {"a": "", "b": "ref", "c": "\n"})
    assert [each.value for each in found] == [1.0, 0.0, 0.5]
    assert pools.judging.asked == []


def test_a_comparison_that_cannot_be_read_or_has_no_room_is_missing(stages):
    responses = [make_response("a"), make_response("long")]
    pools = FakePools(judge=judge_by(lambda a, b: None if "long" in (a, b) else "I like both."))
    found = stages(pools).comparisons(PROMPTS[:2], responses, REFERENCES)
    assert [each.reason for each in found] == [UNREAD, NO_ROOM]


def test_a_judge_that_only_scores_compares_by_its_scores(stages):
    values = {"better": 2.0, "worse": -1.0, "ref": 0.5}

    def score(method, group):
        texts = [response.text for response in group.responses_G]
        return tuple(
            make_missing("judge: no finite score") if text == "strange" else make_score(values[text]) for text in texts
        )

    responses = [make_response("better"), make_response("worse"), make_response("strange")]
    pools = FakePools(judge=score)
    better, worse, strange = stages(pools, suites={"compare": "score"}).comparisons(PROMPTS, responses, REFERENCES)
    assert (better, worse) == (Comparison((1.0,), (2.0, 0.5), read=2), Comparison((0.0,), (-1.0, 0.5), read=2))
    assert strange.reason == "judge: no finite score"
    again = FakePools(judge=score)
    stages(again, suites={"compare": "score"}).comparisons(PROMPTS, responses, REFERENCES)
    assert [group.prompt.id for _, group in again.judging.asked] == ["c"]  # a failure is tried again


def test_judgements_without_a_score_are_counted_though_others_of_their_answers_have_one(stages, caplog):
    def score(method, group):
        unread = {"a": 1, "c": 3}.get(group.prompt.id, 0)
        own = replace(make_missing(UNREAD_SCORE) if unread == 3 else make_score(samples=(4.0,) * (3 - unread)), unread=unread)
        return own, make_score(2.0, samples=(2.0, 2.0, 2.0))

    rubric = {"suites": {"compare": "score"}, "judge": {"backend": "rubric"}}
    responses = [make_response("good")] * 3
    found = stages(FakePools(judge=score), **rubric).comparisons(PROMPTS, responses, REFERENCES)
    assert [(each.read, each.unread) for each in found[:2]] == [(5, 1), (6, 0)] and found[2].unread == 3
    again = stages(FakePools(judge=score), **rubric).comparisons(PROMPTS[:2], responses[:2], REFERENCES)
    assert again == found[:2], "what is kept is counted too"
    rows = [Answered(prompt, each, comparison=one) for prompt, each, one in zip(PROMPTS, responses, found, strict=True)]
    suite = Suite("mine", tuple(PROMPTS), WinRate(REFERENCES))
    assert measured(suite, rows, Config()).noted == {"judgements of 15 without a score that can be read": 4}
    assert not measured(suite, rows[1:2], Config()).noted
    _judgements(rows[1:2]).warn("mine")
    assert caplog.text == ""
    _judgements(rows).warn("mine")
    assert "mine: no score could be read in 4 of 15 judgements" in caplog.text


def test_texts_are_weighed_and_continued_once_and_in_order(stages):
    def answer(method, item):
        return (-float(len(item.token_ids)),) if method == "weigh" else make_sample(f"after {item.prompt_token_ids}")

    asked_for = [Continuation((1,), (2, 3)), Continuation((1,), (2,)), Continuation((1,), (2, 3))]
    pools = FakePools(answer)
    assert stages(pools).weighed(asked_for) == [(-2.0,), (-1.0,), (-2.0,)]
    assert len(pools.answering.asked) == 2
    requests = [SampleRequest((1, 2), 8, stop=("Q:",)), SampleRequest((3,), 8)]
    assert stages(FakePools(answer)).continued(requests) == ["after (1, 2)", "after (3,)"]
    again = FakePools(answer)
    assert stages(again).continued(requests[::-1]) == ["after (3,)", "after (1, 2)"] and again.answering.asked == []


def test_choices_of_one_token_that_share_their_context_are_one_question_each_time_with_the_same_answers(stages):
    def answer(method, item):
        return (-4.0, -5.0, -6.0) if method == "choose" else (-1.0,) * len(item.token_ids)

    letters = [Continuation((1, 2), (id,)) for id in (5, 4, 6)]
    others = [Continuation((1, 2), (4, 5)), Continuation((3,), (4,))]
    pools = FakePools(answer)
    assert stages(pools).weighed([*letters, *others]) == [(-5.0,), (-4.0,), (-6.0,), (-1.0, -1.0), (-1.0,)]
    assert sorted(pools.answering.asked, key=str) == [("choose", (1, 2)), *(("weigh", each) for each in others)]
    assert pools.answering.contexts == [(4, 5, 6)]
    again = FakePools(answer)
    assert stages(again).weighed(letters[1:]) == [(-4.0,), (-6.0,)] and again.answering.asked == []


def test_no_judge_is_asked_to_classify_what_is_known(stages):
    pools = FakePools(judge=lambda method, chat: (-1.0, -3.0) if "a?" in chat[-1]["content"] else (-3.0, -1.0))
    assert [prompt.id for prompt in stages(pools).fact_based(PROMPTS)] == ["a"]
    again = FakePools()
    assert [prompt.id for prompt in stages(again).fact_based(PROMPTS)] == ["a"] and again.judging.asked == []


def test_there_is_a_bar_while_prompts_are_classified(stages):
    screen, seen = SeenScreen(), set()

    def judge(method, chat):
        seen.add(tuple(screen.labels))
        return -1.0, -3.0

    made = stages(FakePools(judge=judge))
    made._screen = screen
    made.fact_based(PROMPTS)
    assert seen == {("classify",)} and screen.labels == []


def test_a_suite_of_facts_without_an_instruction_that_needs_them_is_an_error(stages):
    pools = FakePools(judge=lambda method, chat: (-3.0, -1.0))
    with pytest.raises(DataError, match=r"none of 3.*classify\.threshold"):
        stages(pools).fact_based(PROMPTS)


def test_labels_decide_on_no_suite_which_has_none_and_the_judge_is_asked_instead(stages):
    pools = FakePools(judge=lambda method, chat: (-1.0, -3.0) if "a?" in chat[-1]["content"] else (-3.0, -1.0))
    found = stages(pools, classify={"by": "label"}).fact_based(PROMPTS)
    assert [prompt.id for prompt in found] == ["a"] and len(pools.judging.asked) == 3


def test_a_light_classifier_decides_without_a_judge_where_the_settings_say_so(stages, tmp_path):
    pytest.importorskip("sentence_transformers")
    texts = {"Which river runs through Vienna?": True, "What is the capital of Peru?": True, "Write a poem.": False}
    labels = tmp_path / "labels.jsonl"
    labels.write_text("".join(json.dumps({"prompt": text, "facts": label}) + "\n" for text, label in texts.items()))
    source = {"source": str(labels), "label_column": "facts", "heldout_fraction": 0}
    classify = {"by": "embedding", "labels": [source]}
    poem, suite = make_prompt("poem", "Write a poem about a cat."), Suite("mine", (), FactMeasure(), only_fact_based=True)
    config = parse_config({"classify": classify}, "here")
    pools = FakePools(judge=lambda method, chat: (-1.0, -3.0))
    assert stages(pools, classify=classify).fact_based([*PROMPTS, poem]) == tuple(PROMPTS)
    assert pools.judging.asked == [] and not _asks_judge(suite, config) and _asks_judge(suite, Config())


def test_facts_on_which_the_checker_failed_are_counted_though_their_answers_have_a_precision():
    facts = make_fact_score(VerdictLabel.SUPPORTED, VerdictLabel.ERROR, VerdictLabel.ERROR)
    found = measured(Suite("mine", (), FactMeasure()), [Answered(PROMPTS[0], make_response(), facts)], Config())
    assert found.noted == {"facts on which the checker failed (answers with one have no counts of facts)": 2}
    assert (found.figures["precision"].n, found.figures["correct_facts"].n, found.missing) == (1, 0, {})


def test_answers_that_could_not_be_scored_are_counted_by_their_reasons():
    rows = [Answered(PROMPTS[0], make_response(), facts=make_missing("worker lost"))] * 2
    rows.append(Answered(PROMPTS[0], make_response(tokens=(1, 2, 3)), facts=make_fact_score(VerdictLabel.SUPPORTED)))
    result = measured(Suite("mine", tuple(PROMPTS), FactMeasure()), rows, Config())
    assert result.missing == {"worker lost": 2} and result.prompts == 3
    assert result.figures["precision"].n == 1 and result.figures["tokens"].n == 3


@pytest.mark.parametrize(("unread", "raises"), [(1, False), (2, True)])
def test_a_judge_that_cannot_be_read_more_than_one_time_in_twenty_is_an_error(unread, raises, tmp_path):
    prompts = tuple(make_prompt(str(number)) for number in range(20))
    suite = Suite("mine", prompts, WinRate({prompt.id: "ref" for prompt in prompts}))
    found = [make_missing(UNREAD) if at < unread else Comparison((1.0, 1.0)) for at in range(20)]
    rows = [Answered(prompt, make_response(), comparison=each) for prompt, each in zip(prompts, found, strict=True)]
    result = measured(suite, rows, Config())
    if raises:
        with pytest.raises(ModelError, match=r"2 of 20 without a result.*suites\.compare"):
            _check_read(suite, result, Config(), tmp_path)
    else:
        _check_read(suite, result, Config(), tmp_path)
        assert result.figures["win_rate"].n == 19


@pytest.mark.parametrize(
    ("suites", "judge", "fits"),
    [
        ({"max_tokens": 1000, "max_length": 2048}, {}, False),
        ({"max_tokens": 1000, "max_length": 2500}, {}, True),
        ({"max_tokens": 900, "max_length": 2500}, {"max_tokens": 900}, False),
        ({"max_tokens": 900, "max_length": 2048, "compare": "score"}, {"backend": "rubric"}, True),
        ({"max_tokens": 1950, "max_length": 2048, "compare": "score"}, {"backend": "rubric"}, False),
        ({"max_tokens": 1950, "max_length": 2048, "compare": "score"}, {"backend": "preference"}, True),
    ],
)
def test_a_job_whose_answers_cannot_fit_the_judge_is_named_before_anything_is_placed(
    folder, add_tokenizer, suites, judge, fits
):
    add_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 4096}))
    config = _serving(parse_config({"suites": suites, "judge": judge}, "here"))
    known = KnownModel(ModelRef("judge"), folder, {})
    if fits:
        _check_room(known, config)
    else:
        with pytest.raises(
            ConfigError, match=r"suites\.max_tokens \d+ in what the judge reads.*found 2\d\d\d.*suites\.max_length"
        ):
            _check_room(known, config)


def test_a_judge_with_fewer_positions_than_the_setting_is_named_and_the_setting_is_not_to_be_raised(folder, add_tokenizer):
    add_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_positions": 1024}))
    config = _serving(parse_config({"suites": {"max_tokens": 600}}, "here"))
    expected = (
        r"found 1024 \(the model's 1024 positions, fewer than suites\.max_length 2048\).* name a model with more positions,"
    )
    with pytest.raises(ConfigError, match=expected):
        _check_room(KnownModel(ModelRef("judge"), folder, {}), config)


def test_few_shot_prompts_and_multiple_choice_have_no_room_beyond_the_models_positions(folder, add_tokenizer, tmp_path):
    add_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_positions": 1024}))
    (tmp_path / "seeds.jsonl").write_text(json.dumps({"prompt": "Where is Lima?", "answer": "In Peru."}) + "\n")
    named = folder / "tokenizer_config.json"
    named.write_text(json.dumps(json.loads(named.read_text()) | {"eos_token": "[ANSWER]"}))
    sections = {
        "suites": {"ask": "few_shot", "max_tokens": 100},
        "sft": {"sources": [{"source": str(tmp_path / "seeds.jsonl")}], "elicit": {"shots": 1}},
    }
    config = _serving(parse_config(sections | {"model": {"policy": str(folder)}}, "here"))
    model = EvaluatedModel("m", KnownModel(ModelRef("m"), folder, {}), None, "mine")
    assert _maker(config, model)._limit == 1024 - 100 - 1
    asked = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(evaluate_module, "run_harness", lambda suite, stages, tokenizer, most: asked.append(most) or ([], 0))
        patched.setattr(evaluate_module, "questions", lambda suite: 0)
        suite = SimpleNamespace(name="mmlu", malformed=0, figures=lambda samples, config: {})
        context = SimpleNamespace(model=model, config=config, stages=None)
        _run(suite, context)
    assert asked == [1024]


def made_by(fingerprint="mine", prompts=tuple(PROMPTS), seeds=None, measure=FactMeasure(), **sections) -> str:  # noqa: B008  (frozen)
    known = KnownModel(ModelRef("judge"), None, {})  # type: ignore[arg-type]
    config = parse_config(sections, "here")
    maker = PromptMaker(seeds, config, words, 1000) if seeds else None
    context = Context(config, EvaluatedModel("m", known, None, fingerprint), known, None, None, None, maker)  # type: ignore[arg-type]
    return json_digest(lasting(suite_made_by(Suite("mine", prompts, measure, corpus="factbook"), context)))


def test_references_are_those_of_the_win_rate_alone_and_each_suite_may_have_its_own_folder(tmp_path):
    for name, output in (("own", "Peru is."), ("other", "Chile is.")):
        (tmp_path / f"{name}.json").write_text(json.dumps([{"instruction": "Where is Lima?", "output": output}]))
    config = parse_config({"suites": {"alpaca": str(tmp_path / "own.json")}, "factuality": {"corpus": "factbook"}}, "here")
    suites = ("alpaca-eval", "alpaca-fact")
    request = EvaluateRequest("m", suites, tmp_path, {"alpaca-fact": tmp_path / "facts"}, tmp_path / "other.json")
    assert list(request.suite("alpaca-eval", config).references.values()) == ["Chile is."]
    assert request.suite("alpaca-fact", config).prompts_P == make_suite("alpaca-fact", config).prompts_P
    model = EvaluatedModel("runs/m", None, None, "0123456789")
    assert [request.folder(name, model) for name in suites] == [tmp_path / "m-01234567", tmp_path / "facts/m-01234567"]


def test_an_evaluation_has_a_bar_while_it_looks_for_its_model_and_while_it_connects(monkeypatch):
    seen = []

    def looks(*_):
        seen.append(list(SeenScreen.made[-1].labels))
        raise ModelError("a model", "none", "give one")

    @contextmanager
    def connects(*_):
        seen.append(list(SeenScreen.made[-1].labels))
        raise ConnectionError
        yield

    monkeypatch.setattr(evaluate_module, "Screen", SeenScreen)
    monkeypatch.setattr(evaluate_module, "find_model", looks)
    monkeypatch.setattr(evaluate_pools, "connected", connects)
    console = Console(file=io.StringIO())
    with pytest.raises(ModelError):
        evaluate_module.evaluate(Config(), EvaluateRequest("m", ("factbook",)), console, console)
    model = EvaluatedModel("m", KnownModel(ModelRef("m"), None, {}), None, "0")  # type: ignore[arg-type]
    with pytest.raises(ConnectionError), evaluate_pools.Pools(Config(), model, model.base, SeenScreen()) as pools:
        pools.samplers()
    assert seen == [["check the suites"], ["connect to Ray"]]


def test_a_result_is_that_of_the_model_the_prompts_and_the_settings_that_made_it():
    same = made_by()
    assert made_by(factuality={"workers": 2}, rollout={"workers": 3}, cluster={"address": "local"}) == same
    assert made_by(prompts=tuple(PROMPTS[:2])) != same
    assert made_by(fingerprint="other") != same and made_by(measure=FactMeasure(as_safe=True)) != same
    few_shot = [
        made_by(seeds=SEEDS, **TWO),
        made_by(seeds=SEEDS[:2], **TWO),
        made_by(seeds=SEEDS, sft={"elicit": {"shots": 1}}),
    ]
    assert len({same, *few_shot}) == 4
    for changed in (
        {"score": {"recall_at": 9}},
        {"run": {"seed": 1}},
        {"factuality": {"retrieve": 7}},
        {"suites": {"max_tokens": 9}},
        {"model": {"chat_template_kwargs": {"enable_thinking": False}}},
    ):
        assert made_by(**changed) != same, changed


@pytest.fixture
def run(tmp_path, folder):
    """Makes the folder of a run on the model in `folder`, with an adapter of each trained round."""

    def make(trained: int, best: dict | None = None):
        place = tmp_path / "runs" / "mine"
        for round in range(1, trained + 1):
            (place / f"checkpoints/round-{round:04d}/state").mkdir(parents=True)
            add_adapter(place / f"checkpoints/round-{round:04d}/adapter", str(round))
        place.mkdir(parents=True, exist_ok=True)
        config = parse_config({"model": {"policy": str(folder), "dtype": "float32"}, "learner": {"dtype": "float32"}}, "here")
        (place / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
        if best is not None:
            (place / "best").mkdir()
            (place / "best/best.json").write_text(json.dumps(best))
        return place

    return make


def add_adapter(place, content: str):
    place.mkdir(parents=True)
    (place / "adapter_model.safetensors").write_text(content)


def test_a_model_is_itself_and_a_run_is_what_it_delivered(run, folder):
    plain, config = find_model(str(folder), Config())
    assert plain.stored is None and plain.base.folder == folder and config == Config()
    place = run(trained=2, best={"round": 1, "models": ["adapter"]})
    add_adapter(place / "best/adapter", "1")
    found, config = find_model(str(place), Config.model_validate({"model": {"max_length": 99}}))
    assert found.base.folder == folder and found.stored.folder == place / "best/adapter"
    assert found.stored.adapter_dtype == "float32"
    assert (config.model.dtype, config.model.policy, config.model.max_length) == ("float32", str(folder), 99)
    assert len({plain.fingerprint, found.fingerprint}) == 2


def test_a_judges_verdicts_are_those_of_its_templates_variables(folder):
    known = KnownModel(ModelRef("judge"), folder, {})
    plain, silent = ({}, {"judge": {"chat_template_kwargs": {"enable_thinking": False}}})
    assert judged_by(parse_config(plain, "here"), known) != judged_by(parse_config(silent, "here"), known)


def test_answers_verdicts_and_classes_are_those_of_the_chat_templates_text(folder, tmp_path, stages):
    template = tmp_path / "chat.jinja"
    config = parse_config({"model": {"policy": str(folder), "chat_template": str(template)}}, "here")
    asking, found = {"judge": lambda method, chat: (-1.0, -3.0)}, []
    for text in ("{{ messages }}", "{{ messages }}", "{{ messages }}!"):
        template.write_text(text)
        model, _ = find_model(str(folder), config)
        pools = FakePools(**asking)
        EvaluationStages(config, model, model.base, pools, Screen(Console(file=io.StringIO()))).fact_based(PROMPTS)
        found.append((answers_made_by(config, model), judged_by(config, model.base), len(pools.judging.asked)))
    assert [asked for *_, asked in found] == [3, 0, 3]
    assert found[0][:2] == found[1][:2] and found[0][0] != found[2][0] and found[0][1] != found[2][1]


def test_a_run_is_served_with_the_chat_template_that_it_was_trained_with(run, folder):
    place = run(trained=1, best={"round": 0, "models": []})
    stored = yaml.safe_load((place / "config.yaml").read_text())
    stored["model"] |= {"chat_template": "plain", "chat_template_kwargs": {"enable_thinking": False}}
    (place / "config.yaml").write_text(yaml.safe_dump(stored))
    _, config = find_model(str(place), Config())
    assert (config.model.chat_template, config.model.chat_template_kwargs) == ("plain", {"enable_thinking": False})


def test_a_run_that_chose_no_best_round_is_its_last_one_and_other_weights_are_another_model(run):
    place = run(trained=2)
    found, _ = find_model(str(place), Config())
    assert found.stored.folder == place / "checkpoints/round-0002/adapter"
    (place / "checkpoints/round-0002/adapter/adapter_model.safetensors").write_text("changed")
    assert find_model(str(place), Config())[0].fingerprint != found.fingerprint


def test_a_run_whose_best_round_is_its_start_is_the_model_that_it_began_with(run, folder):
    found, _ = find_model(str(run(trained=1, best={"round": 0, "models": []})), Config())
    assert found.stored is None and found.fingerprint == find_model(str(folder), Config())[0].fingerprint


def test_a_run_that_has_trained_nothing_is_refused(run):
    with pytest.raises(StorageError, match=r"a run with a trained model.*runs/mine"):
        find_model(str(run(trained=0)), Config())


def test_a_word_that_is_neither_a_model_nor_a_run_is_refused():
    with pytest.raises(ModelError, match="MODEL: nothing-like-it"):
        find_model("nothing-like-it", Config())
