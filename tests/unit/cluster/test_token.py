"""Ray's token, in a home of the test's own."""

import os
import stat
from pathlib import Path

import pytest

from flame_ray.cluster.token import has_token, readable_by_others, secure_token, token_path
from flame_ray.errors import StorageError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_token_is_made_for_its_owner_alone_whatever_the_umask(home):
    before = os.umask(0)
    try:
        secure_token()
    finally:
        os.umask(before)
    path = home / ".ray" / "auth_token"
    assert path == token_path() and (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert len(bytes.fromhex(path.read_text())) == 32
    assert [each.name for each in path.parent.iterdir()] == ["auth_token"]


def test_a_token_that_is_there_stays_and_is_narrowed_with_a_word(home, caplog):
    path = home / ".ray" / "auth_token"
    path.parent.mkdir()
    path.write_text("mine")
    path.chmod(0o644)
    secure_token()
    assert (path.read_text(), mode(path)) == ("mine", 0o600)
    assert "others could read" in caplog.text
    caplog.clear()
    secure_token()
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("name", "value"), [("RAY_AUTH_MODE", "disabled"), ("RAY_AUTH_TOKEN", "a"), ("RAY_AUTH_TOKEN_PATH", "/no")]
)
def test_no_token_is_made_where_none_is_read(home, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    secure_token()
    assert not (home / ".ray").exists()


def test_a_home_that_cannot_be_written_is_one_error(home):
    (home / ".ray").touch()
    with pytest.raises(StorageError, match="auth_token"):
        secure_token()


def test_who_may_read_a_file_is_seen(home):
    assert not has_token() and not readable_by_others(token_path())
    secure_token()
    assert has_token() and not readable_by_others(token_path())
    token_path().chmod(0o604)
    assert readable_by_others(token_path())
