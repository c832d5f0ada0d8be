"""The bundle that ships: whole, calibrated on what it has not seen, and what a newcomer sees first."""

from pathlib import Path

import numpy as np
import pytest

from cameraborn.data.manifest import sha256_of
from cameraborn.detect.bundle import SEEN_DIGITS
from cameraborn.detect.detector import default_bundle
from cameraborn.library import load
from cameraborn.photo.decode import open_picture
from cameraborn.photo.patches import square_resize, tile_patches

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.jpg"))


@pytest.fixture(scope="module")
def detector():
    return load(verify=True)


def test_its_channels(detector):
    assert set(detector.channels) == {"photographs", "reconstructed", "generators"}
    weights = {"generators": 1.0, "photographs": 0.4, "reconstructed": 0.4}
    assert detector.bundle.info.weights == weights
    assert set(detector.bundle.info.combined) == set(weights)
    seen_fakes = {channel.name: channel.has_seen_fakes for channel in detector.bundle.evidence}
    assert seen_fakes == {"photographs": False, "reconstructed": False, "generators": True}


def test_it_is_small():
    assert sum(file.stat().st_size for file in default_bundle().iterdir()) <= 25e6


def test_no_example_had_a_part_in_it(detector):
    hashes = [sha256_of(path) for path in EXAMPLES]
    assert not any(map(detector.bundle.has_seen, hashes))
    calibrated = {row.photograph for row in detector.bundle.calibration_rows}
    assert not calibrated & {digest[:SEEN_DIGITS] for digest in hashes}


def test_photographs_of_the_examples_pass(detector):
    verdicts = [v for v in detector.score_many(EXAMPLES) if "photo-" in v.path]
    assert [verdict.flagged for verdict in verdicts] == [False] * 5
    for verdict in verdicts:
        assert len(verdict.evidence) == 3
        if verdict.decided_by is not None:  # it raised the score
            assert verdict.evidence[verdict.decided_by].p_value < 0.51


def test_faces_have_the_same_features_alone_and_among_others(detector):
    """As a server has them; rounding may differ by processor."""
    crops = [open_picture(path).pixels[100:356, 100:356] for path in EXAMPLES[:4]]
    for encoder, _ in detector.observer.encoders:
        laid = encoder.preprocessing
        if laid.input == "crop":
            faces = [square_resize(crop, laid.sides[0]).transpose(2, 0, 1)[None] for crop in crops]
        else:
            faces = [tile_patches(crop, laid.patch) for crop in crops]
        alone = np.concatenate([encoder.patch_features(some) for some in faces])
        np.testing.assert_allclose(encoder.patch_features(np.concatenate(faces)), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channel", ["photographs", "reconstructed", "generators"])
def test_a_channel_alone_can_judge_by_its_own_network(detector, channel):
    alone = load(evidence=channel, verify=True)
    assert len(alone.observer.encoders) < len(detector.observer.encoders)
    (verdict,), (beside_others,) = alone.score(EXAMPLES[0]), detector.score(EXAMPLES[0])
    assert set(verdict.evidence) == {channel}
    assert verdict.p_value == verdict.evidence[channel].p_value
    assert verdict.evidence[channel] == beside_others.evidence[channel]
