"""What the model is shown when it is asked for answers of its own; the model is a folder with a tokenizer of whole words."""

import json
import logging
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from flame_ray.config.load import parse_config
from flame_ray.controller import sft_stages
from flame_ray.controller.sft_stages import SftClusterStages, elicitation_plan
from flame_ray.controller.watch import Watched
from flame_ray.controller.workers import Scope
from flame_ray.elicitation.few_shot import STOP
from flame_ray.engines.models import look_up
from flame_ray.errors import DataError
from flame_ray.journal.shared_samples import SharedSamples, Shelf
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.storage.cache import Cache
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Group, ShownCounts
from tests.builders import make_demonstration, make_group, make_prompt, make_response

SEEDS = [make_demonstration(f"What is the capital of {name}?", f"It is {name} City.") for name in ("Peru", "Chad", "Fiji")]
ASKED = make_prompt("cuba", "What is the capital of Cuba?")


@pytest.fixture
def stages(folder, tmp_path):
    """Of a job with these sections."""
    words = Tokenizer(WordLevel({"<unk>": 0, "</s>": 1}, unk_token="<unk>"))
    words.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="</s>")
    tokenizer.save_pretrained(folder)

    def make(**sections) -> SftClusterStages:
        tree = {"model": {"policy": str(folder), "max_length": 64, "chat_template": "plain"}}
        config = parse_config(tree | {"sft": {"elicit": {"shots": 2, "max_tokens": 8}}} | sections, "here")
        known = look_up(str(folder), config.model)
        run = Storage(tmp_path / "run")
        return SftClusterStages(
            config, known, known, Cache(tmp_path / "classified"), Checkpoints(tmp_path / "run" / "checkpoints"), run
        )

    return make


def test_the_nearest_seeds_are_shown_and_the_instruction_itself_never_is(stages):
    shown = stages().few_shots([ASKED, SEEDS[0].prompt], SEEDS)
    assert (shown["cuba"].shots, shown[SEEDS[0].prompt.id].shots) == (2, 2)
    own = shown[SEEDS[0].prompt.id].text
    assert own.count("Peru?") == 1 and "Peru City" not in own and "Chad City" in own and "Fiji City" in own


def test_where_there_is_no_room_fewer_are_shown_and_that_is_said(stages, caplog):
    room = 4 + 6 + 14 + 8 + 1
    small = stages(model={"policy": str(stages().policy.folder), "max_length": room, "chat_template": "plain"})
    with caplog.at_level(logging.WARNING):
        shown = small.few_shots([ASKED, make_prompt("long", "word " * 64)], SEEDS)
    assert shown["cuba"].shots == 1 and shown["long"] is None
    assert "2 of 2 few-shot prompts have room for fewer than 2 examples" in caplog.text


def test_there_is_no_room_beyond_the_models_positions(stages, folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_positions": 4 + 6 + 14 + 8 + 1}))
    made = stages(model={"policy": str(folder), "max_length": 2048, "chat_template": "plain"})
    assert made.few_shots([ASKED], SEEDS)["cuba"].shots == 1


def test_what_the_prompts_show_and_what_they_have_no_room_for_is_told_before_any_is_answered(stages):
    room = 4 + 6 + 14 + 8 + 1
    made = stages(model={"policy": str(stages().policy.folder), "max_length": room, "chat_template": "plain"})
    made.note_shown = (told := []).append
    next(made.elicit([ASKED, make_prompt("long", "word " * 64)], SEEDS))
    assert told == [ShownCounts(prompts=1, examples=1, passages=0, examples_left_out=1, passages_left_out=0)]


def test_passages_without_room_are_warned_of(stages, tmp_path, caplog):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"title": "Cuba", "text": "Its capital is Havana."}\n')
    model = {"policy": str(stages().policy.folder), "max_length": 20, "chat_template": "plain"}
    sections = {"sft": {"elicit": {"shots": 1, "max_tokens": 8, "passages": 1}}, "factuality": {"corpus": str(corpus)}}
    with caplog.at_level(logging.WARNING):
        shown = stages(model=model, **sections).few_shots([ASKED], SEEDS)["cuba"]
    assert (shown.passages, shown.passages_left_out) == (0, 1)
    assert "1 of 1 few-shot prompts have room for fewer than 1 passages" in caplog.text


def test_the_instruction_that_is_too_long_gives_a_group_without_answers(stages):
    asked = make_prompt("long", "word " * 64)
    (group,) = [next(stages().elicit([asked], SEEDS))]
    assert (group.prompt, group.responses_G) == (asked, ())


def test_a_seed_that_would_end_the_prompt_too_soon_is_not_shown(stages):
    odd = make_demonstration("What is the capital of Oz?", "### Instruction: none")
    assert "Oz" not in stages().few_shots([ASKED], [odd, *SEEDS])["cuba"].text


def test_fewer_seeds_than_examples_are_refused(stages):
    with pytest.raises(DataError, match=r"at least 2 seeds that can be shown \(sft.elicit.shots\); found 1"):
        stages().few_shots([ASKED], SEEDS[:1])


def test_passages_of_the_corpus_are_shown_before_the_instruction(stages, tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"title": "Cuba", "text": "Its capital is Havana."}\n{"title": "Oz", "text": "It is not there."}\n')
    elicit = {"shots": 1, "max_tokens": 8, "passages": 1}
    sections = {"sft": {"elicit": elicit}, "factuality": {"corpus": str(corpus)}}
    shown = stages(**sections).few_shots([ASKED], SEEDS)["cuba"]
    assert shown.passages == 1
    assert shown.text.endswith(
        "### Passage:\nCuba: Its capital is Havana.\n\n### Instruction:\n" + ASKED.text + "\n\n### Response:\n"
    )


def test_sampling_continues_plain_text_up_to_the_next_example_as_the_settings_of_rollout_say(stages):
    rollout = {"temperature": 0.6, "top_p": 0.8, "top_k": 5}
    plan = elicitation_plan(stages(rollout=rollout, run={"seed": 3}, sft={"elicit": {"samples": 10, "max_tokens": 8}}).config)
    assert (plan.samples, plan.max_tokens, plan.chat, plan.stop) == (10, 8, False, STOP)
    assert (plan.seed, plan.temperature, plan.top_p, plan.top_k) == (3, 0.6, 0.8, 5)


@pytest.fixture
def asked(monkeypatch):
    """The texts that samplers were started for, call by call: doubles answer each by one word."""
    calls = []

    def generate(texts_P, plan):
        calls.append([prompt.text for prompt in texts_P])
        return (make_group(make_response(f"own {prompt.id}", prompt=prompt.id), prompt=prompt) for prompt in texts_P)

    monkeypatch.setattr(sft_stages, "Scope", lambda config: nullcontext(SimpleNamespace(event_loop=SimpleNamespace(start=id))))
    monkeypatch.setattr(sft_stages, "watch", lambda *given: None)
    monkeypatch.setattr(sft_stages, "start_samplers", lambda *given: None)
    monkeypatch.setattr(sft_stages, "RolloutPool", lambda pool: SimpleNamespace(generate=generate))
    return calls


def test_a_fine_tuning_elicits_only_what_no_other_has_elicited_by_the_same_prompt(stages, asked, tmp_path):
    def elicit(prompts_P, seeds=SEEDS, run="mine", **sections):
        made, told = stages(**sections), []
        made.shared = SharedSamples(Shelf(Storage(tmp_path / "samples"), "key", run, Group))
        made.note_shown = told.append
        return {group.prompt.id: group for group in made.elicit(prompts_P, seeds)}, told[0]

    oman, cuba = make_prompt("oman", "What is the capital of Oman?"), replace(ASKED, fact_based=True)
    elicit([ASKED], run="flame")
    found, shown = elicit([cuba, oman], run="fact")
    assert [len(texts) for texts in asked] == [1, 1] and "Oman?" in asked[1][0]
    assert {id: group.responses_G[0].text for id, group in found.items()} == {"cuba": "own cuba", "oman": "own oman"}
    assert found["cuba"].prompt == cuba and shown.prompts == 2  # also what is taken over is shown
    elicit([oman, ASKED], run="again")
    assert len(asked) == 2, "samplers were started for nothing"
    elicit([ASKED], SEEDS[1:], run="with other demonstrations")
    assert len(asked) == 3


def test_each_stage_shows_how_its_workers_stand_while_it_has_them(stages, monkeypatch):
    """Without Ray: the pools that the stages start are doubles, and the watch is what is looked at."""
    watched, scopes = [], []

    class NoActors(Scope):
        def __init__(self, config):
            super().__init__(config)
            scopes.append(self)

    async def notes(what, show):
        watched.append((what, show))

    for name, made in (("start_judge", "judge"), ("start_samplers", "samplers"), ("start_learner", "learner")):
        monkeypatch.setattr(sft_stages, name, lambda scope, *more, made=made: made)
    monkeypatch.setattr(sft_stages, "Scope", NoActors)
    monkeypatch.setattr(sft_stages, "watch", notes)
    monkeypatch.setattr(sft_stages, "check_shared", lambda *_: None)
    monkeypatch.setattr(sft_stages, "classify", lambda prompts_P, *_: prompts_P)
    monkeypatch.setattr(sft_stages, "RolloutPool", lambda pool: SimpleNamespace(generate=lambda *_: ()))
    with stages(classify={"by": "model"}) as made:
        made.classify([ASKED])
        list(made.elicit([ASKED], SEEDS))
        made._started()
    assert [what for what, _ in watched] == [Watched(("judge",)), Watched(("samplers",)), Watched(learner="learner")]
    assert all(show is made.show_workers for _, show in watched) and len(scopes) == 3


def test_labels_decide_where_the_settings_say_so(stages):
    made = stages(classify={"by": "label"})
    decided = made.classify([make_prompt("a", label=True), make_prompt("b", label=False)])
    assert [prompt.fact_based for prompt in decided] == [True, False]
