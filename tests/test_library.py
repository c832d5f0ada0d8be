"""Fitting and calibrating from a program: what the verbs do, in one call each."""

import pickle
import shutil
from dataclasses import replace

import pytest

import cameraborn
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.errors import BundleError, CalibrationError, OverwriteError
from cameraborn.fit.calibrate import calibrate
from cameraborn.fit.density import fit
from cameraborn.fit.views import ViewOptions

from .conftest import EXAMPLES

OPTIONS = ViewOptions(copies=1, jobs=1)


@pytest.fixture(scope="module")
def network(network_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("network") / "network"
    write_bundle(network_bundle, folder)
    return folder


def test_a_detector_for_your_own_photographs(network, network_bundle, photographs, tmp_path):
    mine = [photograph.path for photograph in photographs["fit"]]
    held_out = photographs["calibration"][:10]
    (others := tmp_path / "others").mkdir()
    for photograph in held_out:
        shutil.copy(photograph.path, others)
    told = []
    fitted = cameraborn.fit_bundle(
        mine,
        tmp_path / "mine",
        bundle=network,
        dimensions=4,
        options=OPTIONS,
        report=lambda *said: told.append(said),
    )
    assert told == [(path, None) for path in mine]
    assert repr(fitted) == "<Detector mine: photographs; not calibrated>"
    with pytest.raises(BundleError, match="run 'cameraborn calibrate' first"):
        fitted.score(EXAMPLES / "photo-1.jpg")
    detector = cameraborn.calibrate_bundle(
        others, tmp_path / "mine", output=tmp_path / "done", options=OPTIONS
    )
    assert detector.score(EXAMPLES / "photo-1.jpg", false_alarm_rate=0.5)[0].scope == "ok"
    assert read_bundle(tmp_path / "mine").info.coverage is None
    expected = fit(network_bundle, photographs["fit"], components=1, dimensions=4, options=OPTIONS)
    expected = calibrate(expected, held_out, options=OPTIONS)
    assert detector.bundle.calibration_rows == tuple(
        replace(row, source="others") for row in expected.calibration_rows
    )


def test_what_was_fitted_to_does_not_calibrate(network, photographs, tmp_path):
    for photograph in photographs["fit"]:
        shutil.copy(photograph.path, tmp_path)
    cameraborn.fit_bundle(tmp_path, tmp_path / "mine", bundle=network, dimensions=4, options=OPTIONS)
    with pytest.raises(CalibrationError, match="already seen this photograph"):
        cameraborn.calibrate_bundle(tmp_path, tmp_path / "mine", options=OPTIONS)
    with pytest.raises(CalibrationError, match="no such file or folder"):
        cameraborn.calibrate_bundle(tmp_path / "none", tmp_path / "mine")


def test_a_detector_learns_and_explains_itself(network, network_bundle, photographs, tmp_path):
    mine = [photograph.path for photograph in photographs["fit"]]
    held_out = [photograph.path for photograph in photographs["calibration"][:10]]
    start = cameraborn.load(network, threads=2)
    fitted = start.fit(mine, tmp_path / "mine", dimensions=4, options=OPTIONS)
    assert (type(fitted), fitted.path, fitted.options["threads"]) == (
        cameraborn.Detector,
        tmp_path / "mine",
        2,
    )
    detector = fitted.calibrate(held_out, options=OPTIONS)
    assert detector.path == tmp_path / "mine"  # which is renewed in place
    assert len(read_bundle(tmp_path / "mine").calibration_rows) >= 10
    (verdict,) = detector.score(EXAMPLES / "photo-1.jpg", false_alarm_rate=0.5)
    explained = detector.explain(EXAMPLES / "photo-1.jpg")
    assert explained.verdict.p_value == verdict.p_value
    again = pickle.loads(pickle.dumps(detector))  # noqa: S301 (our own)
    assert type(again) is cameraborn.Detector
    assert again.score(EXAMPLES / "photo-1.jpg", false_alarm_rate=0.5) == [verdict]


def test_no_bundle_that_is_there_is_lost(network, photographs, tmp_path):
    mine = [photograph.path for photograph in photographs["fit"]]
    held_out = [photograph.path for photograph in photographs["calibration"][:10]]
    other = tmp_path / "other"
    shutil.copytree(network, other)
    before = {path: path.read_bytes() for path in other.iterdir()}
    fitted = cameraborn.load(network).fit(mine, tmp_path / "mine", dimensions=4, options=OPTIONS)
    for lose in (
        lambda: cameraborn.fit_bundle(mine, other, bundle=network, options=OPTIONS),
        lambda: cameraborn.calibrate_bundle(held_out, tmp_path / "mine", output=other, options=OPTIONS),
        lambda: fitted.fit(mine, other, options=OPTIONS),
        lambda: fitted.calibrate(held_out, other, options=OPTIONS),
    ):
        with pytest.raises(
            OverwriteError, match="other: is there already: give another output, or overwrite=True"
        ):
            lose()
    assert {path: path.read_bytes() for path in other.iterdir()} == before
    done = fitted.calibrate(held_out, other, overwrite=True, options=OPTIONS)
    assert done.path == other
    with pytest.raises(OverwriteError, match="other: is calibrated already: give output, or overwrite=True"):
        done.calibrate(held_out, options=OPTIONS)
    assert done.calibrate(held_out, overwrite=True, options=OPTIONS).path == other


def test_what_was_not_loaded_from_a_folder_of_yours_is_not_renewed_in_place(network_bundle, photographs):
    held_out = photographs["calibration"][0].path
    for detector in (cameraborn.load(), cameraborn.Detector(network_bundle)):
        with pytest.raises(BundleError, match="cannot be renewed in place: give output"):
            detector.calibrate(held_out)
