"""Pictures of a folder wherever it lies: in order, by their endings or first bytes, and the others counted."""

import itertools

from cameraborn.engine.storage import write
from cameraborn.photo.files import pictures_in
from cameraborn.photo.sniff import Census, Kind
from cameraborn.photo.stored import pictures_at

from ..command import EXAMPLES

JPEG = (EXAMPLES / "photo-1.jpg").read_bytes()


def put(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def names(root, census=None):
    """What is found there, relative to it."""
    census = Census() if census is None else census
    return [path.removeprefix(f"{root}/") for path in pictures_at(str(root), census)]


def test_pictures_come_in_the_order_of_their_names_each_folders_together(tmp_path):
    files = ["b.jpg", "a/2.png", "a/10.png", "a/deep/x.gif", "c/1.tif", "B.jpg"]
    put(tmp_path, dict.fromkeys(files, b""))
    assert names(tmp_path) == ["B.jpg", "a/10.png", "a/2.png", "a/deep/x.gif", "b.jpg", "c/1.tif"]


def test_folders_and_files_with_nearly_one_name_come_in_the_order_of_a_disk(tmp_path):
    files = ["a/1.jpg", "a.jpg", "a.d/2.jpg", "a-b.jpg", "a0.jpg", "a0/3.jpg", "A/4.jpg"]
    put(tmp_path, dict.fromkeys(files, b""))
    assert list(pictures_at(str(tmp_path), Census())) == list(pictures_in(str(tmp_path)))
    assert names(tmp_path) == ["A/4.jpg", "a-b.jpg", "a.d/2.jpg", "a.jpg", "a/1.jpg", "a0.jpg", "a0/3.jpg"]


def test_a_picture_is_one_by_its_ending_or_by_its_first_bytes(tmp_path):
    put(
        tmp_path,
        {"empty.JPEG": b"", "no-ending": JPEG, "photo.txt": JPEG, "text.jpg": b"text", "text": b"text"},
    )
    assert names(tmp_path) == ["empty.JPEG", "no-ending", "photo.txt", "text.jpg"]


def test_what_is_no_picture_is_counted(tmp_path):
    put(tmp_path, {"a.jpg": JPEG, "notes": b"notes", "deep/paper": b"%PDF-1.7", "deep/empty": b""})
    census, expected = Census(), Census()
    assert names(tmp_path, census) == ["a.jpg"]
    for kind in (Kind.PDF, Kind.TEXT, Kind.EMPTY):
        expected.add(kind)
    assert census == expected


def test_a_file_and_what_is_not_there_are_passed_on(tmp_path):
    put(tmp_path, {"notes.txt": b"notes", "deep/a.jpg": JPEG})
    census = Census()
    for name in ("notes.txt", "nothing.jpg"):
        assert list(pictures_at(str(tmp_path / name), census)) == [str(tmp_path / name)]
    assert census == Census()


def test_a_folder_is_listed_lazily(tmp_path):
    put(tmp_path, {f"{letter}/a.jpg": JPEG for letter in "abc"})
    found = pictures_at(str(tmp_path), Census())
    assert list(itertools.islice(found, 2)) == [str(tmp_path / "a/a.jpg"), str(tmp_path / "b/a.jpg")]
    (tmp_path / "c" / "a.jpg").rename(tmp_path / "c" / "z.jpg")
    assert list(found) == [str(tmp_path / "c/z.jpg")]


def test_a_storage_is_listed_as_a_folder_is(bucket, tmp_path):
    files = {"b.jpg": JPEG, "a/z.PNG": b"", "a/no-ending": JPEG, "notes.txt": b"x", "c.pdf": b"%PDF-1"}
    for name, data in files.items():
        write(str(tmp_path / "tree" / name), data)
        write(f"{bucket}/tree/{name}", data)
    here, there = Census(), Census()
    found = [path.removeprefix(f"{tmp_path}/") for path in pictures_in(str(tmp_path / "tree"), here)]
    assert [path.removeprefix(f"{bucket}/") for path in pictures_at(f"{bucket}/tree", there)] == found
    assert here == there
    assert list(pictures_at(f"{bucket}/tree/b.jpg", there)) == [f"{bucket}/tree/b.jpg"]
    assert list(pictures_at(f"{bucket}/nothing", there)) == [f"{bucket}/nothing"]
