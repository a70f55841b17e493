"""The doctor's package is the one that Ray packs."""

from pathlib import Path

import pytest
from ray._private.runtime_env.packaging import create_package

from flame_ray.config import Config
from flame_ray.doctor import package
from flame_ray.doctor.checks import Level
from flame_ray.doctor.package import check_package, find_package, package_files, package_limit


@pytest.fixture
def tree(tmp_path) -> Path:
    """A checkout with things that Ray leaves out: by its own list, by .gitignore, and by a .rayignore further down."""
    root = tmp_path / "checkout"
    for name in ("job.yaml", "src/a.py", "src/b.bin", ".git/objects", ".venv/lib", "runs/x", "data/big", "data/small"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * 1000)
    (root / ".gitignore").write_text("runs/\n")
    (root / "data/.rayignore").write_text("big\n")
    return root


def test_the_package_is_what_ray_would_pack(tree, tmp_path):
    files = package_files(tree)
    assert sorted(files) == [".gitignore", "data/.rayignore", "data/small", "job.yaml", "src/a.py", "src/b.bin"]
    packed = tmp_path / "packed.zip"
    create_package(str(tree), packed, include_gitignore=True, excludes=[".git", ".venv"])
    assert check_package(files, packed.stat().st_size, True).level is Level.OK
    assert check_package(files, packed.stat().st_size - 1, True).level is Level.PROBLEM


def test_gitignore_can_be_turned_off_as_for_ray(tree, monkeypatch):
    monkeypatch.setenv("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "1")
    assert "runs/x" in package_files(tree)


def test_a_package_too_large_names_its_largest_entries_and_matters_to_those_who_submit():
    files = {"models/a.safetensors": 90 * 2**20, "models/b.safetensors": 20 * 2**20, "a.txt": 1, "src/x.py": 2**20}
    check = check_package(files, 100 * 2**20, submits=True)
    assert check.level is Level.PROBLEM
    assert "111.0 MiB in 4 files; largest: models 110.0 MiB, src 1.0 MiB, a.txt" in check.found
    assert check_package(files, 100 * 2**20, submits=False).level is Level.WARNING


def test_a_walk_through_too_many_files_ends(tree, monkeypatch):
    monkeypatch.setattr(package, "TOO_MANY_FILES", 3)
    files = package_files(tree)
    assert len(files) == 3
    assert check_package(files, 2**30, True).found.startswith("at least ")


def test_a_folder_that_ray_cannot_read_is_a_warning(monkeypatch):
    def forbidden(root: Path):
        raise PermissionError(13, "Permission denied", "secrets")

    monkeypatch.setattr(package, "package_files", forbidden)
    check = find_package(Config())
    assert check.level is Level.WARNING and "secrets" in check.found


def test_the_limit_is_the_job_servers():
    assert package_limit() == 100 * 2**20
