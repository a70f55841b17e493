"""What a resumed run compares, beside its prompts, its pairs and its demonstrations."""

import json

import pytest

from flame_ray.commands.contents import run_contents, sft_contents
from flame_ray.config.load import parse_config
from flame_ray.errors import DataError
from flame_ray.journal.run_folder import RunFolder
from flame_ray.storage.filesystem import Storage


@pytest.fixture
def folders(tmp_path):
    """Folders of models by their setting, with files that settings name beside them."""
    for name in ("policy", "judge", "checker", "embedder", "seeds"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"weights")
    rows = [{"prompt": "Where is Lima?", "facts": True}, {"prompt": "Write a poem.", "facts": False}]
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"title": "Peru", "text": "Its capital is Lima."}) + "\n")
    (tmp_path / "chat.jinja").write_text("{{ messages }}")
    return tmp_path


def job(folders, **sft):
    labels = [{"source": str(folders / "labels.jsonl"), "label_column": "facts", "heldout_fraction": 0}]
    named = {
        "model": {"policy": str(folders / "policy"), "chat_template": str(folders / "chat.jinja")},
        "judge": {"model": str(folders / "judge"), "backend": "rubric"},
        "factuality": {
            "checker": "llm",
            "checker_model": str(folders / "checker"),
            "corpus": str(folders / "corpus.jsonl"),
            "retriever": "dense",
            "embedder": str(folders / "embedder"),
        },
        "classify": {"by": "embedding", "labels": labels, "embedder": str(folders / "embedder")},
        "sft": {"fact_based": "elicited", "elicit": {"similarity": "dense", "embedder": str(folders / "seeds"), "passages": 2}},
    }
    return parse_config(named | ({"sft": sft} if sft else {}), "here")


CHANGES = [
    ("policy/model.safetensors", {"model.policy"}),
    ("judge/model.safetensors", {"judge.model"}),
    ("checker/model.safetensors", {"factuality.checker_model"}),
    ("embedder/model.safetensors", {"classify.embedder", "factuality.embedder"}),
    ("seeds/model.safetensors", {"sft.elicit.embedder"}),
    ("labels.jsonl", {"classify.labels"}),
    ("corpus.jsonl", {"factuality.corpus"}),
    ("chat.jinja", {"model.chat_template"}),
]


@pytest.mark.parametrize(("file", "told"), CHANGES, ids=[file for file, _ in CHANGES])
@pytest.mark.parametrize(
    ("of", "unread"),
    [(run_contents, {"sft.elicit.embedder"}), (sft_contents, {"judge.model", "factuality.checker_model"})],
    ids=["a run", "a fine-tuning"],
)
def test_what_a_setting_only_names_is_told_by_its_content(folders, of, unread, file, told):
    config = job(folders)
    before = of(config)
    assert of(config) == before
    rows = json.dumps({"prompt": "Who?", "title": "Chad", "text": "A country.", "facts": True}) + "\n"
    (folders / file).write_text((folders / file).read_text() + rows)
    assert {name for name, content in of(config).items() if content != before.get(name)} == told - unread


def test_a_fine_tuning_compares_only_what_it_reads(folders):
    assert set(sft_contents(job(folders, fact_based="human"))) == {"model.policy", "model.chat_template"}


def test_a_policy_that_was_trained_further_is_noticed_though_its_weights_are_too_large_to_read(folders, monkeypatch):
    monkeypatch.setattr("flame_ray.storage.atomic.HASHED_BYTES", 3)
    before = run_contents(job(folders))["model.policy"]
    (folders / "policy" / "model.safetensors").write_bytes(b"WEIGHTS")
    assert run_contents(job(folders))["model.policy"] != before


def test_a_run_of_an_earlier_version_which_noted_fewer_contents_is_resumed(folders):
    run, config = RunFolder(Storage(folders / "run")), job(folders)
    contents = run_contents(config)
    run.create(config, {"contents": {name: contents[name] for name in contents if name != "model.policy"}})
    run.check_contents(contents)
    with pytest.raises(
        DataError, match=r"the contents that the run began with in what the settings name; found other ones in judge"
    ):
        run.check_contents(contents | {"judge.model": "another"})
