"""Replacing a file: whole or not at all."""

import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from cameraborn.files import replacing
from tests.command import posix


def test_the_new_file_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
        assert part.suffix == ".csv"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_exception_all_is_as_it_was(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def fail():
        with replacing(path) as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_may_write_one_file_at_a_time(tmp_path):
    path = tmp_path / "picture.jpg"
    with ThreadPoolExecutor(2) as pool, replacing(path) as part:
        part.write_bytes(b"one")

        def other():
            with replacing(path) as others:
                others.write_bytes(b"other")
                return others

        assert pool.submit(other).result() != part
        assert path.read_bytes() == b"other"
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_part_is_known_by_its_name_and_what_killed_runs_left_is_removed(tmp_path):
    path = tmp_path / "table.csv"
    with replacing(path) as part:
        assert re.fullmatch(r"\.table\.[0-9a-f]{16}\.part\.csv", part.name)
    for name in (".table.mine.part.csv", ".other.0123456789abcdef.part.csv"):
        (tmp_path / name).touch()
    kept = sorted(tmp_path.iterdir())
    (tmp_path / ".table.0123456789abcdef.part.csv").touch()
    with replacing(path):
        pass
    assert len(list(tmp_path.iterdir())) == len(kept) + 1  # it may be of somebody who writes now
    with replacing(path, alone=True):
        pass
    assert sorted(tmp_path.iterdir()) == kept


def test_a_long_name_has_room_for_a_part(tmp_path):
    path = tmp_path / ("é" * 120 + ".csv")
    with replacing(path) as part:
        part.write_text("new")
    assert path.read_text() == "new"


@posix
def test_permissions_are_those_of_what_is_replaced_or_of_any_new_file(tmp_path):
    (tmp_path / "usual").touch()
    with replacing(tmp_path / "new") as part:
        part.write_text("new")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode
    for mode in (0o600, 0o640, 0o444):
        (tmp_path / "new").chmod(mode)
        with replacing(tmp_path / "new") as part:
            assert part.stat().st_mode & 0o077 == 0
            part.write_text("newer")
        assert (tmp_path / "new").stat().st_mode & 0o777 == mode


def test_an_error_names_the_file_and_not_its_part(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere" / "table.csv"):
        with pytest.raises(OSError, match="directory") as caught, replacing(path):
            pass
        assert caught.value.filename == str(path)

    def not_ours():
        with replacing(tmp_path / "table.csv"):
            (tmp_path / "none").read_bytes()

    with pytest.raises(FileNotFoundError) as caught:
        not_ours()
    assert caught.value.filename == str(tmp_path / "none")


@posix
def test_a_pipe_gets_the_whole_or_nothing(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit((tmp_path / "pipe.csv").read_bytes)
        with replacing(tmp_path / "pipe.csv") as part:
            assert part.suffix == ".csv"
            part.write_bytes(b"new")
        assert read.result() == b"new"
    assert [path.is_fifo() for path in tmp_path.iterdir()] == [True]


def test_of_a_link_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for there in (True, False):
        target, link = tmp_path / "elsewhere" / f"{there}.txt", tmp_path / f"link-{there}.txt"
        if there:
            target.write_text("old")
        link.symlink_to(target)
        with replacing(link) as part:
            part.write_text("new")
        assert (link.is_symlink(), target.read_text()) == (True, "new")
    assert sorted(path.name for path in tmp_path.rglob("*.txt*")) == [
        "False.txt",
        "True.txt",
        "link-False.txt",
        "link-True.txt",
    ]
