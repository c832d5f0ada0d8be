"""A bundle of the first releases becomes one of this release with the same scores."""

import hashlib
import json

import numpy as np
import pytest
import safetensors.numpy

from cameraborn.detect.convert import convert_bundle
from cameraborn.detect.detector import Detector
from cameraborn.detect.evidence.density import Mixture
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.errors import BundleError

from ..conftest import EXAMPLES, FEATURES

WIDTH = 2 * FEATURES
X = np.random.default_rng(1).normal(size=(6, WIDTH))


def with_one_network(info):
    """The fields of bundle.json with the only network in the open, as schemas 2 and 3 had it."""
    (network,) = info.pop("networks")
    del network["file"], network["weights"], network["preprocessing"]["patch"]
    description = network.pop("description")
    return info | network | {"network": description}


def old_bundle(bundle, folder, more):
    """A bundle as the first releases wrote it, of a calibrated one with a density; `more` files are added."""
    files = dict(bundle.files)
    files["mixture.safetensors"] = files.pop("photographs.safetensors")
    files["recogniser.safetensors"] = files.pop("operations.safetensors")
    header, *rows = files["calibration.csv"].decode().splitlines()
    assert header.endswith("operation,surprise_photographs")
    files["calibration.csv"] = (
        "\n".join(
            [
                "score,source,photograph,face_size,jpeg_quality,noise,handling",
                *(r.rpartition(",")[0] for r in rows),
            ]
        ).encode()
        + b"\n"
    )
    files |= more
    info = with_one_network(json.loads(bundle.info.model_dump_json()))
    info = {name: value for name, value in info.items() if name not in ("channels", "combined")}
    coverage = info["coverage"]
    coverage |= {"handlings": coverage.pop("operations"), "classes": coverage.pop("categories")}
    info |= {
        "schema_version": 2,
        "tasks": ["iso", "redrawn"],
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "bundle.json").write_text(json.dumps(info))
    return folder


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return read_bundle(tiny_bundle)


def test_a_density_alone(bundle, tmp_path):
    old = old_bundle(bundle, tmp_path / "old", {})
    with pytest.raises(BundleError, match=r"run 'cameraborn convert .*old -o NEW' first"):
        read_bundle(old)
    converted = convert_bundle(old)
    write_bundle(converted, tmp_path / "new")
    again = read_bundle(tmp_path / "new")
    assert set(again.files) == set(bundle.files)
    for name in set(bundle.files) - {"seen.txt"}:
        assert again.files[name] == bundle.files[name], name
    assert again.seen == bundle.seen
    assert again.info.networks[0].tasks == ("iso", "reconstructed")
    assert again.coverage == bundle.coverage
    before, after = (Detector(one).score(EXAMPLES / "photo-2.jpg") for one in (bundle, again))
    assert before == after
    Detector(again).verify()


@pytest.mark.parametrize("second_network", [False, True])
def test_a_density_and_a_boundary(bundle, tmp_path, second_network):
    """By the formula of the first releases; exact zeros in the weights were the density's columns."""
    rng = np.random.default_rng(0)
    weight, mixture = rng.normal(size=FEATURES), bundle.channel("photographs").mixture
    left = np.ones(WIDTH, bool)
    if second_network:
        weight[:10] = 0
        left = np.tile(weight == 0, 2)
        mixture = Mixture(mixture.mean[left], mixture.whitening[left], *_gaussians(mixture))
    location, scale = np.array([40.0, -1.0]), np.array([9.0, 0.5])
    more = {
        "redrawn.safetensors": safetensors.numpy.save(
            {"weight": weight, "bias": np.array([0.25]), "location": location, "scale": scale}
        ),
        "mixture.safetensors": safetensors.numpy.save(mixture.tensors()),
    }
    converted = convert_bundle(old_bundle(bundle, tmp_path / "old", more))
    signs = np.stack([-mixture.log_likelihood(X[:, left]), X[:, :FEATURES] @ weight + 0.25], axis=1)
    surprise, odds = ((signs - location) / scale).T
    np.testing.assert_allclose(converted.scores(X), surprise + np.maximum(odds, 0), atol=1e-9)
    assert converted.info.combined == ("photographs", "reconstructed")
    columns = [record.columns for record in converted.info.channels]
    assert columns == ([((0, 10), (16, 26)), ((10, 16),)] if second_network else [((0, 32),), ((0, 16),)])
    assert converted.channel_calibrations == {}  # they were not kept then
    assert len(converted.calibration_rows) == len(bundle.calibration_rows)


def _gaussians(mixture):
    return mixture.weights, mixture.means, mixture.precisions_cholesky


def test_a_head_goes_before_the_mixture(bundle, tmp_path):
    rng = np.random.default_rng(0)
    head = {"0.weight": rng.normal(size=(2, WIDTH)), "0.bias": np.array([0.5, -0.5])}
    old = old_bundle(bundle, tmp_path / "old", {"head.safetensors": safetensors.numpy.save(head)})
    converted = convert_bundle(old)
    np.testing.assert_allclose(converted.scores(X), X @ (head["0.weight"][1] - head["0.weight"][0]) - 1)
    assert [channel.name for channel in converted.evidence] == ["generators", "photographs"]


def test_a_network_alone(network_bundle, tmp_path):
    files, info = network_bundle.files, with_one_network(json.loads(network_bundle.info.model_dump_json()))
    renamed = safetensors.numpy.save({"heads.redrawn.bias": np.zeros(2), "encoder.x": np.ones(3)})
    files = {**files, "weights.safetensors": renamed}
    info = {name: value for name, value in info.items() if name not in ("channels", "combined")}
    info["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "bundle.json").write_text(json.dumps(info | {"schema_version": 2}))
    for name, data in files.items():
        (tmp_path / "old" / name).write_bytes(data)
    converted = convert_bundle(tmp_path / "old")
    assert converted.evidence == ()
    assert set(safetensors.numpy.load(converted.files["weights.safetensors"])) == {
        "heads.reconstructed.bias",
        "encoder.x",
    }


def test_schema_3_differs_in_its_only_network(bundle, tmp_path):
    info = with_one_network(json.loads(bundle.info.model_dump_json())) | {"schema_version": 3}
    info["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in bundle.files.items()}
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "bundle.json").write_text(json.dumps(info))
    for name, data in bundle.files.items():
        (tmp_path / "old" / name).write_bytes(data)
    converted = convert_bundle(tmp_path / "old")
    assert converted.info.model_copy(update={"files": {}}) == bundle.info.model_copy(update={"files": {}})
    assert converted.files == bundle.files
    Detector(converted).verify()


@pytest.mark.parametrize("damage", ["tampered", "missing", "cut", "field"])
def test_damage_is_refused(bundle, tmp_path, damage):
    cut = {"recogniser.safetensors": bundle.files["operations.safetensors"][:-8]} if damage == "cut" else {}
    old = old_bundle(bundle, tmp_path / "old", cut)
    if damage == "tampered":
        (old / "mixture.safetensors").write_bytes(b"other")
    elif damage == "missing":
        (old / "seen.txt").unlink()
    elif damage == "field":
        info = json.loads((old / "bundle.json").read_text())
        del info["coverage"]["classes"], info["preprocessing"]
        (old / "bundle.json").write_text(json.dumps(info))
    with pytest.raises(BundleError, match="get the bundle again") as caught:
        convert_bundle(old)
    assert str(old) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_needs_no_conversion(tiny_bundle):
    with pytest.raises(BundleError, match=r"schema version 4 .* it needs no conversion"):
        convert_bundle(tiny_bundle)
