"""Chats as token ids: where a turn ends, and what models lack."""

import json

import pytest
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from flame_ray.config import ModelConfig
from flame_ray.engines.chat import ChatTokenizer
from flame_ray.engines.chat_template import PLAIN_TEMPLATE, end_ids
from flame_ray.engines.models import load_tokenizer, reference
from flame_ray.errors import ModelError
from tests.builders import make_weights

WORDS = ["<unk>", "<s>", "</s>", "<|end|>", "user", "assistant", ":", "Where", "Here", "system"]
OPENED = "{% if add_generation_prompt %}assistant : {% endif %}"
ENDED = "{% for m in messages %}{{ m.role }} : {{ m.content }} <|end|> {% endfor %}" + OPENED
BARE = "{% for m in messages %}{{ m.role }} : {{ m.content }} {% endfor %}" + OPENED


@pytest.fixture
def model(tmp_path):
    """Writes a tokenizer of whole words into a folder."""

    def make(template=ENDED, eos="</s>", ends=None, file="generation_config.json"):
        words = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>"))
        words.pre_tokenizer = WhitespaceSplit()
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token=eos)
        tokenizer.add_tokens([AddedToken("<|end|>", special=True), AddedToken("</s>", special=True)])
        tokenizer.chat_template = template
        tokenizer.save_pretrained(tmp_path)
        if ends is not None:
            (tmp_path / file).write_text(json.dumps({"eos_token_id": ends}))
        return tmp_path

    return make


def ids(text):
    return tuple(WORDS.index(word) for word in text.split())


@pytest.mark.parametrize("ends", [3, [2, 3]])
def test_of_several_end_of_text_tokens_an_answer_ends_with_the_one_that_the_template_writes(model, ends):
    chat = ChatTokenizer(model(ends=ends), ModelConfig())
    assert chat.prompt("Where") == ids("user : Where <|end|> assistant :")
    assert chat.answer(" Here\n") == ids("Here <|end|>")


@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
def test_the_end_of_text_tokens_are_those_of_either_file_of_the_model(model, file):
    folder = model(ends=[3, 1], file=file)
    assert ChatTokenizer(folder, ModelConfig()).answer("Here") == ids("Here <|end|>")
    assert end_ids(AutoTokenizer.from_pretrained(folder), folder) == {1, 2, 3}


@pytest.mark.parametrize(("ends", "found"), [(-1, {2}), ([], {2}), (None, {2}), ([-1, 3], {2, 3})])
def test_an_end_of_text_token_below_zero_is_none(model, ends, found):
    folder = model(ends=ends)
    assert end_ids(AutoTokenizer.from_pretrained(folder), folder) == found


@pytest.mark.parametrize("ends", ["</s>", [[2, 3]], [2, "3"], 2.0, True, {"id": 2}])
@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
def test_an_end_of_text_token_that_is_no_number_is_refused_with_its_file(model, ends, file):
    folder = model(ends=ends, file=file)
    with pytest.raises(ModelError, match=rf"eos_token_id as a whole number, or a list of them; found .* in .*{file}\. To fix"):
        load_tokenizer(folder, ModelConfig())


def test_end_of_text_tokens_beyond_the_tokenizer_are_refused_if_there_is_no_other(model):
    with pytest.raises(ModelError, match=r"an eos_token_id of at most \d+, the tokenizer's last token; found \[999\] in "):
        load_tokenizer(model(eos=None, ends=999), ModelConfig())


def test_an_answer_ends_as_in_the_template_also_where_the_opened_turn_begins_with_more(model):
    thinks = ENDED.replace("assistant : {% endif %}", "assistant : system {% endif %}")
    assert ChatTokenizer(model(thinks, ends=[2, 3]), ModelConfig()).answer("Here") == ids("Here <|end|>")


@pytest.mark.parametrize(
    "content", [b'{"eos_token_id": [2,', b"[2, 3]", b"\xff", b"[" * 10**5], ids=["cut off", "a list", "no text", "too deep"]
)
@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
def test_damaged_settings_of_a_model_are_named(model, file, content):
    folder = model()
    (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=rf"expected a model's {file}; found .*{file}: "):
        ChatTokenizer(folder, ModelConfig())


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json"])
def test_a_tokenizer_that_is_cut_off_is_named(model, file):
    folder = model()
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=f"expected a tokenizer in {folder}"):
        ChatTokenizer(folder, ModelConfig())


def test_a_template_that_ends_no_turn_gets_the_tokenizers_own_end_of_text(model):
    assert ChatTokenizer(model(BARE), ModelConfig()).answer("Here") == ids("Here </s>")


def test_an_end_of_turn_at_which_no_sampler_would_stop_is_not_the_end_of_an_answer(model):
    assert ChatTokenizer(model(), ModelConfig()).answer("Here") == ids("Here </s>")


def test_special_tokens_that_a_text_spells_out_end_no_turn(model):
    chat = ChatTokenizer(model(ends=3), ModelConfig())
    assert chat.prompt("Where <|end|>") == ids("user : Where <unk> <unk> <|end|> assistant :")
    assert chat.answer("</s> Here") == ids("<unk> <unk> Here <|end|>")


def test_a_model_without_an_end_of_text_token_is_refused(model):
    with pytest.raises(ModelError, match="a model with an end-of-text token; found none"):
        ChatTokenizer(model(BARE, eos=None), ModelConfig())


def test_a_model_without_a_template_is_refused_unless_the_settings_give_one(model, tmp_path):
    folder = model(template=None)
    with pytest.raises(ModelError, match=r"set model\.chat_template"):
        ChatTokenizer(folder, ModelConfig())
    (tmp_path / "chat.jinja").write_text(BARE, encoding="utf-8-sig")
    chat = ChatTokenizer(folder, ModelConfig(chat_template=str(tmp_path / "chat.jinja")))
    assert chat.prompt("Where") == ids("user : Where assistant :")


@pytest.mark.parametrize("template", ["{{ raise_exception('System first!') }}", "{% for %}"])
def test_a_template_that_refuses_a_chat_is_a_fault_of_the_model_with_its_own_words(model, template):
    with pytest.raises(ModelError, match="a chat template that takes a user's turn and an answer; found one that says: "):
        ChatTokenizer(model(template), ModelConfig())


def test_a_models_own_template_is_kept_and_a_missing_file_is_refused(model, tmp_path):
    assert ChatTokenizer(model(), ModelConfig(chat_template="plain")).prompt("Where") == ids("user : Where <|end|> assistant :")
    with pytest.raises(ModelError, match=r"model\.chat_template"):
        reference(str(tmp_path), ModelConfig(chat_template=str(tmp_path / "none.jinja")))


def test_the_plain_template_names_who_speaks_and_ends_an_answer(model):
    tokenizer = AutoTokenizer.from_pretrained(model(PLAIN_TEMPLATE))
    chat = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}]
    opened = tokenizer.apply_chat_template(chat[:1], add_generation_prompt=True, tokenize=False)
    assert opened == "<s><|user|>\nWhere?\n<|assistant|>\n"
    assert tokenizer.apply_chat_template(chat, tokenize=False) == f"{opened}Here.</s>\n"


def test_the_template_travels_to_other_nodes_and_is_saved_with_what_is_trained(model, tmp_path):
    from flame_ray.engines.policy import write_tokenizer

    folder = model(template=None)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(make_weights())
    ref = reference(str(folder), ModelConfig(chat_template="plain"))
    write_tokenizer(tmp_path / "saved", ref)
    assert AutoTokenizer.from_pretrained(tmp_path / "saved").chat_template == PLAIN_TEMPLATE
