"""Layouts that need no tables beside them: folders of photographs, JSON Lines, CSV, trees of generators."""

import json
import os

import pytest

from cameraborn.data.adapters import LAYOUTS, LeftOut
from tests.data.adapters.helpers import entries, picture, refusal, rows


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_names_what_is_missing(layout, tmp_path):
    message = refusal(layout, tmp_path / "none")
    assert str(tmp_path / "none") in message
    assert "give " in message


# folder


def test_a_folder(tmp_path):
    album = tmp_path / "album"
    one = picture(album / "ann" / "1.jpg", iso=400)
    two = picture(album / "bob" / "trip" / "2.JPEG")
    three = picture(album / "3.png")
    (album / "notes.txt").write_text("no picture")
    (album / "folder.jpg").mkdir()
    found = entries("folder", album)
    assert [item.row.path for item in found] == sorted(str(path) for path in (one, two, three))
    assert all(item.read for item in found)  # their EXIF is in the files
    assert {item.row.path: item.row.group for item in found} == {
        str(one): "ann",
        str(two): "bob/trip",
        str(three): ".",
    }
    assert {(item.row.source, item.row.label, item.row.split) for item in found} == {("album", "photo", "")}
    apart = [item.row.group for item in entries("folder", album, group="photo")]
    assert apart == ["3.png", "ann/1.jpg", "bob/trip/2.JPEG"]


@pytest.mark.skipif(os.name != "posix", reason="names that are no text are POSIX")
def test_names_that_are_no_text_are_left_out(tmp_path):
    picture(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg"))
    picture(tmp_path / "ü.jpg")
    left_out, kept = sorted(entries("folder", tmp_path), key=lambda item: isinstance(item, LeftOut))[::-1]
    assert left_out.path.endswith("\\xff.jpg")
    assert "rename the file" in left_out.why
    assert kept.row.path.endswith("ü.jpg")


def test_circles_of_links_are_not_followed(tmp_path):
    picture(tmp_path / "deep" / "a.jpg")
    (tmp_path / "deep" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(entries("folder", tmp_path)) == 1


# rows


def lines(folder, *fields):
    file = folder / "rows.jsonl"
    file.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in fields) + "\n\n",
        encoding="utf-8",
    )
    return file


def test_rows(tmp_path):
    path = picture(tmp_path / "sub" / "1.jpg", iso=100)
    row = {
        "path": "sub/1.jpg",
        "sha256": "wrong",
        "group": "g",
        "label": "generated",
        "generator": "x",
        "licence": None,
        "exif": {
            "iso": "1600",
            "fnumber": 0,
            "focal_length_mm": "a lot",
            "exposure_time_s": "1/250",
            "lens": 3,
        },
        "unknown": [1, 2],
    }
    (item,) = entries("rows", lines(tmp_path, row))
    got = item.row
    assert not item.read  # what the row says of the EXIF counts, not the file's
    assert (got.path, got.group, got.label, got.generator) == (str(path), "g", "generated", "x")
    assert got.exif == {"iso": 1600.0, "exposure_time_s": 1 / 250}
    assert got.sha256 != "wrong"


def test_a_track_is_a_kind_unless_there_is_one(tmp_path):
    picture(tmp_path / "1.jpg")
    file = lines(
        tmp_path, {"path": "1.jpg", "track": "web"}, {"path": "1.jpg", "track": "web", "kind": "face"}
    )
    assert [row.kind for row in rows("rows", file)] == ["web", "face"]


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no 'path'"),
        ({"group": "g"}, "no 'path'"),
        ({"path": 3}, "no 'path'"),
        ({"path": "none.jpg"}, "none.jpg is missing"),
        ({"path": "1.jpg", "label": "fake"}, "label"),
        ({"path": "1.jpg", "exif": "iso 100"}, "exif"),
        ({"path": "1.jpg", "exif": [100]}, "exif"),
        ({"path": "1.jpg", "box": [5, 5, 1, 9]}, "x0 < x1"),
    ],
)
def test_a_broken_row_is_named(tmp_path, row, named):
    picture(tmp_path / "1.jpg")
    message = refusal("rows", lines(tmp_path, {"path": "1.jpg"}, row))
    assert "line 2" in message
    assert named in message
    assert "the line" in message


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(b'{"path": "\xff\xff"}\n')
    assert "not JSON" in refusal("rows", tmp_path / "rows.jsonl")


# csv


def table(folder, text, encoding="utf-8"):
    (folder / "t.csv").write_text(text, encoding=encoding)
    return folder / "t.csv"


def test_a_csv(tmp_path):
    one, two = picture(tmp_path / "a, b.jpg"), picture(tmp_path / "sub" / "c.jpg")
    text = (
        "\ufeffpath,label,generator,box,research_only,iso,exposure_time_s,fnumber,mood\n"
        '"a, b.jpg",real,,1 2 30.5 40,yes,400,1/60 sec,F2.8,happy\n'
        f"{two},FAKE,sdxl,,,fast,,,\n"
    )
    first, second = rows("csv", table(tmp_path, text))
    assert first.path == str(one)
    assert (first.label, first.box, first.research_only) == ("photo", (1, 2, 30.5, 40), True)
    assert first.exif == {"iso": 400.0, "exposure_time_s": 1 / 60, "fnumber": 2.8}
    assert (second.path, second.label, second.generator) == (str(two), "generated", "sdxl")
    assert (second.box, second.exif, second.research_only) == (None, {}, False)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(tmp_path, delimiter):
    picture(tmp_path / "a.jpg")
    text = delimiter.join(("path", "kind")) + "\n" + delimiter.join(("a.jpg", "web, small")) + "\n"
    assert [row.kind for row in rows("csv", table(tmp_path, text))] == ["web, small"]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("none.jpg,real,", "none.jpg is missing"),
        (",real,", "path is empty"),
        ("a.jpg,perhaps,", "label"),
        ("a.jpg,real,1 2 3", "box"),
        ("a.jpg,real,a b c d", "box"),
    ],
)
def test_a_broken_line_of_a_csv_is_named(tmp_path, line, named):
    picture(tmp_path / "a.jpg")
    message = refusal("csv", table(tmp_path, f"path,label,box\na.jpg,real,\n{line}\n"))
    assert "line 3" in message
    assert named in message


def test_files_that_are_no_csv(tmp_path):
    assert "no column 'path'" in refusal("csv", table(tmp_path, "file,label\na.jpg,real\n"))
    assert "UTF-8" in refusal("csv", table(tmp_path, "path\nü.jpg\n", encoding="latin-1"))


# tree


def tree(tmp_path, *names):
    for name in names:
        picture(tmp_path / "data" / name)
    return tmp_path / "data"


def by_name(source, found):
    return {str(type(source)(row.path).relative_to(source)): row for row in found}


def test_the_papers_test_sets(tmp_path):
    source = tree(
        tmp_path,
        "celeba-face/1.jpg",
        "celeba-face/2.jpg",
        "celeba-face/3.jpg",
        "VQ-GAN_celebahq/1.png",
        "SDXL/cartoon/7.png",
        "stable_diffusion_v_2_1_text2img_p2g3/8.png",
        "FreeDoM_T/9.png",
    )
    (source / "train.txt").write_text("/home/authors/data/celeba-face/1.jpg\n\n")
    (source / "test.txt").write_text("./data/celeba-face/2.jpg\n")
    found = by_name(source, rows("tree", source))
    assert {name: (row.label, row.generator, row.split) for name, row in found.items()} == {
        "celeba-face/1.jpg": ("photo", "", "fit"),
        "celeba-face/2.jpg": ("photo", "", "test"),
        "celeba-face/3.jpg": ("photo", "", ""),
        "VQ-GAN_celebahq/1.png": ("generated", "vqgan", "test"),
        "SDXL/cartoon/7.png": ("generated", "sdxl", "test"),
        "stable_diffusion_v_2_1_text2img_p2g3/8.png": ("generated", "sdv21", "test"),
        "FreeDoM_T/9.png": ("generated", "freedom", "test"),
    }
    # the generator was conditioned on the photograph of that name
    assert found["celeba-face/1.jpg"].group == found["VQ-GAN_celebahq/1.png"].group


def test_blades_keeps_its_lists_beside_the_photographs(tmp_path):
    source = tree(tmp_path, "celeba-face/imgs/1.jpg", "ddim/1.png")
    (source / "celeba-face" / "train.txt").write_text("imgs\\1.jpg\n")
    found = by_name(source, rows("tree", source))
    assert (found["celeba-face/imgs/1.jpg"].label, found["celeba-face/imgs/1.jpg"].split) == ("photo", "fit")
    assert found["ddim/1.png"].generator == "ddim"


def test_trees_with_photographs_beside_each_generator(tmp_path):
    source = tree(
        tmp_path,
        "ADM/imagenet_ai_0508_adm/train/ai/1.png",
        "ADM/imagenet_ai_0508_adm/val/nature/2.jpg",
        "progan/cat/1_fake/3.png",
        "progan/cat/0_real/4.png",
    )
    found = by_name(source, rows("tree", source))
    assert {name: (row.label, row.generator, row.split) for name, row in found.items()} == {
        "ADM/imagenet_ai_0508_adm/train/ai/1.png": ("generated", "adm", "train"),
        "ADM/imagenet_ai_0508_adm/val/nature/2.jpg": ("photo", "", "val"),
        "progan/cat/1_fake/3.png": ("generated", "progan", ""),
        "progan/cat/0_real/4.png": ("photo", "", ""),
    }


def test_photographs_stay_with_the_generator_whose_folder_they_are_in(tmp_path):
    """CNNSpot's and GenImage's sets: pictures of one name in two generators' folders have nothing in common."""
    source = tree(
        tmp_path,
        "progan/cat/0_real/1.png",
        "progan/cat/1_fake/1.png",
        "Midjourney/0_real/1.png",
        "Midjourney/1_fake/1.png",
        "ADM/val/nature/1.jpg",
        "celeba-face/1.jpg",
        "ddim/1.png",
    )
    found = by_name(source, rows("tree", source))
    assert {name: (row.kind, row.source, row.group) for name, row in found.items()} == {
        "progan/cat/0_real/1.png": ("progan", "progan/0_real", "progan/1"),
        "progan/cat/1_fake/1.png": ("progan", "progan", "progan/1"),
        "Midjourney/0_real/1.png": ("midjourney", "midjourney/0_real", "midjourney/1"),
        "Midjourney/1_fake/1.png": ("midjourney", "midjourney", "midjourney/1"),
        "ADM/val/nature/1.jpg": ("adm", "adm/nature", "adm/1"),
        "celeba-face/1.jpg": ("", "celeba-face", "1"),
        "ddim/1.png": ("", "ddim", "1"),
    }


def test_one_folder_of_a_tree(tmp_path):
    source = tree(tmp_path, "SDXL/1.png", "ffhq/00000/2.png")
    (generated,) = rows("tree", source / "SDXL")
    assert (generated.label, generated.generator) == ("generated", "sdxl")
    (photo,) = rows("tree", source / "ffhq")
    assert (photo.label, photo.source) == ("photo", "ffhq")
