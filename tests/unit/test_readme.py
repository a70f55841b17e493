"""What the documents tell a person to type exists: targets, commands, options, settings, extras, files and links."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer

from flame_ray.cli import app
from flame_ray.cluster.submitted import is_relative
from flame_ray.commands.run import _check as check_run
from flame_ray.commands.sft import check_sft
from flame_ray.config import Config
from flame_ray.config.describe import sections
from flame_ray.config.load import changed_settings, load_config
from flame_ray.engines.models import CHECKER_WEIGHTS, JUDGE_WEIGHTS
from flame_ray.journal.run_folder import RunFolder
from flame_ray.storage.filesystem import Storage
from tests.shown_runs import make_shown_run

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = {
    str(path.relative_to(REPOSITORY)): path.read_text(encoding="utf-8")
    for folder in (".", "clusters", "jobs", "tests/benchmarks")
    for path in sorted((REPOSITORY / folder).glob("*.md"))
    if path.name != "CHANGELOG.md"
}
# Files whose comments at the top say how they are used.
HEADED = {
    str(path.relative_to(REPOSITORY)): "\n".join(
        line.lstrip("# ") for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")
    )
    for folder in ("clusters", "jobs")
    for path in sorted((REPOSITORY / folder).rglob("*"))
    if path.suffix in (".yaml", ".sh") or path.name == "Dockerfile"
}
GROUP = typer.main.get_command(app)
SETTINGS = {setting.path: setting for section in sections(Config) for setting in section.settings}
USAGE_ERROR = typer.BadParameter.__mro__[1]  # click's, of which Typer has a copy of its own
UNFINISHED = ("MissingParameter", "BadOptionUsage")  # the second: an option without its value
PLACEHOLDER = re.compile(r"<[^>]*>|\[[A-Z-][^\]]*\]")  # <run id>, [RUN ...], [--set ...]


def blocks_of(name: str) -> list[list[str]]:
    """The lines of each of a document's shell blocks, without comments."""
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", DOCUMENTS[name], flags=re.DOTALL)
    lines = (block.replace("\\\n", " ").splitlines() for block in blocks)
    return [[command for line in each if (command := line.split("#")[0].strip())] for each in lines]


def commands_of(name: str) -> list[str]:
    return [command for block in blocks_of(name) for command in block]


def spans_of(name: str) -> list[str]:
    """The inline code of a document, each on one line."""
    prose = re.sub(r"```.*?```", "", DOCUMENTS[name], flags=re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def commands(start: str) -> list[str]:
    return sorted({command for name in DOCUMENTS for command in commands_of(name) if command.startswith(start)})


def calls(texts: Iterator[str]) -> list[str]:
    """Calls of flame-ray, also behind variables of the shell, `--` of Ray, or as a module of Python."""
    start = r"(?:^|(?<!-n)\s)(?:flame-ray|python -m flame_ray) "  # `-n flame-ray` is a namespace of Kubernetes
    found = (re.search(rf"{start}((?:[a-z][a-z-]*|--\w).*)$", text) for text in texts)
    return sorted({re.sub(r"\s+\\$|[;)&|].*$", "", PLACEHOLDER.sub("x", each[1])).strip() for each in found if each})


def commands_with_flame_ray() -> list[str]:
    return calls(command for name in DOCUMENTS for command in commands_of(name))


def spans_with_flame_ray() -> list[str]:
    spans = (span for name in DOCUMENTS for span in spans_of(name))
    headed = (line for text in HEADED.values() for line in text.replace("\\\n", " ").splitlines() if "|" not in line)
    return calls(
        span for texts in (spans, headed) for span in texts if re.match(r"(?:\w+=\S+ )*(?:flame-ray|python -m) ", span)
    )


def parsed(call: str) -> dict:
    """The values of a call's options and arguments; {} if only a value is missing, as where a sentence names a command.

    Raises USAGE_ERROR or AssertionError for a command or an option that does not exist, or a value that it does not take.
    """
    name, *words = shlex.split(call)
    if name.startswith("--"):
        assert name in {option for each in GROUP.params for option in each.opts}, name
        return {}
    assert name in GROUP.commands, f"no command {name}"
    try:
        return GROUP.commands[name].make_context(name, words).params
    except USAGE_ERROR as error:
        if type(error).__name__ not in UNFINISHED:
            raise
        return {}


def test_the_readme_begins_with_the_two_commands():
    assert commands_of("README.md")[:2] == ["make quickstart", "make test"]


def test_every_make_command_is_a_target():
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE))
    spans = {span for name in DOCUMENTS for span in spans_of(name) if re.fullmatch(r"make [a-z-]+( \w+=.*)?", span)}
    assert spans and {command.split()[1] for command in {*commands("make "), *spans}} <= targets


@pytest.mark.parametrize("command", commands_with_flame_ray())
def test_a_command_has_these_options_its_job_is_there_and_has_these_settings(command, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    given = parsed(command)
    assert given or command.startswith("--"), "an argument is missing"
    if given.get("job"):
        load_config(given["job"], tuple(given["set_"] or ()))
    elif given.get("set_"):
        load_config(None, tuple(given["set_"]))


@pytest.mark.parametrize("call", spans_with_flame_ray())
def test_a_command_that_a_sentence_or_a_files_head_names_is_there_with_these_options(call, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    given = parsed(call)
    job = str(given.get("job") or "")
    load_config(job if job.startswith("jobs/") else None, tuple(each for each in given.get("set_") or () if "..." not in each))


def test_what_a_cluster_is_told_to_reproduce_and_evaluate_is_written_to_folders_that_last():
    sent = [
        parsed(call) for call in calls(each for each in commands_of("clusters/README.md") if each.startswith("ray job submit"))
    ]
    places = [str(given[name]) for given in sent for name in ("store", "out") if given.get(name)]
    assert len(sent) == 2 and len(places) == 3
    assert not [place for place in places if is_relative(place)], "it is refused in a submitted job"


def started(calls: Iterator[str]) -> list[dict]:
    """Of calls that start, send, check or resume a job of ours: their options and arguments."""
    given = (parsed(call) for call in calls if call.split()[0] in ("run", "sft", "submit", "doctor"))
    return [each for each in given if str(each.get("job")).startswith("jobs/")]


def resumed() -> list:
    """Each documented call that resumes a run, with the calls above it in its block."""
    lines = [[calls(iter([line])) for line in block] for name in DOCUMENTS for block in blocks_of(name)]
    blocks = [started(iter([found[0] for found in block if found])) for block in lines]
    return [(each, block[:at]) for block in blocks for at, each in enumerate(block) if each.get("resume")]


@pytest.mark.parametrize(("given", "above"), resumed())
def test_a_resumed_run_has_the_settings_of_one_that_a_document_starts_above_it(given, above, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    config = load_config(given["job"], tuple(given["set_"] or ()))
    begun = [load_config(each["job"], tuple(each["set_"] or ())) for each in above if each["job"] == given["job"]]
    assert [] in [changed_settings(each, config) for each in begun]


def checked_calls() -> list[str]:
    """What starts a job whose data needs no network."""
    found = {*commands_with_flame_ray(), *spans_with_flame_ray()}
    kept = [each for each in found if parsed(each) and "jobs/paper" not in each and not parsed(each).get("resume")]
    return sorted(each for each in kept if started(iter([each])))


@pytest.mark.parametrize("call", checked_calls())
def test_the_settings_of_a_job_that_a_document_starts_pass_what_is_checked_before_ray_starts(call, place, model, monkeypatch):
    monkeypatch.setattr("flame_ray.engines.policy.check_loads", lambda model: None)  # the folder only looks like a model
    monkeypatch.chdir(place)
    (given,) = started(iter([call]))
    elsewhere = (f"model.policy={model}", "run.trackers=[]")
    config = load_config(given["job"], (*(given["set_"] or ()), *elsewhere))
    new = RunFolder(Storage(place / "runs" / "new"))
    if config.sft.sources:
        check_sft(config, new, is_new=True)
    else:
        check_run(config, new, is_new=True)


ALONE = {"--version", "audit", "index", "judge-examples", "pairs", "report", "reproduce", "settings", "status", "stop"}
NEEDS_MORE = {
    "--live",
    "--labels anna.jsonl",
    "--over",
    "--address",
    "stop tables",  # a job of a cluster
    "--ranked",
    "--whole-records",
    "s3://",
    "/shared/",
}  # or, of the last three, other settings or a filesystem


def calls_that_need_nothing() -> list[str]:
    """What starts no engine, and asks no cluster and no network."""
    found = {*commands_with_flame_ray(), *spans_with_flame_ray()}
    whole = [each for each in found if each == "--version" or (each.split()[0] in ALONE and parsed(each))]
    fit = [each for each in whole if not any(word in each for word in NEEDS_MORE)]
    return sorted(each for each in fit if not each.startswith("reproduce") or "--only-print" in each)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with job files, two runs, and small files of the names that the documents use."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "jobs").symlink_to(REPOSITORY / "jobs")
    for name in "xy":
        make_shown_run(folder / "runs", name, rounds=1, heldout=12, hostile=False)
    (folder / "corpus.jsonl").write_text('{"title": "Peru", "text": "Lima is its capital."}\n')
    rows = {
        "questions": [{"prompt": f"Question {i}?", "needs_facts": True} for i in range(20)],
        "pairs": [{"prompt": "Where?", "chosen": "Here.", "rejected": "There."}],
        "seeds": [{"prompt": "Where?", "answer": "Here.", "instruction": "Where?", "output": "Here."}],
        "judging": [{"prompt": "How good is it?", "answer": "Good. Score: 4"}],
    }
    for name, each in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in each))
    for name, weights in {"checker": CHECKER_WEIGHTS, "judge": JUDGE_WEIGHTS}.items():
        (folder / name).mkdir()
        (folder / name / weights).touch()
    (folder / "grades.jsonl").write_text('{"prompt": "Where?", "response": "Here.", "rationale": "It is.", "score": 4}\n')
    return folder


@pytest.fixture
def model(folder, add_tokenizer) -> Path:
    """A model's folder without weights that could be loaded; each word is a token."""
    add_tokenizer(folder)
    named = folder / "tokenizer_config.json"
    named.write_text(json.dumps(json.loads(named.read_text()) | {"eos_token": "[ANSWER]"}))
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 4096}))
    return folder


@pytest.mark.parametrize("call", calls_that_need_nothing())
def test_a_command_that_needs_no_cluster_does_what_a_document_says(call, flame, place, monkeypatch):
    monkeypatch.setenv("FLAME_RAY_CACHE", str(place / "cache"))
    words = shlex.split(call.replace("RUN", "x", 1).replace("x x", "x y"))
    done = flame(*words, folder=place)
    assert done.returncode == 0 and done.stdout + done.stderr, done.stderr
    if "--out" in words:
        assert (place / words[words.index("--out") + 1]).stat().st_size > 0


def test_the_completion_of_a_shell_can_be_installed_as_the_readme_says(tmp_path):
    """Typer asks the parent process which shell it is, and writes into its home."""
    call = f"{shlex.quote(sys.executable)} -m flame_ray --install-completion; exit $?"
    done = subprocess.run(["bash", "-c", call], env=os.environ | {"HOME": str(tmp_path)}, cwd=REPOSITORY)
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert done.returncode == 0 and any("_FLAME_RAY_COMPLETE" in text for text in written)


@pytest.mark.parametrize("name", sorted(GROUP.commands))
def test_every_command_has_a_page_of_help_that_names_its_options(name, flame, tmp_path):
    done = flame(name, "--help", folder=tmp_path)
    options = [option for each in GROUP.commands[name].params for option in each.opts if option.startswith("--")]
    assert done.returncode == 0 and [each for each in options if each not in done.stdout] == []


def test_the_commands_that_are_tried_are_those_that_a_newcomer_meets_first():
    firsts = {each.split()[0] for each in calls_that_need_nothing()}
    assert firsts == ALONE


@pytest.mark.parametrize(
    "call",
    ["run jobs/quickstart.yaml --resum x", "runn jobs/quickstart.yaml", "report x --port many", "--versoin", "run --sett a=1"],
)
def test_a_wrong_word_is_found(call):
    with pytest.raises((USAGE_ERROR, AssertionError)):
        parsed(call)


def test_flame_ray_is_found_wherever_it_stands_in_a_line():
    lines = [
        "RAY_AUTH_MODE=token flame-ray leave-node --within 120",
        "ray job submit -- python -m flame_ray doctor JOB",
        "flame-ray's",
    ]
    assert calls(iter(lines)) == ["doctor JOB", "leave-node --within 120"]
    assert {"watch-node aws", "--install-completion", "report RUN x"} <= set(spans_with_flame_ray())
    assert {"submit jobs/paper/dpo-flame.yaml --address http://127.0.0.1:8265 --set run.root=gs://BUCKET/runs"} <= set(
        spans_with_flame_ray()
    )


def named_settings(name: str) -> Iterator[str]:
    """Settings that inline code or a --set names, without their values."""
    sections_ = "|".join(Config.model_fields)
    for span in spans_of(name):
        yield from re.findall(rf"^((?:{sections_})\.[a-z_0-9.]+)(?:=.*|: .*|)$", span)
    yield from re.findall(r"--set[ =]['\"]?([a-z_]+\.[a-z_0-9.]+)=", DOCUMENTS[name])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_setting_that_a_document_names_is_one(name):
    known = {*SETTINGS, *(section.path for section in sections(Config))}
    # A variable of a dictionary, or what a dictionary holds, has no setting of its own.
    wrong = [path for path in named_settings(name) if path.rstrip(".") not in known and path.rpartition(".")[0] not in SETTINGS]
    assert [path for path in wrong if not path.endswith((".py", ".jsonl", ".json", ".yaml", ".parquet"))] == []


def test_every_script_is_there():
    scripts = [word for command in commands("python ") for word in command.split() if word.endswith(".py")]
    assert [script for script in scripts if not (REPOSITORY / script).is_file()] == []


def test_every_extra_is_one_of_the_package():
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [
        extra for command in commands("pip ") for group in re.findall(r"\.\[([\w,]+)\]", command) for extra in group.split(",")
    ]
    named += [extra for text in DOCUMENTS.values() for extra in re.findall(r"flame-ray\[(\w+)\]", text)]
    assert named and set(named) <= extras.keys()


def test_an_installation_from_the_lock_without_a_gpu_names_the_index_that_has_torchs_build():
    head = (REPOSITORY / "clusters" / "cpu.lock").read_text(encoding="utf-8").partition("absl-py")[0].splitlines()
    told = [*head, *(span for name in DOCUMENTS for span in (*spans_of(name), *commands_of(name)))]
    installs = [each for each in told if "pip install" in each and "-r clusters/cpu.lock" in each]
    assert len(installs) > 1 and all("--extra-index-url https://download.pytorch.org/whl/cpu" in each for each in installs)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_that_a_document_names_is_there(name):
    named = re.findall(r"`((?:flame_ray|clusters|jobs|tests)/[\w./-]+)`", DOCUMENTS[name])
    named += [
        word for command in commands_of(name) for word in command.split() if re.match(r"(?:clusters|jobs|tests)/\w", word)
    ]
    assert [path for path in named if not (REPOSITORY / path).exists()] == []
    linked = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", DOCUMENTS[name])
    assert [path for path in linked if not ((REPOSITORY / name).parent / path).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_source_file_that_a_document_names_by_its_end_is_there(name):
    named = {span for span in spans_of(name) if re.fullmatch(r"[\w.-]+(?:/[\w.-]+)*/?", span) and span.endswith((".py", ".sh"))}
    places = [REPOSITORY, REPOSITORY / "flame_ray", (REPOSITORY / name).parent, REPOSITORY / "tests"]
    names = {path.name for path in (REPOSITORY / "flame_ray").rglob("*.py")}
    missing = [each for each in named if not any((place / each).exists() for place in places)]
    assert [each for each in missing if "/" in each or each not in names] == []


def anchors(name: str) -> set[str]:
    """Of a document's headings, as GitHub makes them."""
    prose = re.sub(r"```.*?```", "", DOCUMENTS[name], flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", title).lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_to_a_heading_leads_to_one(name):
    wrong = []
    for path, anchor in re.findall(r"\]\((?!https?://|mailto:)([^)#]*)#([^)]+)\)", DOCUMENTS[name]):
        target = ((REPOSITORY / name).parent / path).resolve() if path else REPOSITORY / name
        if anchor not in anchors(str(target.relative_to(REPOSITORY))):
            wrong.append(f"{path}#{anchor}")
    assert wrong == []


def messages() -> list[str]:
    """The first column of the table of messages."""
    table = DOCUMENTS["jobs/README.md"].partition("<!-- messages -->")[2]
    return re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE)


def advice() -> list[tuple[str, ...]]:
    """By row of the tables of messages and of runs that learn nothing, the settings with values that it says to try."""
    rows = re.findall(r"^\|.*\|.*\| (.*) \|$", DOCUMENTS["jobs/README.md"], flags=re.MULTILINE)
    spans = [
        tuple(span for span in re.findall(r"`([^`]+)`", row) if re.fullmatch(r"[a-z_]+\.[a-z_]+=\S+", span)) for row in rows
    ]
    return sorted({each for each in spans if each})


@pytest.mark.parametrize("settings", advice(), ids=" ".join)
def test_the_settings_that_a_row_of_a_table_says_to_try_are_accepted_together(settings):
    load_config(None, settings)


@cache
def words_in_code() -> tuple[str, ...]:
    """Every text in the package, but for docstrings, with `…` for each value that is filled in."""
    found = []
    for path in (REPOSITORY / "flame_ray").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                found.append(re.sub(r"%(?:\.\d+)?[sdfg]", "…", node.value))
    return tuple(found)


@pytest.mark.parametrize("message", messages())
def test_a_message_that_is_explained_is_one_that_the_code_prints(message):
    wanted = message.removesuffix("…").strip()
    assert any(wanted in words for words in words_in_code())


def test_the_table_of_messages_has_each_message_once():
    assert len(messages()) == len(set(messages())) > 20
