"""Imports: what is looked at once is not looked at again, whatever interrupts; faces with boxes and landmarks."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameraborn.data import importing
from cameraborn.data.adapters import LAYOUTS, LeftOut, Options
from cameraborn.data.importing import import_manifest
from cameraborn.data.manifest import read_manifest, sha256_of
from cameraborn.errors import CamerabornError, JournalError, ManifestError
from cameraborn.photo.faces import FaceFinder
from tests.data.adapters.helpers import picture
from tests.data.disk import room_for

REAL_EXAMINE = importing.examine
EXAMPLES = Path(__file__).resolve().parents[1] / "pictures"


@pytest.fixture
def album(tmp_path):
    for number in range(6):
        picture(tmp_path / "album" / f"g{number % 2}" / f"{number}.jpg", shade=20 * number, iso=100 + number)
    return tmp_path / "album"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def listed(source, layout="folder", **options):
    return LAYOUTS[layout].entries(source, Options(**options))


class Examinations:
    """Counts the pictures that are really examined, and may stop after some."""

    def __init__(self, monkeypatch, stop_after=10**9):
        self.paths = []
        self.stop_after = stop_after

        def examine(entry, finder):
            if len(self.paths) == self.stop_after:
                raise KeyboardInterrupt
            self.paths.append(Path(entry.row.path).name)
            return REAL_EXAMINE(entry, finder)

        monkeypatch.setattr(importing, "examine", examine)


def test_an_import(album, tmp_path):
    told = []
    counts = import_manifest(listed(album), tmp_path / "m.jsonl", report=lambda *args: told.append(args))
    rows = list(read_manifest(tmp_path / "m.jsonl"))
    assert [row.exif["iso"] for row in rows] == [100, 102, 104, 101, 103, 105]
    assert all(row.sha256 == sha256_of(Path(row.path)) for row in rows)
    assert told == [(row.path, "") for row in rows]
    assert (counts.rows, counts.left_out, counts.reused, counts.labels) == (6, 0, 0, {"photo": 6})
    assert names(tmp_path) == ["album", "m.jsonl"]


def test_broken_pictures_are_left_out_and_named(album, tmp_path):
    (album / "g0" / "0.jpg").write_bytes(b"\xff\xd8\xff")
    (album / "gone.jpg").symlink_to(album / "nowhere.jpg")
    told = {}
    counts = import_manifest(listed(album), tmp_path / "m.jsonl", report=told.__setitem__)
    assert (counts.rows, counts.left_out) == (5, 2)
    assert {Path(path).name for path, problem in told.items() if problem} == {"0.jpg", "gone.jpg"}
    assert all("\n" not in problem for problem in told.values())


def test_an_interrupted_import_goes_on(album, tmp_path, monkeypatch):
    output = tmp_path / "m.jsonl"
    output.write_text("older\n")
    (album / "g0" / "0.jpg").write_bytes(b"broken")
    first = Examinations(monkeypatch, stop_after=4)
    with pytest.raises(KeyboardInterrupt):
        import_manifest(listed(album), output)
    assert output.read_text() == "older\n"
    assert names(tmp_path) == ["album", "m.jsonl", "m.jsonl.unfinished"]
    with (tmp_path / "m.jsonl.unfinished").open("ab") as journal:
        journal.write(b'0123456789abcdef 12 34 {"rows": [{"pa')  # as a crash leaves it

    picture(album / "g0" / "2.jpg", shade=99, iso=999)  # changed in between
    second = Examinations(monkeypatch)
    counts = import_manifest(listed(album), output)
    assert first.paths == ["0.jpg", "2.jpg", "4.jpg", "1.jpg"]
    assert second.paths == ["2.jpg", "3.jpg", "5.jpg"]
    assert (counts.rows, counts.reused, counts.left_out) == (5, 3, 1)
    rows = {Path(row.path).name: row for row in read_manifest(output)}
    assert {name: row.exif["iso"] for name, row in rows.items()} == {
        "2.jpg": 999,
        "4.jpg": 104,
        "1.jpg": 101,
        "3.jpg": 103,
        "5.jpg": 105,
    }
    assert all(row.sha256 == sha256_of(Path(row.path)) for row in rows.values())
    assert names(tmp_path) == ["album", "m.jsonl"]


def test_what_is_said_of_a_picture_decides_whether_it_is_known(album, tmp_path, monkeypatch):
    Examinations(monkeypatch, stop_after=4)
    with pytest.raises(KeyboardInterrupt):
        import_manifest(listed(album), tmp_path / "m.jsonl")
    again = Examinations(monkeypatch)
    counts = import_manifest(listed(album, group="photo"), tmp_path / "m.jsonl")
    assert (len(again.paths), counts.reused) == (6, 0)
    assert {row.group for row in read_manifest(tmp_path / "m.jsonl")} >= {"g0/0.jpg", "g1/5.jpg"}


def test_a_full_disk_is_one_line_and_can_be_gone_on_from(album, tmp_path, monkeypatch):
    with (
        room_for(1000),
        pytest.raises(CamerabornError, match=r"m.jsonl.unfinished: cannot be written.*goes on") as caught,
    ):
        import_manifest(listed(album), tmp_path / "m.jsonl")
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["album", "m.jsonl.unfinished"]
    assert (tmp_path / "m.jsonl.unfinished").stat().st_size == 1000  # its last line is cut off

    journal, kept = tmp_path / "m.jsonl.unfinished", tmp_path / "kept"
    import_manifest(listed(album), tmp_path / "m.jsonl", report=lambda *_: shutil.copy(journal, kept))
    (tmp_path / "m.jsonl").unlink()
    kept.rename(journal)  # as it was before the manifest was written
    with room_for(300), pytest.raises(ManifestError, match=r"m.jsonl: cannot be written .File too large"):
        import_manifest(listed(album), tmp_path / "m.jsonl")
    assert names(tmp_path) == ["album", "m.jsonl.unfinished"]
    again = Examinations(monkeypatch)
    assert import_manifest(listed(album), tmp_path / "m.jsonl").reused == 6
    assert again.paths == []
    assert names(tmp_path) == ["album", "m.jsonl"]


@pytest.mark.parametrize("notes", ["my notes\n", "my notes", "0\n", "cafe", "a note"])
def test_a_file_that_is_no_journal_is_left_alone(album, tmp_path, notes):
    (tmp_path / "m.jsonl.unfinished").write_text(notes)
    with pytest.raises(JournalError, match="not the journal of an interrupted run"):
        import_manifest(listed(album), tmp_path / "m.jsonl")
    assert (tmp_path / "m.jsonl.unfinished").read_text() == notes


def test_pictures_listed_twice_count_once(album, tmp_path):
    found = [*listed(album), *listed(album / "g0"), LeftOut("x", "x: no")]
    counts = import_manifest(found, tmp_path / "m.jsonl")
    assert (counts.rows, counts.twice, counts.left_out) == (6, 3, 1)


def test_nothing_to_import_leaves_what_was_there(tmp_path):
    (tmp_path / "m.jsonl").write_text("older\n")
    with pytest.raises(ManifestError, match="no picture found, 1 left out"):
        import_manifest([LeftOut("x", "x: no")], tmp_path / "m.jsonl")
    assert (tmp_path / "m.jsonl").read_text() == "older\n"
    assert names(tmp_path) == ["m.jsonl"]


@pytest.fixture(scope="module")
def group_photo(tmp_path_factory):
    """Two portraits side by side, and a picture without anyone."""
    folder = tmp_path_factory.mktemp("camera")
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x8827] = 640
    faces = [
        np.asarray(Image.open(EXAMPLES / f"photo-{n}.jpg").convert("RGB").resize((320, 320))) for n in (1, 2)
    ]
    Image.fromarray(np.concatenate(faces, axis=1)).save(folder / "two.jpg", quality=95, exif=exif)
    picture(folder / "nobody.jpg", size=(300, 300))
    return folder


def test_faces_of_one_photograph(group_photo, tmp_path):
    counts = import_manifest(listed(group_photo, group="photo"), tmp_path / "m.jsonl", faces=True)
    rows = sorted(read_manifest(tmp_path / "m.jsonl"), key=lambda row: row.box[0])
    assert (counts.rows, counts.without_face, counts.left_out) == (2, 1, 0)
    assert {(row.path, row.group) for row in rows} == {(str(group_photo / "two.jpg"), "two.jpg")}
    assert [row.exif for row in rows] == [{"iso": 640.0}] * 2
    for row, (left, right) in zip(rows, ((0, 320), (320, 640)), strict=True):
        x0, y0, x1, y1 = row.box
        assert left < (x0 + x1) / 2 < right
        points = np.array(row.landmarks)
        assert points.shape == (68, 2)
        eyes, mouth = points[36:48].mean(axis=0), points[48:].mean(axis=0)
        assert x0 < eyes[0] < x1
        assert y0 < eyes[1] < mouth[1] < y1


def test_a_box_that_is_given_is_kept(group_photo, tmp_path):
    (tmp_path / "t.csv").write_text(f"path,box\n{group_photo / 'two.jpg'},330 20 630 310\n")
    import_manifest(listed(tmp_path / "t.csv", "csv"), tmp_path / "m.jsonl", faces=True)
    (row,) = read_manifest(tmp_path / "m.jsonl")
    assert row.box == (330, 20, 630, 310)
    assert 330 < np.array(row.landmarks)[:, 0].mean() < 630


def test_faces_are_not_taken_from_a_journal_without_them(group_photo, tmp_path, monkeypatch):
    source = shutil.copytree(group_photo, tmp_path / "camera")
    Examinations(monkeypatch, stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        import_manifest(listed(source), tmp_path / "m.jsonl")
    again = Examinations(monkeypatch)
    assert import_manifest(listed(source), tmp_path / "m.jsonl", faces=True).reused == 0
    assert len(again.paths) == 2


@pytest.mark.parametrize("layout", ["folder", "csv"])
def test_landmarks_that_their_network_doubts_are_not_stored(tmp_path, layout):
    """As in training: of a face that lies on its side there are none, whether its box was found or given."""
    with Image.open(EXAMPLES / "photo-5.jpg") as opened:
        opened.convert("RGB").resize((320, 320)).rotate(270).save(tmp_path / "lying.png")
    pixels, finder = np.asarray(Image.open(tmp_path / "lying.png")), FaceFinder()
    (face,) = finder.find(pixels)
    assert finder.landmarks_if_sure(pixels, face) is None
    box = " ".join(f"{edge:.1f}" for edge in face.box)
    (tmp_path / "t.csv").write_text(f"path,box\nlying.png,{box}\n")
    source = tmp_path if layout == "folder" else tmp_path / "t.csv"
    import_manifest(listed(source, layout), tmp_path / "m.jsonl", faces=True)
    (row,) = read_manifest(tmp_path / "m.jsonl")
    np.testing.assert_allclose(row.box, face.box, atol=0.06)
    assert row.landmarks is None
