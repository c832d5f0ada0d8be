"""Explanations: the map is where the score comes from, the neighbours are the nearest, and what cannot be explained."""

import dataclasses
import io
import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rc_context
from PIL import Image

import cameraborn
from cameraborn.detect.describe import describe_category
from cameraborn.detect.detector import Detector
from cameraborn.detect.explain import NEAREST, REACH, explain, occlusion, patch_influence
from cameraborn.detect.explain_plot import plot_explanation
from cameraborn.detect.verdict import ChannelVerdict
from cameraborn.errors import CamerabornError, PictureError
from cameraborn.fit.calibrate import calibrate
from cameraborn.fit.density import fit
from cameraborn.fit.views import ViewOptions

from ..conftest import EXAMPLES, encoded

PHOTO = EXAMPLES / "photo-1.jpg"


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return cameraborn.load(tiny_bundle)


@pytest.fixture(scope="module")
def explanation(detector):
    return explain(detector, PHOTO)


def spoiled(detector):
    """The photograph's crop, plain but for noise in one corner."""
    crop = np.full((128, 128, 3), 120, np.uint8)
    crop[:48, 80:] = np.random.default_rng(0).integers(0, 256, (48, 48, 3))
    return crop


def test_an_explanation_agrees_with_the_verdict(detector, explanation):
    (verdict,) = detector.score(PHOTO, false_alarm_rate=0.5)
    assert explanation.verdict == verdict
    assert explanation.influence.shape == explanation.crop.shape[:2]
    assert len(explanation.among) == detector.bundle.calibration.smallest
    distances = [abs(row.score - verdict.score) for row in explanation.nearest]
    assert len(distances) == NEAREST
    assert distances == sorted(distances)
    others = [abs(row.score - verdict.score) for row in detector.bundle.calibration_rows]
    assert sorted(others)[:NEAREST] == pytest.approx(distances)


@pytest.mark.parametrize("method", [patch_influence, occlusion])
def test_the_map_points_at_what_is_odd(detector, method):
    crop = spoiled(detector)
    influence = method(detector, crop)
    assert influence.shape == (128, 128)
    # An untrained network may take noise for a photograph: only where the map is strongest is certain.
    y, x = np.unravel_index(np.abs(influence).argmax(), influence.shape)
    assert y < 64
    assert x > 64


def test_a_patchs_pull_is_what_counting_it_twice_does(detector):
    """On a crop of a single patch at each size, a patch counted twice changes nothing: the map is zero."""
    crop = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert np.abs(patch_influence(detector, crop)).max() < 1e-3


def test_a_stream_is_read_once(detector, explanation):
    """It was read twice, and the second time it was at its end."""
    from_stream = explain(detector, io.BytesIO(PHOTO.read_bytes()))
    np.testing.assert_array_equal(from_stream.influence, explanation.influence)
    assert from_stream.verdict.score == explanation.verdict.score


def test_what_cannot_be_explained(detector, tmp_path):
    with Image.open(PHOTO) as image:
        small = np.asarray(image.convert("RGB").resize((72, 72)))
    with pytest.raises(PictureError, match="face is too small"):
        explain(detector, small)
    with pytest.raises(PictureError, match=r"has 1 face\(s\), numbered from 0: there is no face 3"):
        explain(detector, PHOTO, face=3)
    with pytest.raises(PictureError, match="no face in it"):
        explain(detector, np.full((200, 200, 3), 90, np.uint8))
    with pytest.raises(PictureError, match=r"none\.jpg"):
        explain(detector, tmp_path / "none.jpg")


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_it_is_drawn(explanation, tmp_path, ending):
    output = tmp_path / f"drawn.{ending}"
    plot_explanation(explanation, output)
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[ending]
    assert output.read_bytes().startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_the_drawing_says_what_it_rests_on_and_what_it_does_not_prove(explanation, tmp_path):
    with rc_context({"svg.fonttype": "none"}):
        plot_explanation(explanation, tmp_path / "drawn.svg")
    text = (tmp_path / "drawn.svg").read_text(encoding="utf-8")
    assert f"p-value {explanation.verdict.p_value:.3f}" in text
    assert "What this does not prove" in text
    assert "photo-1.jpg, face 0" in text


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
@pytest.mark.parametrize("name", [b"p\xff.jpg", "人物 $1$.jpg".encode(), b"line\nbreak.jpg"])
def test_every_name_is_drawn(explanation, tmp_path, name, ending):
    path = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))  # noqa: PTH118 (bytes)
    named = dataclasses.replace(explanation, verdict=dataclasses.replace(explanation.verdict, path=path))
    output = Path(path + f".{ending}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_explanation(named, output)
    assert output.stat().st_size > 1000


def test_the_category_that_it_was_compared_with_is_named(network_bundle, photographs, tmp_path):
    options = ViewOptions(copies=3, jobs=1)
    fitted = fit(network_bundle, photographs["fit"], components=1, dimensions=4, options=options)
    bundle = calibrate(fitted, photographs["calibration"][:12], options=options, class_size=6)
    taxonomy = bundle.calibration.taxonomy
    for name in ("photo-1.jpg", "photo-3.jpg"):
        explained = explain(Detector(bundle), EXAMPLES / name)
        assert explained.category in {describe_category(cells, taxonomy) for cells in taxonomy.categories}
        place = [describe_category(cells, taxonomy) for cells in taxonomy.categories].index(
            explained.category
        )
        np.testing.assert_array_equal(explained.among, bundle.calibration.scores[place])
        with rc_context({"svg.fonttype": "none"}):
            plot_explanation(explained, tmp_path / "drawn.svg")
        words = " ".join(re.findall(r">([^<>]+)</text>", (tmp_path / "drawn.svg").read_text("utf-8")))
        assert explained.category == explained.condition or f"compared with: {explained.category}" in words


def test_the_scale_of_the_map_is_that_of_held_out_photographs(detector, explanation):
    low, high = np.quantile(explanation.among, [0.1, 0.9])
    assert explanation.reach == pytest.approx(REACH * (high - low))
    assert (
        explain(detector, EXAMPLES / "photo-2.jpg").reach == explanation.reach
    )  # whatever is in the picture


def test_an_abstention_is_drawn_too(detector, explanation, tmp_path):
    lowest, _ = detector.bundle.coverage.jpeg_quality
    with Image.open(PHOTO) as image:
        poor = encoded(np.asarray(image.convert("RGB")), quality=lowest - 2)
    abstained = explain(detector, poor)
    assert abstained.verdict.scope == "beyond-calibration"
    plot_explanation(abstained, tmp_path / "abstained.png")
    with pytest.raises(CamerabornError, match="not a kind of picture"):
        plot_explanation(dataclasses.replace(explanation), tmp_path / "drawn.bmp")
    assert [path.name for path in tmp_path.iterdir()] == ["abstained.png"]


def test_channels_stand_side_by_side(explanation, tmp_path):
    evidence = {"generators": ChannelVerdict(1.5, 0.02), "photographs": ChannelVerdict(40.0, None)}
    verdict = dataclasses.replace(explanation.verdict, evidence=evidence, decided_by="generators")
    with rc_context({"svg.fonttype": "none"}):
        plot_explanation(dataclasses.replace(explanation, verdict=verdict), tmp_path / "drawn.svg")
        plot_explanation(explanation, tmp_path / "one.svg")
    text = (tmp_path / "drawn.svg").read_text(encoding="utf-8")
    assert "generators  0.020" in text
    assert "photographs  none" in text
    one = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert "each channel" not in one  # its p-value is the verdict's
