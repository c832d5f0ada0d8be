"""Rivals and encoders in the benchmark: by both thresholds, through the mixture, and never without weights."""

import csv
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cameraborn import open_picture
from cameraborn.bench.config import BenchConfig, read_config
from cameraborn.bench.detectors import Detectors
from cameraborn.bench.protocol import run_protocol
from cameraborn.bench.run import run
from cameraborn.bench.scores import read_scores
from cameraborn.detect.conformal import p_values
from cameraborn.errors import BenchError, CalibrationError, RecipeError
from cameraborn.photo.crops import square_crop
from cameraborn.photo.faces import FaceFinder
from cameraborn.report import studies
from cameraborn.report.analysis import Analysis
from cameraborn.report.results import Results
from cameraborn.rivals.ladeda import TinyLadedaNetwork
from cameraborn.rivals.npr import NprNetwork
from cameraborn.rivals.published import ENCODERS, NETWORKS, RIVALS
from cameraborn.rivals.scoring import compute, open_rival
from cameraborn.train.export import CROP_SCALE
from cameraborn.train.run_folder import DataRecord
from tests.rivals.formula import formula_

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.fixture(scope="module")
def config_of(album, manifest):
    """A function that makes a configuration of the test set without bundles."""

    def make(output, **changes):
        fields = {
            "output": output,
            "degradations": ["none"],
            "sets": [{"name": "set", "manifest": manifest, "tracks": "kind"}],
            "draws": 100,
            "protocol": {
                "fit": {"folders": [album / "fit"]},
                "held_out": {"folders": [album / "held_out"]},
                "components": 1,
                "dimensions": 2,
            },
        }
        return BenchConfig.model_validate(fields | changes)

    return make


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files of weights of networks, as import-checkpoint writes them."""
    folder = tmp_path_factory.mktemp("weights")
    networks = {
        "tiny-ladeda": TinyLadedaNetwork(),
        "npr": NprNetwork(),
        "efficientnet-lite0": NETWORKS["efficientnet-lite0"](),
    }
    for name, network in networks.items():
        metadata = {"network": name, "layout": name, "sha256": "ab" * 32}
        save_file(formula_(network).state_dict(), folder / f"{name}.safetensors", metadata)
    return {name: folder / f"{name}.safetensors" for name in networks}


@pytest.fixture(scope="module")
def measured(tmp_path_factory, config_of, weights):
    """A run of a cue, a rival on faces, the same on whole pictures, a training-free one, and an encoder."""
    tiny = {"rival": "tiny-ladeda", "weights": [weights["tiny-ladeda"]]}
    config = config_of(
        tmp_path_factory.mktemp("rivals") / "out",
        detectors=[
            tiny,
            tiny | {"name": "whole", "whole_image": True},
            {"rival": "rigid", "weights": [weights["efficientnet-lite0"]], "name": "GramNet"},
            {"encoder": "efficientnet-lite0", "weights": [weights["efficientnet-lite0"]]},
            "sharpness",
        ],
        false_alarm_rate=0.1,
    )
    run(config, jobs=2)
    run_protocol(config, jobs=2)
    return config


def rows_of(config, name):
    return [row for row in read_scores(config.output / "scores.csv") if row.detector == name]


def test_a_rival_is_a_detector_like_any_other(measured):
    kinds = {detector.name: detector.kind for detector in Results(measured.output).record.detectors}
    assert kinds == {
        "tiny-ladeda": "rival",
        "tiny-ladeda (own threshold)": "own threshold",
        "whole": "rival",
        "whole (own threshold)": "own threshold",
        "GramNet": "rival",  # it is not trained, so it has no threshold of its own
        "efficientnet-lite0 (aigfd)": "aigfd",
        "sharpness": "cue",
    }
    record = next(one for one in Results(measured.output).record.detectors if one.name == "tiny-ladeda")
    assert (record.note, record.calibration_size) == (f"network: {'ab' * 32}", 24)


def test_it_scores_the_largest_face_or_the_whole_picture(measured, album, weights):
    rival, finder = open_rival("tiny-ladeda", [weights["tiny-ladeda"]]), FaceFinder()
    faces = 0
    for row in rows_of(measured, "tiny-ladeda"):
        pixels = open_picture(album / row.path).pixels
        found = finder.find(pixels)
        assert row.scope == ("ok" if found else "no-face")
        if found:
            face = open_picture(square_crop(pixels, found[0].box, CROP_SCALE))
            assert row.score == pytest.approx(compute(rival, [face])[0], abs=1e-6)
            faces += 1
    assert faces > 10
    for row in rows_of(measured, "whole"):
        assert row.score == pytest.approx(compute(rival, [open_picture(album / row.path)])[0], abs=1e-6)


def test_held_out_photographs_and_its_own_threshold_decide(measured, album, weights):
    rival = open_rival("tiny-ladeda", [weights["tiny-ladeda"]])
    files = sorted((album / "held_out").iterdir())
    held_out = compute(rival, [open_picture(file) for file in files]).astype(np.float32)
    for row in rows_of(measured, "whole"):
        assert row.p_value == p_values(np.array([row.score]), held_out)[0]
        assert row.flagged == (row.p_value <= 0.1)
    own = {row.sha256: row for row in rows_of(measured, "whole (own threshold)")}
    for row in rows_of(measured, "whole"):
        assert (own[row.sha256].score, own[row.sha256].p_value) == (row.score, None)
        assert own[row.sha256].flagged == (row.score > 0)
        assert own[row.sha256].seconds is None  # computed once


def test_an_encoder_feeds_the_papers_mixture(measured):
    rows = rows_of(measured, "efficientnet-lite0 (aigfd)")
    assert len(rows) == 16
    assert all(row.p_value is not None for row in rows if row.scope == "ok")
    assert rows_of(measured, "efficientnet-lite0") == []


def test_nothing_is_measured_twice(measured):
    before = (measured.output / "scores.csv").read_bytes()
    tally = run(measured, jobs=1)
    assert (tally.scored, tally.abstained) == (0, 0)
    assert tally.known == 16 * 6
    assert (measured.output / "scores.csv").read_bytes() == before
    run_protocol(measured, jobs=1)


def test_an_own_threshold_is_no_detector_to_compare(measured):
    pairs = {(row.first.name, row.second.name) for row in Analysis(Results(measured.output)).differences()}
    assert pairs
    assert not any("own threshold" in name for pair in pairs for name in pair)


def test_table1_has_the_printed_figure_beside_and_says_why_it_differs(measured):
    paths = studies.table1(measured, jobs=1)
    assert [path.name for path in paths] == ["table1.csv", "table1.png", "table1_printed.csv"]
    with paths[2].open(newline="") as lines:
        rows = {row["metric"]: row for row in csv.DictReader(lines)}
    assert (rows["accuracy"]["printed"], rows["ap_photo"]["printed"]) == ("0.57", "0.6938")
    assert rows["accuracy"]["detector"] == "GramNet"
    assert "other pictures, and other photographs" in rows["accuracy"]["not_comparable"]
    with paths[0].open(newline="") as lines:
        table = [row for row in csv.DictReader(lines) if row["detector"] == "GramNet"]
    mean = np.mean([float(row["ap_photo"]) for row in table])
    assert float(rows["ap_photo"]["here"]) == pytest.approx(mean, abs=1e-4)


@pytest.mark.parametrize(
    ("detector", "said"),
    [
        ({"rival": "npr"}, "npr: no weights of the network npr were given: NPR.pth, published at"),
        ({"rival": "nqr"}, "no rival is called 'nqr': did you mean 'npr'"),
        ({"encoder": "farrl"}, "no encoder is called 'farrl': did you mean 'farl'"),
    ],
)
def test_nothing_is_scored_without_its_weights(tmp_path, config_of, detector, said):
    config = config_of(tmp_path / "out", detectors=["sharpness", detector])
    with pytest.raises(RecipeError, match=said):
        run(config, jobs=1)
    assert not (tmp_path / "out" / "scores.csv").exists()


def test_weights_of_another_network_are_refused(tmp_path, config_of, weights):
    config = config_of(tmp_path / "out", detectors=[{"rival": "npr", "weights": [weights["tiny-ladeda"]]}])
    with pytest.raises(RecipeError, match="holds tiny-ladeda, and npr needs npr"):
        run(config, jobs=1)


def test_other_weights_are_another_detector(tmp_path, config_of, weights):
    tensors = load_file(weights["tiny-ladeda"])
    changed = tmp_path / "changed.safetensors"
    metadata = {"network": "tiny-ladeda", "sha256": "ab" * 32}
    save_file(tensors | {"fc.bias": torch.ones(1)}, changed, metadata)
    keys = []
    for file in (weights["tiny-ladeda"], changed):
        with closing(
            Detectors(config_of(tmp_path / "out", detectors=[{"rival": "tiny-ladeda", "weights": [file]}]))
        ) as detectors:
            detectors.open()
            keys += [scorer.key for scorer in detectors]
    assert len(set(keys)) == 2


def test_without_held_out_photographs_its_own_threshold_decides(tmp_path, config_of, weights):
    tiny = {"rival": "tiny-ladeda", "weights": [weights["tiny-ladeda"]], "whole_image": True}
    config = config_of(tmp_path / "out", detectors=[tiny], protocol=None)
    run(config, jobs=1)
    rows = list(read_scores(config.output / "scores.csv"))
    assert {row.detector for row in rows} == {"tiny-ladeda"}
    assert all((row.p_value, row.flagged) == (None, row.score > 0) for row in rows)


def test_photographs_that_training_has_seen_are_neither_scored_nor_held_out(
    tmp_path, config_of, album, weights
):
    file = tmp_path / "run" / "network.safetensors"
    file.parent.mkdir()
    file.write_bytes(weights["tiny-ladeda"].read_bytes())
    tested = sorted((album / "gan").iterdir())[0]

    def seen(path):
        record = DataRecord(manifest_sha256="0" * 64, seen=(open_picture(path).sha256,))
        (file.parent / "data.json").write_text(record.model_dump_json())

    seen(tested)
    config = config_of(
        tmp_path / "out",
        detectors=[{"rival": "tiny-ladeda", "weights": [file]}],
        calibration={"folders": [album / "held_out"]},
        protocol=None,
    )
    assert run(config, jobs=1).seen == 2  # by both thresholds
    held_out = sorted((album / "held_out").iterdir())[0]
    seen(held_out)
    with pytest.raises(BenchError, match=f"{held_out.name}: tiny-ladeda has learnt from this photograph"):
        run(config, jobs=1)


def test_photographs_that_calibrate_are_not_tested_and_are_enough(tmp_path, config_of, album, weights):
    tiny = {"rival": "tiny-ladeda", "weights": [weights["tiny-ladeda"]]}
    fields = {"detectors": [tiny], "protocol": None}
    config = config_of(tmp_path / "out", calibration={"folders": [album / "gan"]}, **fields)
    with pytest.raises(BenchError, match="both calibrated with and tested"):
        run(config, jobs=1)
    config = config_of(
        tmp_path / "out", calibration={"folders": [album / "held_out"]}, false_alarm_rate=0.01, **fields
    )
    with pytest.raises(CalibrationError, match="needs at least 99 calibration photographs"):
        run(config, jobs=1)


def test_encoders_alone_ask_for_the_protocol(tmp_path, config_of, weights):
    encoder = {"encoder": "efficientnet-lite0", "weights": [weights["efficientnet-lite0"]]}
    config = config_of(tmp_path / "out", detectors=[encoder], protocol=None)
    with pytest.raises(BenchError, match=r"only encoders are named.*--protocol aigfd"):
        run(config, jobs=1)


def test_the_configuration_that_ships_names_what_there_is():
    config = read_config(CONFIGS / "bench_rivals.toml")
    known = {"rival": RIVALS, "encoder": ENCODERS}
    found = [detector for detector in config.detectors if detector.kind in known]
    assert len(found) > 10
    for detector in found:
        assert detector.which in known[detector.kind]
        for file in detector.weights:
            trained = file.name == "network.safetensors"
            assert (
                (CONFIGS / "rivals" / f"{file.parent.name}.toml").is_file()
                if trained
                else file.stem in NETWORKS
            )


def test_weights_are_for_rivals_and_encoders(tmp_path, config_of, weights):
    with pytest.raises(ValueError, match="weights are for rivals and encoders, not for the cue 'sharpness'"):
        config_of(tmp_path / "out", detectors=[{"cue": "sharpness", "weights": [weights["npr"]]}])
