"""Statistics of a manifest for people: the lines to the letter, bars that tell shares, and a picture of them."""

import math
import re
from array import array
from collections import Counter

import pytest
from PIL import Image

from cameraborn.cli.stats_text import check_plots, draw, lines_of
from cameraborn.data.manifest import Row
from cameraborn.data.stats import SCALES, ManifestStats, manifest_stats
from cameraborn.errors import CamerabornError
from cameraborn.photo.exif import TAGS

DIGEST = "0" * 64


def row(number, **fields):
    return Row(path=f"{number}.jpg", sha256=DIGEST, **fields)


@pytest.fixture
def stats():
    """Four photographs, of which three tell how they were taken, and a generated picture."""
    taken = [
        {"iso": 100.0, "fnumber": 2.8, "exposure_time_s": 1 / 60, "make": "Canon", "model": "EOS"},
        {"iso": 100.0, "fnumber": 4.0, "exposure_time_s": 1 / 125, "make": "Canon", "model": "EOS"},
        {"iso": 400.0, "focal_length_mm": 50.0, "make": "line\nbreak"},
        {},
    ]
    rows = [
        row(n, exif=exif, split="train", group=f"g{n // 2}", source="web") for n, exif in enumerate(taken)
    ]
    made = row(9, label="generated", generator="sdxl", research_only=True, box=(0, 0, 9, 9), group="g9")
    return manifest_stats([*rows, made])


def part(lines, title):
    """The lines under a title, without it."""
    begin = next(number for number, line in enumerate(lines) if line.startswith(title))
    end = lines.index("", begin) if "" in lines[begin:] else len(lines)
    return lines[begin + 1 : end]


def test_counts_to_the_letter(stats):
    lines = lines_of(stats)
    assert lines[0] == "5 rows of 3 groups: 1 with a box, 0 with landmarks, 1 for research only"
    assert lines[1:4] == ["", "split, 2", "         4  train"]
    assert part(lines, "split") == ["         4  train", "         1  (none)"]
    assert part(lines, "label") == ["         4  photo", "         1  generated sdxl"]
    assert part(lines, "source") == ["         4  web", "         1  (none)"]
    assert part(lines, "camera") == ["         2  Canon EOS", "         1  line\\nbreak"]
    assert "kind" in lines  # of one name no number is told


def test_missing_tags_are_shares_of_photographs(stats):
    lines = part(lines_of(stats), "missing of 4 photographs")
    assert len(lines) == len(TAGS)
    for line in (
        " 25.0%  iso",
        " 50.0%  fnumber",
        " 75.0%  focal_length_mm",
        " 25.0%  make",
        "100.0%  software",
    ):
        assert f"  {line}" in lines


def test_a_distribution_is_told_by_quantiles_and_bars(stats):
    lines = lines_of(stats)
    assert "ISO of 3 photographs: 5% 100, 25% 100, 50% 100, 75% 250, 95% 370" in lines
    assert part(lines, "ISO") == [
        "         100         2  " + "#" * 40,
        "         200         0",
        "         400         1  " + "#" * 20,
    ]
    assert (
        "exposure time of 2 photographs: 5% 1/119 s, 25% 1/98 s, 50% 1/81 s, 75% 1/69 s, 95% 1/62 s" in lines
    )
    assert part(lines, "focal length") == ["       50 mm         1  " + "#" * 40]


def test_a_tag_that_no_photograph_has_is_said_to_be_missing(stats):
    stats.values["fnumber"] = array("d")
    assert "f-number: no photograph has it" in lines_of(stats)


def test_without_photographs_there_are_no_tags():
    lines = lines_of(manifest_stats([row(1, label="generated", generator="sdxl")]))
    assert lines[-2:] == ["", "no photographs, so no tags"]
    assert lines[0] == "1 row of 1 group: 0 with a box, 0 with landmarks, 0 for research only"
    assert not any("nan" in line for line in lines)


def test_long_lists_end_with_what_is_left():
    stats = ManifestStats(sources=Counter({f"source {n}": 100 - n for n in range(20)}))
    lines = part(lines_of(stats), "source, 20")
    assert len(lines) == 16
    assert lines[0] == "       100  source 0"
    assert lines[-1] == f"  {85 + 84 + 83 + 82 + 81:>8}  in 5 more"
    fewer = ManifestStats(sources=Counter({f"source {n}": 1 for n in range(15)}))
    assert len(part(lines_of(fewer), "source, 15")) == 15


def test_names_of_strangers_break_no_line():
    stats = manifest_stats([row(1, source="a\nb\x1b[31m\u202e", split="x\r")])
    assert all(line.isprintable() for line in lines_of(stats))


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.tag)
def test_bars_count_every_value(scale):
    stats = manifest_stats([row(n, exif={scale.tag: scale.marks[0] * 3.0**n}) for n in range(8)])
    bars = [re.match(r" +\S+(?: s| mm)? +(\d+)", line)[1] for line in part(lines_of(stats), scale.title)]
    assert sum(map(int, bars)) == 8
    assert bars[0] != "0"
    assert bars[-1] != "0"


@pytest.mark.parametrize("ending", [".png", ".SVG", ".pdf"])
def test_pictures_of_every_format(stats, tmp_path, ending):
    path = tmp_path / f"stats{ending}"
    check_plots(path)
    draw(stats, "set\n.jsonl", path)
    begins = {".png": b"\x89PNG", ".SVG": b"<?xml", ".pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(begins)
    if ending == ".png":
        with Image.open(path) as image:
            assert image.size == (1500, 975)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_nothing_at_all_can_be_drawn(tmp_path):
    empty = manifest_stats([])
    assert math.isnan(empty.missing("iso"))
    draw(empty, "empty", tmp_path / "stats.png")
    assert (tmp_path / "stats.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["stats.jpg", "stats", "stats.txt"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(CamerabornError) as caught:
        check_plots(tmp_path / name)
    assert str(caught.value) == f"{tmp_path}/{name}: not a format to draw in: end it in .png, .svg, .pdf"


def test_a_place_that_cannot_be_written_is_named(stats, tmp_path):
    path = tmp_path / "nowhere" / "stats.png"
    with pytest.raises(CamerabornError) as caught:
        draw(stats, "set", path)
    assert str(caught.value) == f"{path}: cannot be written (No such file or directory): give another -o"
