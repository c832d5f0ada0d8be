"""Counts and histograms against counting by hand."""

import math

import numpy as np
import pytest

from cameraborn.data.manifest import Row
from cameraborn.data.stats import SCALES, histogram, manifest_stats

DIGEST = "0" * 64


def test_counts():
    shot = {"iso": 100.0, "make": "Canon", "model": "EOS"}
    rows = [
        Row(path="a", sha256=DIGEST, split="train", kind="face", group="g", exif=shot, box=(0, 0, 1, 1)),
        Row(path="b", sha256=DIGEST, split="train", group="g", exif={"iso": 400.0}, research_only=True),
        Row(path="c", sha256=DIGEST, group="h"),
        Row(path="a", sha256=DIGEST, group="g", exif=shot, manipulation="eye"),
        Row(path="d", sha256=DIGEST, label="generated", generator="sdxl", exif={"iso": 9.0}),
    ]
    stats = manifest_stats(rows)
    assert (stats.rows, stats.groups, stats.photographs) == (5, 3, 3)
    assert (stats.boxes, stats.landmarks, stats.research_only) == (1, 0, 1)
    assert stats.splits == {"train": 2, "": 3}
    assert stats.labels == {"photo": 3, "photo eye manipulated": 1, "generated sdxl": 1}
    assert stats.cameras == {"Canon EOS": 1}
    assert list(stats.values["iso"]) == [100.0, 400.0]  # of photographs as they were taken
    assert stats.missing("iso") == pytest.approx(1 / 3)
    assert stats.missing("fnumber") == 1.0
    assert math.isnan(manifest_stats([]).missing("iso"))


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.tag)
def test_every_value_counts_at_the_nearest_mark(scale):
    values = np.random.default_rng(0).lognormal(np.log(scale.marks[len(scale.marks) // 2]), 4, 500)
    expected = np.zeros(len(scale.marks), int)
    for value in values:
        expected[np.argmin([abs(math.log(value / mark)) for mark in scale.marks])] += 1
    assert histogram(scale, values).tolist() == expected.tolist()
    assert histogram(scale, np.array([])).tolist() == [0] * len(scale.marks)
    assert list(scale.marks) == sorted(scale.marks)


def test_how_values_are_written():
    written = {scale.tag: [scale.text(value) for value in (1 / 60, 2.8, 50.0)] for scale in SCALES}
    assert written["exposure_time_s"] == ["1/60 s", "2.8 s", "50 s"]
    assert written["fnumber"][1] == "f/2.8"
    assert written["focal_length_mm"][2] == "50 mm"
    assert written["iso"][2] == "50"
