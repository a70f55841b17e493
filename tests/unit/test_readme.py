"""What the documents tell a person to type exists: targets, commands, options, settings, extras and files."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from flame_ray.cli import app
from flame_ray.config.load import load_config

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = {
    str(path.relative_to(REPOSITORY)): path.read_text(encoding="utf-8")
    for folder in (".", "clusters", "jobs", "tests/benchmarks")
    for path in sorted((REPOSITORY / folder).glob("*.md"))
    if path.name != "CHANGELOG.md"
}


def commands_of(name: str) -> list[str]:
    """The lines of a document's shell blocks, without comments."""
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", DOCUMENTS[name], flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [command for line in lines if (command := line.split("#")[0].strip())]


def commands(start: str) -> list[str]:
    return sorted({command for name in DOCUMENTS for command in commands_of(name) if command.startswith(start)})


def test_the_readme_begins_with_the_two_commands():
    assert commands_of("README.md")[:2] == ["make quickstart", "make test"]


def test_every_make_command_is_a_target():
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE))
    assert {command.split()[1] for command in commands("make ")} <= targets


@pytest.mark.parametrize("command", commands("flame-ray "))
def test_a_command_has_these_options_its_job_is_there_and_has_these_settings(command, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    _, name, *words = shlex.split(re.sub(r"<.*?>", "x", command))
    given = typer.main.get_command(app).commands[name].make_context(name, words).params
    if given.get("job"):
        load_config(given["job"], tuple(given["set_"] or ()))


def test_every_script_is_there():
    scripts = [word for command in commands("python ") for word in command.split() if word.endswith(".py")]
    assert [script for script in scripts if not (REPOSITORY / script).is_file()] == []


def test_every_extra_is_one_of_the_package():
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [
        extra for command in commands("pip ") for group in re.findall(r"\.\[([\w,]+)\]", command) for extra in group.split(",")
    ]
    assert named and set(named) <= extras.keys()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_that_a_document_names_is_there(name):
    named = re.findall(r"`((?:flame_ray|clusters|jobs|tests)/[\w./-]+)`", DOCUMENTS[name])
    assert [path for path in named if not (REPOSITORY / path).exists()] == []
    linked = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", DOCUMENTS[name])
    assert [path for path in linked if not ((REPOSITORY / name).parent / path).exists()] == []
