"""Trivial cues, against their formulas written out."""

import math

import numpy as np
import pytest

from cameraborn import open_picture
from cameraborn.bench.cues import CueScorer
from cameraborn.bench.scorers import DetectorSection
from cameraborn.data.cues import CUES

from ..conftest import encoded


@pytest.fixture(scope="module")
def data():
    return encoded(np.random.default_rng(0).integers(0, 256, (19, 17, 3), np.uint8), "PNG")


def literal_sharpness(pixels):
    H, W, _ = pixels.shape
    grey = [[sum(int(v) for v in pixels[y, x]) / 3 for x in range(W)] for y in range(H)]
    values = [
        4 * grey[y][x] - grey[y - 1][x] - grey[y + 1][x] - grey[y][x - 1] - grey[y][x + 1]
        for y in range(1, H - 1)
        for x in range(1, W - 1)
    ]
    mean = sum(values) / len(values)
    return math.log(sum((value - mean) ** 2 for value in values) / len(values) + 1e-6)


def test_cues_are_their_formulas(data):
    picture = open_picture(data)
    assert CUES["sharpness"](picture) == pytest.approx(literal_sharpness(picture.pixels))
    assert CUES["brightness"](picture) == pytest.approx(picture.pixels.astype(float).mean())
    assert CUES["bytes-per-pixel"](picture) == len(data) / (19 * 17)


@pytest.mark.parametrize("cue", CUES)
def test_a_cue_scores_and_decides_nothing(cue, data):
    scorer = CueScorer(DetectorSection(kind="cue", which=cue))
    scorer.check(0.001)
    scored = scorer.score(data, "x.png", 0.05)
    assert (scored.scope, scored.score) == ("ok", CUES[cue](open_picture(data)))
    assert (scored.p_value, scored.flagged, scorer.has_seen("0" * 64)) == (None, None, False)
    broken = scorer.score(b"no picture", "x.png", 0.05)
    assert (broken.scope, broken.score) == ("unreadable", None)
    assert "x.png" in broken.error


def test_a_cue_keeps_its_key_under_any_name():
    """Rows of scores know a detector by its key: another key would measure everything anew."""
    keys = {
        CueScorer(DetectorSection(kind="cue", which="sharpness", name=name)).key for name in ("", "other")
    }
    assert keys == {"cue-ddfb96f4b010"}
