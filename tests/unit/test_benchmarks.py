"""The benchmarks run seldom, so this is where a renamed thing that they import is noticed."""

import ast
import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def imported(path: Path) -> list[tuple[str, str]]:
    """The module and the name of each import from this repository, wherever in the file it stands."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ours = [
        node for node in nodes if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("flame_ray", "tests"))
    ]
    return [(node.module or "", alias.name) for node in ours for alias in node.names]


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_everything_that_a_benchmark_imports_is_there(path):
    for module, name in imported(path):
        if not hasattr(importlib.import_module(module), name):
            importlib.import_module(f"{module}.{name}")
