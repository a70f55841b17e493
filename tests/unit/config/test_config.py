"""What a job file may say, how a bad one is refused, and that loading one imports no heavy package."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ValidationError

import flame_ray.errors
from flame_ray.config import Config, PromptSource
from flame_ray.config.describe import typed
from flame_ray.config.load import load_config, parse_config
from flame_ray.errors import ConfigError, FlameError, Interrupted

HEAVY = ("torch", "vllm", "deepspeed", "ray", "transformers", "datasets")


@pytest.fixture
def job(tmp_path):
    """Writes a job file and gives its path; a string is written as it is, anything else as YAML."""

    def write(content) -> str:
        path = tmp_path / "job.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
        return str(path)

    return write


def refusal(path: str, overrides: tuple[str, ...] = ()) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return str(caught.value)


def sections(model: BaseModel, path: str = "config") -> list[tuple[str, BaseModel]]:
    inner = [(f"{path}.{name}", getattr(model, name)) for name in type(model).model_fields]
    return [(path, model), *(found for name, value in inner if isinstance(value, BaseModel) for found in sections(value, name))]


# Loading


def test_a_job_of_no_settings_is_the_defaults(job):
    assert load_config(job("{}\n")) == Config()


@pytest.mark.parametrize("content", ["", "# nothing but a comment\n", "---\n", "\ufeff"])
def test_an_empty_file_is_refused_with_what_to_write(job, content):
    assert "settings in a job file; found none in" in refusal(job(content))


def test_a_job_changes_what_it_names_and_nothing_else(job):
    config = load_config(job({"rollout": {"samples": 8}}))
    assert config.rollout.samples == 8
    assert config == Config(rollout={"samples": 8})
    assert config.rollout.temperature == Config().rollout.temperature


def test_a_byte_order_mark_before_a_job_is_no_part_of_it(tmp_path):
    (tmp_path / "job.yaml").write_text("run: {seed: 7}\n", encoding="utf-8-sig")
    assert load_config(tmp_path / "job.yaml").run.seed == 7


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, who may read nothing here")
def test_a_job_without_permission_is_named(job):
    path = job("{}")
    os.chmod(path, 0o600)
    os.seteuid(65534)
    try:
        message = refusal(path)
    finally:
        os.seteuid(0)
    assert f"{path}, which cannot be read (Permission denied)" in message


@pytest.mark.parametrize(("typed", "value"), [("'4'", 4), ("4.0", 4), ("0x4", 4)])
def test_a_number_may_be_in_quotes(job, typed, value):
    assert load_config(job(f"rollout: {{samples: {typed}}}")).rollout.samples == value


@pytest.mark.parametrize(("typed", "value"), [("yes", True), ("off", False), ("'yes'", True), ("True", True)])
def test_yes_no_on_and_off_are_true_and_false(job, typed, value):
    assert load_config(job(f"pipeline: {{stream: {typed}}}")).pipeline.stream is value


def test_a_small_number_may_be_written_without_a_point_though_yaml_reads_it_as_text(job):
    assert load_config(job("learner:\n  lr: 1e-6\n")).learner.lr == 1e-6


def test_lists_of_a_job_become_tuples(job):
    config = load_config(job({"pairs": {"kinds": ["factuality"]}, "prompts": {"sources": [{"source": "factbook"}]}}))
    assert config.pairs.kinds == ("factuality",)
    assert config.prompts.sources == (PromptSource(source="factbook"),)


def test_lora_can_be_turned_off(job):
    assert load_config(job("learner:\n  lora: null\n")).learner.lora is None


# What is refused, and what is said of it


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ({"rolout": {"samples": 8}}, "rolout"),
        ({"rollout": {"sample": 8}}, "rollout.sample"),
        ({"learner": {"lora": {"rank": 8}}}, "learner.lora.rank"),
        ({"prompts": {"sources": [{"source": "factbook"}, {"source": "mine.jsonl", "colum": "q"}]}}, "prompts.sources.1.colum"),
        ({"samples": 8}, "samples"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_by_its_path(job, content, path):
    assert f"job.yaml: {path}: there is no such setting" in refusal(job(content))


@pytest.mark.parametrize("section", [name for name, _ in sections(Config())])
def test_no_section_takes_a_setting_that_it_does_not_know(section):
    model = dict(sections(Config()))[section]
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(model).model_validate({**model.model_dump(), "no_such_setting": 1})


@pytest.mark.parametrize(
    ("content", "path", "given"),
    [
        ({"rollout": {"samples": "four"}}, "rollout.samples", "four"),
        ({"rollout": {"samples": 4.5}}, "rollout.samples", "4.5"),
        ({"run": {"rounds": None}}, "run.rounds", "null; YAML reads an empty value so"),
        ({"run": {"name": "two words"}}, "run.name", "two words"),
        ({"run": {"name": "../escape"}}, "run.name", "../escape"),
        ({"run": {"id": ""}}, "run.id", "''"),
        ({"rollout": 4}, "rollout", "4"),
        ({"judge": {"backend": "oracle"}}, "judge.backend", "oracle"),
        ({"pairs": {"kinds": ["factual"]}}, "pairs.kinds.0", "factual"),
        ({"pairs": {"kinds": []}}, "pairs.kinds", "[]"),
        ({"prompts": {"sources": []}}, "prompts.sources", "[]"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_its_path_and_shown(job, content, path, given):
    message = refusal(job(content))
    assert f"job.yaml: {path}: " in message
    assert f"(given {given})" in message


# The last value on the right side of each bound, and the first on the wrong side.
RANGES = [
    ("rollout.samples", 2, 1),
    ("rollout.temperature", 0.01, 0),
    ("rollout.top_p", 1, 1.01),
    ("rollout.top_p", 0.01, 0),
    ("rollout.top_k", 0, -1),
    ("rollout.workers", 1, 0),
    ("rollout.gpus", 0, -0.5),
    ("rollout.gpu_memory", 1, 1.1),
    ("judge.temperature", 0, -0.1),
    ("judge.samples", 1, 0),
    ("classify.threshold", 1, 1.01),
    ("factuality.sentence_threshold", 0, -0.01),
    ("factuality.retrieve", 1, 0),
    ("factuality.threshold", 0, -0.01),
    ("pairs.max_judge_gap", 0, -0.1),
    ("pairs.min_fact_gap", 1, 1.1),
    ("pairs.fact_weight", 0.1, 0),
    ("pairs.factuality_per_prompt", 1, 0),
    ("prompts.per_round", 1, 0),
    ("run.rounds", 1, 0),
    ("cluster.object_store_gib", 0.5, 0),
    ("learner.beta", 0.001, 0),
    ("learner.fact_margin", 0, -1),
    ("learner.clip", 0.01, 1),
    ("learner.average_decay", 0, 1),
    ("learner.kl_weight", 0, -0.1),
    ("learner.lr", 1e-9, 0),
    ("learner.lr", 1, ".nan"),
    ("learner.lr_final", 0, -1e-9),
    ("learner.zero_stage", 3, 4),
    ("learner.grad_clip", 0.1, 0),
    ("learner.lora.dropout", 1, 1.1),
    ("learner.lora.r", 1, 0),
    ("learner.canary_tolerance", 0.01, 0),
    ("learner.checkpoint_steps", 1, 0),
    ("learner.lr_round_factor", 1, 1.1),
    ("rollout.min_workers", 1, 0),
    ("run.keep_checkpoints", 1, 0),
    ("pairs.recall_at", 1, 0),
    ("pairs.max_fact_loss", 1, 1.1),
    ("pipeline.staleness", 1, 2),
    ("evaluation.bootstrap", 100, 99),
    ("evaluation.recall_at", 1, 0),
    ("evaluation.recall_weight", 0.1, 0),
    ("run.max_abstentions", 1, 1.1),
]


@pytest.mark.parametrize(("path", "inside", "outside"), RANGES, ids=[f"{path}={outside}" for path, _, outside in RANGES])
def test_a_range_ends_where_it_should_and_the_refusal_names_the_setting(job, path, inside, outside):
    empty = job("{}")
    value = load_config(empty, (f"{path}={inside}",))
    for name in path.split("."):
        value = getattr(value, name)
    assert value == inside
    assert f"in --set: {path}: " in refusal(empty, (f"{path}={outside}",))


def test_every_fault_of_a_file_is_reported_at_once(job):
    message = refusal(job({"rollout": {"samples": 1, "top_p": 2}, "learnr": {}}))
    assert all(f"{path}: " in message for path in ("rollout.samples", "rollout.top_p", "learnr"))


def test_a_long_value_is_cut_short_in_the_message(job):
    message = refusal(job({"run": {"name": "x" * 5000}}))
    assert len(message) < 500


def test_a_batch_that_the_ranks_cannot_share_is_refused_with_the_numbers(job):
    message = refusal(job({"learner": {"batch_pairs": 64, "workers": 3, "micro_batch_pairs": 4}}))
    assert "job.yaml: learner: " in message
    assert "batch_pairs (64) must be a multiple of workers x micro_batch_pairs (3 x 4)" in message


@pytest.mark.parametrize(("batch", "workers", "micro"), [(8, 1, 4), (8, 2, 4), (64, 8, 8), (1, 1, 1)])
def test_a_batch_that_the_ranks_can_share_is_accepted(job, batch, workers, micro):
    learner = load_config(job({"learner": {"batch_pairs": batch, "workers": workers, "micro_batch_pairs": micro}})).learner
    assert learner.batch_pairs == batch


def test_a_run_starts_with_all_workers_unless_min_workers_says_fewer(job):
    rollout = load_config(job({"rollout": {"workers": 4}})).rollout
    assert (rollout.least, load_config(job({"rollout": {"workers": 4, "min_workers": 2}})).rollout.least) == (4, 2)
    message = refusal(job({"rollout": {"workers": 2, "min_workers": 3}}))
    assert "job.yaml: rollout: " in message and "min_workers (3) must not be more than workers (2)" in message


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"weights": {"backend": "lora"}, "learner": {"lora": None}}, "weights.backend lora needs learner.lora"),
        ({"weights": {"backend": "checkpoint"}}, "weights.backend checkpoint needs run.save_merged true"),
        (
            {"weights": {"backend": "lora"}, "run": {"root": "s3://bucket/runs"}},
            "weights.backend lora needs run.root on a filesystem that every node mounts (given s3://bucket/runs)",
        ),
    ],
)
def test_weights_that_travel_through_a_folder_need_a_round_that_writes_it(job, content, fault):
    message = refusal(job(content))
    assert f"job.yaml: {fault}" in message and "Value error" not in message


def test_a_missing_file_is_named(tmp_path):
    message = refusal(str(tmp_path / "absent.yaml"))
    assert "absent.yaml" in message and "jobs/quickstart.yaml" in message


def test_a_folder_is_no_job_file(tmp_path):
    assert f"found a folder at {tmp_path}" in refusal(str(tmp_path))


def test_broken_yaml_is_refused_with_its_line(job):
    message = refusal(job("run:\n  name: ok\n rollout: [\n"))
    assert "job.yaml:3: a line that is indented differently" in message


def test_bytes_that_are_not_text_are_refused_as_broken_yaml(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_bytes(b"run:\n  name: \xff\xfe\n")
    assert "a job file in UTF-8; found" in refusal(str(path)) and "job.yaml:2: " in refusal(str(path))


@pytest.mark.parametrize(
    ("content", "found"), [("- rollout\n- learner\n", "a list"), ("just words\n", "text"), ("42\n", "a number")]
)
def test_a_file_that_holds_no_mapping_is_refused_with_what_it_holds(job, content, found):
    assert f"job.yaml holds {found}" in refusal(job(content))


def test_yaml_cannot_build_python_objects(job):
    assert "a job file in YAML" in refusal(job("run: !!python/object/apply:os.getcwd []\n"))


# Bases


@pytest.fixture
def write(tmp_path):
    """Writes a file of settings under a name, which may have a folder, and gives its path."""

    def write(name: str, content) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return write


def test_a_job_replaces_the_settings_of_its_base_one_by_one(write):
    write("common.yaml", {"rollout": {"samples": 8, "top_p": 0.5}, "learner": {"lora": {"r": 4, "alpha": 8}}})
    path = write(
        "job.yaml", {"base": "common.yaml", "rollout": {"samples": 6}, "learner": {"lora": {"r": 2}}, "run": {"seed": 3}}
    )
    expected = {"rollout": {"samples": 6, "top_p": 0.5}, "learner": {"lora": {"r": 2, "alpha": 8}}, "run": {"seed": 3}}
    assert load_config(path) == Config.model_validate(expected)


def test_a_list_and_a_null_replace_what_the_base_says(write):
    write("common.yaml", {"prompts": {"sources": [{"source": "a"}, {"source": "b"}]}, "learner": {"lora": {"r": 4}}})
    config = load_config(
        write("job.yaml", {"base": "common.yaml", "prompts": {"sources": [{"source": "c"}]}, "learner": {"lora": None}})
    )
    assert (config.prompts.sources, config.learner.lora) == ((PromptSource(source="c"),), None)


def test_a_base_may_have_a_base_and_each_path_starts_from_the_file_that_names_it(write, tmp_path, monkeypatch):
    write("lowest.yaml", {"run": {"seed": 1, "rounds": 1}, "rollout": {"samples": 2}})
    write("inner/middle.yaml", {"base": "../lowest.yaml", "run": {"rounds": 2}, "rollout": {"samples": 3}})
    write("job.yaml", {"base": "inner/middle.yaml", "rollout": {"samples": 4}})
    monkeypatch.chdir("/")
    config = load_config(tmp_path / "job.yaml")
    assert (config.run.seed, config.run.rounds, config.rollout.samples) == (1, 2, 4)


def test_an_override_wins_over_a_job_and_its_base(write):
    write("common.yaml", {"rollout": {"samples": 8, "top_p": 0.5}})
    config = load_config(write("job.yaml", {"base": "common.yaml"}), ("rollout.samples=6",))
    assert (config.rollout.samples, config.rollout.top_p) == (6, 0.5)


def test_bases_that_go_round_in_a_circle_are_refused_with_the_chain(write):
    first, second = write("a.yaml", {"base": "b.yaml"}), write("b.yaml", {"base": "./a.yaml"})
    assert f"{first} -> {second} -> {first}" in refusal(str(first))
    own = write("own.yaml", {"base": "own.yaml"})
    assert f"{own} -> {own}" in refusal(str(own))


def test_a_base_that_is_not_there_is_refused_with_both_files(write, tmp_path):
    path = write("job.yaml", {"base": "absent.yaml"})
    message = refusal(str(path))
    assert f"expected the base of {path}; found nothing at {tmp_path / 'absent.yaml'}" in message
    assert f"correct `base:` in {path}" in message


@pytest.mark.parametrize("base", [["a.yaml"], 3, {"file": "a.yaml"}, None, ""])
def test_a_base_that_is_no_file_name_is_refused(write, base):
    path = write("job.yaml", {"base": base})
    assert f"{typed(base)} in {path}" in refusal(str(path))


def test_a_bad_setting_is_reported_with_the_job_and_its_base(write):
    base = write("common.yaml", {"rollout": {"sampels": 8}})
    path = write("job.yaml", {"base": "common.yaml"})
    assert f"in {path}, based on {base}: rollout.sampels: " in refusal(str(path))


# Overrides


def test_an_override_wins_over_the_file_and_the_last_one_over_the_first(job):
    path = job({"rollout": {"samples": 8, "top_p": 0.5}})
    config = load_config(path, ("rollout.samples=6", "rollout.samples=7"))
    assert (config.rollout.samples, config.rollout.top_p) == (7, 0.5)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("model.policy=some/model", "some/model"),
        ("learner.lora.r=4", 4),
        ("learner.lr=5e-7", 5e-7),
        ("pairs.max_judge_gap=null", None),
        ("pairs.kinds=[factuality]", ("factuality",)),
        ("learner.lora=null", None),
        ("cluster.address=ray://head:10001", "ray://head:10001"),
        ("model.policy=/models/a=b", "/models/a=b"),
    ],
)
def test_the_value_of_an_override_is_yaml(job, override, value):
    config = load_config(job("{}"), (override,))
    for name in override.partition("=")[0].split("."):
        config = getattr(config, name)
    assert config == value


@pytest.mark.parametrize("override", ["rollout.samples", "samples=8", "=8", ""])
def test_an_override_without_a_section_or_a_value_is_refused_with_an_example(job, override):
    message = refusal(job("{}"), (override,))
    assert "--set rollout.workers=2" in message


def test_an_override_below_a_value_is_refused(job):
    message = refusal(job({"rollout": {"samples": 8}}), ("rollout.samples.more=1",))
    assert "`samples` in rollout.samples.more=1 is a value" in message


def test_a_mistyped_override_is_refused_by_its_path(job):
    assert "found in --set: rollout.sampels: " in refusal(job("{}"), ("rollout.sampels=8",))
    assert "found in --set: rolout: " in refusal(job("{}"), ("rolout.samples=8",))
    path = job({"rollout": {"top_p": 2}})
    assert f"found in {path} and --set: rollout.top_p: " in refusal(path, ("rollout.sampels=8",))
    assert f"found in {path}: rollout.top_p: " in refusal(path, ("rollout.samples=8",))


@pytest.mark.parametrize(
    ("section", "source", "told"),
    [
        ("sft", {"form": "trees", "label_column": "facts"}, "form trees does not read label_column"),
        ("sft", {"form": "chat", "prompt_column": "q", "language": "de"}, "form chat does not read language, prompt_column"),
        ("sft", {"chat_column": "turns"}, "form table does not read chat_column"),
        ("prompts", {"source": "factbook", "label_column": "facts"}, "factbook has columns, labels and splits of its own"),
        ("prompts", {"source": "open-ended", "heldout_fraction": 0.5}, "leave heldout_fraction out"),
    ],
)
def test_a_setting_of_a_source_that_nothing_would_read_is_refused(job, section, source, told):
    assert told in refusal(job({section: {"sources": [{"source": "mine.jsonl"} | source]}}))


@pytest.mark.parametrize(
    ("file", "overrides", "places"),
    [
        ({}, ("pairs.file=a.jsonl", "learner.loss=mask_dpo", "run.rounds=1"), "--set"),
        ({"pairs": {"file": "a.jsonl"}, "run": {"rounds": 1}}, ("learner.loss=mask_dpo",), "{path} and --set"),
        ({"pairs": {"file": "a.jsonl"}, "run": {"rounds": 1}, "learner": {"loss": "mask_dpo"}}, ("learner.lr=0.1",), "{path}"),
        ({"learner": {"nll_weight": 1.0}}, ("learner.loss=grpo", "learner.reference=round"), "{path} and --set"),
        ({"learner": {"nll_weight": 1.0, "loss": "grpo", "reference": "round"}}, ("learner.lr=0.1",), "{path}"),
    ],
    ids=["both typed", "one of each", "both in the file", "one of each in a section", "both in the file's section"],
)
def test_settings_that_do_not_go_together_are_found_where_they_were_given(job, file, overrides, places):
    path = job(file)
    assert f"found in {places.format(path=path)}: " in refusal(path, overrides)


def test_an_override_is_checked_against_the_rest_of_the_file(job):
    assert "learner: " in refusal(job({"learner": {"workers": 2, "batch_pairs": 8}}), ("learner.batch_pairs=7",))


# After loading


@pytest.mark.parametrize("section", [name for name, _ in sections(Config())])
def test_no_setting_changes_after_loading(job, section):
    model = dict(sections(load_config(job("{}"))))[section]
    for name in type(model).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, name, getattr(model, name))


def test_loading_a_file_twice_gives_the_same_settings_and_leaves_the_defaults_alone(job):
    before = Config().model_dump()
    path = job({"learner": {"lora": {"r": 64}}, "prompts": {"per_round": 7}})
    assert load_config(path) == load_config(path)
    assert Config().model_dump() == before


def test_settings_survive_a_trip_through_yaml_and_through_pickle(job):
    config = load_config(job({"run": {"id": "a-1"}, "learner": {"lora": None}, "pairs": {"kinds": ["factuality"]}}))
    assert load_config(job(config.model_dump(mode="json"))) == config
    assert pickle.loads(pickle.dumps(config)) == config


def test_importing_the_package_and_loading_a_job_imports_nothing_heavy(job):
    code = "import sys, flame_ray; flame_ray.load_config(sys.argv[1]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, job("{}")], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "flame_ray" in loaded
    assert not loaded & set(HEAVY)


# Errors

ERRORS = [value for value in vars(flame_ray.errors).values() if isinstance(value, type) and issubclass(value, FlameError)]


def test_every_class_of_error_is_among_those_tested():
    assert len(ERRORS) >= 8 and FlameError in ERRORS and ConfigError in ERRORS


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_is_the_same_after_pickling(error, protocol):
    before = error("samples >= 2", "1", "set rollout.samples to 2 or more")
    after = pickle.loads(pickle.dumps(before, protocol))
    assert type(after) is error
    assert vars(after) == vars(before) and after.args == before.args
    assert str(after) == str(before) == "expected samples >= 2; found 1. To fix: set rollout.samples to 2 or more."
    assert after.exit_code == before.exit_code


def test_every_kind_of_error_has_its_own_exit_code_and_a_finer_kind_shares_that_of_its_kind():
    codes = {error: vars(error)["exit_code"] for error in ERRORS if "exit_code" in vars(error)}
    assert len(set(codes.values())) == len(codes)
    assert all(0 < code < 64 for error, code in codes.items() if error is not Interrupted)
    kinds = tuple(error for error in codes if error is not FlameError)
    assert all(issubclass(error, kinds) for error in ERRORS if error not in codes)


def test_an_interrupted_run_exits_with_the_code_that_says_try_again():
    """EX_TEMPFAIL of sysexits.h: a scheduler may start the command once more."""
    assert Interrupted.exit_code == os.EX_TEMPFAIL == 75


def test_without_a_file_there_are_the_defaults_and_what_is_set():
    assert load_config(None) == Config()
    assert load_config(None, ("factuality.corpus='a: b'",)).factuality.corpus == "a: b"
    with pytest.raises(ConfigError, match=r"in --set: rollout\.sampels"):
        load_config(None, ("rollout.sampels=3",))


def test_a_fault_among_settings_of_a_section_does_not_print_the_whole_section(job):
    message = refusal(job("learner: {loss: cdpo, lr: 0.5}"))
    assert "learner: loss cdpo needs label_smoothing above 0" in message
    assert "lr:" not in message


@pytest.mark.parametrize(
    ("section", "setting", "value"),
    [
        ("run", "root", ""),
        ("run", "id", ""),
        ("run", "root", " "),
        ("cluster", "address", ""),
        ("model", "policy", ""),
        ("model", "revision", ""),
        ("factuality", "corpus", ""),
        ("factuality", "checker_model", ""),
        ("judge", "preferences", ""),
        ("train_judge", "labels", [""]),
    ],
)
def test_an_empty_text_is_no_setting(section, setting, value):
    with pytest.raises(ConfigError, match=rf"{section}\.{setting}: must not be empty"):
        parse_config({section: {setting: value}}, "here")
