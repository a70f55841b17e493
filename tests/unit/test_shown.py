"""What a person is shown holds no secret, and nothing that a screen would obey."""

import ast
import io
import logging
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from flame_ray.config.load import parse_config
from flame_ray.doctor.checks import Check, Level, Site
from flame_ray.doctor.render import render
from flame_ray.errors import DataError
from flame_ray.journal.run_folder import RunFolder
from flame_ray.report.console import PlainConsole, show_traces
from flame_ray.report.progress import Screen
from flame_ray.shown import BIDI_CONTROLS, ShownFormatter, hide_secrets, say, shown, without_secrets
from flame_ray.storage.filesystem import Storage

CLEAR = "a\x1b[2J\x07\rb"  # clears a terminal
URL = "s3://me:hunter2@host/runs"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (URL, "s3://me:***@host/runs"),
        ("redis://:p@ss@host:6379", "redis://:***@host:6379"),
        ("--set run.root=s3://a:b@c/d, then", "--set run.root=s3://a:***@c/d, then"),
        ("https://hf_token@host/x", "https://***@host/x"),
        ("https://host/x?sig=abc&a=1&api_token=def", "https://host/x?sig=***&a=1&api_token=***"),
        ("https://host/x?api_key=abc&key=def&monkey=1", "https://host/x?api_key=***&key=***&monkey=1"),
        ("https://host/x?access-key=abc&X-ApiKey=def&keys=2", "https://host/x?access-key=***&X-ApiKey=***&keys=2"),
        ("{'root': 's3://a:b@c'}", "{'root': 's3://a:***@c'}"),
    ],
)
def test_the_secret_of_a_url_is_hidden(text, hidden):
    assert without_secrets(text) == hidden and without_secrets(hidden) == hidden


@pytest.mark.parametrize(
    "text", ["s3://bucket/a:b@c", "http://127.0.0.1:8265", "abfs://box@host/runs", "me@host: a:b", "a ://"]
)
def test_what_is_no_secret_stays(text):
    assert without_secrets(text) == text


def test_secrets_are_hidden_everywhere_in_a_tree():
    assert hide_secrets({"a": [URL, 1, None, (URL,)]}) == {"a": ["s3://me:***@host/runs", 1, None, ["s3://me:***@host/runs"]]}


def test_an_error_a_warning_and_a_line_show_no_control_code_and_no_password():
    found = [str(DataError("a", f"`{CLEAR}` {URL}", "b"))]
    found.append(ShownFormatter("%(message)s").format(logging.LogRecord("n", 30, "p", 1, "%s %s", (CLEAR, URL), None)))
    console = PlainConsole(file=io.StringIO(), width=200)
    console.print(f"{CLEAR} {URL}")
    Screen(console).begin(CLEAR).end(URL)
    found.append(console.file.getvalue())
    for text in found:
        assert r"a\x1b[2J\x07\x0db" in text and "hunter2" not in text and not {"\x1b", "\x07", "\r"} & set(text), text


def test_a_further_line_of_a_text_cannot_pass_for_a_message_of_ours():
    assert shown("a\nflame-ray: ready").splitlines() == ["a", "  flame-ray: ready"]


def test_a_table_and_a_terminal_show_them_neither_and_markup_is_plain_text():
    console = PlainConsole(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
    table = Table(title=f"[red]{CLEAR}")
    table.add_column("[bold]x")
    table.add_row(f"[link=file:///x]{CLEAR}[/link]")
    console.print(table)
    text = console.file.getvalue()
    assert "[2J" in text and "\x1b[2J" not in text and "\x07" not in text
    assert "[red]" in text and "[bold]" in text and "[link=file:///x]" in text


def test_the_doctors_report_shows_neither():
    console = PlainConsole(file=io.StringIO(), width=200)
    check = Check(Level.PROBLEM, CLEAR, URL, f"{CLEAR}{URL}", URL)
    render(console, [check], None, Site(f"a {CLEAR}", {}, ()))
    text = console.file.getvalue()
    assert "hunter2" not in text and "\x1b" not in text and "s3://me:***@host/runs" in text


def test_a_runs_settings_and_environment_hold_no_password(tmp_path):
    folder = RunFolder(Storage(tmp_path / "run"))
    config = parse_config({"run": {"root": URL}, "cluster": {"address": "redis://:hunter2@host"}}, "here")
    folder.create(config, {"command": ["run", URL]})
    assert all("hunter2" not in folder.storage.read(name).decode() for name in folder.storage.names())
    folder.check_resumable(config)


@pytest.mark.parametrize(
    "text",
    [
        "\x1b]8;;https://host/\x1b\\a link\x1b]8;;\x1b\\",
        "\x1b]52;c;cm0gLXJmIH4=\x07 into the clipboard",
        "\x9b2J a clear of one sign",
        "\u202ekcatta\u202c \u2066 \u200f",
        "\x1bPq a picture \x1b\\",
        "progress\rflame-ray: all is well",
    ],
    ids=["a link", "the clipboard", "C1", "reordered", "a picture", "over the line"],
)
def test_nothing_that_a_terminal_obeys_is_left_in_any_line(text):
    console = PlainConsole(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    console.print(text)
    record = logging.LogRecord("n", 30, "p", 1, "%s", (text,), None)
    for line in (str(DataError(text, text, text)), ShownFormatter("%(message)s").format(record), console.file.getvalue()):
        assert not [
            char for char in line if (ord(char) < 32 and char != "\n") or 127 <= ord(char) < 160 or char in BIDI_CONTROLS
        ]


def test_a_trace_shows_neither_also_of_a_thread(capsys, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    show_traces()

    def fail():
        raise RuntimeError(f"{CLEAR} {URL}\nof a model")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    try:
        fail()
    except RuntimeError as error:
        sys.excepthook(RuntimeError, error, error.__traceback__)
    text = capsys.readouterr().err
    assert text.count(f"RuntimeError: a\\x1b[2J\\x07\\x0db {URL.replace('hunter2', '***')}\nof a model\n") == 2
    assert "hunter2" not in text and not {"\x1b", "\x07", "\r"} & set(text) and text.count("Traceback") == 2


# What writes to a terminal without spelling control codes out, and the files that see to it themselves.
BARE = {"print", "Console", "echo", "secho", "write"}
SEE_TO_IT = {"cli.py": {"echo"}, "report/console.py": {"write"}, "commands/follow.py": {"write"}}


def calls_of(path: Path) -> set[str]:
    """Of the calls that could print: by a bare name, by `typer`, or to a stream of the process."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) if name in BARE:
                    found.add(name)
                case ast.Attribute(value=ast.Name(id="typer" | "click" | "rich"), attr=name) if name in BARE:
                    found.add(name)
                case ast.Attribute(value=ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr"), attr=name):
                    found.add(name)
    return found


def test_every_command_prints_by_the_console_that_spells_control_codes_out():
    package = Path(__file__).resolve().parents[2] / "flame_ray"
    found = {str(path.relative_to(package)): calls_of(path) for path in package.rglob("*.py")}
    assert {name: calls - {"flush", "isatty"} for name, calls in found.items() if calls - {"flush", "isatty"}} == SEE_TO_IT


def test_what_is_said_is_no_markup_and_a_long_path_stays_on_one_line():
    screen = io.StringIO()
    say(Console(file=screen, width=20, force_terminal=True), "written to [red]/a/long path/that is/copied[/red]/1")
    assert screen.getvalue() == "written to [red]/a/long path/that is/copied[/red]/1\n"
