"""A chat template with a variable that the job sets, as Qwen3's `enable_thinking`, and templates that refuse."""

from dataclasses import replace

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from flame_ray.config import Config, ModelConfig
from flame_ray.config.load import changed_settings, parse_config
from flame_ray.controller.workers import _engine_options
from flame_ray.engines.chat import ChatTokenizer
from flame_ray.engines.chat_template import check_variables, model_with, render_chat
from flame_ray.engines.models import ModelRef, check_chat, check_prompts, check_template, prompt_lengths
from flame_ray.engines.vllm_engine import VllmEngine, VllmOptions
from flame_ray.errors import ConfigError, ModelError
from flame_ray.types import Prompt

# Without thinking, the answer begins after a mark.
THINKING = (
    "{% for m in messages %}{{ m.content }} {% endfor %}"
    "{% if add_generation_prompt %}[BEGIN] {% if not enable_thinking | default(true) %}[ANSWER]{% endif %}{% endif %}"
)
OFF, CHAT = {"enable_thinking": False}, [{"role": "user", "content": "word"}]
WORD, BEGIN, ANSWER = 3, 1, 2  # the ids of tests/unit/conftest.py


@pytest.fixture
def thinker(folder, add_tokenizer):
    add_tokenizer(folder, template=THINKING)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"eos_token": "[UNK]"})
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def tokenizer(thinker):
    return AutoTokenizer.from_pretrained(thinker)


@pytest.mark.parametrize(
    ("variables", "ids"),
    [({}, (WORD, BEGIN)), ({"enable_thinking": True}, (WORD, BEGIN)), (OFF, (WORD, BEGIN, ANSWER))],
)
def test_a_template_reads_the_variables_of_the_job(tokenizer, variables, ids):
    assert render_chat(tokenizer, CHAT, variables) == ids
    assert render_chat(tokenizer, CHAT, variables, opens=False) == (WORD,)


def test_every_rendering_of_the_policys_chat_is_given_its_variables(thinker, tokenizer):
    config = ModelConfig(chat_template_kwargs=OFF)
    assert ChatTokenizer(thinker, config).prompt("word") == (WORD, BEGIN, ANSWER)
    assert [length for _, length in prompt_lengths(thinker, [Prompt("p", "word")], config)] == [3]
    engine = VllmEngine.__new__(VllmEngine)
    engine._tokenizer, engine._special = tokenizer, ()
    engine._options = VllmOptions(ModelRef("m"), "float32", 64, 8, 1.0, 0.8, seed=0, variables=OFF)
    assert engine.render(CHAT) == (WORD, BEGIN, ANSWER)
    engine._options = replace(engine._options, variables={})
    assert engine.render(CHAT) == (WORD, BEGIN)


def test_a_variable_that_the_template_does_not_read_is_refused_by_name(thinker, tokenizer):
    typed = {"enable_thinkin": False}
    with pytest.raises(ModelError, match="`enable_thinkin`, which it does not"):
        check_variables(tokenizer, typed, "judge.chat_template_kwargs")
    config = ModelConfig(chat_template_kwargs=typed)
    for call in (lambda: check_prompts(thinker, [], config, 8), lambda: ChatTokenizer(thinker, config)):
        with pytest.raises(ModelError, match=r"variables in model\.chat_template_kwargs that the model's chat template reads"):
            call()
    with pytest.raises(ModelError, match=r"variables in judge\.chat_template_kwargs"):
        check_chat(thinker, ModelConfig(), typed, "judge.chat_template_kwargs")
    check_chat(thinker, ModelConfig(), OFF, "judge.chat_template_kwargs")


@pytest.mark.parametrize("template", ["{{ raise_exception('System first!') }}", "{{ messages[0].content + none }}"])
def test_a_template_that_raises_is_a_fault_of_the_model_with_its_own_words_before_anything_is_placed(
    folder, add_tokenizer, template
):
    add_tokenizer(folder, template=template)
    for call in (
        lambda: check_chat(folder, ModelConfig(), {}, "model.chat_template_kwargs"),
        lambda: check_prompts(folder, [Prompt("p", "word")], ModelConfig(), 8),
    ):
        with pytest.raises(ModelError, match=r"a chat template that takes a user's turn and an answer; found one that says: "):
            call()


def test_a_policys_template_that_leaves_out_what_the_user_says_is_refused_also_beside_another_judge(folder, add_tokenizer):
    add_tokenizer(folder, template="{% for m in messages %}{{ m.role }} {% endfor %}")
    with pytest.raises(ModelError, match="a chat template that writes what the user says; found one that leaves it out"):
        check_prompts(folder, [Prompt("p", "word")], ModelConfig(), 8)


def test_a_template_in_the_settings_that_would_have_no_say_is_refused(folder, add_tokenizer, tmp_path):
    (tmp_path / "mine.jinja").write_text(THINKING)
    mine = ModelConfig(chat_template=str(tmp_path / "mine.jinja"))
    add_tokenizer(folder, template=None)
    for config in (mine, ModelConfig(chat_template="plain")):
        check_template(folder, config)
    add_tokenizer(folder, template=THINKING + "\n")  # as it was saved with what was trained
    for config in (mine, ModelConfig()):
        check_template(folder, config)
    with pytest.raises(
        ModelError, match=r"a model without a chat template, as model\.chat_template is given; found another one"
    ):
        check_template(folder, ModelConfig(chat_template="plain"))


@pytest.mark.parametrize(("content", "said"), [(None, "Is a directory"), (b"\xff", "UTF-8|utf-8")])
def test_a_template_that_is_no_file_of_text_is_refused_with_its_path(content, said, folder, add_tokenizer, tmp_path):
    add_tokenizer(folder, template=None)
    path = tmp_path / "template"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"at model\.chat_template; found .*/template: .*({said})"):
        check_template(folder, ModelConfig(chat_template=str(path)))


def test_a_template_that_is_no_jinja_is_refused(folder, add_tokenizer, tmp_path):
    add_tokenizer(folder, template=None)
    (tmp_path / "broken.jinja").write_text("{% for m in messages %}")
    config = ModelConfig(chat_template=str(tmp_path / "broken.jinja"))
    with pytest.raises(ModelError, match="a chat template that takes a user's turn and an answer; found one that says: "):
        check_prompts(folder, [Prompt("p", "word")], config, 8)


@pytest.mark.parametrize("name", ["add_generation_prompt", "tokenize", "chat_template", "return_dict", "messages"])
def test_what_decides_the_form_of_a_rendering_is_not_for_a_job_to_set(name):
    for section in ("model", "judge", "verifier"):
        with pytest.raises(ConfigError, match=rf"{section}\.chat_template_kwargs.*`{name}` is not for a job to set"):
            parse_config({section: {"chat_template_kwargs": {name: True}}}, "here")


def test_a_template_that_writes_the_mark_of_the_beginning_gets_one_though_the_tokenizer_adds_one_too(folder):
    words = Tokenizer(WordLevel({"<unk>": 0, "<s>": 1, "word": 2}, unk_token="<unk>"))
    words.pre_tokenizer = WhitespaceSplit()
    words.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="<unk>")
    tokenizer.chat_template = "{{ bos_token }} {% for m in messages %}{{ m.content }} {% endfor %}"
    tokenizer.save_pretrained(folder)
    assert tokenizer.encode("word") == [1, 2]
    assert render_chat(tokenizer, CHAT, {}) == (1, 2)
    chat = ChatTokenizer(folder, ModelConfig())
    assert (chat.prompt("word"), chat.answer("word")) == ((1, 2), (2, 0))


def variables(role: str, **sections) -> dict:
    config = parse_config({"model": {"chat_template_kwargs": OFF}} | sections, "here")
    return dict(_engine_options(config, ModelRef("m"), getattr(config, role), receives_weights=False).variables)


@pytest.mark.parametrize("role", ["rollout", "judge", "verifier"])
def test_the_policys_variables_go_to_every_role_that_serves_the_policys_model(role):
    assert variables(role) == OFF


def test_another_model_has_variables_of_its_own_and_the_policys_model_may_have_more():
    deep = {"reasoning_effort": "low"}
    assert variables("judge", judge={"model": "owner/other"}) == {}
    assert variables("judge", judge={"model": "owner/other", "chat_template_kwargs": deep}) == deep
    assert variables("judge", judge={"chat_template_kwargs": deep}) == OFF | deep
    assert variables("judge", judge={"chat_template_kwargs": {"enable_thinking": True}}) == {"enable_thinking": True}
    llm = {"checker": "llm", "checker_model": "owner/other"}
    assert variables("verifier", factuality=llm) == {}
    assert variables("verifier", factuality=llm, verifier={"chat_template_kwargs": deep}) == deep
    assert variables("verifier", verifier={"chat_template_kwargs": deep}) == OFF | deep


@pytest.mark.parametrize("section", ["model", "judge", "verifier"])
def test_a_resumed_run_may_not_change_the_variables(section):
    dtypes = {"model": {"dtype": "float32"}, "learner": {"dtype": "float32"}}
    after = parse_config(dtypes | {section: dtypes.get(section, {}) | {"chat_template_kwargs": OFF}}, "here")
    path = f"{section}.chat_template_kwargs.enable_thinking: null -> false"
    assert changed_settings(parse_config(dtypes, "here"), after) == [path]


def test_variables_tell_a_model_from_itself_without_them_and_none_leave_its_name_as_it_was():
    assert model_with("abc", {}) == "abc"
    assert model_with("abc", {"b": 1, "a": 2}) == model_with("abc", {"a": 2, "b": 1}) != model_with("abc", {"a": 2, "b": 2})


def test_a_job_without_variables_gives_none():
    assert Config().judge_variables == Config().verifier_variables == Config().model.chat_template_kwargs == {}


@pytest.mark.parametrize(
    "template",
    [
        "{{ 1 // 0 }}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{{ messages[0].content.index('zzz') }}",
        "{{ 'a' * 10**30 }}",
    ],
)
def test_a_template_that_fails_in_any_way_is_a_fault_of_the_model(folder, add_tokenizer, template):
    add_tokenizer(folder, template)
    with pytest.raises(ModelError, match="found one that says: "):
        check_chat(folder, ModelConfig(), {}, "model.chat_template_kwargs")


@pytest.mark.parametrize("template", ["  ", "Hello", "{% for m in messages %}[{{ m.role }}]{% endfor %}"])
def test_a_template_that_leaves_out_what_the_user_says_is_refused(folder, add_tokenizer, template):
    """All prompts would be the same."""
    add_tokenizer(folder, template)
    with pytest.raises(ModelError, match="writes what the user says; found one that leaves it out"):
        check_chat(folder, ModelConfig(), {}, "model.chat_template_kwargs")
