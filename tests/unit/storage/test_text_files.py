"""A person's files: what they may begin with, and what is said of those that cannot be read."""

import os

import pytest

from flame_ray.errors import DataError
from flame_ray.storage.text_files import parse_json, read_text, reason

OF_PYTHON = ("codec", "Errno", "char ", "recursion", "digits", "position")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.json"


def refused(path, content: bytes | None = None) -> str:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        parse_json(read_text(path, "a list", "write it again"), path, "a list", "write it again")
    assert not any(word in str(caught.value) for word in OF_PYTHON), caught.value
    assert "\n" not in str(caught.value)
    return caught.value.found


def test_a_byte_order_mark_is_no_part_of_the_text(path):
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert read_text(path, "a list", "") == "[1]"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "file.json:1: Expecting value in column 1"),
        (b"[1,\n 2,, 3]", "file.json:2: Expecting value in column 4"),
        (b"[1]\n\xff", "file.json:2: bytes that are not UTF-8 (0xff)"),
        ("[1]".encode("utf-16"), "file.json:1: bytes that are not UTF-8 (0xff)"),
        (b"[" * 100_000, "file.json: lists or objects too deep in each other"),
        (b"1" * 5000, "file.json: a number too large to keep"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line_and_without_the_librarys_words(path, content, found):
    assert refused(path, content).endswith(found)


def test_what_is_not_there_or_a_folder_is_named_once(path, tmp_path):
    assert refused(path) == f"{path}: No such file or directory"
    assert refused(tmp_path) == f"{tmp_path}: Is a directory"
    assert refused(path / "below") == f"{path}/below: No such file or directory"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, who may read nothing here")
def test_a_file_without_permission_is_named(path):
    path.write_bytes(b"[]")
    path.chmod(0o600)
    os.seteuid(65534)
    try:
        found = refused(path)
    finally:
        os.seteuid(0)
    assert found == f"{path}: Permission denied"


def test_half_of_a_surrogate_pair_is_called_so():
    with pytest.raises(UnicodeEncodeError) as caught:
        "\ud800".encode()
    assert reason(caught.value) == "half of a surrogate pair, which is no character"


def test_a_name_that_stands_twice_in_an_object_of_a_json_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.json: the name 'prompt' twice in an object"):
        parse_json('[{"prompt": "x", "prompt": "y"}]', tmp_path / "a.json", "a JSON file", "write it again")
