"""The settings as they travel to the factuality workers of other nodes."""

import pytest

from flame_ray.config import FactualityConfig
from flame_ray.errors import DataError, ModelError
from flame_ray.rewards.factuality.actor import FactualityActor
from flame_ray.rewards.factuality.names import travelling

COMMIT = "a" * 40


def test_paths_travel_in_full_and_built_in_names_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("checker", "encoder"):
        (tmp_path / name).mkdir()
    for name in ("facts.jsonl", "labels.jsonl"):
        (tmp_path / name).write_text("")
    (tmp_path / "factbook").mkdir()  # a folder of a built-in corpus's name is not meant
    config = FactualityConfig(corpus="facts.jsonl", checker="small", checker_model="checker", reranker="./encoder")
    told = travelling(config)
    assert (told.corpus, told.checker_model, told.reranker) == tuple(
        str(tmp_path / x) for x in ("facts.jsonl", "checker", "encoder")
    )
    labelled = FactualityConfig(sentences="fact_based", sentence_labels=({"source": "labels.jsonl"},))
    assert travelling(labelled).sentence_labels[0].source == str(tmp_path / "labels.jsonl")
    plain = FactualityConfig(retriever="dense")
    assert travelling(plain) == plain


def test_a_hub_id_travels_with_its_commit():
    config = FactualityConfig(retriever="dense", embedder=f"owner/embedder@{COMMIT}")
    assert travelling(config).embedder == f"owner/embedder@{COMMIT}"


@pytest.mark.parametrize(
    ("settings", "kind", "setting"),
    [
        ({"corpus": "/no/such.jsonl"}, DataError, "factuality.corpus"),
        ({"checker": "small", "checker_model": "/no/such"}, ModelError, "factuality.checker_model"),
        ({"reranker": "/no/such"}, ModelError, "factuality.reranker"),
        ({"retriever": "fusion", "embedder": "/no/such"}, ModelError, "factuality.embedder"),
        (
            {"sentences": "fact_based", "sentence_labels": ({"source": "/no/such.jsonl"},)},
            DataError,
            "factuality.sentence_labels",
        ),
        (
            {"sentences": "fact_based", "sentence_labels": ({"source": "labels"},), "embedder": "/no/such"},
            ModelError,
            "factuality.embedder",
        ),
    ],
)
def test_a_worker_whose_node_lacks_a_path_says_which_setting_and_which_node(settings, kind, setting):
    with pytest.raises(kind, match=rf"{setting} on every node; found nothing at /no/such.*, on the node .*storage that every"):
        FactualityActor(FactualityConfig(**settings)).ready()


def test_a_worker_without_a_corpus_does_not_ask_for_one():
    assert FactualityActor(FactualityConfig(corpus="/no/such.jsonl"), corpus=False).ready() == 0
