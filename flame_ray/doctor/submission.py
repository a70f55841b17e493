"""Checks a job that is about to be submitted: its package, what that leaves out, the run's folder, the token, the nodes."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from flame_ray.cluster.capacity import sft_roles
from flame_ray.cluster.job_server import JobServer, Nodes
from flame_ray.config import Config
from flame_ray.doctor.capacity import check_engine_gpus, check_placement, check_weights
from flame_ray.doctor.checks import Check, Level, Site, counted
from flame_ray.doctor.package import check_package, package_files, package_limit
from flame_ray.doctor.probe import find_auth
from flame_ray.journal.environment import TESTED
from flame_ray.storage.filesystem import missing_driver

OF_ONE_MACHINE = ("/tmp", "/var/tmp", "/dev/shm", "/run")
SHARED = "a folder that every node mounts, or s3://bucket/runs"


def examine_submission(config: Config, job_files: Collection[Path], server: JobServer) -> tuple[list[Check], Site]:
    """Every check, and the site that they are about. The package is that of the working directory."""
    nodes = server.nodes()
    site = site_of(nodes)
    checks = [check_version(server.ray_version), *_placement(config, site), *check_engine_gpus(config)]
    checks += [*check_weights(config), check_root(config.run.root, nodes), *_package(config, job_files, Path.cwd())]
    return [*checks, find_auth(server.address)], site


def site_of(nodes: Nodes) -> Site:
    """The nodes as the doctor sees a cluster."""
    total: dict[str, float] = {}
    for each in nodes.resources:
        total |= {name: total.get(name, 0.0) + amount for name, amount in each.items()}
    memory = tuple(each.get("memory", 0.0) + each.get("object_store_memory", 0.0) for each in nodes.resources)
    name = f"cluster of {counted(len(nodes.resources), 'node')}"
    scaling, fixed = ("nodes may come", ()) if nodes.may_grow else ("", nodes.resources)
    return Site(name, total, memory, scaling=scaling, fixed_nodes=fixed)


def _placement(config: Config, site: Site) -> list[Check]:
    """Of a fine-tuning, whose roles come one after another, each role for itself."""
    if not config.sft.sources:
        return check_placement(config, site)
    checks = [(name, check) for name in sft_roles(config) for check in check_placement(config, site, only=(name,))]
    return [check if name in check.name else replace(check, name=f"{check.name}, {name}") for name, check in checks]


def check_version(found: str) -> Check:
    """Ray joins no cluster of another version."""
    level = Level.OK if found == TESTED["ray"] else Level.WARNING
    return Check(level, "Ray", TESTED["ray"], f"{found} on the head", "give the cluster's nodes the packages of flame-ray")


def check_root(root: str, nodes: Nodes) -> Check:
    """Of an absolute path or a URL: whether other nodes can see it. The run itself tries that at its start.

    What the nodes have installed is not known here; they have a driver, most likely, if this machine has it.
    """
    if missing := missing_driver(root):
        fix = "see that each node has it, as clusters/README.md says under `Where the run folder is`, or correct run.root"
        return Check(Level.WARNING, "run.root", f"a driver for {root} on every node", f"none on this machine: {missing}", fix)
    path, several = root.removeprefix("file://").removeprefix("local://"), len(nodes.resources) > 1 or nodes.may_grow
    is_local = any(PurePosixPath(path).is_relative_to(each) for each in OF_ONE_MACHINE)
    level = Level.WARNING if is_local and several else Level.OK
    return Check(level, "run.root", "a folder or URL that every node sees", root, f"set run.root to {SHARED}")


def _package(config: Config, job_files: Collection[Path], root: Path) -> list[Check]:
    try:
        files = package_files(root)
    except OSError as error:
        fix = "name it in .rayignore, or submit from another folder"
        return [Check(Level.PROBLEM, "package", "files that Ray can read", str(error), fix)]
    return [check_package(files, package_limit(), True), check_left_out(config, job_files, files, root)]


def check_left_out(config: Config, job_files: Collection[Path], files: Mapping[str, int], root: Path) -> Check:
    """The job's files, and what its settings name by a relative path, must be in the package. `files`: those of the package."""
    named = [os.path.relpath(each, root) for each in job_files]
    named += sorted(each for each in _relative_paths(config) if (root / each).exists())
    missing = [each for each in named if not _is_in(os.path.normpath(each), files)]
    expected = "all that the job names by a relative path"
    fix = "take it out of .gitignore and .rayignore, move it into this folder, or name it by a path that every node sees"
    if missing:
        return Check(Level.PROBLEM, "left out", expected, f"not in the package: {', '.join(missing)}", fix)
    return Check(Level.OK, "left out", expected, f"in the package: {', '.join(named) or 'none'}")


def _is_in(path: str, files: Mapping[str, int]) -> bool:
    return path in files or any(name.startswith(f"{path}/") for name in files)


def _relative_paths(config: Config) -> set[str]:
    """Texts among the settings that look like relative paths. The run's folder is none that is read."""
    return {
        text
        for text in _texts(config.model_dump(mode="json", exclude={"run"}))
        if ("/" in text or PurePosixPath(text).suffix) and "://" not in text and not text.startswith(("/", "~"))
    }


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict | list):
        for each in tree.values() if isinstance(tree, dict) else tree:
            yield from _texts(each)
    elif isinstance(tree, str) and "\n" not in tree and "\0" not in tree and len(tree) < 1000:
        yield tree
