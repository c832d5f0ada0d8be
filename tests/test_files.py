"""Replacing a file: whole or not at all."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from cameraborn.files import replacing


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
    with ThreadPoolExecutor(2) as pool, replacing(path, contended=True) as part:
        part.write_bytes(b"one")

        def other():
            with replacing(path, contended=True) as others:
                others.write_bytes(b"other")
                return others

        assert pool.submit(other).result() != part
        assert path.read_bytes() == b"other"
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]
