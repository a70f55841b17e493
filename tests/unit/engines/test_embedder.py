"""The built-in embedder, for real: near in meaning is near in space."""

import json
import shutil

import numpy as np
import pytest

from flame_ray.engines.embedder import MINILM, Embedder, embedder_folder, embedder_identity
from flame_ray.errors import ModelError
from tests.builders import make_weights

pytest.importorskip("sentence_transformers")


@pytest.fixture(scope="module")
def embedder():
    return Embedder(MINILM)


def test_vectors_have_length_one_and_the_model_s_width(embedder):
    vectors = embedder.passages(["Lima is the capital of Peru.", "", "日本 🦙", "word " * 10_000])
    assert vectors.shape == (4, 384) == (4, embedder.width)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_texts_of_one_meaning_are_nearer_than_texts_of_one_word(embedder):
    query = embedder.queries(["Which scientist studied radioactivity?"])[0]
    near, far = embedder.passages(["Marie Curie discovered radium.", "The radio station plays music."])
    assert query @ near > query @ far


def test_a_text_has_the_same_vector_alone_and_among_others(embedder):
    texts = ["Lima", "a much longer text about the coast of Peru and its cold current", "Cusco"]
    assert embedder.passages(texts) == pytest.approx(np.concatenate([embedder.passages([text]) for text in texts]), abs=1e-5)


def test_no_texts_give_no_vectors(embedder):
    assert embedder.queries([]).shape == (0, 384)


def test_a_folder_is_known_by_its_weights_and_settings(tmp_path):
    folder = shutil.copytree(embedder_folder(MINILM), tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "model.safetensors").write_bytes(make_weights())
    before = embedder_identity(str(folder))
    assert embedder_identity(str(folder)) == before
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert embedder_identity(str(folder)) != before


@pytest.mark.parametrize("name", ["/nowhere", "no-such-built-in"])
def test_a_model_that_is_not_there_is_named(name):
    with pytest.raises(ModelError, match=name):
        Embedder(name)


def test_weights_in_another_format_are_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="safetensors"):
        Embedder(str(tmp_path))


def test_weights_that_cannot_be_loaded_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    header = json.dumps({"a": {"dtype": "unheard of", "shape": [1], "data_offsets": [0, 1]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"1")
    with pytest.raises(ModelError, match="an embedding model in"):
        Embedder(str(tmp_path))
