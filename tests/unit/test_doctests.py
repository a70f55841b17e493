"""Runs the examples in the package's docstrings. A module without an example is not imported, so no engine is loaded."""

import doctest
import importlib
from pathlib import Path

import pytest

import flame_ray

ROOT = Path(flame_ray.__file__).parents[1]
WITH_EXAMPLES = [path for path in sorted((ROOT / "flame_ray").rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("name", map(module_name, WITH_EXAMPLES))
def test_the_examples_of_a_module_print_what_they_show(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted and not result.failed


def test_the_package_has_examples():
    assert len(WITH_EXAMPLES) > 20
