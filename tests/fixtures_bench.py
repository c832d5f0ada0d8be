"""A small test set with everything that can happen to a picture, and a run on it."""

import shutil

import pytest

from cameraborn.bench.config import BenchConfig
from cameraborn.bench.protocol import run_protocol
from cameraborn.bench.run import run
from cameraborn.data.manifest import Row, sha256_of, write_manifest

from .conftest import EXAMPLES, varied_copies


@pytest.fixture(scope="session")
def album(tmp_path_factory):
    """Folders: photographs and generated pictures to test, photographs to fit to and to hold out."""
    folder = tmp_path_factory.mktemp("album")
    varied_copies(folder / "photos", 12, seed=11)
    varied_copies(folder / "fit", 16, seed=12)
    varied_copies(folder / "held_out", 24, seed=13)
    (folder / "gan").mkdir()
    for number in range(1, 5):
        shutil.copy(EXAMPLES / f"generated-{number}.jpg", folder / "gan")
    (folder / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return folder


@pytest.fixture(scope="session")
def manifest(album):
    """The test set as a manifest: two tracks, photographs in groups, one of the source that calibrated the bundle."""
    rows = []
    for kind in ("a", "b"):
        for number, file in enumerate(sorted((album / "photos").glob("0*.jpg"))):
            if (number % 2 == 0) == (kind == "a"):
                source = "copies" if number < 6 else "elsewhere"
                fields = {"kind": kind, "source": source, "group": f"person {number // 4}"}
                rows.append(Row(path=str(file), sha256=sha256_of(file), **fields))
        for number, file in enumerate(sorted((album / "gan").iterdir())):
            if (number % 2 == 0) == (kind == "a"):
                fields = {"kind": kind, "label": "generated", "generator": f"StyleGAN2 {kind}", "source": "x"}
                rows.append(Row(path=str(file), sha256=sha256_of(file), **fields))
    write_manifest(rows, album / "set.jsonl")
    return album / "set.jsonl"


@pytest.fixture(scope="session")
def config_of(album, manifest, tiny_bundle):
    """A function that makes a configuration of the test set with changes."""

    def make(output, **changes):
        fields = {
            "output": output,
            "detectors": [str(tiny_bundle), "sharpness"],
            "degradations": ["none", "jpeg:60"],
            "sets": [{"name": "set", "manifest": manifest, "tracks": "kind"}],
            "draws": 100,
            "protocol": {
                "fit": {"folders": [album / "fit"]},
                "held_out": {"folders": [album / "held_out"]},
                "components": 1,
                "dimensions": 2,
                "sweep": [1, 2, 64],
                "tsne_pictures": 10,
            },
        }
        return BenchConfig.model_validate(fields | changes)

    return make


@pytest.fixture(scope="session")
def finished(tmp_path_factory, config_of, tiny_bundle):
    """A run with a second bundle (whole pictures) and the protocol."""
    detectors = [
        str(tiny_bundle),
        {"bundle": str(tiny_bundle), "name": "<b>whole|", "whole_image": True},
        "sharpness",
    ]
    config = config_of(tmp_path_factory.mktemp("run") / "out", detectors=detectors)
    run(config, jobs=1)
    run_protocol(config, jobs=1)
    return config
