"""What the settings ask for: words, meaning or both, and a re-ranker or none, with the real embedder."""

import json

import pytest

from flame_ray.config import FactualityConfig
from flame_ray.errors import ModelError
from flame_ray.rewards.factuality.retrieve import open_passages, open_reranker, open_retriever
from flame_ray.rewards.factuality.retrieve.bm25 import Bm25Retriever
from flame_ray.rewards.factuality.retrieve.dense import DenseRetriever
from flame_ray.rewards.factuality.retrieve.ranking import FusionRetriever

ROWS = [
    ("Marie Curie", "She discovered polonium and radium, and received two Nobel Prizes."),
    ("Alps", "The highest mountain range that lies entirely in Europe."),
    ("Bread", "A food that is baked from flour, water and yeast."),
]


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAME_RAY_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(json.dumps({"title": title, "text": text}) for title, text in ROWS))
    return FactualityConfig(corpus=str(path))


def test_the_default_is_bm25_without_a_reranker(config):
    assert isinstance(open_retriever(config), Bm25Retriever)
    assert open_reranker(config) is None
    assert len(open_passages(config)) == 3


@pytest.mark.parametrize("retriever", ["dense", "fusion"])
def test_a_query_in_other_words_finds_its_passage_by_meaning(config, retriever):
    pytest.importorskip("sentence_transformers")
    opened = open_retriever(config.model_copy(update={"retriever": retriever}))
    assert isinstance(opened, FusionRetriever if retriever == "fusion" else DenseRetriever)
    queries = ["Which scientist studied radioactivity?", "What do bakers make?"]
    assert [found[0].title for found in opened.retrieve(queries, 2)] == ["Marie Curie", "Bread"]


def test_an_embedder_that_is_not_there_is_named(config):
    with pytest.raises(ModelError, match="/nowhere"):
        open_retriever(config.model_copy(update={"retriever": "dense", "embedder": "/nowhere"}))
