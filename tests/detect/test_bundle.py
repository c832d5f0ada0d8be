"""Bundles go to disk and back whole, and every damage is one line that says what to do."""

import json
import shutil
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from safetensors.torch import load

from cameraborn.degrade.random import OPERATIONS
from cameraborn.detect.bundle import Bundle, CalibrationRow, calibration_csv, read_bundle, write_bundle
from cameraborn.detect.detector import Detector
from cameraborn.errors import BundleError
from cameraborn.fit.learn import LearnOptions, calibrate, find_photographs
from cameraborn.networks.patchnet import PatchNet

from ..conftest import EXAMPLES, FEATURES

HASHED = [
    "network.onnx",
    "weights.safetensors",
    "mixture.safetensors",
    "recogniser.safetensors",
    "calibration.csv",
    "golden.json",
    "seen.txt",
]


@pytest.fixture
def copy(tiny_bundle, tmp_path):
    return shutil.copytree(tiny_bundle, tmp_path / "copy")


def zipped(folder, path, *, inside="", compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, inside + file.name)
    return path


def refusal(path):
    """The one line that refuses a bundle."""
    with pytest.raises(BundleError) as caught:
        read_bundle(path)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    assert any(step in text for step in ("again", "give ", "check ", "install ")), text
    return text


def flip(path, place, mask=0x01):
    data = bytearray(path.read_bytes())
    data[place] ^= mask
    path.write_bytes(data)


@pytest.mark.parametrize("inside", ["", "tiny/"])
def test_folder_and_zip_hold_the_same(tiny_bundle, tmp_path, inside):
    folder, archive = (
        read_bundle(tiny_bundle),
        read_bundle(zipped(tiny_bundle, tmp_path / "b.zip", inside=inside)),
    )
    assert folder.info == archive.info
    assert folder.files == archive.files
    assert set(HASHED) == set(folder.files)


def test_written_again_it_is_the_same(tiny_bundle, tmp_path):
    bundle = read_bundle(tiny_bundle)
    write_bundle(bundle.info, bundle.files, tmp_path / "again")
    again = read_bundle(tmp_path / "again")
    assert again.info == bundle.info
    assert again.files == bundle.files
    assert again.calibration_rows == bundle.calibration_rows
    assert again.golden == bundle.golden


def test_weights_load_through_safetensors(tiny_bundle):
    bundle = read_bundle(tiny_bundle)
    PatchNet(widths=(8, 12, 16), features=bundle.info.features).load_state_dict(
        load(bundle.files["weights.safetensors"])
    )


@pytest.mark.parametrize("name", HASHED)
@pytest.mark.parametrize("place", [0, -1, "middle"])
def test_one_flipped_bit(copy, name, place):
    flip(copy / name, (copy / name).stat().st_size // 2 if place == "middle" else place)
    assert name in refusal(copy)


@pytest.mark.parametrize("place", [0, 100, -2])
def test_a_damaged_bundle_json(copy, place):
    flip(copy / "bundle.json", place, 0xFF)
    assert "bundle.json is damaged" in refusal(copy)


@pytest.mark.parametrize("name", HASHED)
def test_a_missing_file(copy, name):
    (copy / name).unlink()
    assert f"{name} is missing" in refusal(copy)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_zip_never_passes_for_whole(tiny_bundle, tmp_path, compression):
    path = zipped(tiny_bundle, tmp_path / "b.zip", compression=compression)
    whole, original = path.read_bytes(), read_bundle(path).files
    refused = 0
    for place in range(0, len(whole), len(whole) // 150):
        for mask in (0x01, 0xFF):
            path.write_bytes(whole)
            flip(path, place, mask)
            try:
                assert read_bundle(path).files == original  # a date, or the unhashed card
            except BundleError:
                refusal(path)
                refused += 1
    assert refused > 150
    path.write_bytes(whole[: len(whole) // 2])
    refusal(path)


@pytest.mark.parametrize("version", [0, 1, None, "2"])
def test_a_foreign_schema(copy, version):
    fields = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(fields | {"schema_version": version}))
    assert "schema version" in refusal(copy)


@pytest.mark.parametrize("text", ["", "not json", "[]", "3", '{"schema_version": 1}'])
def test_a_bundle_json_that_is_none(copy, text):
    (copy / "bundle.json").write_text(text)
    assert "bundle.json" in refusal(copy)


def test_an_unknown_field(copy):
    fields = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(fields | {"pickle": "yes"}))
    refusal(copy)


def test_what_is_no_bundle(tmp_path):
    (tmp_path / "random").write_bytes(np.random.default_rng(0).bytes(999))
    assert "neither a folder nor a zip" in refusal(tmp_path / "random")
    (tmp_path / "empty").mkdir()
    assert "not a bundle" in refusal(tmp_path / "empty")
    assert "no such bundle" in refusal(tmp_path / "missing")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme", "hello")
    assert "not a bundle" in refusal(tmp_path / "other.zip")


def rewritten(tiny_bundle, folder, **files):
    """The bundle with some files changed, hashes and all."""
    bundle = read_bundle(tiny_bundle)
    named = {name.replace("_", ".", 1): data for name, data in files.items()}
    write_bundle(bundle.info, {**bundle.files, **named}, folder)
    return read_bundle(folder)


@pytest.mark.parametrize(
    "table",
    ["score,source,photograph,face_size,jpeg_quality\n", "score,source\n1,a\n", "x\n1\n",
     "score,source,photograph,face_size,jpeg_quality\nnan,a,b,1,\n",
     "score,source,photograph,face_size,jpeg_quality\nhigh,a,b,1,\n"],
)  # fmt: skip
def test_a_calibration_that_is_none(tiny_bundle, tmp_path, table):
    bundle = rewritten(tiny_bundle, tmp_path / "b", calibration_csv=table.encode())
    with pytest.raises(BundleError, match="calibrate again") as caught:
        _ = bundle.calibration
    assert str(tmp_path / "b") in str(caught.value)


@pytest.mark.parametrize("kind", ["cut", "foreign", "of another network"])
def test_a_mixture_that_is_none(tiny_bundle, tmp_path, kind):
    tensors = dict(read_bundle(tiny_bundle).mixture.tensors())
    if kind == "foreign":
        tensors.pop("means")
    if kind == "of another network":
        tensors |= {"mean": tensors["mean"][:-1], "whitening": tensors["whitening"][:-1].copy()}
    data = safetensors.numpy.save(tensors)
    bundle = rewritten(tiny_bundle, tmp_path / "b", mixture_safetensors=data[:-8] if kind == "cut" else data)
    with pytest.raises(BundleError, match="again") as caught:
        _ = bundle.mixture
    assert str(tmp_path / "b") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parts_that_are_not_there_yet_name_their_verb(network_bundle, tmp_path):
    write_bundle(network_bundle.info, network_bundle.files, tmp_path / "b")
    bundle = read_bundle(tmp_path / "b")
    for part, verb in (
        ("mixture", "fit"),
        ("calibration_rows", "calibrate"),
        ("calibration", "calibrate"),
        ("golden", "calibrate"),
    ):
        with pytest.raises(BundleError, match=f"cameraborn {verb}"):
            getattr(bundle, part)


def test_writing_leaves_other_folders_alone(tiny_bundle, tmp_path):
    bundle = read_bundle(tiny_bundle)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    for name in ("thesis", "file"):
        with pytest.raises(BundleError, match="is not a bundle: give another folder"):
            write_bundle(bundle.info, bundle.files, tmp_path / name)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "thesis"]


def test_writing_replaces_an_older_bundle_and_what_a_crash_left(tiny_bundle, network_bundle, tmp_path):
    bundle = read_bundle(tiny_bundle)
    for left_over in ("b.part", "b.old"):
        (tmp_path / left_over).mkdir()
        (tmp_path / left_over / "network.onnx").write_bytes(b"half")
    (tmp_path / "b").mkdir()
    write_bundle(bundle.info, bundle.files, tmp_path / "b")
    write_bundle(network_bundle.info, network_bundle.files, tmp_path / "b")
    assert set(read_bundle(tmp_path / "b").files) == set(network_bundle.files)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_failed_write_leaves_the_older_bundle(tiny_bundle, tmp_path):
    folder = shutil.copytree(tiny_bundle, tmp_path / "b")
    bundle = read_bundle(folder)
    with pytest.raises(OSError, match="missing"):
        write_bundle(bundle.info, {**bundle.files, "missing/part": b""}, folder)
    assert read_bundle(folder).files == bundle.files
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_calibration_goes_round_most_surprising_first(tiny_bundle, tmp_path):
    rows = [
        CalibrationRow(1.25, "a, b", "0a", 90, None, -1.5, 3),
        CalibrationRow(7.5, "ünï", "1b", 120, 83, 0.25, 0),
    ]
    table = calibration_csv(rows, tuple(OPERATIONS))
    assert table.decode().splitlines()[2].endswith(",compressed")
    bundle = rewritten(tiny_bundle, tmp_path / "b", calibration_csv=table)
    assert bundle.calibration_rows == (rows[1], rows[0])
    (scores,) = bundle.calibration.scores
    assert scores.tolist() == [1.25, 7.5]


def test_a_bundle_without_a_operation_classifier_has_no_operations(tiny_bundle, tmp_path):
    """A mixture that was fitted without one can be calibrated, and its calibration says which operations it knows."""
    bundle = read_bundle(tiny_bundle)
    info = bundle.info.model_copy(update={"coverage": None})
    files = {
        name: data for name, data in bundle.files.items() if name in ("network.onnx", "mixture.safetensors")
    }
    without = calibrate(
        Bundle(info, files, "here"),
        find_photographs(sorted(EXAMPLES.glob("photo-*.jpg"))),
        options=LearnOptions(copies=3, jobs=1),
        class_size=4,
    )
    assert without.coverage.operations == ()
    assert {row.operation for row in without.calibration_rows} == {0}
    (verdict,) = Detector(without).score(EXAMPLES / "photo-1.jpg", false_alarm_rate=0.5)
    assert 0 < verdict.p_value <= 1
    both = {**without.files, "recogniser.safetensors": bundle.files["recogniser.safetensors"]}
    with pytest.raises(
        BundleError, match="tells 10 operations and the calibration 0: fit and calibrate again"
    ):
        _ = Bundle(without.info, both, "here").calibration


@pytest.mark.parametrize("field", ["noise_edges", "classes"])
def test_a_calibration_that_means_nothing_is_refused(copy, field):
    info = json.loads((copy / "bundle.json").read_text())
    info["coverage"][field] = [[[0, 0, 0]]] if field == "classes" else [0.5]
    (copy / "bundle.json").write_text(json.dumps(info))
    assert "bundle.json is damaged" in refusal(copy)


@pytest.mark.parametrize("classes", [(), (((0, 0, 0, 0),),)])
def test_classes_that_leave_conditions_out(tiny_bundle, tmp_path, classes):
    bundle = read_bundle(tiny_bundle)
    coverage = bundle.info.coverage.model_copy(update={"classes": classes})
    write_bundle(bundle.info.model_copy(update={"coverage": coverage}), bundle.files, tmp_path / "b")
    with pytest.raises(BundleError, match=r"class.* calibrate again"):
        _ = read_bundle(tmp_path / "b").calibration


def test_a_head_goes_before_the_mixture(tiny_bundle, tmp_path):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(2, 2 * FEATURES)).astype(np.float32)
    tensors = {"0.weight": weight, "0.bias": np.array([0.5, -0.5], np.float32)}
    bundle = rewritten(tiny_bundle, tmp_path / "b", head_safetensors=safetensors.numpy.save(tensors))
    features = rng.normal(size=(3, 2 * FEATURES))
    np.testing.assert_allclose(bundle.scores(features), features @ (weight[1] - weight[0]) - 1)
    assert "has seen photographs and generated pictures" in (tmp_path / "b" / "CARD.md").read_text()
    wrong = {"0.weight": weight[:, 1:].copy(), "0.bias": tensors["0.bias"]}
    bundle = rewritten(tiny_bundle, tmp_path / "b", head_safetensors=safetensors.numpy.save(wrong))
    with pytest.raises(BundleError, match=f"the head is of {2 * FEATURES - 1} features"):
        bundle.scores(features)
