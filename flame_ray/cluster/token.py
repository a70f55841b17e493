"""Keeps Ray's token from the eyes of others: whoever has it may run code on the cluster."""

import logging
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from flame_ray.storage.atomic import storage_errors

log = logging.getLogger(__name__)
BYTES = 32  # as many as Ray's own tokens have


def token_path() -> Path:
    """The file that Ray reads its token from, unless RAY_AUTH_TOKEN holds it."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")


def has_token() -> bool:
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or token_path().is_file()


def readable_by_others(path: Path) -> bool:
    """Whether anyone but its owner may read or change the file."""
    return path.is_file() and bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def secure_token() -> None:
    """Makes the token of a local Ray if there is none, and narrows one in the user's home that others may read.

    Ray would make it with the user's umask, for everyone to read. Raises StorageError where it cannot be made.
    """
    path = token_path()
    if _is_read() and not path.exists() and not os.environ.get("RAY_AUTH_TOKEN_PATH"):
        _make(path)
    narrow_token()


def narrow_token() -> None:
    """Narrows the token's file if there is one that others may read, as `ray get-auth-token` makes it."""
    path = token_path()
    if _is_read() and readable_by_others(path):
        _narrow(path)


def _is_read() -> bool:
    """Whether Ray reads its token from the file."""
    return os.environ.get("RAY_AUTH_MODE", "").lower() == "token" and not os.environ.get("RAY_AUTH_TOKEN")


def _make(path: Path) -> None:
    """The file appears whole, and only once if several processes start together."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with storage_errors(path, setting="HOME"):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(BYTES))
            with suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _narrow(path: Path) -> None:
    try:
        path.chmod(0o600)
    except OSError as error:
        log.warning("others may read Ray's token in %s, and its mode cannot be changed: %s", path, error.strerror)
    else:
        log.warning("others could read Ray's token in %s: its mode is 0600 now; replace it if others use this machine", path)
