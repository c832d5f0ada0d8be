"""A bundle grows by its `with_` methods, and says in one line what is missing or does not fit."""

import gzip

import numpy as np
import pytest
import safetensors.numpy

from cameraborn.degrade.random import OPERATIONS
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.detector import Detector
from cameraborn.detect.evidence.combine import Standard, combine
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.detect.evidence.pseudo_fake import PseudoFakeClassifier
from cameraborn.detect.held_out import CalibrationRow, write_rows
from cameraborn.detect.schema import Channel
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.errors import BundleError
from cameraborn.fit.calibrate import calibrate
from cameraborn.fit.photographs import find_photographs
from cameraborn.fit.views import ViewOptions

from ..conftest import EXAMPLES, FEATURES

WIDTH = 2 * FEATURES
X = np.random.default_rng(0).normal(size=(5, WIDTH))


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return read_bundle(tiny_bundle)


def with_file(bundle, name, data):
    return Bundle(bundle.info, {**bundle.files, name: data}, "here")


@pytest.mark.parametrize(
    "table",
    ["score,source,photograph,face_size,jpeg_quality\n", "score,source\n1,a\n", "x\n1\n",
     "score,source,photograph,face_size,jpeg_quality\nnan,a,b,1,\n",
     "score,source,photograph,face_size,jpeg_quality\nhigh,a,b,1,\n",
     "score,source,photograph,face_size,jpeg_quality,noise,operation,surprise_photographs\n1,a,b,1,,0,blurred,nan\n"],
)  # fmt: skip
def test_a_calibration_that_is_none(bundle, table):
    with pytest.raises(BundleError, match=r"here: calibration\.csv is damaged .* calibrate again"):
        _ = with_file(bundle, "calibration.csv", table.encode()).calibration


def test_a_compressed_graph_that_is_none(bundle):
    (network,) = bundle.info.networks
    packed = gzip.compress(bundle.graph(network))
    compressed = network.model_copy(update={"file": "network.onnx.gz"})
    for data in (b"no gzip", packed[:-9], packed[:-1], packed[:40] + b"x" * 40 + packed[80:]):
        broken = with_file(bundle.with_info(networks=(compressed,)), "network.onnx.gz", data)
        with pytest.raises(
            BundleError, match=r"here: network\.onnx\.gz is damaged .* get the bundle again"
        ) as caught:
            broken.graph(compressed)
        assert "\n" not in str(caught.value)
    whole = with_file(bundle, "network.onnx.gz", packed)
    assert whole.graph(compressed) == bundle.graph(network)


@pytest.mark.parametrize("kind", ["cut", "foreign", "of another network"])
def test_evidence_that_is_none(bundle, kind):
    tensors = dict(bundle.channel("photographs").tensors())
    if kind == "foreign":
        tensors.pop("means")
    if kind == "of another network":
        tensors |= {"mean": tensors["mean"][:-1], "whitening": tensors["whitening"][:-1].copy()}
    data = safetensors.numpy.save(tensors)
    broken = with_file(bundle, "photographs.safetensors", data[:-8] if kind == "cut" else data)
    with pytest.raises(BundleError, match=r"here: photographs\.safetensors.* again") as caught:
        broken.scores(X)
    assert "\n" not in str(caught.value)


def test_a_channel_of_another_width_or_an_unknown_kind(bundle):
    record = bundle.info.channels[0]
    for change, why in (
        ({"columns": ((0, WIDTH + 1),)}, f"reads {WIDTH + 1} features and the networks give {WIDTH}"),
        ({"kind": "densty"}, "did you mean 'density'"),
    ):
        changed = bundle.with_info(channels=(record.model_copy(update=change),))
        with pytest.raises(BundleError, match=why):
            _ = changed.evidence


def test_parts_that_are_not_there_yet_name_their_verb(network_bundle, tmp_path):
    write_bundle(network_bundle, tmp_path / "b")
    bundle = read_bundle(tmp_path / "b")
    assert bundle.evidence == ()
    for part, verb in (
        (lambda: bundle.scores(X), "fit"),
        (lambda: bundle.channel("photographs"), "fit"),
        (lambda: bundle.calibration_rows, "calibrate"),
        (lambda: bundle.calibration, "calibrate"),
        (lambda: bundle.golden, "calibrate"),
    ):
        with pytest.raises(BundleError, match=f"cameraborn {verb}"):
            part()


def test_an_unknown_channel_is_answered_with_those_there_are(bundle):
    with pytest.raises(BundleError, match="no evidence channel 'generators': choose from photographs"):
        bundle.channel("generators")


def test_calibration_goes_round_most_surprising_first(bundle):
    rows = [
        CalibrationRow(1.25, "a, b", "0a", 90, None, -1.5, 3, {"photographs": 0.5}),
        CalibrationRow(7.5, "ünï", "1b", 120, 83, 0.25, 0, {"photographs": -2.0}),
    ]
    table = write_rows(rows, tuple(OPERATIONS), ["photographs"])
    assert table.decode().splitlines()[2].endswith(",compressed,0.5000")
    changed = with_file(bundle, "calibration.csv", table)
    assert changed.calibration_rows == (rows[1], rows[0])
    (scores,) = changed.calibration.scores
    assert scores.tolist() == [1.25, 7.5]
    (surprises,) = changed.channel_calibrations["photographs"].scores
    assert surprises.tolist() == [-2.0, 0.5]
    unknown = [CalibrationRow(row.score, row.source, row.photograph, row.face_size, None) for row in rows]
    changed = with_file(bundle, "calibration.csv", write_rows(unknown, tuple(OPERATIONS), ["photographs"]))
    assert changed.channel_calibrations == {}


def test_a_bundle_without_an_operation_classifier_has_no_operations(bundle):
    """Evidence that was fitted without one can be calibrated, and the calibration says which operations it knows."""
    kept = ("network.onnx", "photographs.safetensors")
    files = {name: data for name, data in bundle.files.items() if name in kept}
    without = calibrate(
        Bundle(bundle.info.model_copy(update={"coverage": None}), files, "here"),
        find_photographs(sorted(EXAMPLES.glob("photo-*.jpg"))),
        options=ViewOptions(copies=3, jobs=1),
        class_size=4,
    )
    assert without.coverage.operations == ()
    assert {row.operation for row in without.calibration_rows} == {0}
    (verdict,) = Detector(without).score(EXAMPLES / "photo-1.jpg", false_alarm_rate=0.5)
    assert 0 < verdict.p_value <= 1
    both = with_file(without, "operations.safetensors", bundle.files["operations.safetensors"])
    with pytest.raises(
        BundleError, match="tells 10 operations and the calibration 0: fit and calibrate again"
    ):
        _ = both.calibration


@pytest.mark.parametrize("categories", [(), (((0, 0, 0, 0),),)])
def test_categories_that_leave_conditions_out(bundle, categories):
    coverage = bundle.coverage.model_copy(update={"categories": categories})
    with pytest.raises(BundleError, match=r"categories of condition are incomplete: calibrate again"):
        _ = bundle.with_info(coverage=coverage).calibration


def test_a_classifier_alone_makes_the_score_if_it_is_said_so(bundle, tmp_path):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(2, WIDTH)).astype(np.float32)
    bias = np.array([0.5, -0.5], np.float32)
    classifier = BinaryClassifier("generators", ((0, WIDTH),), ((weight, bias),))
    both = bundle.with_evidence(classifier)
    np.testing.assert_array_equal(both.scores(X), bundle.scores(X))
    both = both.with_combination({"generators": None})
    np.testing.assert_allclose(both.scores(X), X @ (weight[1] - weight[0]) - 1)
    assert set(both.surprises(X)) == {"photographs", "generators"}
    write_bundle(both, tmp_path / "b")
    np.testing.assert_array_equal(read_bundle(tmp_path / "b").scores(X), both.scores(X))
    assert "has seen photographs and generated pictures" in (tmp_path / "b" / "CARD.md").read_text()


def test_two_channels_are_combined_on_their_common_scale(bundle, tmp_path):
    classifier = PseudoFakeClassifier("reconstructed", ((0, FEATURES),), np.ones(FEATURES), 0.0)
    standards = {"photographs": Standard(4.0, 2.0), "reconstructed": Standard(-1.0, 0.5)}
    both = bundle.with_evidence(classifier).with_combination(standards)
    surprises = both.surprises(X)
    expected = combine(list(surprises.values()), list(standards.values()))
    write_bundle(both, tmp_path / "b")
    np.testing.assert_array_equal(read_bundle(tmp_path / "b").scores(X), expected)
    unscaled = bundle.with_evidence(classifier).with_info(combined=("photographs", "reconstructed"))
    with pytest.raises(BundleError, match="run 'cameraborn fit' first"):
        unscaled.scores(X)


def test_declared_columns_are_kept_until_the_channel_is_fitted(network_bundle):
    record = Channel(name="photographs", kind="density", columns=((0, 4), (16, 20)))
    declared = network_bundle.with_channel(record)
    assert declared.columns_of("photographs") == record.columns
    assert network_bundle.columns_of("photographs") == ((0, WIDTH),)
    assert declared.evidence == ()


@pytest.mark.parametrize(
    "wrong",
    [{"name": "weights"}, {"name": "a/b"}, {"columns": ()}, {"columns": ((3, 3),)}, {"columns": ((2, 4), (0, 1))},
     {"standard": (0.0, 0.0)}],
)  # fmt: skip
def test_channels_that_are_none(wrong):
    with pytest.raises(ValueError, match="validation error"):
        Channel(**{"name": "a", "kind": "density", "columns": ((0, 2),)} | wrong)


def test_what_was_seen_is_known_by_the_beginning_of_its_hash(network_bundle):
    seen = network_bundle.with_seen(["ab" * 32]).with_seen(["cd" * 32])
    assert seen.has_seen("ab" * 32)
    assert seen.has_seen("cd" * 32)
    assert not seen.has_seen("ef" * 32)
    assert seen.files["seen.txt"] == b"abababababababab\ncdcdcdcdcdcdcdcd\n"


@pytest.mark.parametrize(
    "data", [b'{"waves-256": ', b"[1]", b'{"waves-256": "high"}', b'{"waves-256": NaN}', b"\xff"]
)
def test_golden_scores_that_are_none(bundle, data):
    with pytest.raises(BundleError, match=r"here: golden\.json is damaged: calibrate again"):
        _ = with_file(bundle, "golden.json", data).golden


def test_tables_that_are_no_text(bundle):
    with pytest.raises(BundleError, match=r"here: calibration\.csv is damaged .* calibrate again"):
        _ = with_file(bundle, "calibration.csv", b"\xff").calibration
    with pytest.raises(BundleError, match=r"here: seen\.txt is damaged: get the bundle again"):
        _ = with_file(bundle, "seen.txt", b"\xff").seen
