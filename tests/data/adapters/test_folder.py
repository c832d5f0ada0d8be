"""Photographs in a folder."""

from tests.data.adapters.helpers import entries, picture


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
