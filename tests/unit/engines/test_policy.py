"""The module that is trained."""

import errno
import json
import re
import resource
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import PeftConfig
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoConfig, AutoModelForCausalLM

from flame_ray.config import LearnerConfig, LoraConfig, ModelConfig
from flame_ray.engines.base import Continuation
from flame_ray.engines.batch import left_padded
from flame_ray.engines.merging import MergedWeights
from flame_ray.engines.model_files import disk_errors
from flame_ray.engines.models import SMOLLM2, UPSTREAM, ModelRef, look_up, reference
from flame_ray.engines.packing import check_layout, sharing_prompts
from flame_ray.engines.policy import (
    adapter_weights,
    check_loads,
    has_window,
    load_model,
    load_policy,
    pass_over_head,
    write_adapter,
    write_model,
)
from flame_ray.errors import ModelError, StorageError
from flame_ray.storage.atomic import storage_errors
from tests.unit.learner.forward import summed_logps

SMALL = {
    "gpt2": {"vocab_size": 60, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32},
    "opt": {
        "vocab_size": 60,
        "hidden_size": 16,
        "word_embed_proj_dim": 16,
        "ffn_dim": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        "layerdrop": 0.2,
    },
    "gpt_neox": {
        "vocab_size": 60,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        "attention_dropout": 0.2,
        "hidden_dropout": 0.2,
    },
    "llama": {
        "vocab_size": 60,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "attention_dropout": 0.2,
    },
}
IDS = torch.arange(1, 25).view(2, 12)


@pytest.fixture(params=SMALL)
def saved(request, tmp_path):
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(request.param, **SMALL[request.param])).save_pretrained(tmp_path)
    return str(tmp_path)


def test_a_model_drops_nothing_of_itself_in_training(saved):
    """GPT-2, OPT and others drop a tenth of their activations: the loss of the first step would not be ln 2."""
    model = load_model(reference(saved), "float32")
    evaluated = model.eval()(IDS).logits
    for seed in range(3):
        torch.manual_seed(seed)
        assert model.train()(IDS).logits.equal(evaluated)


def test_ids_beyond_the_tokenizer_are_learned_as_any_others(tmp_path):
    """An embedding is often larger than the tokenizer, here of one word, and samplers may draw its last ids."""
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **SMALL["llama"])).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(Tokenizer(WordLevel({"a": 0}, unk_token="a")).to_str())
    model = load_policy(reference(str(tmp_path)), LearnerConfig(lora=None, dtype="float32"))
    batch = left_padded([Continuation((1, 2), (3, 59, 4)), Continuation((1, 2), (5,))])
    likely, unlikely = summed_logps(model, batch)
    logps = model(torch.tensor([[1, 2, 3, 59, 4]])).logits.log_softmax(-1)[0]
    assert likely.item() == pytest.approx((logps[1, 3] + logps[2, 59] + logps[3, 4]).item(), abs=1e-5)
    (unlikely - likely).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    after = summed_logps(model, batch)
    assert model.get_input_embeddings().weight.grad[59].abs().sum() > 0
    assert (after[0] - after[1]).item() > (likely - unlikely).item()


def test_an_adapter_drops_what_the_settings_say(saved):
    module = load_policy(reference(saved), LearnerConfig(lora=LoraConfig(dropout=0.5), dtype="float32"))
    for name, value in module.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value)
    evaluated = module.eval()(IDS).logits
    assert not module.train()(IDS).logits.equal(evaluated)


@pytest.mark.parametrize("saved", ["llama"], indirect=True)
@pytest.mark.parametrize(
    ("base", "name", "revision"),
    [
        (ModelRef(SMOLLM2), UPSTREAM, None),
        (ModelRef("owner/name", None, "a" * 40), "owner/name", "a" * 40),
        (ModelRef("./models/mine", "/home/me/models/mine"), "./models/mine", None),
    ],
    ids=["the built-in model", "a model of the hub", "a folder"],
)
def test_what_is_written_names_its_base_as_other_people_find_it_and_no_path_of_this_node(saved, tmp_path, base, name, revision):
    """The engine loads the base from this node's own folder, as `saved` is."""
    Path(saved, "tokenizer.json").write_text(Tokenizer(WordLevel({"a": 0}, unk_token="a")).to_str())
    made = {kind: tmp_path / kind for kind in ("adapter", "merged")}
    for folder in made.values():
        folder.mkdir()
    module = load_policy(reference(saved), LearnerConfig(lora=LoraConfig(), dtype="float32"))
    write_adapter(module, adapter_weights(module, lambda parameters: nullcontext()), made["adapter"], base)
    write_model(module, {"a": torch.zeros(1)}, made["merged"], reference(saved))
    config = PeftConfig.from_pretrained(made["adapter"])
    assert (config.base_model_name_or_path, config.revision) == (name, revision)
    written = [file for folder in made.values() for file in folder.rglob("*") if file.suffix in (".json", ".md")]
    assert len(written) >= 4
    assert not [file.name for file in written if saved in file.read_text() or "/home/me" in file.read_text()]


@pytest.fixture
def no_room() -> Iterator[None]:
    """No file may grow beyond 100 kB: the system then refuses to write, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("write", [write_adapter, write_model])
def test_weights_that_the_disk_does_not_take_are_an_error_of_storage(saved, tmp_path, no_room, write):
    module = load_policy(reference(saved), LearnerConfig(lora=LoraConfig(), dtype="float32"))
    with pytest.raises(StorageError, match=r"to write .*round; found .*File too large"), storage_errors(tmp_path / "round"):
        write(module, {"a": torch.zeros(100_000)}, tmp_path, reference(saved))


def test_what_safetensors_says_of_a_full_disk_is_told_by_the_disks_own_code():
    said = "Error while serializing: I/O error: No space left on device (os error 28)"
    for text, code in ((said, errno.ENOSPC), ("Error while serializing: a bug", errno.EIO)):
        with pytest.raises(OSError, match=re.escape(text)) as found, disk_errors():
            raise SafetensorError(text)
        assert found.value.errno == code


GROUPED = {
    "vocab_size": 60,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
}
DENSE = SMALL | {name: GROUPED for name in ("mistral", "qwen2", "qwen3", "gemma2", "phi3", "olmo2", "granite")}


@pytest.mark.parametrize("family", DENSE)
def test_a_merged_model_of_each_dense_family_reloads_to_what_was_trained(family, tmp_path):
    torch.manual_seed(0)
    base, merged = tmp_path / "base", tmp_path / "merged"
    AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **DENSE[family])).save_pretrained(base)
    (base / "tokenizer.json").write_text(Tokenizer(WordLevel({"a": 0}, unk_token="a")).to_str())
    config = LearnerConfig(lora=LoraConfig(r=2, target_modules="all-linear"), dtype="float32")
    module = load_policy(reference(str(base)), config)
    for name, value in module.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value, std=0.2)
    merged.mkdir()
    weights = dict(MergedWeights(module, lambda parameters: nullcontext()).named(10**9))
    write_model(module, weights, merged, reference(str(base)))
    expected, found = (each.eval()(IDS).logits for each in (module, load_model(reference(str(merged)), "float32")))
    assert not expected.allclose(load_model(reference(str(base)), "float32").eval()(IDS).logits, atol=1e-3)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", DENSE)
def test_responses_share_the_pass_of_a_prompt_in_each_family_without_windows(family, tmp_path):
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **DENSE[family])).save_pretrained(tmp_path)
    model = load_model(reference(str(tmp_path)), "float32").eval()
    assert has_window(model) == (family in ("mistral", "gemma2"))
    with torch.no_grad():
        check_layout(sharing_prompts, lambda batch: summed_logps(model, batch), "float32")


@pytest.mark.parametrize("family", [*DENSE, "cohere"])
def test_an_output_layer_is_passed_over_unless_it_learns_or_the_model_scales_or_caps_its_logits(family):
    torch.manual_seed(0)
    shape = DENSE.get(family, GROUPED)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **shape)).eval()
    logits = model(IDS).logits
    assert pass_over_head(model) is None, "its output layer learns"
    weight = pass_over_head(model.requires_grad_(False))
    found = model(IDS).logits
    if family in ("gemma2", "granite", "cohere"):
        assert weight is None and torch.equal(found, logits)
    else:
        assert found.shape[-1] == weight.shape[1]
        torch.testing.assert_close(found @ weight.T, logits)


class Widening(torch.nn.Module):
    """A model in bfloat16 that returns its logits in float32, as some do."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(4, 9, bias=False, dtype=torch.bfloat16).requires_grad_(False)

    def get_output_embeddings(self):
        return self.head

    def forward(self, input_ids, use_cache):
        return SimpleNamespace(logits=self.head(torch.ones(1, 1, 4, dtype=torch.bfloat16)).float())


def test_an_output_layer_is_not_passed_over_where_the_model_widens_its_logits():
    model = Widening()
    assert pass_over_head(model) is None
    assert model(None, False).logits.shape == (1, 1, 9)


def test_a_window_is_known_by_the_layers_that_have_it():
    shape = {**GROUPED, "sliding_window": 4}
    windows = {
        use: AutoConfig.for_model("qwen2", **shape, use_sliding_window=use, max_window_layers=0) for use in (True, False)
    }
    assert [has_window(AutoModelForCausalLM.from_config(config)) for config in windows.values()] == [True, False]


def test_a_model_that_cannot_be_loaded_as_it_must_be_is_refused_with_the_reason(tmp_path):
    """BLOOM has no SDPA; the model is there."""
    settings = AutoConfig.for_model("bloom", hidden_size=16, n_layer=1, n_head=2, vocab_size=60)
    AutoModelForCausalLM.from_config(settings).save_pretrained(tmp_path)
    with pytest.raises(ModelError) as caught:
        load_model(reference(str(tmp_path)), "float32")
    assert "with its SDPA attention" in caught.value.expected and "BloomForCausalLM" in caught.value.found
    assert "name a model of another architecture" in caught.value.fix


def misfit(folder, edit):
    """A tiny model whose files do not go together, as `edit` changes its settings and the names of its tensors."""
    settings = AutoConfig.for_model("qwen2", **GROUPED)
    AutoModelForCausalLM.from_config(settings).save_pretrained(folder)
    weights, config = load_file(folder / "model.safetensors"), json.loads((folder / "config.json").read_text())
    edit(weights, config)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    return look_up(str(folder), ModelConfig(policy=str(folder)))


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (lambda weights, config: weights.pop("model.norm.weight"), "none of model.norm.weight in "),
        (
            lambda weights, config: config.update(num_hidden_layers=9, layer_types=["full_attention"] * 9),
            r"none of model.layers.\d.* and \d+ more in ",
        ),
        (lambda weights, config: config.update(vocab_size=10), "none of .* in "),
        (lambda weights, config: config.update(hidden_act="siluu"), "KeyError: 'siluu'"),
        (lambda weights, config: config.update(num_attention_heads=0), "ZeroDivisionError"),
        (lambda weights, config: config.update(quantization_config={"quant_method": "gptq", "bits": 4}), "ImportError"),
        (lambda weights, config: config.pop("model_type"), "model_type"),
    ],
)
def test_a_folder_whose_files_do_not_go_together_is_refused_before_and_while_it_is_loaded(tmp_path, edit, found):
    """transformers fills what is missing with random numbers."""
    model = misfit(tmp_path, edit)
    for load in (check_loads, lambda model: load_model(model.ref, "float32")):
        with pytest.raises(ModelError, match=found):
            load(model)


def test_a_folder_whose_files_go_together_passes_the_check(tmp_path):
    check_loads(misfit(tmp_path, lambda weights, config: None))
