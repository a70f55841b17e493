"""The public names of the package, and the habits of its files that a reader relies on."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import flame_ray
import flame_ray.config
import flame_ray.config.load
import flame_ray.errors

PACKAGE = Path(flame_ray.__file__).parent
FILES = {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


TREES = {name: ast.parse(text, name) for name, text in FILES.items()}


def imported(tree: ast.Module) -> Iterator[str]:
    """The top package of every import, wherever in the file it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def caught(handler: ast.ExceptHandler) -> set[str]:
    """The names that a handler catches; a bare `except` catches BaseException."""
    if handler.type is None:
        return {"BaseException"}
    each = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {ast.unparse(name) for name in each}


def raises(handler: ast.ExceptHandler) -> bool:
    """It ends with the same error, or with one of ours made from it."""
    return isinstance(handler.body[-1], ast.Raise)


def hands_on(handler: ast.ExceptHandler) -> bool:
    """What it does has to do with the error that it caught."""
    names = {node.id for line in handler.body for node in ast.walk(line) if isinstance(node, ast.Name)}
    return handler.name is not None and handler.name in names


# Where any error at all becomes an answer, and whose.
HANDED_ON = {
    "rewards/factuality/reward.py": "a reward that failed is missing",
    "cluster/streams.py": "raised where the value would have come",
    "doctor/data.py": "what the doctor found",
    "doctor/probe.py": "what the doctor found",
    "doctor/models.py": "what the doctor found",
    "engines/hub.py": "raised if the hub's cache does not have the model either",
    "cluster/pool.py": "raised where the item's result would have come",
}


def test_the_public_names_are_the_settings_the_error_and_the_loader():
    assert set(flame_ray.__all__) == {"Config", "FlameError", "load_config"}
    assert flame_ray.Config is flame_ray.config.Config
    assert flame_ray.load_config is flame_ray.config.load.load_config
    assert flame_ray.FlameError is flame_ray.errors.FlameError


def broad_handlers(tree: ast.Module) -> list[ast.ExceptHandler]:
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    return [handler for handler in handlers if caught(handler) & {"Exception", "BaseException"}]


def test_every_module_with_code_says_what_it_is_for():
    assert [name for name, tree in TREES.items() if tree.body and not (ast.get_docstring(tree) or "").strip()] == []


def test_no_file_is_longer_than_a_person_reads_at_once():
    assert [name for name, text in FILES.items() if len(text.splitlines()) > 400] == []


def test_vllm_and_deepspeed_are_imported_by_engines_alone():
    engines = {name for name in FILES if name.startswith("engines/")}
    assert {"vllm", "deepspeed"} <= {package for name in engines for package in imported(TREES[name])}
    others = FILES.keys() - engines
    assert [name for name in sorted(others) if {"vllm", "deepspeed"} & set(imported(TREES[name]))] == []


def test_no_error_is_swallowed_by_a_broad_except():
    swallowing = [
        f"{name}:{handler.lineno}"
        for name, tree in TREES.items()
        for handler in broad_handlers(tree)
        if not raises(handler) and not (name in HANDED_ON and hands_on(handler))
    ]
    assert swallowing == []


def test_every_file_that_may_hand_any_error_on_does():
    assert [name for name in HANDED_ON if all(raises(handler) for handler in broad_handlers(TREES[name]))] == []


def test_every_file_of_the_package_that_is_no_code_goes_into_its_wheel():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["flame_ray"]
    packed = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    files = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert files - packed == set()
