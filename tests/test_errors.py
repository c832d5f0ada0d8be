"""What libraries say becomes part of a line of ours: one line, without orders to a terminal."""

import cv2
import numpy as np
import pytest

from cameraborn.errors import first_line, lacks_memory


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("two\nlines", "two"),
        ("\n  late", "late"),
        ("\x1b[1mdo so\x1b[0m. \n\t(1) more", "do so."),
        ("\x1b[38;5;9mred\x1b]8;;https://a.b\x07link\x1b]8;;\x07\x1b[K", "redlink"),
        ("a\x07bell", "abell"),
        ("", "ValueError"),
        ("\x1b[0m", "ValueError"),
    ],
)
def test_the_first_line_is_clean(said, line):
    assert first_line(ValueError(said)) == line


def test_opencv_says_that_memory_does_not_suffice_in_a_class_of_its_own():
    small = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(cv2.error) as caught:
        cv2.resize(small, (999_999, 999_999))
    assert lacks_memory(caught.value)
    with pytest.raises(cv2.error) as caught:
        cv2.resize(small, (0, 0))
    assert not lacks_memory(caught.value)
