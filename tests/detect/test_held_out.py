"""`calibration.csv`: written and read back, and refused where it is damaged."""

import pytest

from cameraborn.detect.condition import Condition
from cameraborn.detect.held_out import CalibrationRow, read_rows, write_rows

ROWS = (
    CalibrationRow(1.25, "a, b", "ab12", 100, 90, 1.5, 1, {"photographs": 3.0, "generators": -0.5}),
    CalibrationRow(2.5, "c", "cd34", 80, None, 0.25, 0, {"photographs": 4.0}),
)
OPERATIONS, CHANNELS = ("blurred", "as it came"), ("photographs", "generators")


def test_the_table_is_as_it_is_documented():
    assert write_rows(ROWS, OPERATIONS, CHANNELS).decode() == (
        "score,source,photograph,face_size,jpeg_quality,noise,operation,surprise_photographs,surprise_generators\n"
        "2.5000,c,cd34,80,,0.25,blurred,4.0000,\n"
        '1.2500,"a, b",ab12,100,90,1.5,as it came,3.0000,-0.5000\n'
    )


def test_what_is_written_is_read_back_the_most_surprising_first():
    text = write_rows(ROWS, OPERATIONS, CHANNELS).decode()
    assert read_rows(text, OPERATIONS) == (ROWS[1], ROWS[0])
    assert read_rows(text, OPERATIONS)[1].surprises == ROWS[0].surprises
    assert read_rows(text, OPERATIONS)[1].condition == Condition(100, 90, 1.5, 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("jpeg_quality", "quality", "no column or value 'jpeg_quality'"),
        ("2.5000", "nan", "no finite scores"),
        ("4.0000", "inf", "no finite scores"),
        ("blurred", "melted", "not in tuple"),
        ("ab12,100", "ab12,100.5", "invalid literal"),
    ],
)
def test_a_damaged_table_is_refused(old, new, said):
    text = write_rows(ROWS, OPERATIONS, CHANNELS).decode().replace(old, new)
    with pytest.raises(ValueError, match=said):
        read_rows(text, OPERATIONS)


def test_an_empty_table_is_refused():
    with pytest.raises(ValueError, match="no finite scores"):
        read_rows(write_rows([], OPERATIONS, CHANNELS).decode(), OPERATIONS)
