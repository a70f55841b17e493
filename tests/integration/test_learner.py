"""The learner on real Ray and real DeepSpeed, with a tiny random Llama: the update must not depend on how it is spread out."""

import math
import random

import pytest
import ray
import torch
from peft import PeftModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from flame_ray.config import LearnerConfig, LoraConfig
from flame_ray.learner.arrays import to_tensors
from flame_ray.learner.group import LearnerGroup
from flame_ray.types import Pair, PairKind, Response, ResponseId

VOCAB = 97
BASE = {
    "batch_pairs": 4,
    "micro_batch_pairs": 4,
    "dtype": "float32",
    "zero_stage": 0,
    "lr": 1e-3,
    "lr_final": 1e-4,
    "threads": 1,
}
LORA = LoraConfig(r=4, alpha=8)


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    LlamaForCausalLM(LlamaConfig(vocab_size=VOCAB, initializer_range=0.2, tie_word_embeddings=True, **shape)).save_pretrained(
        path
    )
    words = {f"w{number}": number for number in range(VOCAB)}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(words, unk_token="w0")), eos_token="w1")
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    tokenizer.save_pretrained(path)
    return str(path)


def make_pairs(count, seed=0):
    rnd = random.Random(seed)

    def response(number, index, prompt):
        ids = tuple(rnd.randrange(2, VOCAB) for _ in range(rnd.randrange(1, 12)))
        return Response(ResponseId(1, f"prompt-{number}", index), "", prompt, ids, (0.0,) * len(ids), "stop", 0)

    def pair(number):
        prompt = tuple(rnd.randrange(2, VOCAB) for _ in range(rnd.randrange(2, 9)))
        return Pair(PairKind.FACTUALITY, response(number, 0, prompt), response(number, 1, prompt), 1.0, 0.0)

    return [pair(number) for number in range(count)]


@pytest.fixture
def start(model_path):
    groups = []

    def make(resume_from=None, **settings):
        config = LearnerConfig(**{**BASE, "lora": LORA, **settings})
        options = {"name": f"learner-{len(groups)}-{random.random()}", "num_cpus": 0.1}
        groups.append(LearnerGroup.start(model_path, config, seed=3, options=options, timeout_s=120, resume_from=resume_from))
        return groups[-1]

    yield make
    for group in groups:
        group.stop()


def weights(group):
    return {name: value.clone() for name, value in to_tensors(ray.get(group.export()))}


def from_disk(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()


def slow_logps(model, response):
    ids = [*response.prompt_token_ids, *response.token_ids]
    with torch.no_grad():
        logps = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    start = len(response.prompt_token_ids)
    return [logps[place - 1, ids[place]].item() for place in range(start, len(ids))]


def gradient_norm_now(group):
    """What DeepSpeed measured, before clipping, at the last step."""
    return float(ray.get(group.actors[0].__ray_call__.remote(lambda rank: rank.engine.engine.get_global_grad_norm())))


def gradient_norm(group, pairs):
    group.train(pairs, round=1)
    return gradient_norm_now(group)


def canary(group, response):
    return group.canary(response.prompt_token_ids, response.token_ids)


def margin(model, pairs):
    return sum(sum(slow_logps(model, pair.chosen)) - sum(slow_logps(model, pair.rejected)) for pair in pairs) / len(pairs)


def test_an_update_is_the_same_however_it_is_spread_over_ranks_stages_and_micro_batches(start, model_path):
    """Ten pairs in batches of four: three steps, the last with two copies of weight zero. Tolerance: 1 % of the movement."""
    pairs, before = make_pairs(10), from_disk(model_path).state_dict()
    one = start()
    report = one.train(pairs, round=1)
    expected = weights(one)
    movement = max((value - before[name]).abs().max() for name, value in expected.items())
    assert movement > 1e-4
    norm = gradient_norm(start(zero_stage=1), pairs)
    one.stop()
    spreads = [(1, 2, 1), (2, 0, 1), (2, 1, 2), (2, 2, 1), (2, 3, 1)]
    for ranks, stage, micro in spreads:
        group = start(workers=ranks, zero_stage=stage, micro_batch_pairs=micro)
        other = group.train(pairs, round=1)
        found = weights(group)
        gap = max((value - expected[name]).abs().max() for name, value in found.items())
        assert gap < 0.01 * movement, (ranks, stage, micro, gap.item(), movement.item())
        assert other.loss == pytest.approx(report.loss, abs=1e-5)
        if stage:  # Adam hides a gradient of the wrong scale; clipping does not
            assert gradient_norm_now(group) == pytest.approx(norm, rel=1e-4)
        assert (other.steps, other.pairs, other.tokens) == (report.steps, report.pairs, report.tokens) == (3, 10, report.tokens)
        group.stop()


def test_weights_and_folders_of_a_trained_adapter_all_give_the_learner_s_own_log_probabilities(start, model_path, tmp_path):
    pairs = make_pairs(8)
    group = start(workers=2, zero_stage=3, micro_batch_pairs=2)
    seen = []
    group.train(pairs, round=1, on_step=lambda done, units: seen.append((done, units)))
    assert seen[-1] == (len(seen), len(seen))
    learned = canary(group, pairs[0].chosen)
    assert learned != pytest.approx(slow_logps(from_disk(model_path), pairs[0].chosen), abs=1e-4)
    group.save(tmp_path / "adapter")
    group.save(tmp_path / "merged", merged=True)
    exported = weights(group)
    group.stop()

    adapter = PeftModel.from_pretrained(from_disk(model_path), tmp_path / "adapter").eval()
    assert slow_logps(adapter, pairs[0].chosen) == pytest.approx(learned, abs=1e-5)
    by_peft = adapter.merge_and_unload().state_dict()
    assert set(exported) == set(by_peft) - {"lm_head.weight"}
    for name, value in exported.items():
        torch.testing.assert_close(value, by_peft[name], atol=1e-6, rtol=0)
    assert slow_logps(from_disk(tmp_path / "merged"), pairs[0].chosen) == pytest.approx(learned, abs=1e-5)
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").chat_template

    resumed = start(resume_from=str(tmp_path / "adapter"))
    assert canary(resumed, pairs[0].chosen) == pytest.approx(learned, abs=1e-5)


def test_reference_round_starts_each_round_at_log_two_and_reference_initial_does_not(start, model_path, tmp_path):
    pairs = make_pairs(4)
    for reference, adapter in (("round", LORA), ("initial", LORA), ("initial", None)):
        group = start(reference=reference, lora=adapter)
        group.train(pairs, round=1)
        group.save(tmp_path / "trained", merged=True)
        second = group.train(pairs, round=2)  # one step: its loss is that of the weights before it
        expected = 0.0
        if reference == "initial":
            expected = 0.1 * (margin(from_disk(tmp_path / "trained"), pairs) - margin(from_disk(model_path), pairs))
            assert expected > 1e-3
        assert second.margin == pytest.approx(expected, abs=1e-5)
        assert (second.loss == pytest.approx(math.log(2), abs=1e-6)) == (reference == "round")
        group.stop()


def test_full_parameters_in_bfloat16_on_two_ranks_learn_the_pairs_and_export_every_tensor(start, model_path):
    pairs = make_pairs(8)
    group = start(workers=2, lora=None, dtype="bfloat16", zero_stage=2, micro_batch_pairs=1, epochs=6, reference="initial")
    report = group.train(pairs, round=1)
    assert report.steps == 12
    assert group.train(pairs, round=2).accuracy == 1.0
    exported = weights(group)
    assert set(exported) == set(from_disk(model_path).state_dict()) - {"lm_head.weight"}
    assert {value.dtype for value in exported.values()} == {torch.bfloat16}
