"""A cross-encoder of two tiny layers with random weights: its labels, its logits, and what is refused."""

import json

import numpy as np
import pytest

from flame_ray.engines.cross_encoder import CrossEncoder
from flame_ray.engines.embedder import MINILM, embedder_folder
from flame_ray.errors import ModelError

pytest.importorskip("sentence_transformers")

NLI = {0: "contradiction", 1: "entailment", 2: "neutral"}


@pytest.fixture(scope="module")
def save(tmp_path_factory):
    """Writes a BERT that sorts sequences into the given labels, with MiniLM's tokenizer."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertModel

    def write(labels: dict[int, str], headless: bool = False):
        folder = tmp_path_factory.mktemp("cross-encoder")
        tokenizer = AutoTokenizer.from_pretrained(embedder_folder(MINILM))
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=64,
            initializer_range=1.0,
            id2label=labels,
            label2id={name: number for number, name in labels.items()},
        )
        (BertModel if headless else BertForSequenceClassification)(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return write


@pytest.fixture(scope="module")
def nli(save):
    return save(NLI)


PAIRS = [
    ("Lima is in Peru.", "Where is Lima?"),
    ("Short", "one"),
    ("Peru has a coast " * 9, "How long?"),
    ("Short", "one"),
]


def _reference(folder, pairs):
    """One pair at a time through transformers alone."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return np.concatenate([model.eval()(**tokenizer(*pair, return_tensors="pt")).logits.numpy() for pair in pairs])


def test_labels_are_the_model_s_own_in_the_order_of_its_logits(nli):
    assert CrossEncoder(str(nli)).labels == ("contradiction", "entailment", "neutral")


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_logits_are_those_of_transformers_in_the_order_of_the_pairs(nli, batch):
    logits = CrossEncoder(str(nli), batch=batch).logits(PAIRS)
    assert logits.dtype == np.float32 and logits.shape == (4, 3)
    assert logits == pytest.approx(_reference(nli, PAIRS), abs=1e-4)


def test_one_label_gives_the_logit_itself_and_not_its_probability(save):
    folder = save({0: "relevant"})
    logits = CrossEncoder(str(folder)).logits(PAIRS)
    assert logits.shape == (4, 1)
    assert logits == pytest.approx(_reference(folder, PAIRS), abs=1e-4)


def test_no_pairs_give_no_logits(nli):
    assert CrossEncoder(str(nli)).logits([]).shape == (0, 3)


def test_a_pair_longer_than_the_limit_is_cut_and_not_refused(nli):
    long = [("Peru " * 5000, "Where?")]
    assert np.isfinite(CrossEncoder(str(nli)).logits(long)).all()  # the model's own 64 positions
    assert CrossEncoder(str(nli), max_length=8).logits(long) == pytest.approx(
        CrossEncoder(str(nli), max_length=8).logits([("Peru " * 50, "Where?")]), abs=1e-5
    )


def test_a_model_without_a_trained_head_is_refused(save):
    with pytest.raises(ModelError, match="BertModel"):
        CrossEncoder(str(save(NLI, headless=True)))


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(ModelError, match="/nowhere"):
        CrossEncoder("/nowhere")


def test_weights_in_another_format_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertForSequenceClassification"]}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="safetensors"):
        CrossEncoder(str(tmp_path))


def test_damaged_weights_that_give_no_numbers_are_refused(save):
    from safetensors.torch import load_file, save_file

    folder = save({0: "relevant"})
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"] += float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="NaN"):
        CrossEncoder(str(folder)).logits(PAIRS)
