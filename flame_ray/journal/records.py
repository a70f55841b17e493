"""Parts: batches of records that outlive the process, so that a resumed run need not make them again.

In: records of one type (`types.py`), a name. Out: one file of gzipped JSON; the same records give the same bytes. What comes
back is equal to what was saved, class by class and bit by bit; nan and infinities too, so that a resumed run goes on like
one that never stopped. Knows nothing of which stage made them.
"""

import gzip
import zlib
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from flame_ray.errors import StorageError
from flame_ray.storage.filesystem import Storage

Record = TypeVar("Record")


def save(storage: Storage, name: str, records: Sequence[Any]) -> None:
    """Writes the part. A record that is not what its annotations say is a ValueError now, rather than when it is loaded."""
    data = b"[]"
    if records:
        adapter = _adapter(type(records[0]))
        data = adapter.dump_json(list(records), warnings="error")
        adapter.validate_json(data, strict=True)
    storage.write(name, gzip.compress(data, compresslevel=1, mtime=0))


def load(storage: Storage, name: str, kind: type[Record]) -> list[Record]:
    """Reads a part of records of this type. A missing, damaged or other part is a StorageError that names it."""
    data = storage.read(name)
    try:
        return _adapter(kind).validate_json(gzip.decompress(data), strict=True)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _refusal(storage, name, kind, f"a damaged file ({error})") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        found = f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
        raise _refusal(storage, name, kind, found) from error


def _adapter(kind: type[Record]) -> TypeAdapter[list[Record]]:
    """Forbids unknown keys, so that a member of a union is never read as another one with fewer fields."""
    return TypeAdapter(list[kind], config=ConfigDict(extra="forbid", ser_json_inf_nan="constants"))  # type: ignore[valid-type]


def _refusal(storage: Storage, name: str, kind: type, found: str) -> StorageError:
    expected = f"{kind.__name__} records in {storage.at(name)}"
    return StorageError(expected, found, "remove the file, and the run makes it again")
