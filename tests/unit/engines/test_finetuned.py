"""The fine-tuned checker's model, for real: what is stored, what is refused, and that pairs keep their order."""

import numpy as np
import pytest
import safetensors.torch as safetensors
import torch

from flame_ray.engines.finetuned import (
    CLAIM_TOKENS,
    DEPTH,
    EVIDENCE_TOKENS,
    LEXICAL_WEIGHT,
    MODEL,
    FinetunedModel,
    encode,
    load_base,
    save,
    score_pairs,
    short_floats,
    trained_tensors,
)
from flame_ray.engines.models import CHECKER_WEIGHTS
from flame_ray.errors import ModelError
from flame_ray.rewards.factuality.check.finetuned import SHIPPED

PAIRS = [
    ("Lima is the capital.", "Lima is the capital of Peru. " * 40),
    ("It rains.", ""),
    ("日本は島国です。🦙", "Japan is an island."),
    ("word " * 3000, "word " * 3000),
    ("Peru exports copper.", "Peru exports copper and gold."),
]
SHORT = [PAIRS[1], PAIRS[2], PAIRS[4]]


def moved(model):
    """As if it had been trained: an adapter and a head that say something."""
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, each in trained_tensors(model):
            if "lora_A" not in name:
                each.add_(0.02 * torch.randn(each.shape, generator=draw))
    return model


@pytest.fixture(scope="module")
def base():
    tokenizer, model = load_base()
    return tokenizer, moved(model)


@pytest.fixture(scope="module")
def folder(base, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "new" / "folder"
    save(base[1], path)
    return path


@pytest.fixture(scope="module")
def model(folder):
    return FinetunedModel(folder)


def test_stored_in_half_precision_and_merged_it_says_the_same(base, model):
    tokenizer, before = base
    found = model.logits(PAIRS)
    assert found.dtype == np.float32 and found.shape == (5, 1)
    assert found[:, 0] == pytest.approx(score_pairs(before, tokenizer, PAIRS), abs=0.1)  # merged in bfloat16
    assert len(set(np.round(found[:, 0], 3))) == 5 and np.ptp(found) > 0.3


def test_a_model_that_has_learned_nothing_gives_only_the_lexical_logit():
    tokenizer, model = load_base()
    assert not score_pairs(model, tokenizer, SHORT).any()
    lexical = [-4.0, 0.0, 8.0]
    found = model(*encode(tokenizer, SHORT), torch.tensor(lexical)).tolist()
    assert found == pytest.approx([LEXICAL_WEIGHT * each for each in lexical])


def test_pairs_keep_their_order_in_any_batch(base):
    tokenizer, model = base
    alone = [score_pairs(model, tokenizer, [pair])[0] for pair in PAIRS]
    for batch in (1, 2, 32):
        assert score_pairs(model, tokenizer, PAIRS, batch=batch) == pytest.approx(alone, abs=0.1)


def test_no_pairs_have_no_logits(model):
    assert model.logits([]).shape == (0, 1)


def test_what_is_stored_fits_into_20_mb_and_is_trained_alone(base, folder):
    assert (folder / CHECKER_WEIGHTS).stat().st_size < 20e6
    stored = safetensors.load_file(folder / CHECKER_WEIGHTS)
    assert {each.dtype for each in stored.values()} == {torch.float16}
    assert set(stored) == {name for name, _ in trained_tensors(base[1])}
    assert all(".lora_" in name for name in stored if name not in ("head.weight", "head.bias", "words"))


def test_the_model_has_at_most_150_million_parameters(base):
    assert sum(each.numel() for each in base[1].parameters()) < 150e6
    assert len(base[1].blocks.base_model.model.layers) == DEPTH


def test_its_name_is_that_of_its_weights(folder, model, tmp_path):
    assert FinetunedModel(folder).name == model.name and len(model.name) == 16
    stored = safetensors.load_file(folder / CHECKER_WEIGHTS)
    stored["head.bias"] = stored["head.bias"] + 1
    safetensors.save_file(stored, tmp_path / CHECKER_WEIGHTS, {"model": MODEL})
    other = FinetunedModel(tmp_path)
    assert other.name != model.name
    assert other.logits(SHORT) == pytest.approx(model.logits(SHORT) + 1, abs=2e-3)
    assert other.lexical_weight == model.lexical_weight == pytest.approx(float(stored["words"]))


def test_a_new_adapter_is_drawn_by_its_seed_and_leaves_the_process_s_own_draws_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, same, other = (dict(trained_tensors(load_base(seed)[1])) for seed in (0, 0, 1))
    name = next(name for name in first if "lora_A" in name)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first[name], same[name]) and not torch.equal(first[name], other[name])


def test_evidence_and_claim_are_cut_each_to_its_own_and_padded_on_the_right(base):
    ids, lengths = encode(base[0], PAIRS)
    assert int(lengths.max()) == int(lengths[3]) == EVIDENCE_TOKENS + CLAIM_TOKENS == ids.shape[1]
    assert not ids[1, lengths[1] :].any()
    assert base[0].decode(ids[0, : lengths[0]]).endswith("\nStatement: Lima is the capital.")


def test_what_stands_in_the_padding_does_not_matter(base):
    ids, lengths = encode(base[0], PAIRS)
    other = ids.clone()
    other[1, lengths[1] :] = 17
    lexical = torch.zeros(5)
    with torch.inference_mode(), short_floats():
        assert torch.equal(base[1](ids, lengths, lexical), base[1](other, lengths, lexical))


@pytest.mark.skipif(not SHIPPED.is_dir(), reason="no weights ship")
def test_the_weights_that_ship_know_a_paraphrase_from_another_statement():
    evidence = "Marie Curie was a physicist. She was born in Warsaw and moved to Paris, where she met her husband."
    true, false = ("Marie Curie came from Warsaw.", "Marie Curie was a scientist."), ("Marie Curie never left Warsaw.",)
    logits = FinetunedModel(SHIPPED).logits([(claim, evidence) for claim in (*true, *false)])[:, 0]
    assert logits[:2].min() > logits[2]


def test_weights_that_are_not_there_are_named_with_the_way_to_them(tmp_path):
    with pytest.raises(ModelError) as error:
        FinetunedModel(tmp_path)
    assert str(tmp_path / CHECKER_WEIGHTS) in str(error.value) and "flame-ray train-checker" in str(error.value)


def changed(stored, how):
    if how == "missing":
        del stored["head.bias"]
    elif how == "more":
        stored["other"] = torch.zeros(1)
    else:
        stored["head.weight"] = torch.zeros(3, 384)
    return stored


@pytest.mark.parametrize("how", ["missing", "more", "shape"])
def test_other_tensors_are_refused(folder, tmp_path, how):
    safetensors.save_file(
        changed(safetensors.load_file(folder / CHECKER_WEIGHTS), how), tmp_path / CHECKER_WEIGHTS, {"model": MODEL}
    )
    with pytest.raises(ModelError, match="other tensors in"):
        FinetunedModel(tmp_path)


@pytest.mark.parametrize(("metadata", "found"), [(None, "an unnamed model"), ({"model": "the lower 12"}, "the lower 12 in")])
def test_weights_of_another_build_are_refused(folder, tmp_path, metadata, found):
    safetensors.save_file(safetensors.load_file(folder / CHECKER_WEIGHTS), tmp_path / CHECKER_WEIGHTS, metadata)
    with pytest.raises(ModelError, match=found):
        FinetunedModel(tmp_path)


@pytest.mark.parametrize("data", [b"", b"torn", b"\xff" * 64])
def test_a_torn_file_is_refused(tmp_path, data):
    (tmp_path / CHECKER_WEIGHTS).write_bytes(data)
    with pytest.raises(ModelError, match="weights of the fine-tuned checker"):
        FinetunedModel(tmp_path)
