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
from cameraborn.bench.record import DetectorRecord
from cameraborn.bench.run import run
from cameraborn.bench.scores import read_scores
from cameraborn.detect.conformal import p_values
from cameraborn.errors import BenchError, CalibrationError, RecipeError
from cameraborn.photo.crops import square_crop
from cameraborn.photo.faces import FaceFinder
from cameraborn.report import studies
from cameraborn.report.analysis import Analysis
from cameraborn.report.published import printed_in, published_figures
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
        "probe-head-1280": NETWORKS["probe-head-1280"](),
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


def read_csv(path):
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


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
    assert [path.name for path in paths] == ["table1.csv", "table1.png"]
    *of_generators, mean = [row for row in read_csv(paths[0]) if row["detector"] == "GramNet"]
    assert (mean["printed_accuracy"], mean["printed_ap_photo"]) == ("0.57", "0.6938")
    assert "AIGFD-EXIF, table I, accuracy: arXiv 2501.02207" in mean["printed_source"]
    assert "other pictures, and other photographs" in mean["not_comparable"]
    literal = np.mean([float(row["ap_photo"]) for row in of_generators])
    assert float(mean["ap_photo"]) == pytest.approx(literal, abs=1e-4)


def test_rows_without_weights_stay_empty_and_the_others_are_filled(tmp_path, config_of, weights):
    lite0 = weights["efficientnet-lite0"]
    config = config_of(
        tmp_path / "out",
        detectors=[
            {"rival": "univfd", "name": "UnivFD", "weights": [tmp_path / "univfd-head.safetensors"]},
            {"rival": "probe-efficientnet-lite0", "weights": [lite0, weights["probe-head-1280"]]},
            {"rival": "probe-efficientnet-lite0", "name": "half", "weights": [lite0]},
            {"encoder": "farl"},
            {"encoder": "efficientnet-lite0", "weights": [lite0]},
        ],
        false_alarm_rate=0.1,
    )
    told = []
    paths = studies.STUDIES["tables"](config, jobs=1, tell=told.append)
    assert [path.name for path in paths] == ["table1.csv", "table1.png", "table2.csv", "table2.png"]
    first, second = (read_csv(path) for path in (paths[0], paths[2]))
    problems = {row["detector"]: row["problem"] for row in first if row["problem"]}
    assert list(problems) == ["UnivFD", "half", "farl (aigfd)"]
    assert list(problems.values()) == told
    for word in (
        "ViT-L-14.pt, published at",
        "b8cca3fd41ae",
        "fc_weights.pth, published",
        "--layout univfd-head",
    ):
        assert word in told[0]
    assert told[0].endswith(f"not there: {tmp_path / 'univfd-head.safetensors'}")
    assert "probe-head-1280" in told[1]
    assert "the network efficientnet-lite0" not in told[1]  # it is there
    assert not any("\n" in line for line in told)
    filled = {row["detector"] for row in first if row["auc"]}
    assert filled == {
        "probe-efficientnet-lite0",
        "probe-efficientnet-lite0 (own threshold)",
        "efficientnet-lite0 (aigfd)",
    }
    assert list(dict.fromkeys(row["detector"] for row in second)) == [
        "probe-efficientnet-lite0 (linear probe)",
        "efficientnet-lite0 (aigfd)",
        "half (linear probe)",
        "farl (aigfd)",
    ]
    of_probe = {
        table: [
            row["auc"] for row in rows if row["detector"].startswith("probe") and "own" not in row["detector"]
        ]
        for table, rows in (("I", first), ("II", second))
    }
    assert of_probe["I"] == of_probe["II"]
    assert all(of_probe["I"])
    with pytest.raises(RecipeError, match="univfd: no weights of the network clip-vit-l14 were given"):
        run(config, jobs=1)


def test_table_ii_alone_measures_the_probes(tmp_path, config_of, weights):
    files = [weights["efficientnet-lite0"], weights["probe-head-1280"]]
    config = config_of(
        tmp_path / "out", detectors=[{"rival": "probe-efficientnet-lite0", "weights": files, "name": "x"}]
    )
    config = config.model_copy(update={"false_alarm_rate": 0.1})
    rows = read_csv(studies.table2(config, jobs=1)[0])
    assert {row["detector"] for row in rows} == {"x (linear probe)"}


@pytest.mark.parametrize("study", ["tables", "figure5"])
def test_only_missing_weights_leave_a_row_empty(tmp_path, config_of, weights, study):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(weights["npr"].read_bytes()[:1000])
    good = {"encoder": "efficientnet-lite0", "weights": [weights["efficientnet-lite0"]]}
    for detector, said in (
        ({"rival": "nqr"}, "no rival is called 'nqr': did you mean 'npr'"),
        ({"rival": "farl"}, "farl is an encoder: give it as encoder"),
        ({"rival": "npr", "weights": [broken]}, "broken.safetensors: not a safetensors file"),
        ({"rival": "npr", "weights": [weights["tiny-ladeda"]]}, "holds tiny-ladeda, and npr needs npr"),
    ):
        config = config_of(tmp_path / "out", detectors=[detector, good])
        with pytest.raises(RecipeError, match=said):
            studies.STUDIES[study](config, jobs=1)
    config = config_of(tmp_path / "out", detectors=["sharpness", {"rival": "npr"}])
    with pytest.raises(BenchError, match=r"no detector has its weights: npr: .*NPR\.pth"):
        studies.STUDIES[study](config, jobs=1)
    assert not (tmp_path / "out").exists()


def test_a_figure_leaves_out_encoders_without_weights(tmp_path, config_of, weights):
    good = {"encoder": "efficientnet-lite0", "weights": [weights["efficientnet-lite0"]]}
    told = []
    config = config_of(tmp_path / "out", detectors=[{"encoder": "clip-rn50"}, good])
    paths = studies.figure5(config, jobs=1, tell=told.append)
    assert {row["detector"] for row in read_csv(paths[0])} == {"efficientnet-lite0"}
    assert [line.split(":")[0] for line in told] == ["clip-rn50"]


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


def test_the_configuration_that_ships_has_every_row_of_the_papers_tables():
    config = read_config(CONFIGS / "bench_rivals.toml")
    printed = {
        table: {
            (figure.detector, figure.value)
            for one in config.detectors
            for figure in printed_in(
                table, DetectorRecord(name="x", key="k", kind=one.kind, which=one.which)
            ).values()
            if figure.metric in ("accuracy", "AUC")
        }
        for table in ("I", "II")
    }
    averages = {
        (figure.detector, figure.value)
        for figure in published_figures()
        if (figure.table, figure.test_set, figure.metric) == ("I", "average of nine", "accuracy")
    }
    assert printed["I"] == averages
    others = {"npr", "ladeda", "tiny-ladeda", "self-blended", "minder", "univfd-nearest", "rigid"}
    assert others <= {one.which for one in config.detectors}
    assert {name for name, _ in printed["II"]} == {"CLIP", "FaRL", "EXIF-LAN", "AIGFD-EXIF"}


def test_weights_are_for_rivals_and_encoders(tmp_path, config_of, weights):
    with pytest.raises(ValueError, match="weights are for rivals and encoders, not for the cue 'sharpness'"):
        config_of(tmp_path / "out", detectors=[{"cue": "sharpness", "weights": [weights["npr"]]}])
