"""Detectors in threads, forked and spawned processes and notebooks; pickled, copied and printed."""

import copy
import multiprocessing
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import cameraborn
from cameraborn.detect.detector import Detector
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.errors import BundleError

from ..conftest import EXAMPLES

PHOTOS = [str(path) for path in sorted(EXAMPLES.glob("photo-*.jpg"))]


def unpickled(data):
    return pickle.loads(data)  # noqa: S301 (made here)


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return cameraborn.load(tiny_bundle, evidence="photographs")


@pytest.fixture(scope="module")
def expected(detector):
    return [detector.score(photo) for photo in PHOTOS]


def test_from_many_threads(detector, expected):
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(detector.score, PHOTOS * 4)) == expected * 4


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
def test_in_forks_of_a_process_that_has_scored(detector, expected):
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        assert list(pool.map(detector.score, PHOTOS)) == expected
    assert detector.score(PHOTOS[0]) == expected[0]


def test_in_spawned_processes(detector, expected):
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(detector.score, PHOTOS)) == expected


NOTEBOOK = """
import asyncio, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import cameraborn

detector = cameraborn.load(sys.argv[1])
photos = sys.argv[2:]

async def cell():
    here = [verdict for verdict in detector.score_many(photos)]
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        there = [await asyncio.wrap_future(pool.submit(detector.score, photo)) for photo in photos]
    assert here == [verdict for verdicts in there for verdict in verdicts]
    print(len(here), detector)

asyncio.run(cell())
"""


def test_in_a_notebook(tiny_bundle):
    """A cell runs inside an event loop, in a main module that is no file."""
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK, str(tiny_bundle), *PHOTOS[:2]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "2 <Detector tiny: photographs; 38 held-out photographs; false-alarm rates from 0.0"
    )


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda detector: unpickled(pickle.dumps(detector))]
)
def test_copies_judge_alike(detector, expected, again):
    other = again(detector)
    assert other is not detector
    assert (other.evidence, other.channels) == ("photographs", ("photographs",))
    assert other.score(PHOTOS[0]) == expected[0]


def test_a_pickle_holds_the_path_of_its_bundle(detector, tiny_bundle, tmp_path, monkeypatch):
    assert len(pickle.dumps(detector)) < 1000
    shutil.copytree(tiny_bundle, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(cameraborn.load("mine"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert unpickled(pickled).bundle.info.name == "tiny"
    write_bundle(read_bundle(tiny_bundle).with_info(name="another"), tmp_path / "mine")
    with pytest.raises(BundleError, match="mine: not the bundle that this detector was pickled with"):
        unpickled(pickled)
    shutil.rmtree(tmp_path / "mine")
    with pytest.raises(BundleError, match="no such bundle"):
        unpickled(pickled)


def test_a_bundle_in_memory_travels_with_its_detector(tiny_bundle, expected):
    changed = Detector(read_bundle(tiny_bundle).with_info(name="changed"), evidence="photographs")
    (verdict,) = unpickled(pickle.dumps(changed)).score(PHOTOS[0])
    assert verdict.bundle == "changed"
    assert verdict.score == expected[0][0].score


def test_its_text_says_what_it_is(detector, network_bundle):
    assert repr(detector).startswith(
        "<Detector tiny: photographs; 38 held-out photographs; false-alarm rates from"
    )
    assert repr(Detector(network_bundle)) == "<Detector tiny: no evidence yet; not calibrated>"


@pytest.mark.parametrize(
    "one",
    [
        lambda: PHOTOS[0],
        lambda: EXAMPLES / "photo-1.jpg",
        lambda: (EXAMPLES / "photo-1.jpg").read_bytes(),
        lambda: (EXAMPLES / "photo-1.jpg").open("rb"),
        lambda: np.zeros((64, 64, 3), np.uint8),
        lambda: Image.new("RGB", (64, 64)),
    ],
    ids=["name", "path", "bytes", "stream", "array", "Pillow"],
)
def test_one_picture_is_not_many(detector, one):
    source = one()
    with pytest.raises(TypeError, match="use score, or give a list"):
        detector.score_many(source)
    getattr(source, "close", lambda: None)()


def test_an_array_of_pictures_is_many(detector):
    verdicts = list(detector.score_many(np.zeros((2, 64, 64, 3), np.uint8), jobs=1))
    assert [verdict.scope for verdict in verdicts] == ["no-face"] * 2
