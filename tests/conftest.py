"""A small but real bundle for every test that scores: an untrained network, fitted and calibrated on photographs."""

import io
import os
import signal
from pathlib import Path

# Threads that wait for each other by spinning slow each other down where several tests' programs share two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # some tests import ONNX Runtime before this package does

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from cameraborn.detect.bundle import Bundle
from cameraborn.detect.schema import BundleInfo, Network, Preprocessing, software_versions
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.fit.calibrate import calibrate
from cameraborn.fit.density import fit
from cameraborn.fit.photographs import Photograph
from cameraborn.fit.views import ViewOptions, take_views

pytest_plugins = ["tests.fixtures_faces", "tests.fixtures_bench", "tests.fixtures_storage"]


def pytest_configure():
    # A background job of a shell ignores SIGINT, and so would the programs that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


EXAMPLES = Path(__file__).resolve().parent / "pictures"
FEATURES = 16


def varied_copies(folder, count, seed):
    """Copies of the photographs in examples/: shifted, of several sizes, brightnesses and JPEG qualities 70..95."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    paths = []
    for number in range(count):
        with Image.open(EXAMPLES / f"photo-{number % 5 + 1}.jpg") as opened:
            image = opened.convert("RGB")
        x, y = (int(v) for v in rng.integers(0, 12, 2))
        side = int(rng.integers(260, 341))
        image = image.crop((x, y, image.width - 12 + x, image.height - 12 + y)).resize((side, side))
        bright = np.asarray(image) * rng.uniform(0.8, 1.2)
        image = Image.fromarray(bright.clip(0, 255).astype(np.uint8))
        paths.append(folder / f"{number:03}.jpg")
        image.save(paths[-1], quality=70 + number % 26)
    return paths


@pytest.fixture(scope="session")
def example_bytes():
    return (EXAMPLES / "photo-1.jpg").read_bytes()


@pytest.fixture(scope="session")
def network_bundle():
    """A bundle with a network alone, in memory."""
    import safetensors.torch
    import torch

    from cameraborn.networks.patchnet import PatchNet
    from cameraborn.train.onnx import to_onnx

    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = PatchNet(widths=(8, 12, 16), features=FEATURES)
    info = BundleInfo(
        name="tiny",
        networks=(
            Network(
                file="network.onnx",
                weights=("weights.safetensors",),
                description="PatchNet, untrained",
                features=FEATURES,
                preprocessing=Preprocessing(crop_scale=1.3, sides=(128, 96), smallest_side=80),
            ),
        ),
        licences={"code": "Apache-2.0"},
        versions=software_versions(),
    )
    weights = safetensors.torch.save(
        {name: value.contiguous() for name, value in encoder.state_dict().items()}
    )
    return Bundle.of_network(info, to_onnx(encoder), [weights])


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """Photographs by purpose: 10 to fit, 40 to calibrate, two of which look like others and do not count."""
    folder = tmp_path_factory.mktemp("photographs")
    fitted = [*sorted(EXAMPLES.glob("photo-*.jpg")), *varied_copies(folder / "fit", 5, seed=1)]
    held_out = varied_copies(folder / "calibration", 40, seed=2)
    return {
        "fit": [Photograph(str(path), "examples") for path in fitted],
        "calibration": [Photograph(str(path), "copies") for path in held_out],
    }


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory, worker_id, network_bundle, photographs):
    """The folder of a bundle that scores, made by the worker that first needs it."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "tiny"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            options = ViewOptions(copies=2, jobs=1)
            fitted = fit(network_bundle, photographs["fit"], components=2, dimensions=2, options=options)
            done = calibrate(fitted, photographs["calibration"], options=options)
            assert len(done.calibration_rows) >= 30
            write_bundle(done, folder)
            read_bundle(folder)
    return folder


def viewed(bundle, photographs, options):
    """The views of photographs in one list."""
    return [view for views in take_views(bundle, photographs, options, lambda *_: None) for view in views]


def encoded(pixels, format="JPEG", **options):
    """Pixels [H W 3] as the bytes of a file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()
