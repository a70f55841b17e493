"""Checks the room where a run and a local Ray write: disks, shared memory, the object store. Leaves nothing behind."""

import shutil
from pathlib import Path

from flame_ray.cluster.connect import LOCAL, cluster_address
from flame_ray.cluster.submitted import ROOT, is_relative, is_submitted, require_lasting
from flame_ray.config import Config
from flame_ray.doctor.checks import GIB, Check, Level, in_units, refused
from flame_ray.doctor.estimate import BYTES, Plan, checkpoint_bytes
from flame_ray.doctor.models import ModelShape, folder_shape
from flame_ray.engines.models import KnownModel
from flame_ray.errors import ConfigError, StorageError
from flame_ray.journal.run_folder import RESERVE_BYTES
from flame_ray.storage.filesystem import Storage

FULL = 0.95  # the share of its disk at which Ray stops spilling


def find_room(config: Config, plan: Plan | None) -> list[Check]:
    """Check where the run writes, and where Ray writes if the run starts it on this machine."""
    from ray._common.utils import get_default_ray_temp_dir

    try:
        require_lasting("run.root", config.run.root, ROOT)
        storage = Storage(config.run.root)
        with storage.trial():
            pass
        fix = "free some space, set run.keep_checkpoints, or set run.root to another disk"
        what = f"records and the checkpoints that stay, in {storage.url}"
        checks = [check_room("run.root", what, RESERVE_BYTES + (plan.disk if plan else 0), storage.free_bytes(), fix)]
    except (ConfigError, StorageError) as error:
        checks = [refused("run.root", error)]
    if cluster_address(config.cluster) != LOCAL:
        return [*_of_other_nodes(config), *checks]
    store, folder = config.cluster.object_store_gib * GIB, Path(get_default_ray_temp_dir())
    disk = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists()))
    fix, below = "free some space, or set RAY_TMPDIR to another disk", disk.free - (1 - FULL) * disk.total
    checks.append(check_room("Ray's disk", f"spilled objects in {folder}, which Ray fills to {FULL:.0%}", store, below, fix))
    shared = shutil.disk_usage("/dev/shm").free if Path("/dev/shm").is_dir() else None
    fix = "enlarge it (docker run --shm-size), or Ray's store goes to the disk"
    checks.append(check_room("/dev/shm", "Ray's object store", store, shared, fix, Level.WARNING))
    if plan:
        fix = "raise cluster.object_store_gib, or each copy goes over the disk"
        checks.append(check_room("object store", "a copy of the weights", plan.transfer, store, fix, Level.WARNING))
    return checks


def _of_other_nodes(config: Config) -> list[Check]:
    """A warning about a relative path before a job is submitted, since the submitted job will refuse it."""
    if is_submitted() or not is_relative(config.run.root):
        return []
    expected = "an absolute path or a URL, as a submitted job needs"
    return [Check(Level.WARNING, "run.root on a cluster", expected, config.run.root, f"submit it with {ROOT}")]


def checkpoint_room(config: Config, policy: KnownModel) -> float:
    """Bytes for a run's checkpoints (`checkpoint_bytes`). If the model's shape is not known, its files count as bfloat16 and
    its adapters as nothing.
    """
    unknown = ModelShape(policy.weight_bytes // BYTES["bfloat16"], 0, 0, 0, 0, 0, 0, 0, 0)
    return checkpoint_bytes(config, folder_shape(policy.folder) or unknown)


def check_room(name: str, what: str, needed: float, free: float | None, fix: str, short: Level = Level.PROBLEM) -> Check:
    """Check a disk or a store in memory. `free` is None if it cannot be known, as for a bucket."""
    level = Level.OK if free is None or free >= needed else short
    found = "not asked" if free is None else f"{in_units(free)} free"
    return Check(level, name, f"{in_units(needed)} for {what}", found, fix)
