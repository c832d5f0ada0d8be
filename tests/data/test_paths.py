"""Manifests name files that are there, wherever they are read from and however sources and outputs were given."""

import json
import os
from functools import partial
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from cameraborn.cli import app
from cameraborn.data.adapters import LAYOUTS, Options
from cameraborn.data.equalise import Treatment, equalise
from cameraborn.data.manifest import read_manifest, sha256_of
from cameraborn.networks.autoencoder import Autoencoder
from cameraborn.pseudo.reconstruct import ReconstructOptions, copies_of, reconstruct, write_reconstructed
from cameraborn.pseudo.variants import VariantFolder
from tests.conftest import varied_copies
from tests.data.adapters.helpers import picture
from tests.data.adapters.test_fdf import facts, fdf
from tests.data.adapters.test_sdaie import published, tags


def a_folder(top):
    return picture(top / "ann" / "1.jpg", iso=100).parents[1]


def a_list(top):
    picture(top / "pictures" / "1.jpg")
    (top / "rows.jsonl").write_text(json.dumps({"path": "pictures/1.jpg"}) + "\n")
    return top / "rows.jsonl"


def a_table(top):
    picture(top / "pictures" / "1.jpg")
    (top / "t.csv").write_text("path,label\n./pictures/1.jpg,real\n")
    return top / "t.csv"


def a_tree(top):
    picture(top / "sdxl" / "1.png")
    return picture(top / "real" / "1.png").parents[1]


def of_flickr(top):
    return picture(top / "photos" / "777.jpg").parent


def of_fdf(top):
    fdf(top / "SSL" / "FDF" / "data" / "fdf", {"10": facts("0")})
    picture(top / "SSL" / "data" / "face_dataaug_neg" / "10_2.png", size=(128, 128))
    return top / "SSL"


def of_sdaie(top):
    return published(top / "SDAIE", {"1.jpg": tags()})


SOURCES = {
    "folder": (a_folder, 1),
    "rows": (a_list, 1),
    "csv": (a_table, 1),
    "tree": (a_tree, 2),
    "flickr": (of_flickr, 1),
    "fdf": (of_fdf, 2),
    "sdaie": (of_sdaie, 1),
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The working directory: a folder of projects, one of which is a link to elsewhere."""
    (tmp_path / "home" / "runs").mkdir(parents=True)
    (tmp_path / "disk" / "far" / "runs").mkdir(parents=True)
    (tmp_path / "home" / "link").symlink_to(tmp_path / "disk" / "far" / "runs")
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


def done(*args):
    result = CliRunner().invoke(app, ["data", *map(os.fspath, args)])
    assert result.exit_code == 0, result.stderr
    return result.stderr


def check(manifest, count, monkeypatch):
    """Every row's file is there and is the one that was meant, also when it is read from another folder."""
    monkeypatch.chdir("/")
    rows = list(read_manifest(manifest))
    assert len(rows) == count
    for row in rows:
        assert Path(row.path).is_absolute()
        assert sha256_of(Path(row.path)) == row.sha256


def test_every_layout_is_tried():
    assert set(SOURCES) == set(LAYOUTS)


@pytest.mark.parametrize("layout", SOURCES)
@pytest.mark.parametrize("given", ["relative", "absolute", "dotted", "inside"])
@pytest.mark.parametrize("output", ["m.jsonl", "runs/m.jsonl", "link/m.jsonl", "runs/../new/m.jsonl"])
def test_an_import_writes_paths_that_exist(layout, given, output, home, monkeypatch):
    make, count = SOURCES[layout]
    source = make(home / "set")
    if given == "dotted":
        source = home / "runs" / ".." / ".." / home.name / source.relative_to(home)
    elif given == "inside":
        monkeypatch.chdir(source if source.is_dir() else source.parent)
        source, output = Path("." if source.is_dir() else source.name), home / output
    elif given == "relative":
        source = source.relative_to(home)
    done("import", layout, source, "-o", output)
    check(home / output, count, monkeypatch)


@pytest.mark.parametrize("below", ["", "FDF", "FDF/data", "FDF/data/fdf"])
def test_variants_of_the_code_s_default_place_are_found(below, home):
    source = of_fdf(home / "set") / below
    for place in (source, source.relative_to(home)):
        found = [item.row.manipulation for item in LAYOUTS["fdf"].entries(place, Options())]
        assert found == ["", "eye"]


@pytest.mark.parametrize("manifest", ["m.jsonl", "runs/m.jsonl", "link/m.jsonl", "runs/../m.jsonl"])
def test_what_writes_manifests_writes_paths_that_exist(manifest, home, monkeypatch):
    varied_copies(home / "set", 4, seed=0)
    done("import", "folder", "set", "--group", "photo", "-o", manifest)
    done("split", manifest, "train=0.5", "val=0.5")
    equalise(read_manifest(Path(manifest)), Path("link/same"), Treatment(size=96), jobs=1)
    done("manipulate", manifest, "-o", "link/manipulated", "--kind", "affine", "--jobs", "1")
    reconstruct_all(Path(manifest), Path("link/reconstructed"))
    check(home / manifest, 4, monkeypatch)
    for name, count in (("same", 4), ("manipulated", 8), ("reconstructed", 8)):
        check(home / "link" / name / "manifest.jsonl", count, monkeypatch)


def reconstruct_all(manifest, folder):
    """As `data reconstruct` does, with an autoencoder that has learnt nothing."""
    torch.manual_seed(0)
    untrained = Autoencoder(upsampling="nearest", factor=8, latent=3, width=4).eval()
    options = ReconstructOptions(("one",))
    with VariantFolder(folder, {}) as filled:
        for name, number, row in copies_of(list(read_manifest(manifest)), 1):
            filled.add(
                write_reconstructed(
                    row, name, number, folder, {"one": partial(reconstruct, untrained)}, options
                )
            )
        filled.finish()


@pytest.mark.parametrize("layout", ["rows", "csv", "tree", "flickr", "fdf"])
@pytest.mark.parametrize("data", [b"not a picture", b""])
def test_a_listed_picture_that_cannot_be_opened_is_named_and_the_exit_code_is_1(
    layout, data, home, monkeypatch
):
    make, count = SOURCES[layout]
    source = make(home / "set")
    exif = ("--exif", home) if layout == "flickr" else ()  # else each file is read for its own
    if layout == "flickr":
        (home / "777.json").write_text(json.dumps({"EXIF": {"ISO Speed Ratings": "200"}}))
    broken = sorted((home / "set").rglob("*.[jp][pn]g"))[-1]
    whole = count - 1
    if not whole:
        other = broken.with_name("778.jpg")
        broken.rename(other)
        picture(broken)
        if layout == "rows":
            source.write_text(source.read_text() + json.dumps({"path": "pictures/778.jpg"}) + "\n")
        if layout == "csv":
            source.write_text(source.read_text() + "pictures/778.jpg,real\n")
        if layout == "flickr":
            (home / "778.json").write_text(json.dumps({"EXIF": {"ISO Speed Ratings": "400"}}))
        broken, whole = other, 1
    broken.write_bytes(data)
    command = ["data", "import", layout, str(source), *map(str, exif), "-o", "runs/m.jsonl"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1, result.stderr
    assert f"left out: {broken}" in result.stderr
    assert "1 picture of the data set cannot be opened, and gave no row" in result.stderr
    check(home / "runs" / "m.jsonl", whole, monkeypatch)
