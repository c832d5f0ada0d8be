"""Fitting and calibrating from a program: what the verbs do, in one call each."""

import shutil
from dataclasses import replace

import pytest

import cameraborn
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.errors import BundleError, CalibrationError
from cameraborn.fit.calibrate import calibrate
from cameraborn.fit.density import fit
from cameraborn.fit.views import ViewOptions

from ..conftest import EXAMPLES

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
