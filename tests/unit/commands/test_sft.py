"""What a fine-tuning refuses before anything is placed."""

import json

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from flame_ray.cluster.capacity import sft_roles
from flame_ray.commands.sft import check_sft, mixture_of
from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.errors import ConfigError, DataError, ModelError, StorageError
from flame_ray.journal.run_folder import RunFolder
from flame_ray.sft import Mixture
from flame_ray.storage.filesystem import Storage


@pytest.fixture(autouse=True)
def takes_stubs(monkeypatch, request):
    """The folder of these tests only looks like a model's; one test wants it refused."""
    if "only_looks_like" not in request.node.name:
        monkeypatch.setattr("flame_ray.engines.policy.check_loads", lambda model: None)


@pytest.fixture
def job(folder, tmp_path):
    """Settings with one seed, and a model without a chat template."""
    words = Tokenizer(WordLevel({"<unk>": 0, "</s>": 1}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="</s>").save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 4096}))
    (tmp_path / "seeds.jsonl").write_text(json.dumps({"prompt": "Where is Lima?", "answer": "In Peru."}) + "\n")

    def settings(sft=None, **sections) -> Config:
        tree = {
            "model": {"policy": str(folder), "chat_template": "plain"},
            "learner": {"loss": "nll"},
            "sft": {"sources": [{"source": str(tmp_path / "seeds.jsonl")}]} | (sft or {}),
        }
        return parse_config(tree | sections, "here")

    return settings


@pytest.fixture
def new(tmp_path):
    return RunFolder(Storage(tmp_path / "run"))


def test_a_job_that_can_run_gives_its_demonstrations_and_its_models(job, new, folder):
    found = check_sft(job(), new, is_new=True)
    assert [each.answer for each in found.demonstrations.demonstrations] == ["In Peru."]
    assert found.models == {"model.policy": str(folder), "judge.model": str(folder)}


@pytest.mark.parametrize(
    ("sections", "error", "words"),
    [
        ({"learner": {}}, ConfigError, r"learner\.loss nll.*found dpo.*set learner\.loss to nll"),
        ({"sft": {"sources": []}}, DataError, r"sft\.sources with a set of instructions and answers"),
        ({"sft": {"sources": [{"source": "none.jsonl"}]}}, DataError, r"nothing at none\.jsonl.*sft\.sources"),
        (
            {"sft": {"fact_based": "elicited", "elicit": {"max_tokens": 511}}},
            ConfigError,
            r"sft\.elicit\.max_tokens well below",
        ),
        ({"sft": {"fact_based": "elicited"}, "judge": {"model": "./none"}}, ModelError, r"judge\.model: \./none"),
        ({"sft": {"fact_based": "elicited", "elicit": {"similarity": "dense", "embedder": "./none"}}}, ModelError, r"\./none"),
    ],
)
def test_what_cannot_run_is_refused_by_its_setting(job, new, sections, error, words):
    with pytest.raises(error, match=words):
        check_sft(job(**sections), new, is_new=True)
    assert not new.storage.exists("")


def test_a_model_whose_positions_leave_no_room_for_examples_is_refused(job, new, folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_positions": 256}))
    words = r"what the model reads.*found 256 and the model's 256 positions, fewer than model\.max_length 512.*name a model"
    with pytest.raises(ConfigError, match=words):
        check_sft(job({"fact_based": "elicited", "elicit": {"max_tokens": 256}}), new, is_new=True)


def test_a_model_without_a_chat_template_is_refused_with_what_to_set(job, new, folder):
    with pytest.raises(ModelError, match=r"set model\.chat_template"):
        check_sft(job(model={"policy": str(folder)}), new, is_new=True)


def test_a_corpus_is_looked_at_only_where_its_passages_are_shown(job, new):
    absent = {"factuality": {"corpus": "none.jsonl"}}
    check_sft(job({"fact_based": "elicited"}, **absent), new, is_new=True)
    with pytest.raises(DataError, match=r"nothing at none\.jsonl.*factuality\.corpus"):
        check_sft(job({"fact_based": "elicited", "elicit": {"passages": 3}}, **absent), new, is_new=True)


def test_own_answers_need_seeds(job, new, tmp_path):
    source = {"source": str(tmp_path / "seeds.jsonl"), "seed": False}
    check_sft(job({"sources": [source]}), new, is_new=True)
    with pytest.raises(DataError, match="seeds, which the model is to answer itself"):
        check_sft(job({"sources": [source], "others": "elicited"}), new, is_new=True)


def test_seeds_need_labels_only_where_these_decide_whose_answers_are_learned(job, new, tmp_path):
    by_label = {"classify": {"by": "label"}}
    check_sft(job({"fact_based": "elicited", "others": "elicited"}, **by_label), new, is_new=True)
    with pytest.raises(DataError, match=r"classify\.by is label; found 1 of 1 without one.*in sft\.sources\), or classify\.by"):
        check_sft(job({"fact_based": "elicited"}, **by_label), new, is_new=True)
    (tmp_path / "seeds.jsonl").write_text(json.dumps({"prompt": "Where is Lima?", "answer": "In Peru.", "facts": True}) + "\n")
    source = {"source": str(tmp_path / "seeds.jsonl"), "label_column": "facts"}
    check_sft(job({"fact_based": "elicited", "sources": [source]}, **by_label), new, is_new=True)


def test_a_folder_that_is_there_is_refused_for_a_new_run_and_wanted_for_one_that_goes_on(job, new, tmp_path):
    (tmp_path / "run").mkdir()
    check_sft(job(), new, is_new=False)
    with pytest.raises(StorageError, match="exists already"):
        check_sft(job(), new, is_new=True)


@pytest.mark.parametrize(
    "rows",
    [
        [{"prompt": "Where is Lima?", "answer": "In Peru."}, {"prompt": "Where is Oslo?", "answer": "In Norway."}],
        [{"prompt": "Where is Oslo?", "answer": "In Norway."}],
        [{"prompt": "Where is Lima?", "answer": "In South America."}],
    ],
    ids=["a row more", "another row", "another answer"],
)
def test_a_run_goes_on_only_with_the_demonstrations_that_it_began_with(job, new, tmp_path, rows):
    seeds = tmp_path / "seeds.jsonl"
    new.create(job(), check_sft(job(), new, is_new=True).noted)
    check_sft(job(), new, is_new=False)
    seeds.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=rf"began with in sft\.sources; found other ones in {seeds}.*restore what changed, or"):
        check_sft(job(), new, is_new=False)


def test_a_run_goes_on_only_with_the_policy_that_it_began_with(job, new, folder):
    new.create(job(), check_sft(job(), new, is_new=True).noted)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes() + b"more")
    with pytest.raises(DataError, match=r"found other ones in model\.policy"):
        check_sft(job(), new, is_new=False)


def test_a_run_of_an_earlier_version_which_noted_no_demonstrations_goes_on(job, new):
    new.create(job(), {})
    check_sft(job(), new, is_new=False)


def test_a_root_that_is_a_file_is_told_before_the_model_is_looked_for(job, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/run.*Not a directory"):
        check_sft(job(model={"policy": "./none"}), RunFolder(Storage(tmp_path / "file" / "run")), is_new=True)


@pytest.mark.parametrize(
    ("sft", "by", "roles"),
    [
        ({}, "model", ("learner",)),
        ({"fact_based": "elicited"}, "model", ("judge", "rollout", "learner")),
        ({"fact_based": "elicited"}, "label", ("rollout", "learner")),
        ({"fact_based": "elicited", "others": "elicited"}, "model", ("rollout", "learner")),
        ({"fact_based": "both", "others": "both"}, "model", ("rollout", "learner")),
    ],
)
def test_only_the_actors_that_the_stages_need_are_asked_of_the_cluster(job, sft, by, roles):
    assert sft_roles(job(sft, classify={"by": by})) == roles


def test_the_mixture_is_that_of_the_settings(job):
    assert mixture_of(job({"fact_based": "elicited", "elicit": {"weight": 0.5}})) == Mixture("elicited", "human", 0.5)
    assert mixture_of(job({"others": "elicited"})) == Mixture("human", "elicited", 1.0)


def test_a_folder_that_only_looks_like_a_model_is_refused_before_anything_is_placed(job, new):
    with pytest.raises(ModelError, match="transformers can load"):
        check_sft(job(), new, is_new=True)
