"""Numbers of many pictures by one detector, and rivals calibrated with held-out photographs."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import save_file

from cameraborn import open_picture
from cameraborn.bench.config import BenchConfig, PhotographSection
from cameraborn.bench.detectors import Detectors
from cameraborn.bench.features import calibrate_rivals, features_of, refuse_seen, stacked
from cameraborn.bench.sets import read_photographs
from cameraborn.detect.conformal import p_values
from cameraborn.errors import BenchError
from cameraborn.rivals.ladeda import TinyLadedaNetwork
from cameraborn.rivals.scoring import compute, open_rival

from ..conftest import encoded
from ..rivals.formula import formula_

N_HELD_OUT = 5


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "tiny-ladeda.safetensors"
    metadata = {"network": "tiny-ladeda", "layout": "tiny-ladeda", "sha256": "ab" * 32}
    save_file(formula_(TinyLadedaNetwork()).state_dict(), file, metadata)
    return file


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Pictures of noise: held out, and tested."""
    rng = np.random.default_rng(0)
    made = {}
    for name, count in (("held_out", N_HELD_OUT), ("tested", 2)):
        made[name] = tmp_path_factory.mktemp(name)
        for number in range(count):
            pixels = rng.integers(0, 256, (64, 80, 3), np.uint8)
            (made[name] / f"{number}.png").write_bytes(encoded(pixels, "PNG"))
    return made


@pytest.fixture
def config(tmp_path, weights, folders):
    def make(**changes):
        fields = {
            "output": tmp_path / "out",
            "detectors": [{"rival": "tiny-ladeda", "weights": [weights], "whole_image": True}, "brightness"],
            "sets": [{"name": "set", "photographs": {"mine": folders["tested"]}}],
        }
        return BenchConfig.model_validate(fields | changes)

    return make


def samples(*paths):
    return read_photographs(PhotographSection(folders=paths))


def test_each_picture_has_its_number_in_order(config, weights, folders):
    pictures = samples(folders["held_out"])
    told = []
    with closing(Detectors(config())) as detectors:
        detectors.open()
        (rival,) = detectors.uncalibrated
        found = features_of(detectors, rival, pictures, jobs=2, advance=lambda *both: told.append(both))
    literal = compute(open_rival("tiny-ladeda", [weights]), [open_picture(one.file) for one in pictures])
    assert np.stack(found)[:, 0] == pytest.approx(np.ravel(literal), abs=1e-5)
    assert told == [(n, N_HELD_OUT) for n in range(1, N_HELD_OUT + 1)]


def test_a_picture_that_cannot_be_read_has_none(config, folders, tmp_path):
    pictures = samples(folders["held_out"])
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.png").write_bytes(pictures[0].file.read_bytes()[:60])
    with closing(Detectors(config())) as detectors:
        detectors.open()
        (rival,) = detectors.uncalibrated
        found = features_of(detectors, rival, [*samples(broken), *pictures[:1]], jobs=1)
    assert found[0] is None
    assert found[1].shape == (1,)


def test_features_are_stacked_without_the_missing():
    assert stacked([np.ones(2), None, np.zeros(2)], "photographs").tolist() == [[1, 1], [0, 0]]
    with pytest.raises(BenchError, match="none of the photographs to fit shows a usable face: give others"):
        stacked([None, None], "photographs to fit")


def test_held_out_photographs_decide_for_rivals(config, folders):
    made = config(calibration={"folders": [folders["held_out"]]})
    tested = samples(folders["tested"])
    with closing(Detectors(made)) as detectors:
        detectors.open()
        (rival,) = detectors.uncalibrated
        calibrate_rivals(detectors, made, tested, jobs=1)
        held_out = stacked(features_of(detectors, rival, samples(folders["held_out"]), jobs=1), "")[:, 0]
        assert rival.calibration_size == N_HELD_OUT
        assert rival.sources == {one.source for one in samples(folders["held_out"])}
        for one in tested:
            scored = rival.score(one.file.read_bytes(), one.path, 0.5)
            assert scored.p_value == p_values(np.array([scored.score]), held_out)[0]


def test_the_protocols_held_out_photographs_serve_where_no_others_are_named(config, folders, album):
    protocol = {"fit": {"folders": [album / "fit"]}, "held_out": {"folders": [folders["held_out"]]}}
    made = config(protocol=protocol)
    with closing(Detectors(made)) as detectors:
        detectors.open()
        calibrate_rivals(detectors, made, [], jobs=1)
        assert detectors.uncalibrated[0].calibration_size == N_HELD_OUT


def test_without_held_out_photographs_nothing_is_calibrated(config):
    with closing(Detectors(config())) as detectors:
        detectors.open()
        calibrate_rivals(detectors, config(), [], jobs=1)
        assert detectors.uncalibrated[0].calibration_size == 0


def test_what_is_calibrated_with_is_not_tested(config, folders):
    made = config(calibration={"folders": [folders["held_out"]]})
    with closing(Detectors(made)) as detectors:
        detectors.open()
        with pytest.raises(BenchError, match="both calibrated with and tested: take it out of one of them"):
            calibrate_rivals(detectors, made, samples(folders["held_out"])[:1], jobs=1)


def test_what_a_detector_has_learnt_from_is_not_held_out(config, weights, folders, tmp_path):
    """A rival that was trained here knows what it has seen by the record of its run."""
    pictures = samples(folders["held_out"])
    run = tmp_path / "run"
    run.mkdir()
    own = run / "rival.safetensors"
    own.write_bytes(weights.read_bytes())
    (run / "data.json").write_text(
        '{"manifest_sha256": "' + "0" * 64 + '", "seen": ["' + pictures[1].sha256 + '"]}'
    )
    made = config(detectors=[{"rival": "tiny-ladeda", "weights": [own], "whole_image": True}])
    with closing(Detectors(made)) as detectors:
        detectors.open()
        (rival,) = detectors.uncalibrated
        refuse_seen(rival, pictures[:1])
        with pytest.raises(BenchError, match=r"1\.png: tiny-ladeda has learnt from this photograph"):
            refuse_seen(rival, pictures)
        with pytest.raises(BenchError, match=r"0\.png: tiny-ladeda has learnt from this photograph"):
            refuse_seen(rival, [replace(pictures[0], original=pictures[1].sha256)])
