"""`cameraborn fit-binary` and `calibrate` as users meet them."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from cameraborn.cli.common import duration, reporting
from cameraborn.data.manifest import sha256_of
from cameraborn.detect.bundle import SEEN_DIGITS
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.fit.density import fit
from cameraborn.fit.views import ViewOptions
from tests.command import run, run_here
from tests.conftest import EXAMPLES

GENERATED = [part for number in (1, 2, 3) for part in ("--generated", EXAMPLES / f"generated-{number}.jpg")]
SMALL = ("--components", "1", "--dimensions", "4", "--copies", "2", "--jobs", "1")


@pytest.fixture
def network(tmp_path, network_bundle):
    write_bundle(network_bundle, tmp_path / "network")
    return tmp_path / "network"


def test_from_pictures_to_a_verdict(tmp_path, network, photographs):
    photos = [photograph.path for photograph in photographs["fit"][:8]]
    code, _, error = run(
        "fit-binary", *photos, *GENERATED, "--bundle", network, "-o", "binary", *SMALL, cwd=tmp_path
    )
    assert code == 0, error
    assert "11 pictures, 0 left out" in error
    assert "binary: classifier trained; now 'cameraborn calibrate PHOTOS --bundle binary'" in error
    assert (tmp_path / "binary" / "generators.safetensors").is_file()

    held_out = [photograph.path for photograph in photographs["calibration"][:20]]
    code, _, error = run_here(
        "calibrate", *held_out, "--bundle", "binary", "--jobs", "1", "--copies", "1", cwd=tmp_path
    )
    assert code == 0, error
    picture = EXAMPLES / "generated-4.jpg"
    code, out, error = run_here(
        "score", picture, "--bundle", "binary", "--false-alarm", "0.5", "--format", "jsonl", cwd=tmp_path
    )
    assert code == 0, error
    verdict = json.loads(out)
    assert verdict["scope"] == "ok"
    assert verdict["bundle"] == "binary"


def test_copies_of_a_photograph_are_one(tmp_path, network, photographs):
    """Seven are too few for four dimensions, however many copies are made of them or lie beside them."""
    (tmp_path / "photos").mkdir()
    for number, photograph in enumerate(photographs["fit"][:7]):
        for copy in ("", "-again"):
            shutil.copy(photograph.path, tmp_path / "photos" / f"{number}{copy}.jpg")
    code, _, error = run(
        "fit-binary", "photos", *GENERATED, "--bundle", network, "-o", "out", *SMALL, cwd=tmp_path
    )
    assert code == 2
    assert "7 photographs are too few for 1 Gaussian of full covariance in 4 dimensions" in error
    assert "--shrinkage" not in error  # `fit-binary` has no such option
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--generated", "missing.jpg"], "missing.jpg: no such file or folder"),
        ([*GENERATED, "--pseudo-outliers", "1"], r"a share of pseudo-outliers of 1 is not in [0, 1)"),
        (["--generated", EXAMPLES / "photo-1.jpg"], "is also among the photographs"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, network, photographs, arguments, message):
    photos = [photograph.path for photograph in photographs["fit"][:8]]
    code, _, error = run_here(
        "fit-binary", *photos, *arguments, "--bundle", network, "-o", "out", *SMALL, cwd=tmp_path
    )
    assert code == 2
    (line,) = [line for line in error.splitlines() if line.startswith("cameraborn: ")]
    assert message in line
    assert not (tmp_path / "out").exists()


def test_without_a_terminal_a_line_now_and_then_says_how_much_is_left(monkeypatch, capsys):
    clock = iter([0.0, 4.0, 12.0, 20.0, 30.0, 80.0])
    monkeypatch.setattr("cameraborn.cli.common.time.monotonic", lambda: next(clock))
    with reporting("calibrating", "photograph", 25) as report:
        for number in range(5):
            report(f"{number}.jpg", None)
    assert capsys.readouterr().err.splitlines() == [
        "calibrating: 2/25, about 2 minutes left",
        "calibrating: 5/25, about 5 minutes left",
        "5 photographs, 0 left out",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "2 seconds"), (40, "40 seconds"), (360, "6 minutes"), (9000, "2.5 hours")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_the_bundle_that_ships_is_not_calibrated_in_place(tmp_path):
    code, _, error = run_here("calibrate", EXAMPLES, cwd=tmp_path)
    assert code == 2
    assert "give the new bundle's folder; the bundle that ships stays" in error


def test_a_bundle_apart_judges_what_it_was_not_fitted_to(tmp_path, network_bundle, photographs):
    out, *others = photographs["fit"]
    for name, fitted_to in (("whole", photographs["fit"]), ("apart", others)):
        options = ViewOptions(copies=1, jobs=1)
        bundle = fit(network_bundle, fitted_to, components=1, dimensions=4, options=options)
        write_bundle(bundle, tmp_path / name)
    held_out = [photograph.path for photograph in photographs["calibration"][:8]]
    common = ["calibrate", *held_out, out.path, "--bundle", "whole", "--jobs", "1", "--copies", "1"]
    code, _, error = run_here(*common, "-o", "done", cwd=tmp_path)
    assert code == 2
    assert "already seen this photograph" in error
    before = {path.name: path.read_bytes() for path in (tmp_path / "apart").iterdir()}
    code, _, error = run_here(
        *common, "--apart", "apart", "-o", "apart", "--overwrite", "--class-size", "3", cwd=tmp_path
    )
    assert code == 2
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "apart").iterdir()}
    code, _, error = run_here(*common, "--apart", "apart", "-o", "done", "--class-size", "3", cwd=tmp_path)
    assert code == 0, error
    assert "done: calibrated" in error
    rows = read_bundle(tmp_path / "done").calibration_rows
    assert sha256_of(Path(out.path))[:SEEN_DIGITS] in {row.photograph for row in rows}


@pytest.mark.parametrize("verb", ["fit", "fit-binary", "calibrate"])
def test_copies_are_no_photographs_in_any_line(tmp_path, tiny_bundle, network, photographs, verb):
    given = photographs["calibration" if verb == "calibrate" else "fit"][:9]
    (tmp_path / "photos").mkdir()
    for number, photograph in enumerate(given):
        shutil.copy(photograph.path, tmp_path / "photos" / f"{number}.jpg")
    for number in range(2):
        shutil.copy(given[0].path, tmp_path / "photos" / f"copy{number}.jpg")
    with Image.open(given[1].path) as opened:
        opened.save(tmp_path / "photos" / "lossy.jpg", quality=60)
    options = {
        "fit": ("--bundle", network, "--dimensions", "4"),
        "fit-binary": (*GENERATED, "--bundle", network, "--components", "1", "--dimensions", "4"),
        "calibrate": ("--bundle", tiny_bundle),
    }[verb]
    code, _, error = run_here(
        verb, "photos", *options, "-o", "out", "--copies", "0", "--jobs", "1", cwd=tmp_path
    )
    assert code == 0, error
    total = "12 pictures" if verb == "fit-binary" else "9 photographs"
    assert f"{total}, 3 copies of others, 0 left out\n" in error
    for line in (
        "photos/copy1.jpg: is the same file as photos/0.jpg, and counts once",
        "photos/lossy.jpg: shows what photos/1.jpg shows, saved again or resized, and counts once",
    ):
        assert line in error.splitlines()
