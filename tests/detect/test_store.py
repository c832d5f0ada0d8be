"""Bundles go to disk and back whole, and every damage is one line that says what to do."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load

from cameraborn.detect.bundle import Bundle
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.errors import BundleError
from cameraborn.networks.patchnet import PatchNet
from tests.command import pipe, posix

HASHED = [
    "network.onnx",
    "weights.safetensors",
    "photographs.safetensors",
    "operations.safetensors",
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


@posix
def test_a_bundle_for_which_there_is_no_room_is_named(tiny_bundle, tmp_path):
    import resource

    bundle, (soft, hard) = read_bundle(tiny_bundle), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # as a full disk, but for the reason
    try:
        with pytest.raises(BundleError, match=r"/new: cannot be written \(File too large\): free some space"):
            write_bundle(bundle, tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


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
    write_bundle(bundle, tmp_path / "again")
    again = read_bundle(tmp_path / "again")
    assert again.info == bundle.info
    assert again.files == bundle.files
    assert again.calibration_rows == bundle.calibration_rows
    assert again.golden == bundle.golden


def test_weights_load_through_safetensors(tiny_bundle):
    bundle = read_bundle(tiny_bundle)
    PatchNet(widths=(8, 12, 16), features=bundle.info.networks[0].features).load_state_dict(
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


@pytest.mark.parametrize("version", [0, 1, None, "3"])
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


@pytest.mark.parametrize("field", ["noise_edges", "categories", "channels", "combined"])
def test_fields_that_mean_nothing_are_refused(copy, field):
    info = json.loads((copy / "bundle.json").read_text())
    damage = {
        "noise_edges": [0.5],
        "categories": [[[0, 0, 0]]],
        "channels": [{"name": "../x", "kind": "density", "columns": [[0, 2]]}],
        "combined": [],
    }
    (info if field in info else info["coverage"])[field] = damage[field]
    (copy / "bundle.json").write_text(json.dumps(info))
    assert "bundle.json is damaged" in refusal(copy)


def test_writing_leaves_other_folders_alone(tiny_bundle, tmp_path):
    bundle = read_bundle(tiny_bundle)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    for name in ("thesis", "file"):
        with pytest.raises(BundleError, match="is not a bundle: give another folder"):
            write_bundle(bundle, tmp_path / name)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "thesis"]


def test_writing_replaces_an_older_bundle_and_no_other_folder(tiny_bundle, network_bundle, tmp_path):
    bundle = read_bundle(tiny_bundle)
    for somebodys in ("b.part", "b.old"):
        (tmp_path / somebodys).mkdir()
        (tmp_path / somebodys / "network.onnx").write_bytes(b"kept")
    (tmp_path / "b").mkdir()
    write_bundle(bundle, tmp_path / "b")
    write_bundle(network_bundle, tmp_path / "b")
    assert set(read_bundle(tmp_path / "b").files) == set(network_bundle.files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "b.old", "b.part"]
    assert (tmp_path / "b.old" / "network.onnx").read_bytes() == b"kept"


def test_what_is_no_part_of_a_bundle_stays_where_one_is_renewed(tiny_bundle, network_bundle, tmp_path):
    folder = shutil.copytree(tiny_bundle, tmp_path / "b")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("main")
    (folder / "notes.txt").write_text("years of work")
    write_bundle(network_bundle, folder)
    assert (folder / "notes.txt").read_text() == "years of work"
    assert (folder / ".git" / "HEAD").read_text() == "main"
    assert {path.name for path in folder.iterdir()} - {"notes.txt", ".git", "bundle.json", "CARD.md"} == set(
        network_bundle.files
    )
    assert set(read_bundle(folder).files) == set(network_bundle.files)


@pytest.mark.parametrize(
    "text", ['{"name": "a web project", "files": []}', "[1]", "{", '{"schema_version": "2"}']
)
def test_a_folder_with_somebody_elses_bundle_json_is_no_bundle(tiny_bundle, tmp_path, text):
    (tmp_path / "project" / "src").mkdir(parents=True)
    (tmp_path / "project" / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match="is not a bundle: give another folder"):
        write_bundle(read_bundle(tiny_bundle), tmp_path / "project")
    assert (tmp_path / "project" / "src").is_dir()


def test_of_a_link_the_bundle_that_it_leads_to_is_renewed(tiny_bundle, network_bundle, tmp_path):
    folder = shutil.copytree(tiny_bundle, tmp_path / "b")
    (tmp_path / "link").symlink_to("b")
    write_bundle(network_bundle, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert set(read_bundle(folder).files) == set(network_bundle.files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "link"]


@pytest.mark.parametrize("here", [".", "inside"])
def test_the_folder_that_a_command_runs_in_is_not_moved_away(tiny_bundle, tmp_path, monkeypatch, here):
    folder = shutil.copytree(tiny_bundle, tmp_path / "b")
    (folder / "inside").mkdir()
    monkeypatch.chdir(folder / here)
    for name in (folder, Path(os.path.relpath(folder))):
        with pytest.raises(BundleError, match="was given inside this folder"):
            write_bundle(read_bundle(tiny_bundle), name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]


def test_a_failed_write_leaves_the_older_bundle(tiny_bundle, tmp_path):
    folder = shutil.copytree(tiny_bundle, tmp_path / "b")
    bundle = read_bundle(folder)
    with pytest.raises(BundleError, match="b: cannot be written"):
        write_bundle(Bundle(bundle.info, {**bundle.files, "missing/part": b""}, "here"), folder)
    assert read_bundle(folder).files == bundle.files
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@posix
def test_a_pipe_is_refused_unopened(tmp_path):
    path = tmp_path / "bundle.zip"
    with pipe(path) as opened, pytest.raises(BundleError, match=r"bundle\.zip: a pipe, socket or device"):
        read_bundle(path)
    assert not opened.is_set()
