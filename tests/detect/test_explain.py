"""Explanations: the map is where the score comes from, the neighbours are the nearest, and what cannot be explained."""

import dataclasses
import io
import itertools
import logging
import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.text import Text
from PIL import Image

import cameraborn
from cameraborn.detect.describe import describe_category
from cameraborn.detect.detector import Detector
from cameraborn.detect.explain import NEAREST, REACH, explain, occlusion, patch_influence
from cameraborn.detect.explain_plot import draw_explanation, explanation_figure, plot_explanation
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
    with pytest.raises(PictureError, match=r"the face is too small to be scored: its box needs \d+ px"):
        explain(detector, small)
    with pytest.raises(PictureError, match=r"has 1 face\(s\), numbered from 0: there is no face -1"):
        explain(detector, PHOTO, face=-1)
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


LENGTHS = (0, 40, 200, 1000)
WORDS = "compressed data of the JPEG are damaged, which is usual for "


def long(text, length):
    return (text * (length // len(text) + 1))[:length]


def with_texts(explanation, length, *, spaced, abstains, channels):
    """The explanation with texts of a length wherever a stranger or a bundle may put them."""
    text = long(WORDS if spaced else "W人\n", length)
    evidence = {
        f"{long('channel-', length)}{number}": ChannelVerdict(1.0, None if abstains else 0.5)
        for number in range(channels)
    }
    verdict = dataclasses.replace(
        explanation.verdict,
        path=f"folder/{text.replace('/', '')}.jpg",
        notes=(text, "a second note") if length else (),
        evidence=evidence,
        bundle=f"bundle {text}",
        **({"p_value": None, "flagged": None, "scope": "beyond-calibration"} if abstains else {}),
    )
    nearest = [dataclasses.replace(row, source=text) for row in explanation.nearest]
    return dataclasses.replace(
        explanation, verdict=verdict, condition=text, category=f"{text}; any size", nearest=tuple(nearest)
    )


def undrawn(figure):
    """The labels of ticks that lie outside their axes."""
    for axes in figure.axes:
        low, high = axes.get_xlim()
        for tick in axes.xaxis.majorTicks:
            if not (axes.axison and low <= tick.get_loc() <= high):
                yield tick.label1


def overlapping(figure):
    """Texts that leave the figure or that meet another, and texts of the figure that meet axes."""
    figure.draw_without_rendering()
    beside = set(undrawn(figure))
    shown = [one for one in figure.findobj(Text) if one.get_visible() and one not in beside]
    texts = [one for one in shown if one.get_text().strip()]
    boxes = {text: text.get_window_extent().padded(-1) for text in texts}
    figure_box = figure.bbox
    outside = [
        text.get_text()
        for text, box in boxes.items()
        if box.x0 < 0 or box.y0 < 0 or box.x1 > figure_box.x1 or box.y1 > figure_box.y1
    ]
    pairs = [
        (one.get_text(), other.get_text())
        for one, other in itertools.combinations(boxes, 2)
        if boxes[one].overlaps(boxes[other])
    ]
    crossed = [
        text.get_text()
        for text in figure.texts
        for axes in figure.axes
        if axes.get_window_extent().overlaps(boxes[text])
    ]
    return outside, pairs, crossed


@pytest.mark.parametrize(
    ("channels", "abstains", "length", "spaced"),
    [
        (1, True, LENGTHS[0], True),
        (3, False, LENGTHS[0], False),
        *((9, False, length, spaced) for length in LENGTHS for spaced in (True, False)),
    ],
)
def test_no_text_leaves_the_drawing_or_meets_another(explanation, channels, abstains, length, spaced):
    """A note ran off the right edge and through the heading of the histogram; so did a long name."""
    told = with_texts(explanation, length, spaced=spaced, abstains=abstains, channels=channels)
    assert overlapping(explanation_figure(told)) == ([], [], [])


@pytest.mark.parametrize("shape", [(100, 900), (900, 100)])
@pytest.mark.parametrize("score", [-123456.789, 0.0, 123456.789])
def test_no_text_meets_another_whatever_the_shape_and_the_score(explanation, shape, score):
    verdict = dataclasses.replace(explanation.verdict, score=score, box=None)
    strip = np.full((*shape, 3), 90, np.uint8)
    told = dataclasses.replace(
        explanation,
        verdict=verdict,
        picture=strip,
        crop=strip,
        influence=np.zeros(shape),
        nearest=tuple(dataclasses.replace(row, score=score) for row in explanation.nearest),
    )
    assert overlapping(explanation_figure(told)) == ([], [], [])


def test_a_note_is_whole_and_a_long_name_keeps_its_ends(explanation):
    note = "eyes and mouth lie as FFHQ aligns them, which is usual for generators of faces: p = 0.0021"
    path = f"begins-{'x' * 200}-ends.jpg"
    verdict = dataclasses.replace(explanation.verdict, notes=(note,), path=path)
    figure = explanation_figure(dataclasses.replace(explanation, verdict=verdict))
    texts = [text.get_text().replace("\n", " ") for text in figure.texts]
    assert f"Note: {note}." in texts
    assert any(text.startswith("begins-x") and text.endswith("-ends.jpg, face 0") for text in texts)
    assert "Map: what each patch adds to the score" in texts


def test_nothing_is_said_of_fonts_that_lack_a_weight(explanation, tmp_path, capfd, caplog):
    verdict = dataclasses.replace(explanation.verdict, path="😀 עברית ไทย ελληνικά \u4eba.jpg")
    with caplog.at_level(logging.INFO):
        draw_explanation(dataclasses.replace(explanation, verdict=verdict))
    assert "findfont" not in caplog.text + "".join(capfd.readouterr())
