"""What a run refuses before anything is placed, and what a resumed one does first; the model is a folder with a tokenizer."""

import io
import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from flame_ray.commands import run as run_module
from flame_ray.commands.contents import run_contents
from flame_ray.commands.run import Inputs, _as_it_began, _check, _resumed, locate_run, run
from flame_ray.commands.sharing import shared_round
from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.engines import hub
from flame_ray.engines.models import look_up
from flame_ray.errors import ConfigError, DataError, ModelError, PlacementError, StorageError
from flame_ray.journal.environment import describe_environment, source_digest
from flame_ray.journal.run_folder import RESERVE_BYTES, RunFolder
from flame_ray.journal.shards import Shards
from flame_ray.learner.checkpoints import Checkpoints, Choice
from flame_ray.prompts.load import LoadedPrompts
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.shared_paths import JOB
from flame_ray.types import PairSet
from tests.builders import make_held_out, make_pair, make_pair_set, make_response, make_scored, make_weights
from tests.doubles import SeenScreen


@pytest.fixture(autouse=True)
def takes_stubs(monkeypatch, request):
    """The folder of these tests only looks like a model's; one test wants it refused."""
    if "only_looks_like" not in request.node.name:
        monkeypatch.setattr("flame_ray.engines.policy.check_loads", lambda model: None)


@pytest.fixture
def job(folder, add_tokenizer):
    """Settings that leave five tokens for a prompt, two of which the template takes."""
    add_tokenizer(folder)
    lines = [json.dumps({"prompt": f"word word {i}", "facts": True}) + "\n" for i in range(10)]
    (folder.parent / "prompts.jsonl").write_text("".join(lines))
    (folder.parent / "corpus.jsonl").write_text(json.dumps({"title": "a title", "text": "a text"}) + "\n")

    def settings(**sections) -> Config:
        tree = {
            "model": {"policy": str(folder), "max_length": 13},
            "rollout": {"max_tokens": 8},
            "prompts": {"sources": [{"source": str(folder.parent / "prompts.jsonl"), "label_column": "facts"}]},
            "classify": {"by": "label"},  # the question of a model would not fit
            "factuality": {"corpus": str(folder.parent / "corpus.jsonl")},
        }
        return parse_config(tree | sections, "here")

    return settings


def new(tmp_path: Path) -> RunFolder:
    return RunFolder(Storage(tmp_path / "run"))


def test_a_job_that_can_run_is_told_its_models_and_its_prompts_and_makes_no_folder(job, folder, tmp_path):
    inputs = _check(job(), new(tmp_path), is_new=True)
    models = dict.fromkeys(("model.policy", "judge.model"), str(folder))
    assert inputs == Inputs(inputs.policy, inputs.policy, inputs.prompts, models, contents=inputs.contents)
    assert (inputs.policy.folder, inputs.policy.ref.path) == (folder, str(folder))
    assert len(inputs.prompts.prompts) == 10
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_only_with_the_prompts_that_it_began_with(job, folder, tmp_path):
    run, prompts = new(tmp_path), folder.parent / "prompts.jsonl"
    run.create(job(), _check(job(), run, is_new=True).noted)
    lines = prompts.read_text().splitlines(keepends=True)
    prompts.write_text("".join(reversed(lines)))
    _check(job(), run, is_new=False)
    prompts.write_text("".join(lines[1:]))
    with pytest.raises(DataError, match=r"prompts that the run began with in prompts\.sources; found other ones in prompts\. "):
        _check(job(), run, is_new=False)


def test_a_run_goes_on_only_with_the_corpus_and_the_rules_that_it_began_with(job, folder, tmp_path, monkeypatch):
    run, corpus = new(tmp_path), folder.parent / "corpus.jsonl"
    run.create(job(), _check(job(), run, is_new=True).noted)
    began = corpus.read_text()
    corpus.write_text(began)  # at another time
    _check(job(), run, is_new=False)
    corpus.write_text(began * 2)
    with pytest.raises(DataError, match=r"contents that the run began with .* found other ones in factuality\.corpus\. "):
        _check(job(), run, is_new=False)
    corpus.write_text(began)
    monkeypatch.setattr("flame_ray.rewards.factuality.check.lexical.VERSION", 10**6)
    with pytest.raises(DataError, match=r"found other ones in factuality\.checker\. "):
        _check(job(), run, is_new=False)


@pytest.mark.parametrize(
    "setting", ["factuality.checker_model", "factuality.sentence_labels", "judge.preferences", "classify.labels"]
)
def test_a_file_that_scores_answers_or_classifies_prompts_is_told_by_its_content(deciding, folder, setting):
    config, files = deciding
    before = run_contents(config)
    assert setting in before and run_contents(config) == before
    files[setting].write_text(files[setting].read_text() + json.dumps({"prompt": "Who?", "facts": True}))
    assert {name for name, content in run_contents(config).items() if content != before[name]} == {setting}


class Stop(Exception):
    """Ends a command where a test has seen enough."""


def test_a_run_has_a_bar_while_it_checks_its_job_and_while_it_connects(job, tmp_path, monkeypatch):
    seen = []

    def check(*_, **__):
        seen.append(list(SeenScreen.made[-1].labels))
        return _check(*_, **__)

    @contextmanager
    def connects(*_):
        seen.append(list(SeenScreen.made[-1].labels))
        raise Stop
        yield

    monkeypatch.setattr(run_module, "Screen", SeenScreen)
    monkeypatch.setattr(run_module, "_check", check)
    monkeypatch.setattr(run_module, "connected", connects)
    with pytest.raises(Stop):
        run(job(run={"root": str(tmp_path / "runs")}), Console(file=io.StringIO()))
    assert seen == [["check the job"], ["connect to Ray"]] and SeenScreen.made[-1].labels == []


def test_a_resumed_run_notes_the_code_that_trains_from_now_on(job, tmp_path, monkeypatch):
    @contextmanager
    def connects(*_):
        raise Stop
        yield

    folder, config = new(tmp_path), job(run={"root": str(tmp_path)})
    folder.create(config, describe_environment({}) | {"models": {}})
    trained(tmp_path, 1, 2)
    monkeypatch.setattr(run_module, "connected", connects)
    for digest in (source_digest(), "b" * 64):
        monkeypatch.setattr("flame_ray.journal.environment.source_digest", lambda digest=digest: digest)
        with pytest.raises(Stop):
            run(config, Console(file=io.StringIO()), resume="run")
    (code,) = folder.read_json("environment.json", {})["later_code"]
    assert (code["from_round"], code["source_sha256"]) == (3, "b" * 64)


def given(folder, *rows) -> dict:
    """Settings for pairs of a file; the tokenizer gets a token that ends an answer."""
    named = folder / "tokenizer_config.json"
    named.write_text(json.dumps(json.loads(named.read_text()) | {"eos_token": "[ANSWER]"}))
    path = folder.parent / "pairs.jsonl"
    path.write_text("".join(json.dumps(dict(zip(("prompt", "chosen", "rejected"), row, strict=True))) + "\n" for row in rows))
    return {"pairs": {"file": str(path)}, "run": {"rounds": 1}}


def test_the_pairs_of_a_file_are_those_of_the_run_without_what_it_measures_or_cannot_hold(job, folder, tmp_path):
    held_out = next(each.text for each in _check(job(), new(tmp_path), is_new=True).prompts.prompts if each.split == "heldout")
    rows = [("word", "word", "word word"), (held_out, "word", "word word"), ("word", "word", "word " * 11)]
    pairs = _check(job(**given(folder, *rows)), new(tmp_path), is_new=True).pairs
    assert [(pair.chosen.text, pair.rejected.text) for pair in pairs.pairs_D] == [("word", "word word")]
    assert pairs.dropped == {"file: held-out prompt": 1, "file: too long": 1}
    with pytest.raises(DataError, match=r"pairs to train on in .*pairs\.jsonl; found none; 1 file: held-out prompt\."):
        _check(job(**given(folder, rows[1])), new(tmp_path), is_new=True)


def test_pairs_beyond_the_models_positions_are_left_out(job, folder, tmp_path):
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_positions": 20}))
    rows = [("word", "word", "word word"), ("word", "word", "word " * 30)]
    small = {"model": {"policy": str(folder), "max_length": 512}, "rollout": {"max_tokens": 8}, "evaluation": {"max_tokens": 8}}
    pairs = _check(job(**given(folder, *rows), **small), new(tmp_path), is_new=True).pairs
    assert (len(pairs.pairs_D), pairs.dropped) == (1, {"file: too long": 1})


def test_a_run_goes_on_only_with_the_policy_that_it_began_with(job, folder, tmp_path):
    run = new(tmp_path)
    run.create(job(), _check(job(), run, is_new=True).noted)
    _check(job(), run, is_new=False)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes() + b"more")
    with pytest.raises(DataError, match=r"found other ones in model\.policy"):
        _check(job(), run, is_new=False)


def test_a_verifier_with_too_few_positions_is_refused_before_anything_is_placed(job, folder, tmp_path):
    with pytest.raises(ModelError, match=r"at least 1536 positions at model\.policy; found 64"):
        _check(job(factuality={"checker": "llm"}), new(tmp_path), is_new=True)


def test_a_run_goes_on_only_with_the_pairs_of_a_file_that_it_began_with(job, folder, tmp_path):
    run, sections = new(tmp_path), given(folder, ("word", "word", "word word"))
    run.create(job(**sections), _check(job(**sections), run, is_new=True).noted)
    _check(job(**sections), run, is_new=False)
    given(folder, ("word", "word word", "word"))
    with pytest.raises(DataError, match=r"the pairs that the run began with in pairs\.file; found other ones"):
        _check(job(**sections), run, is_new=False)


def test_for_fdpo_a_pair_of_a_file_that_prefers_the_less_factual_side_is_turned_round(job, folder, tmp_path):
    sections = given(folder, ("word", "word", "word word"))
    row = {"prompt": "word", "chosen": "word", "rejected": "word word", "chosen_factuality": 0.25, "rejected_factuality": 0.5}
    (folder.parent / "pairs.jsonl").write_text(json.dumps(row))
    for loss, chosen in (("dpo", "word"), ("fdpo", "word word")):
        (pair,) = _check(job(**sections, learner={"loss": loss}), new(tmp_path), is_new=True).pairs.pairs_D
        assert (pair.chosen.text, pair.flipped) == (chosen, loss == "fdpo")


def test_a_prompt_must_leave_room_for_the_answers_of_the_evaluation_too(job, tmp_path):
    _check(job(evaluation={"max_tokens": 8}), new(tmp_path), is_new=True)
    with pytest.raises(ModelError, match=r"at most 4 tokens .*less 9 for.*10 of 10 .*prompts\.jsonl:1 \(5 tokens\)"):
        _check(job(evaluation={"max_tokens": 9}), new(tmp_path), is_new=True)


def left_out(job, folder, lines, **sections) -> LoadedPrompts:
    """The prompts of a run whose own are these, with a place for five tokens each."""
    (folder.parent / "prompts.jsonl").write_text("".join(json.dumps(line | {"facts": True}) + "\n" for line in lines))
    prompts = {"sources": [{"source": str(folder.parent / "prompts.jsonl"), "label_column": "facts"}], "overlong": "leave_out"}
    return _check(job(prompts=prompts, **sections), RunFolder(Storage(folder.parent / "run")), is_new=True).prompts


def test_overlong_prompts_are_left_out_and_counted_if_the_settings_say_so(job, folder, caplog):
    lines = [{"prompt": f"word {i}", "split": ("train", "heldout")[i % 2]} for i in range(6)]
    lines[2]["prompt"] = lines[5]["prompt"] = "word word word word"
    lines[5]["prompt"] += " word"
    found = left_out(job, folder, lines)
    assert {prompt.text for prompt in found.prompts} == {f"word {i}" for i in (0, 1, 3, 4)}
    assert found.left_out == {"longer than model.max_length allows": 2}
    path = folder.parent / "prompts.jsonl"
    assert f"2 of 6 prompts of more than 5 tokens are left out: {path}:3 (6 tokens), {path}:6 (7 tokens)" in caplog.text


def test_a_run_needs_prompts_that_are_left_when_the_overlong_ones_are_not(job, folder):
    short, long = "word", "word word word word"
    lines = [{"prompt": short, "split": "train"}, {"prompt": long, "split": "heldout"}]
    with pytest.raises(DataError, match=r"1 training and 0 held-out prompts, as 1 of more than 5 tokens are left out"):
        left_out(job, folder, lines)
    lines = [*lines, {"prompt": "word 1", "split": "heldout"}, {"prompt": f"{long} word", "split": "dev"}]
    with pytest.raises(DataError, match=r"development prompts, as run\.select is best"):
        left_out(job, folder, lines, run={"select": "best"})


def test_nothing_is_left_out_of_prompts_that_fit(job, folder):
    found = left_out(job, folder, [{"prompt": f"word {i}"} for i in range(9)])
    assert (len(found.prompts), found.left_out) == (9, {})


def test_a_model_without_room_for_the_question_that_classifies_prompts_is_refused(job, tmp_path):
    with pytest.raises(ModelError, match=r"reads over \d+ tokens: the question .* found model\.max_length 13.*classify\.by"):
        _check(job(classify={"by": "model"}), new(tmp_path), is_new=True)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        (
            {"judge": {"backend": "preference", "preferences": "nowhere"}},
            r"judge\.preferences .*preferences\.safetensors.*train-judge",
        ),
        (
            {"factuality": {"checker": "small", "checker_model": "nowhere"}},
            r"checker_model .*checker\.safetensors.*train-checker",
        ),
    ],
)
def test_a_folder_without_the_weights_of_a_reward_model_is_refused(job, tmp_path, sections, expected):
    settings = {name: dict(job().model_dump()[name], **values) for name, values in sections.items()}
    with pytest.raises(ModelError, match=expected):
        _check(job(**settings), new(tmp_path), is_new=True)


def test_to_choose_the_best_round_a_run_needs_development_prompts(job, folder, tmp_path):
    with pytest.raises(DataError, match=r"run\.select is best; found none among the prompts.*dev_fraction"):
        _check(job(run={"select": "best"}), new(tmp_path), is_new=True)
    sources = [{"source": str(folder.parent / "prompts.jsonl"), "label_column": "facts", "dev_fraction": 0.5}]
    _check(job(run={"select": "best"}, prompts={"sources": sources}), new(tmp_path), is_new=True)


def test_where_labels_decide_each_prompt_needs_one(job, folder, tmp_path):
    bare = {"sources": [{"source": str(folder.parent / "prompts.jsonl")}]}
    with pytest.raises(DataError, match=r"classify\.by is label; found 10 of 10 without one.*label_column"):
        _check(job(prompts=bare), new(tmp_path), is_new=True)


def test_more_held_out_prompts_than_a_round_samples_are_warned_of(job, folder, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(run_module, "MANY", 1)
    _check(job(prompts=job().prompts.model_dump() | {"per_round": 1}), new(tmp_path), is_new=True)
    assert not caplog.records
    rows = [{"prompt": f"word {i}", "facts": True, "split": "heldout" if i else "train"} for i in range(20)]
    (folder.parent / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _check(job(prompts=job().prompts.model_dump() | {"per_round": 1}), new(tmp_path), is_new=True)
    assert "scores 19 held-out prompts, and only 4 responses to learn from: set heldout_limit" in caplog.text


def test_a_light_classifier_needs_instructions_of_both_labels(job, tmp_path):
    classify = {"by": "embedding", "labels": [{"source": "open-ended"}]}
    with pytest.raises(DataError, match=r"texts of both labels in classify\.labels"):
        _check(job(classify=classify), new(tmp_path), is_new=True)
    classify["labels"].append({"source": "factbook", "limit": 10})
    _check(job(classify=classify), new(tmp_path), is_new=True)


def test_a_judge_that_is_not_there_is_named_by_its_own_setting(job, tmp_path):
    with pytest.raises(ModelError, match=r"found judge\.model: \./no-judge\."):
        _check(job(judge={"model": "./no-judge"}), new(tmp_path), is_new=True)


def test_a_judge_without_a_tokenizer_is_refused(job, tmp_path):
    judge = tmp_path / "judge"
    judge.mkdir()
    (judge / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (judge / "model.safetensors").write_bytes(make_weights())
    with pytest.raises(ModelError, match=r"a tokenizer in .*judge"):
        _check(job(judge={"model": str(judge)}), new(tmp_path), is_new=True)


def test_a_folder_that_is_there_is_refused_for_a_new_run_and_wanted_for_one_that_goes_on(job, tmp_path):
    (tmp_path / "run").mkdir()
    _check(job(), new(tmp_path), is_new=False)
    with pytest.raises(StorageError, match="exists already"):
        _check(job(), new(tmp_path), is_new=True)


@pytest.mark.parametrize(
    ("sections", "fits"),
    [
        ({"run": {"rounds": 1}, "learner": {"lora": None}}, True),
        ({"run": {"rounds": 2}, "learner": {"lora": None}}, False),
        ({"run": {"rounds": 9, "keep_checkpoints": 1}, "learner": {"lora": None}}, False),
        ({"run": {"rounds": 9}}, True),
    ],
    ids=["a whole model and its state", "those of two rounds", "and of the next before the last goes", "adapters"],
)
def test_room_is_asked_for_weights_and_optimizer_states_of_all_rounds_that_stay(
    job, folder, tmp_path, monkeypatch, sections, fits
):
    """A million parameters: 12 bytes of state for each that is trained, and 2 of weights where there is no adapter."""
    (folder / "model.safetensors").write_bytes(make_weights(bytes(2_000_000)))
    monkeypatch.setattr(Storage, "free_bytes", lambda self: RESERVE_BYTES + 15_000_000)
    if fits:
        _check(job(**sections), new(tmp_path), is_new=True)
    else:
        with pytest.raises(StorageError, match=r"run\.keep_checkpoints"):
            _check(job(**sections), new(tmp_path), is_new=True)


@pytest.mark.parametrize(
    ("root", "resume", "expected"),
    [
        ("runs", None, ("runs", "runs/mine")),
        ("s3://bucket/runs/", None, ("s3://bucket/runs/", "s3://bucket/runs/mine")),
        ("runs", "other", ("runs", "runs/other")),
        ("runs", "/elsewhere/other/", ("/elsewhere", "/elsewhere/other")),
        ("runs", "gs://bucket/other", ("gs://bucket", "gs://bucket/other")),
    ],
)
def test_a_run_is_where_its_root_and_its_id_say_or_the_folder_to_go_on_with(root, resume, expected):
    config, path = locate_run(parse_config({"run": {"root": root, "id": "mine"}}, "here"), resume)
    assert (config.run.root, path) == expected


def test_a_run_that_is_gone_on_with_on_an_object_store_must_be_able_to_send_its_weights():
    settings = parse_config({"weights": {"backend": "lora"}}, "here")
    with pytest.raises(ConfigError, match=r"weights\.backend lora needs run\.root .*gs://bucket"):
        locate_run(settings, "gs://bucket/other")


class FakeStages:
    """Notes what is done to the samplers, and in which order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []

    def choose_canary(self, pairs: PairSet) -> None:
        self.calls.append(("canary of", pairs))

    def know_first(self, scored_P) -> None:
        self.calls.append(("answers of round 0", scored_P))

    def save(self, round: int) -> None:
        self.calls.append(("save", round))

    def sync(self, round: int) -> None:
        self.calls.append(("sync", round))

    def stages(self) -> str:
        return "the stages"


def pairs_of(round: int) -> PairSet:
    sides = [make_response("text", round=round, index=index) for index in (0, 1)]
    return make_pair_set(make_pair(*sides))


def trained(tmp_path: Path, *rounds: int) -> Checkpoints:
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    for round in rounds:
        checkpoints.state(round).mkdir(parents=True)
        (checkpoints.state(round) / "model.safetensors").touch()
    return checkpoints


def test_after_a_round_that_was_rolled_back_the_samplers_get_the_weights_of_the_round_that_the_next_one_starts_from(tmp_path):
    Shards(Storage(tmp_path / "run")).write_pairs(2, pairs_of(2))
    fake, checkpoints = FakeStages(), trained(tmp_path, 1, 2)
    checkpoints.choose(Choice(round=2, best=1, restart=1))
    _resumed(fake, new(tmp_path), checkpoints)
    assert fake.calls == [("canary of", pairs_of(2)), ("save", 1), ("sync", 1)]


def test_before_a_resumed_run_samples_anything_the_samplers_get_the_weights_of_the_last_trained_round(tmp_path):
    for round in (1, 2):
        Shards(Storage(tmp_path / "run")).write_pairs(round, pairs_of(round))
    fake = FakeStages()
    assert _resumed(fake, new(tmp_path), trained(tmp_path, 1, 2)) == "the stages"
    assert fake.calls == [("canary of", pairs_of(2)), ("save", 2), ("sync", 2)]


def test_a_resumed_run_knows_the_answers_of_round_zero(tmp_path):
    held_out, developed = (make_held_out(make_scored(make_response(text, round=0))) for text in "ab")
    for kind, found in (("heldout", held_out), ("dev", developed)):
        Shards(Storage(tmp_path / "run")).write(0, kind, found)
    fake = FakeStages()
    _resumed(fake, new(tmp_path), trained(tmp_path))
    assert fake.calls == [("answers of round 0", each.scored_P) for each in (held_out, developed)]


def test_a_run_that_has_trained_nothing_samples_from_the_initial_model(tmp_path):
    fake = FakeStages()
    assert _resumed(fake, new(tmp_path), trained(tmp_path)) == "the stages"
    assert fake.calls == []


@pytest.fixture
def submitted(monkeypatch) -> None:
    monkeypatch.setenv(JOB, json.dumps({"metadata": {"job_submission_id": "one"}}))


@pytest.mark.parametrize(
    ("root", "resume", "setting"),
    [("runs", None, r"run\.root"), ("runs", "mine", r"run\.root"), ("/shared", "./runs/mine", "--resume")],
)
def test_a_relative_root_is_refused_in_a_submitted_job(submitted, root, resume, setting):
    with pytest.raises(ConfigError, match=rf"for {setting}, as this job was submitted.*s3://bucket"):
        locate_run(parse_config({"run": {"root": root}}, "here"), resume)


@pytest.mark.parametrize("resume", ["/shared/mine", "s3://bucket/mine"])
def test_a_submitted_job_may_resume_a_run_by_its_whole_path_whatever_its_root(submitted, resume):
    assert locate_run(Config(), resume)[1] == resume


@pytest.mark.parametrize("resume", ["", " ", ".", "..", "/", "./"])
def test_a_resume_that_names_no_run_does_not_start_a_new_one(resume):
    with pytest.raises(ConfigError, match=r"--resume with a run's id or folder"):
        locate_run(Config(), resume)


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("root", ["file", "/proc"])
def test_a_root_where_nothing_can_be_written_is_refused_before_anything_is_placed(job, tmp_path, root, is_new):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=rf"a folder in \S*{root}, for .*(No such file|Not a directory).*run\.root"):
        _check(job(), RunFolder(Storage(tmp_path / root / "run")), is_new)


def test_a_job_of_the_other_command_is_refused_before_anything_is_placed(job, tmp_path):
    with pytest.raises(ConfigError, match=r"sft\.sources, .* use `flame-ray sft`"):
        _check(job(sft={"sources": [{"source": "seeds"}]}), new(tmp_path), is_new=True)


def test_the_loss_of_the_other_command_alone_is_no_job_of_it(job, tmp_path):
    """It learns from the best of the policy's own responses."""
    assert _check(job(learner={"loss": "nll", "packing": True}), new(tmp_path), is_new=True).prompts


def shared_keys(config: Config, inputs: Inputs) -> dict[str, str] | None:
    """By what they are of, the keys of what the run shares."""
    if (shared := shared_round(config, inputs.policy, inputs.judge, inputs.models, "mine")) is None:
        return None
    assert shared.samples.shelf.root.url == config.run.samples and shared.samples.shelf.run_id == "mine"
    return {"samples": shared.samples.shelf.key} | {name: each.shelf.key for name, each in shared.scores.items()}


def test_runs_of_one_model_that_learn_otherwise_share_their_samples_if_they_are_told_where(job, folder, tmp_path):
    def shared(**sections):
        config = job(**sections)
        return shared_keys(config, _check(config, new(tmp_path), is_new=True))

    where = {"run": {"samples": str(tmp_path / "samples")}}
    assert shared() is None
    before = shared(**where, learner={"loss": "ipo"})
    assert before == shared(**where)
    (folder.parent / "corpus.jsonl").write_text(json.dumps({"title": "a title", "text": "another text"}) + "\n")
    corpus = shared(**where)
    assert {name for name in before if before[name] != corpus[name]} == {"factuality"}
    (folder / "model.safetensors").write_bytes(make_weights(b"other weights"))
    assert not set(corpus.values()) & set(shared(**where).values())


@pytest.fixture
def deciding(job, folder, tmp_path) -> tuple[Config, dict[str, Path]]:
    """A job whose samples and scores depend on many files; and those files, by their settings."""
    small, judge = tmp_path / "small", tmp_path / "judge"
    files = {
        "model.chat_template": tmp_path / "chat.jinja",
        "factuality.checker_model": small / "checker.safetensors",
        "judge.preferences": judge / "preferences.safetensors",
        "classify.labels": tmp_path / "labels.jsonl",
        "factuality.sentence_labels": tmp_path / "sentences.jsonl",
    }
    small.mkdir(), judge.mkdir()
    rows = [{"prompt": "Where is Lima?", "facts": True}, {"prompt": "Write a poem.", "facts": False}]
    for file in files.values():
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    labels, sentences = (
        [{"source": str(files[name]), "label_column": "facts", "heldout_fraction": 0}]
        for name in ("classify.labels", "factuality.sentence_labels")
    )
    config = job(
        run={"samples": str(tmp_path / "samples")},
        model={"chat_template": str(files["model.chat_template"])},
        factuality={
            "checker": "small",
            "checker_model": str(small),
            "sentences": "fact_based",
            "sentence_labels": sentences,
            "embedder": str(folder),
        },
        judge={"backend": "preference", "preferences": str(judge)},
        classify={"by": "embedding", "labels": labels, "embedder": str(folder)},
    )
    return config, files


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("model.chat_template", {"samples", "instruction", "factuality"}),
        ("factuality.checker_model", {"factuality"}),
        ("factuality.sentence_labels", {"factuality"}),
        ("judge.preferences", {"instruction"}),
        ("classify.labels", set()),
    ],
)
def test_runs_share_nothing_that_a_file_decides_which_has_changed(deciding, folder, what, changed):
    config, files = deciding

    def keys():
        known = look_up(str(folder), config.model)
        return shared_keys(config, Inputs(known, known, LoadedPrompts((), {}, {}), {}))

    before = keys()
    assert keys() == before
    files[what].write_text(files[what].read_text() + json.dumps({"prompt": "Who?", "facts": True}))
    assert {name for name, key in keys().items() if key != before[name]} == changed


def test_a_relative_folder_of_samples_is_refused_in_a_submitted_job(job, submitted, tmp_path):
    config = job(run={"samples": "samples"})
    with pytest.raises(ConfigError, match=r"for run\.samples, as this job was submitted"):
        shared_keys(config, _check(config, new(tmp_path), is_new=True))


def test_the_address_of_a_job_server_is_refused_before_the_models_are_looked_for(tmp_path):
    config = parse_config({"cluster": {"address": "http://127.0.0.1:8265"}, "model": {"policy": "./none"}}, "here")
    with pytest.raises(PlacementError, match=r"ray job submit --address http://127\.0\.0\.1:8265"):
        run(config, Console(file=io.StringIO()))


def test_a_resumed_run_takes_the_commits_that_it_began_with_wherever_the_branches_are_now(job, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 4096}))
    repository, began, moved = tmp_path / "hub" / "models--owner--moved", "a" * 40, "b" * 40
    for commit in (began, moved):
        shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(began)
    model = {"policy": "owner/moved", "max_length": 13}
    factuality = {"retriever": "dense", "embedder": "owner/moved", "checker": "llm", "checker_model": "owner/moved"}
    config = job(model=model, factuality=factuality)
    models = _check(config, new(tmp_path), is_new=True).models
    settings = ("model.policy", "judge.model", "factuality.embedder", "factuality.checker_model")
    assert models == dict.fromkeys(settings, f"owner/moved@{began}")
    (repository / "refs" / "main").write_text(moved)
    hub.look_up.cache_clear()
    resumed = _as_it_began(config, models)
    assert resumed.judge == config.judge, "the policy judges, as before"
    assert _check(resumed, RunFolder(Storage(tmp_path / "resumed")), is_new=True).models == models
    assert _check(config, RunFolder(Storage(tmp_path / "another")), is_new=True).policy.ref.revision == moved


def test_a_folder_that_only_looks_like_a_model_is_refused_before_anything_is_placed(job, tmp_path):
    with pytest.raises(ModelError, match="transformers can load"):
        _check(job(), new(tmp_path), is_new=True)
