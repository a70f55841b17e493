"""Dense retrieval with an embedder of hand-made vectors: exact and by lists, from a file that is mapped."""

import numpy as np
import pytest

faiss = pytest.importorskip("faiss")

from flame_ray.rewards.factuality.retrieve.arrow_files import Passages, write_passages  # noqa: E402
from flame_ray.rewards.factuality.retrieve.dense import FILE, DenseRetriever, open_dense, write_dense  # noqa: E402
from flame_ray.types import Passage  # noqa: E402


class Angles:
    """A text ends in an angle in degrees; its vector points there."""

    width = 2

    def __init__(self):
        self.embedded = 0

    def queries(self, texts):
        angles = np.radians([float(text.split()[-1]) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    def passages(self, texts):
        self.embedded += len(texts)
        return self.queries(texts)


def _corpus(*angles):
    return [Passage(str(i), "angle", f"of {angle}") for i, angle in enumerate(angles)]


def _retriever(folder, passages, **settings):
    write_dense(passages, folder, Angles(), **settings)
    return DenseRetriever(passages, folder, Angles())


def _ids(found):
    return [[passage.id for passage in passages] for passages in found]


def test_the_nearest_come_first_and_ties_keep_the_corpus_order(tmp_path):
    retriever = _retriever(tmp_path, _corpus(90, 10, 50, 10, 180))
    assert _ids(retriever.retrieve(["near 0", "near 60"], 3)) == [["1", "3", "2"], ["2", "0", "1"]]


def test_a_corpus_smaller_than_k_gives_what_there_is(tmp_path):
    assert _ids(_retriever(tmp_path, _corpus(90, 10)).retrieve(["0"], 20)) == [["1", "0"]]
    assert _retriever(tmp_path, _corpus(90, 10)).retrieve([], 20) == []


def test_a_large_corpus_is_kept_by_lists_and_still_finds_its_nearest(tmp_path):
    angles = np.random.default_rng(0).permutation(360)
    retriever = _retriever(tmp_path, _corpus(*angles), exact=100)
    assert isinstance(faiss.read_index(str(tmp_path / FILE)), faiss.IndexIVFScalarQuantizer)
    found = [angles[int(name)] for name in _ids(retriever.retrieve(["77"], 7))[0]]
    assert sum(abs(angle - 77) <= 4 for angle in found) >= 6  # a byte a dimension is not exact
    assert abs(found[0] - 77) <= 2


def test_the_vectors_are_made_once_and_anew_for_another_embedder(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAME_RAY_CACHE", str(tmp_path))
    write_passages(_corpus(90, 10, 50), tmp_path)
    passages, embedder = Passages(tmp_path), Angles()
    for identity, total in (("one", 3), ("one", 3), ("two", 6)):
        assert _ids(open_dense(passages, embedder, identity).retrieve(["0"], 1)) == [["1"]]
        assert embedder.embedded == total
