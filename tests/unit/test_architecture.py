"""The rooms of the tree and their order, as CONTRIBUTING.md lists them: every import goes down the list, never up."""

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import get_args

import pytest

from flame_ray.config.learner import LOSSES, LossName
from flame_ray.config.rewards import JUDGES

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "flame_ray"
ROW = re.compile(r"^\| `([a-z_]+)(?:/|\.py)` \| (yes|) *\|", re.MULTILINE)
RAY_FILES = re.compile(r"Any file of (.*?) may import `ray`; elsewhere only (.*?)\.\n", re.DOTALL)
ENGINES_ONLY = {"vllm", "deepspeed"}
MATHS = ("collections", "dataclasses", "importlib", "math", "typing")  # of the standard library

DRAWN = re.compile(r"```mermaid\n(.*?)```", re.DOTALL)  # the picture in CONTRIBUTING.md
BOX = re.compile(r'(\w+)\["([^"]+)"\]')
ARROW = re.compile(r"^(\w+) --> (\w+)$")

Graph = dict[str, set[str]]


@cache
def listed_rooms() -> dict[str, bool]:
    """Room -> whether it may import Ray, from the top of CONTRIBUTING.md's table down."""
    return {room: ray == "yes" for room, ray in ROW.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))}


@cache
def modules() -> dict[str, Path]:
    return {_dotted(path): path for path in PACKAGE.rglob("*.py")}


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports(module: str) -> frozenset[str]:
    """Everything that a module imports, also inside functions and for type checkers only."""
    return frozenset(name for node in ast.walk(_tree(module)) for name in _imported(node))


def _libraries(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imports(module)}


def _tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            yield full if full in modules() else node.module


def graph(folder: str) -> Graph:
    """The arrows among the folders and files that lie directly in a package: name -> names that it imports."""
    arrows: Graph = defaultdict(set)
    for module in modules():
        for target in imports(module):
            start, end = _child(folder, module), _child(folder, target)
            if start and end and start != end:
                arrows[start].add(end)
    return dict(arrows)


def _child(folder: str, module: str) -> str | None:
    return module.removeprefix(f"{folder}.").partition(".")[0] if module.startswith(f"{folder}.") else None


def upward(arrows: Graph, order: list[str]) -> list[str]:
    """The arrows that go up the list."""
    place = {room: index for index, room in enumerate(order)}
    return sorted(f"{a} -> {b}" for a, ends in arrows.items() for b in ends if place[a] >= place[b])


def reachable(arrows: Graph, start: str) -> set[str]:
    found, left = set(), [start]
    while left:
        new = arrows.get(left.pop(), set()) - found
        found |= new
        left += new
    return found


def packages() -> list[str]:
    return sorted(module for module, path in modules().items() if path.name == "__init__.py")


def test_contributing_lists_every_room():
    found = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path.is_dir() and (path / "__init__.py").exists())
    }
    assert set(listed_rooms()) == found - {"__init__", "__main__"}


def test_every_import_goes_down_the_list():
    arrows = {room: ends for room, ends in graph("flame_ray").items() if room != "__main__"}
    assert upward(arrows, list(listed_rooms())) == []


def test_an_arrow_that_is_turned_round_is_found():
    arrows = {room: ends for room, ends in graph("flame_ray").items() if room != "__main__"}
    for start, ends in arrows.items():
        for end in ends:
            assert upward({end: {start}}, list(listed_rooms())) == [f"{end} -> {start}"]


@pytest.mark.parametrize("package", packages())
def test_no_two_files_of_a_folder_import_each_other(package):
    try:
        TopologicalSorter(graph(package)).prepare()
    except CycleError as error:
        pytest.fail(f"a circle in {package}: {' -> '.join(error.args[1])}")


def picture() -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The boxes of CONTRIBUTING.md's picture, with what is written in each, and its arrows. A line that is neither fails."""
    (drawn,) = DRAWN.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    head, *lines = drawn.strip().splitlines()
    assert head.startswith("flowchart ")
    arrows = [ARROW.fullmatch(BOX.sub(r"\1", line).strip()) for line in lines]
    assert all(arrows), lines
    return dict(BOX.findall(drawn)), [(arrow[1], arrow[2]) for arrow in arrows if arrow]


def test_every_box_of_the_picture_is_a_folder_or_a_file_of_the_package():
    boxes, arrows = picture()
    assert boxes.keys() == {name for arrow in arrows for name in arrow}
    for name, written in boxes.items():
        path = PACKAGE / written
        assert path.is_dir() == written.endswith("/") and path.exists() and path.stem == name, written


def test_every_arrow_of_the_picture_is_an_import_and_stands_there_once():
    _, arrows = picture()
    imported = graph("flame_ray")
    assert [f"{start} -> {end}" for start, end in arrows if end not in imported.get(start, set())] == []
    assert len(arrows) == len(set(arrows)) > 20


def test_ray_is_imported_only_by_the_rooms_that_contributing_lists():
    found = {module.split(".")[1] for module in modules() if "ray" in _libraries(module)}
    assert found == {room for room, may in listed_rooms().items() if may}


def test_elsewhere_ray_is_imported_only_by_the_files_that_contributing_names():
    (said,) = RAY_FILES.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    rooms, files = (re.findall("`([^`]+)`", words) for words in said)
    found = {str(path.relative_to(PACKAGE)) for module, path in modules().items() if "ray" in _libraries(module)}
    assert {file for file in found if not file.startswith(tuple(rooms))} == set(files)


def test_vllm_and_deepspeed_are_imported_only_by_the_engines():
    found = {module for module in modules() if ENGINES_ONLY & _libraries(module)}
    assert found
    assert all(module.startswith("flame_ray.engines.") for module in found)


@pytest.mark.parametrize(("room", "unknown"), [("engines", "learner"), ("engines", "rewards"), ("rewards", "learner")])
def test_a_room_does_not_reach_what_it_must_not_know(room, unknown):
    assert unknown not in reachable(graph("flame_ray"), room)


def test_no_loss_is_known_by_its_name_outside_its_file_and_the_settings():
    """What others ask of a loss is a field of its row in `config/learner.py`, so that a new one is two files."""
    assert naming(LOSSES) == {"config.learner"}


def test_a_judge_is_known_by_its_name_only_where_it_is_made_or_where_its_own_messages_are_counted():
    made = {"config.rewards", "rewards.judge.actor", "commands.train_judge"}
    assert naming(JUDGES) == made | {"commands.evaluate", "commands.evaluate_stages"}


def naming(names: Collection[str]) -> set[str]:
    """The modules in which one of the names stands as a text of its own."""
    return {
        module.removeprefix("flame_ray.")
        for module in modules()
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Constant) and node.value in names
    }


def test_every_loss_has_a_file_of_its_name_and_says_what_it_trains_on():
    folder = PACKAGE / "learner" / "losses"
    assert set(LOSSES) == set(get_args(LossName)) == {path.stem for path in folder.glob("*.py")} - {"__init__"}


def test_losses_are_maths_alone():
    allowed = ("flame_ray.learner.losses", "flame_ray.engines.batch", "flame_ray.config", "torch", *MATHS)
    for module in modules():
        if module.startswith("flame_ray.learner.losses"):
            strange = [name for name in imports(module) if not name.startswith(allowed)]
            assert strange == [], module
