"""Bundles that are merged keep their evidence, and are calibrated as one."""

import gzip
from dataclasses import replace

import numpy as np
import pytest

from cameraborn.detect.bundle import Bundle
from cameraborn.detect.detector import Detector
from cameraborn.detect.evidence.combine import LIMIT
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.detect.merge import merge
from cameraborn.detect.schema import BundleInfo, Network, Preprocessing
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.errors import BundleError, CalibrationError
from cameraborn.fit.calibrate import calibrate
from cameraborn.fit.photographs import Photograph
from cameraborn.fit.views import ViewOptions
from cameraborn.photo.decode import open_picture

from ..conftest import EXAMPLES, FEATURES

WIDTH = 2 * FEATURES


@pytest.fixture(scope="module")
def one(tiny_bundle):
    return read_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def other(network_bundle):
    """The same network for narrower crops of one size, larger patches, and a classifier."""
    (network,) = network_bundle.info.networks
    preprocessing = Preprocessing(crop_scale=1.0, sides=(100,), smallest_side=70, patch=64)
    info = network_bundle.info.model_copy(
        update={
            "name": "other",
            "networks": (network.model_copy(update={"preprocessing": preprocessing}),),
            "licences": {"code": "Apache-2.0", "data": "CC0"},
        }
    )
    rng = np.random.default_rng(0)
    layers = {"0.weight": rng.normal(size=(2, FEATURES)), "0.bias": rng.normal(size=2)}
    columns = ((0, FEATURES),)
    bundle = Bundle(info, network_bundle.files, "other").with_evidence(
        BinaryClassifier.from_tensors("generators", columns, layers)
    )
    return bundle.with_combination({"generators": None}).with_seen(["f" * 64])


def test_files_networks_and_channels_stand_side_by_side(one, other):
    merged = merge([one, other])
    assert [network.file for network in merged.info.networks] == ["network.onnx", "network-2.onnx"]
    assert merged.info.networks[1].weights == ("weights-2.safetensors",)
    assert merged.files["network-2.onnx"] == other.files["network.onnx"]
    assert [channel.name for channel in merged.evidence] == ["photographs", "generators"]
    assert merged.info.combined == ("photographs", "generators")
    assert merged.channel("generators").columns == ((WIDTH, WIDTH + FEATURES),)
    assert merged.seen == one.seen | other.seen
    assert merged.info.licences == {"code": "Apache-2.0", "data": "CC0"}
    assert merged.info.coverage is None


def test_a_compressed_network_stands_beside_another_under_a_name_of_its_own(one, other):
    (network,) = other.info.networks
    files = {"network.onnx.gz": gzip.compress(other.graph(network)), **other.files}
    del files["network.onnx"]
    packed = replace(other, files=files).with_info(
        networks=(network.model_copy(update={"file": "network.onnx.gz"}),)
    )
    merged = merge([one, packed, packed])
    names = [one.file for one in merged.info.networks]
    assert names == ["network.onnx", "network-2.onnx.gz", "network-3.onnx.gz"]
    assert [merged.graph(one) for one in merged.info.networks[1:]] == [other.graph(network)] * 2


def test_each_channel_says_what_it_said_alone(one, other):
    merged = merge([one, other])
    crop = open_picture(EXAMPLES / "photo-1.jpg").pixels[20:220, 30:230]
    joint = Detector(merged).observer.feature(crop)
    alone = Detector(one).observer.feature(crop)
    np.testing.assert_array_equal(joint[:WIDTH], alone)
    middle = crop[23:177, 23:177]  # 154 = 200 / 1.3 pixels
    np.testing.assert_array_equal(joint[WIDTH:], Detector(other).observer.feature(middle))
    surprises = merged.surprises(joint[None])
    assert surprises["photographs"] == one.surprises(alone[None])["photographs"]


def test_crops_must_be_large_enough_for_every_network(one, other):
    info = merge([one, other]).info
    assert (info.crop_scale, info.smallest_side) == (1.3, 91)  # 70 pixels of the middle are 91 of the whole


def test_a_taken_name_gets_a_number(one):
    merged = merge([one, one, one])
    assert merged.info.combined == ("photographs", "photographs-2", "photographs-3")
    assert "photographs-3.safetensors" in merged.files
    assert [network.file for network in merged.info.networks][2] == "network-3.onnx"


def test_merged_calibrated_written_and_read(one, other, photographs, tmp_path):
    merged = merge([one, other])
    options = ViewOptions(copies=1, jobs=1)
    calibrated = calibrate(merged, photographs["calibration"][:20], options=options, class_size=20)
    write_bundle(calibrated, tmp_path / "both")
    again = read_bundle(tmp_path / "both")
    detector = Detector(again)
    detector.verify()
    (verdict,) = detector.score(EXAMPLES / "photo-2.jpg")
    assert set(verdict.evidence) == {"photographs", "generators"}
    assert all(channel.p_value is not None for channel in verdict.evidence.values())
    assert verdict.decided_by in verdict.evidence


def test_the_score_can_be_made_by_some_channels(one, other, photographs):
    merged = merge([one, other], {"generators": None})
    assert merged.info.combined == ("generators",)
    assert [channel.name for channel in merged.evidence] == ["generators", "photographs"]
    options = ViewOptions(copies=1, jobs=1)
    calibrated = calibrate(merged, photographs["calibration"][:20], options=options, class_size=20)
    detector = Detector(calibrated)
    (verdict,) = detector.score(EXAMPLES / "photo-2.jpg")
    assert verdict.score == verdict.evidence["generators"].surprise
    assert verdict.p_value == verdict.evidence["generators"].p_value
    assert verdict.decided_by == "generators"
    assert verdict.evidence["photographs"].p_value is not None
    with pytest.raises(BundleError, match="no evidence channel 'redrawn': choose from"):
        merge([one, other], ["redrawn"])


def test_what_any_of_them_has_seen_cannot_calibrate(one, other, photographs):
    fitted_to = photographs["fit"][0]
    with pytest.raises(CalibrationError, match="has already seen this photograph"):
        calibrate(merge([other, one]), [Photograph(fitted_to.path, "x")], options=ViewOptions(jobs=1))


def test_faces_and_whole_pictures_do_not_mix(one):
    whole = one.with_info(coverage=one.coverage.model_copy(update={"whole_image": True}))
    with pytest.raises(BundleError, match="on whole pictures, another on faces"):
        merge([one, replace(whole, origin="whole")])


def test_nothing_fitted_cannot_be_added(one, network_bundle):
    with pytest.raises(BundleError, match="tiny: the bundle has no fitted evidence to add"):
        merge([one, network_bundle])


def test_schema_needs_a_network():
    with pytest.raises(ValueError, match="networks"):
        BundleInfo(name="x", networks=())
    assert Network.model_fields["weights"].default == ()


def test_weights_stay_through_calibration_writing_and_reading(one, other, photographs, tmp_path):
    merged = merge([one, other], {"generators": 1.0, "photographs": 0.3})
    assert merged.info.weights == {"generators": 1.0, "photographs": 0.3}
    options = ViewOptions(copies=1, jobs=1)
    write_bundle(
        calibrate(merged, photographs["calibration"][:20], options=options, class_size=20), tmp_path / "both"
    )
    detector = Detector(read_bundle(tmp_path / "both"))
    detector.verify()
    info = detector.bundle.info
    assert info.combined == ("generators", "photographs")
    assert info.weights == merged.info.weights
    (verdict,) = detector.score(EXAMPLES / "photo-2.jpg")
    z = {
        name: (told.surprise - info.standard_of(name).location) / info.standard_of(name).scale
        for name, told in verdict.evidence.items()
    }
    limited = np.clip(z["photographs"], -LIMIT, LIMIT)
    assert verdict.score == pytest.approx(z["generators"] + 0.3 * limited)
    unweighed = merge([detector.bundle, one], {"generators": None})
    assert unweighed.info.weights == {}


def test_a_weight_for_some_channels_alone_is_refused(one, other):
    with pytest.raises(BundleError, match="give all one, or none"):
        merge([one, other], {"generators": 1.0, "photographs": None})
