"""What adapters have in common: what is missing, names that are not text, links."""

import os

import pytest

from cameraborn.data.adapters import LAYOUTS, LeftOut
from tests.data.adapters.helpers import entries, picture, refusal


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_names_what_is_missing(layout, tmp_path):
    message = refusal(layout, tmp_path / "none")
    assert str(tmp_path / "none") in message
    assert "give " in message


@pytest.mark.skipif(os.name != "posix", reason="names that are no text are POSIX")
def test_names_that_are_no_text_are_left_out(tmp_path):
    picture(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg"))
    picture(tmp_path / "ü.jpg")
    left_out, kept = sorted(entries("folder", tmp_path), key=lambda item: isinstance(item, LeftOut))[::-1]
    assert left_out.path.endswith("\\xff.jpg")
    assert "rename the file" in left_out.why
    assert kept.row.path.endswith("ü.jpg")


def test_circles_of_links_are_not_followed(tmp_path):
    picture(tmp_path / "deep" / "a.jpg")
    (tmp_path / "deep" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(entries("folder", tmp_path)) == 1
