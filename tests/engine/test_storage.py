"""Files wherever they lie: on a disk, in memory, in an object storage."""

import io
import itertools

import pytest

from cameraborn.engine.storage import entries, inside, is_address, is_file, opened, read, remove, write
from cameraborn.errors import StorageError

numbers = itertools.count()


@pytest.fixture(params=["disk", "memory", "s3"])
def folder(request, tmp_path):
    if request.param == "disk":
        return str(tmp_path / "folder")
    pytest.importorskip("pyarrow", reason="needs pip install 'cameraborn[cluster]'")
    root = "memory://tests" if request.param == "memory" else request.getfixturevalue("bucket")
    return f"{root}/folder-{next(numbers)}"


@pytest.mark.parametrize(
    ("text", "address"),
    [("s3://bucket/x", True), ("gs://b", True), ("memory://x", True), ("a/b.jpg", False), ("/a:b//c", False)],
)
def test_addresses_are_told_from_paths(text, address):
    assert is_address(text) is address


def test_what_is_written_is_there(folder):
    assert entries(folder) == []
    strange = "a name with #, ?, % and é.jpg"
    write(inside(folder, strange), b"one")
    write(inside(folder, "deeper", "two"), b"two")
    write(inside(folder, strange), b"three")
    assert [(entry.name, entry.is_folder) for entry in entries(folder)] == [
        (strange, False),
        ("deeper", True),
    ]
    assert read(entries(folder)[0].address) == b"three"
    assert read(inside(folder, "deeper", "two")) == b"two"
    assert is_file(inside(folder, strange))
    assert not is_file(inside(folder, "deeper"))
    remove(inside(folder, strange))
    assert not is_file(inside(folder, strange))
    assert [entry.name for entry in entries(folder)] == ["deeper"]


def test_a_file_is_read_bit_by_bit_and_by_lines(folder):
    write(inside(folder, "x"), b"one\ntwo\n" * 1000)
    with opened(inside(folder, "x")) as file:
        assert file.read(5) == b"one\nt"
        assert file.read(2) == b"wo"
    with opened(inside(folder, "x")) as file, io.BufferedReader(file) as lines:
        assert len(list(lines)) == 2000


def test_a_file_that_is_not_there(folder):
    with pytest.raises(FileNotFoundError), opened(inside(folder, "x")):
        pass
    assert not is_file(inside(folder, "x"))
    with pytest.raises(StorageError, match=r"x: cannot be removed \("):
        remove(inside(folder, "x"))


def test_a_storage_that_nobody_knows():
    pytest.importorskip("pyarrow", reason="needs pip install 'cameraborn[cluster]'")
    with pytest.raises(StorageError, match=r"^nosuch://: no such storage here \("):
        read("nosuch://bucket/x")


def test_a_bucket_that_is_not_there(bucket):
    with pytest.raises(StorageError, match=r"^s3://nosuch/x: cannot be written \(.*\): check the address"):
        write("s3://nosuch/x", b"")


def test_a_disk_that_refuses(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(StorageError, match=r"x/y: cannot be written \("):
        write(str(tmp_path / "x" / "y"), b"")
