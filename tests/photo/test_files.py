"""Folders are walked alike by every verb: sorted, in circles never, with odd names, and nothing hidden by an error."""

import io
import os
import sys
import threading
from pathlib import Path

import pytest

from cameraborn.photo.files import expand, pictures_in
from cameraborn.photo.sniff import Census

posix = pytest.mark.skipif(os.name != "posix", reason="links and odd file names are POSIX")


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def found(folder):
    return [os.path.relpath(path, folder) for path in pictures_in(str(folder))]


def test_pictures_are_sorted_folder_by_folder_and_nothing_else_is_taken(tmp_path):
    names = ["b.jpg", "a/z.PNG", "a/deep/y.webp", "c.txt", "jpg", "a.d/x.heic"]
    touch(*(tmp_path / name for name in names))
    (tmp_path / "folder.jpg").mkdir()
    assert found(tmp_path) == ["a.d/x.heic", "a/deep/y.webp", "a/z.PNG", "b.jpg"]


def test_pictures_are_found_lazily(tmp_path):
    touch(tmp_path / "a" / "1.jpg", tmp_path / "b" / "2.jpg")
    paths = pictures_in(str(tmp_path))
    assert next(paths).endswith("1.jpg")
    touch(tmp_path / "b" / "3.jpg")
    assert [path[-5:] for path in paths] == ["2.jpg", "3.jpg"]


def test_a_folder_that_cannot_be_opened_is_passed_on(tmp_path):
    assert found(tmp_path / "none") == ["."]


@posix
@posix
def test_linked_folders_are_counted(tmp_path):
    (tmp_path / "album").mkdir()
    for name in ("one", "two"):
        (tmp_path / "album" / name).symlink_to(tmp_path, target_is_directory=True)
    census = Census()
    assert list(expand([str(tmp_path / "album")], census)) == []
    assert census.summary() == "2 files passed over: 2 linked folders"
    named = tmp_path / "named"
    named.symlink_to(tmp_path / "album", target_is_directory=True)
    assert list(expand([str(named)], Census())) == []  # one that is named is looked into


@posix
def test_links_to_folders_are_not_followed_and_links_to_files_are(tmp_path):
    touch(tmp_path / "a" / "1.jpg")
    (tmp_path / "a" / "circle").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "circle.jpg").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "2.jpg").symlink_to(tmp_path / "a" / "1.jpg")
    (tmp_path / "a" / "broken.jpg").symlink_to(tmp_path / "nowhere")
    assert found(tmp_path) == ["a/1.jpg", "a/2.jpg", "a/broken.jpg"]


@posix
def test_a_name_that_is_no_text_is_kept(tmp_path):
    name = os.fsdecode(b"\xff.jpg")
    try:
        touch(tmp_path / name)
    except OSError:
        pytest.skip("this file system takes text names only")
    assert found(tmp_path) == [name]


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


JPEG, PNG = b"\xff\xd8\xff\xe0\0\x10JFIF\0", b"\x89PNG\r\n\x1a\n"


def test_pictures_are_known_by_their_first_bytes_whatever_their_ending(tmp_path):
    pictures = ["no_ending", "p.jpg?w=300", "q.jpg_large", "r.mpo", "s.jfif", "t.jpg.1", "u.txt"]
    if os.name != "posix":
        pictures.remove("p.jpg?w=300")
    for name in pictures:
        write(tmp_path / "a" / name, JPEG)
    write(tmp_path / "b" / "v.dat", PNG)
    assert found(tmp_path) == [f"a/{name}" for name in pictures] + ["b/v.dat"]


def test_what_is_passed_over_is_counted_by_kind(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)  # as if the extra of JPEG XL were not installed
    for number in range(3):
        write(tmp_path / f"{number}.jxl", b"\xff\x0a\xfa\x1f")
    for name in ("notes.txt", "a/list.csv", "a/b/archive.zip"):
        write(tmp_path / name, b"PK\3\4\0" if name.endswith("zip") else b"name,value\n")
    write(tmp_path / "a" / "page", b"%PDF-1.7")
    write(tmp_path / "picture.jpg", JPEG)
    write(tmp_path / "broken.jpg", b"no picture: whoever reads it says so")
    census = Census()
    paths = pictures_in(str(tmp_path), census)
    assert [Path(path).name for path in paths] == ["broken.jpg", "picture.jpg"]
    assert census.summary() == "7 files passed over: 3 JPEG XL, 4 not pictures"


@posix
def test_pipes_that_a_pattern_or_a_list_names_are_counted_and_never_opened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.jpg")
    write(tmp_path / "picture.jpg", JPEG)
    both = f"{tmp_path}/pipe.jpg\n{tmp_path}/picture.jpg\n".encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(both)))
    for given in (f"{tmp_path}/*.jpg", f"{tmp_path}/**/*.jpg", "-"):
        census = Census()
        assert [Path(path).name for path in expand([given], census)] == ["picture.jpg"]
        assert census.summary() == "1 file passed over: 1 not a regular file"
    assert list(expand([f"{tmp_path}/pipe.jpg"])) == [f"{tmp_path}/pipe.jpg"]  # which somebody named


@posix
def test_pipes_sockets_and_devices_are_counted_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    write(tmp_path / "picture.jpg", JPEG)
    census, paths = Census(), []
    walk = threading.Thread(target=lambda: paths.extend(pictures_in(str(tmp_path), census)), daemon=True)
    walk.start()
    walk.join(20)
    assert [Path(path).name for path in paths] == ["picture.jpg"]
    assert census.summary() == "3 files passed over: 3 not regular files"


@posix
def test_a_link_that_is_a_circle_hides_nothing(tmp_path):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "circle.jpg").symlink_to(tmp_path / "circle.jpg")
    write(tmp_path / "picture.jpg", JPEG)
    census = Census()
    assert [Path(path).name for path in pictures_in(str(tmp_path), census)] == [
        "circle.jpg",
        "picture.jpg",
    ]
    assert census.summary() == "1 file passed over: 1 unreadable"


def test_a_list_of_folders_has_one_census(tmp_path):
    write(tmp_path / "a" / "1.jpg", JPEG)
    write(tmp_path / "a" / "notes.txt", b"notes")
    write(tmp_path / "b" / "page", b"%PDF-1.7")
    census = Census()
    found = list(expand([str(tmp_path / "a"), str(tmp_path / "b*"), str(tmp_path / "none.jpg")], census))
    assert [Path(path).name for path in found] == ["1.jpg", "none.jpg"]
    assert census.summary() == "2 files passed over: 2 not pictures"
