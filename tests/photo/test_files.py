"""Folders are walked alike by every verb: sorted, in circles never, with odd names, and nothing hidden by an error."""

import os

import pytest

from cameraborn.photo.files import pictures_in

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
