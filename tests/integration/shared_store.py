"""An object store that every process of this machine reaches: `shared://bucket/key`, kept below $SHARED_STORE.

It has no folders to make and none to rename. fsspec finds it as it finds s3fs: by the entry point of an installed package,
which `install` writes. Who puts a file is noted in $SHARED_STORE/writers. A file $SHARED_STORE/refuse holds a part of a path:
the first write to such a path is refused, and removes it.
"""

import os
import shutil
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem


class SharedStore(LocalFileSystem):
    protocol = "shared"

    def __init__(self, **options):
        super().__init__(**(options | {"auto_mkdir": True}))

    @classmethod
    def _strip_protocol(cls, path):
        key = str(path).removeprefix("shared://").rstrip("/")
        return key if key.startswith("/") else f"{os.environ['SHARED_STORE']}/{key}"

    def put_file(self, path1, path2, **options):
        with (Path(os.environ["SHARED_STORE"]) / "writers").open("a") as writers:
            writers.write(f"{os.getpid()} {path2}\n")
        return super().put_file(path1, path2, **options)

    def pipe_file(self, path, value, **options):
        refusal = Path(os.environ["SHARED_STORE"]) / "refuse"
        if refusal.exists() and refusal.read_text() in path:
            refusal.unlink()
            raise PermissionError(f"no right to write {path}")
        return super().pipe_file(path, value, **options)

    def mv(self, *paths, **options):
        raise NotImplementedError("an object store cannot rename")


def install(folder: Path) -> dict[str, str]:
    """Make the package and the store below `folder`; gives the environment in which a process knows both."""
    package, store = folder / "package", folder / "store"
    info = package / "shared_store-1.0.dist-info"
    for each in (info, store):
        each.mkdir(parents=True)
    shutil.copyfile(__file__, package / "shared_store.py")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shared_store\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fsspec.specs]\nshared = shared_store:SharedStore\n")
    paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"SHARED_STORE": str(store), "PYTHONPATH": os.pathsep.join(paths)}
