"""Faces cut out and their variants on disk: where things lie, whose rows they are, and going on after a stop."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from cameraborn.data.manifest import Row, read_manifest, sha256_of
from cameraborn.data.verify import verify_manifest
from cameraborn.errors import CamerabornError, PictureError
from cameraborn.photo.decode import open_picture
from cameraborn.photo.faces import FaceFinder, landmarks_68
from cameraborn.pseudo.manipulate import ManipulationOptions
from cameraborn.pseudo.variants import (
    FaceCut,
    VariantFolder,
    VariantOptions,
    cut_face,
    make_variant,
    named,
    write_variants,
)
from cameraborn.train.run_folder import record_of

from ..conftest import EXAMPLES

OPTIONS = VariantOptions()


def row_of(path, **fields):
    return Row(path=str(path), sha256=sha256_of(path), **fields)


@pytest.fixture(scope="module")
def finder():
    return FaceFinder()


@pytest.fixture(scope="module")
def face(finder):
    row = row_of(EXAMPLES / "photo-3.jpg", split="train", source="gallery", exif={"iso": 100.0})
    return cut_face(row, finder)


def test_a_face_is_cut_with_its_box_and_landmarks(face, finder):
    whole = open_picture(EXAMPLES / "photo-3.jpg").pixels
    found = finder.find(whole)[0]
    side = round(1.7 * max(found.box[2] - found.box[0], found.box[3] - found.box[1]))
    assert face.pixels.shape == (side, side, 3)
    x, y = (round(found.box[axis] - face.box[axis]) for axis in (0, 1))
    assert (face.pixels == whole[y : y + side, x : x + side]).all()
    expected = landmarks_68(finder.landmarks(whole, found)) - (x, y)
    np.testing.assert_allclose(face.landmarks, expected, atol=1e-3)
    assert (face.landmarks > 0).all()
    assert (face.landmarks < side).all()


def test_what_the_row_says_is_not_looked_for(finder):
    points = tuple((100.0 + n, 110.0 + n) for n in range(68))
    box = (90.0, 100.0, 190.0, 200.0)
    given = cut_face(row_of(EXAMPLES / "photo-3.jpg", box=box, landmarks=points), finder, 2.0)
    assert given.pixels.shape == (200, 200, 3)
    assert given.box == (50, 50, 150, 150)
    np.testing.assert_allclose(given.landmarks[0], (60, 60))


def test_a_picture_cut_so_already_stays_whole(face, finder, tmp_path):
    Image.fromarray(face.pixels).save(tmp_path / "cut.png")
    again = cut_face(row_of(tmp_path / "cut.png", box=face.box), finder)
    assert (again.pixels == face.pixels).all()
    np.testing.assert_allclose(again.box, face.box)


def test_a_face_that_shows_too_little_for_landmarks_is_only_distorted(finder, tmp_path):
    side = 200
    y, x = np.mgrid[:side, :side]
    Image.fromarray(np.stack([x, y, x // 2 + 40], axis=2).astype(np.uint8)).save(tmp_path / "sky.png")
    face = cut_face(row_of(tmp_path / "sky.png", box=(50.0, 50.0, 150.0, 150.0)), finder)
    assert face.landmarks is None
    with VariantFolder(tmp_path / "out", asdict(OPTIONS)):
        rows = write_variants(face, "a", tmp_path / "out", OPTIONS)
    assert [row.manipulation for row in rows] == ["", "affine"]
    assert [row.landmarks for row in rows] == [None, None]


def test_what_cannot_be_cut_says_why(finder, tmp_path):
    Image.new("RGB", (200, 200), "teal").save(tmp_path / "plain.png")
    plain = row_of(tmp_path / "plain.png")
    wrong = {
        "no face found: give the row a box": plain,
        "manipulated already": plain.model_copy(update={"manipulation": "eye"}),
        "has no area": plain.model_copy(update={"box": (9.0, 9.0, 9.0, 20.0)}),
        "no such file": plain.model_copy(update={"path": str(tmp_path / "gone.png")}),
    }
    for says, row in wrong.items():
        with pytest.raises(PictureError, match=says) as caught:
            cut_face(row, finder)
        assert row.path in str(caught.value)


def test_files_and_rows(face, tmp_path):
    with VariantFolder(tmp_path, asdict(OPTIONS)) as folder:
        rows = write_variants(face, "a", tmp_path, OPTIONS)
        folder.add(rows)
        folder.finish()
    files = ["originals/a.png", *(f"manipulated/a_{number}.png" for number in range(4))]
    assert [row.path for row in rows] == files
    assert [row.manipulation for row in rows] == ["", "mouth-vertical", "mouth", "eye", "affine"]
    assert {(row.split, row.source, row.group, row.exif["iso"]) for row in rows} == {
        ("train", "gallery", "gallery", 100.0)
    }
    read = list(read_manifest(tmp_path / "manifest.jsonl"))
    assert not list(verify_manifest(tmp_path / "manifest.jsonl"))
    assert len(read[0].landmarks) == 68
    np.testing.assert_allclose(read[0].box, face.box, atol=0.01)
    for row in read:
        made = make_variant(face, row.manipulation, OPTIONS)
        assert (np.asarray(Image.open(row.path)) == made).all()


def test_variants_of_a_row_without_group_or_source_stay_with_their_original(face, tmp_path):
    with VariantFolder(tmp_path, asdict(OPTIONS)):
        alone = FaceCut(face.row.model_copy(update={"source": ""}), face.pixels, face.box, face.landmarks)
        assert {row.group for row in write_variants(alone, "a", tmp_path, OPTIONS)} == {"photo-3.jpg"}


def test_variants_know_the_file_that_they_were_made_from(face, tmp_path):
    first = "a" * 64  # of what the row's file was itself made from
    again = FaceCut(face.row.model_copy(update={"original": first}), face.pixels, face.box, face.landmarks)
    for name, cut, original in (("a", face, face.row.sha256), ("b", again, first)):
        with VariantFolder(tmp_path / name, asdict(OPTIONS)):
            rows = write_variants(cut, name, tmp_path / name, OPTIONS)
        assert {row.original for row in rows} == {original}
        assert original in record_of([], rows).seen


def test_what_the_landmarks_do_not_show_is_not_made(face, tmp_path):
    blind = face.landmarks.copy()
    blind[42] = blind[45]
    with VariantFolder(tmp_path, asdict(OPTIONS)):
        rows = write_variants(FaceCut(face.row, face.pixels, face.box, blind), "a", tmp_path, OPTIONS)
        assert [row.manipulation for row in rows] == ["", "mouth-vertical", "mouth", "affine"]
        nothing = FaceCut(face.row, face.pixels, face.box, face.landmarks * np.nan)
        assert make_variant(nothing, "mouth", OPTIONS) is None


def test_chance_depends_on_seed_picture_and_kind_alone(face):
    other = FaceCut(face.row.model_copy(update={"sha256": "1" * 64}), face.pixels, face.box, face.landmarks)
    first = make_variant(face, "affine", OPTIONS)
    assert (make_variant(face, "affine", OPTIONS) == first).all()
    assert (make_variant(face, "affine", VariantOptions(seed=1)) != first).any()
    assert (make_variant(other, "affine", OPTIONS) != first).any()


def test_every_row_has_a_name_of_its_own():
    paths = ["x/a.jpg", "y/a.jpg", "a-2.png", "z/a.webp", "b"]
    rows = [Row(path=path, sha256="0" * 64) for path in paths]
    assert [name for name, _ in named(rows)] == ["a", "a-2", "a-2-2", "a-3", "b"]


def fill(folder, faces, options=OPTIONS):
    with VariantFolder(folder, asdict(options)) as filled:
        made = [name for name in faces if name not in filled.done]
        for name in made:
            filled.add(write_variants(faces[name], name, folder, options))
        filled.finish()
    return made


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_interrupted_run_goes_on_wherever_it_stopped(face, tmp_path):
    faces = dict.fromkeys("abc", face)
    whole = tmp_path / "whole"
    assert fill(whole, faces) == ["a", "b", "c"]
    manifest = (whole / "manifest.jsonl").read_bytes()
    lines = manifest.splitlines(keepends=True)
    stops = {
        0: "abc",
        len(lines[0]) - 9: "abc",  # within a line
        sum(map(len, lines[:5])): "abc",  # a face complete, but that cannot be known
        sum(map(len, lines[:8])): "bc",
        len(manifest) - 1: "c",
    }
    for stop, expected in stops.items():
        folder = tmp_path / str(stop)
        with VariantFolder(folder, asdict(OPTIONS)):
            pass
        (folder / "manifest.jsonl.part").write_bytes(manifest[:stop])
        assert fill(folder, faces) == list(expected)
        made = contents(folder)
        assert made["manifest.jsonl"] == manifest
        assert all(made[path] == data for path, data in contents(whole).items() if path in made)


def test_a_complete_folder_takes_more_faces(face, tmp_path):
    fill(tmp_path / "all", dict.fromkeys("abc", face))
    fill(tmp_path / "more", dict.fromkeys("ab", face))
    assert fill(tmp_path / "more", dict.fromkeys("abc", face)) == ["b", "c"]
    assert contents(tmp_path / "more") == contents(tmp_path / "all")


def test_other_options_are_refused_before_anything_is_written(face, tmp_path):
    fill(tmp_path, {"a": face})
    before = contents(tmp_path)
    other = VariantOptions(manipulation=ManipulationOptions(match_resampling=True))
    with pytest.raises(CamerabornError, match="filled with other options: give another folder"):
        fill(tmp_path, {"a": face}, other)
    assert contents(tmp_path) == before


def test_what_cannot_be_written_is_one_line(face, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(CamerabornError, match="cannot be written"):
        VariantFolder(tmp_path / "file", asdict(OPTIONS))
    with pytest.raises(CamerabornError, match=r"a\.png: cannot be written .* run this again"):
        write_variants(face, "a", tmp_path / "nowhere", OPTIONS)


def test_settings_are_readable(face, tmp_path):
    fill(tmp_path, {"a": face}, VariantOptions(kinds=("nose",), seed=4))
    settings = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    assert settings["seed"] == 4
    assert settings["kinds"] == ["nose"]
    assert settings["manipulation"]["side"] == 224
    assert (tmp_path / "manipulated" / "a_4.png").exists()
