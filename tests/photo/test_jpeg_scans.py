"""Files of several scans: sequential ones with a scan a component, and such without an end marker."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameraborn.errors import PictureError
from cameraborn.photo.damage import Damage
from cameraborn.photo.decode import open_picture
from cameraborn.photo.jpeg_parts import jpeg_parts
from cameraborn.photo.jpeg_scans import can_walk_scans, has_all, walk_scans

EXAMPLE = Path(__file__).parents[1] / "pictures" / "photo-0.jpg"
END = b"\xff\xd9"
EOI_LACKS = Damage(("the end marker of the JPEG is missing",))


def photograph(size=(176, 144)):
    with Image.open(sorted(EXAMPLE.parent.glob("photo-*.jpg"))[0]) as image:
        return image.convert("RGB").resize(size)


def jpeg(image, **options):
    stream = io.BytesIO()
    image.save(stream, "JPEG", **{"quality": 88, **options})
    return stream.getvalue()


def segment(kind, body):
    return bytes([0xFF, kind]) + (len(body) + 2).to_bytes(2, "big") + body


def a_scan_a_component(image, **options):
    """The colours of a picture as greyscale JPEGs, whose scans and tables are put into one file."""
    bands = [jpeg(band, **options) for band in image.convert("YCbCr").split()]
    taken = [jpeg_parts(data) for data in bands]
    parts = taken[0]
    quantisation = bytes([0, *parts.quantisation[0]])
    frame = bytes([8]) + parts.height.to_bytes(2, "big") + parts.width.to_bytes(2, "big")
    frame += bytes([3, *(byte for number in (1, 2, 3) for byte in (number, 0x11, 0))])
    file = b"\xff\xd8" + segment(0xDB, quantisation) + segment(0xC0, frame)
    interval = parts.scans[0].restart_interval
    if interval:
        file += segment(0xDD, interval.to_bytes(2, "big"))
    for number, (data, one) in enumerate(zip(bands, taken, strict=True), 1):
        (scan,) = one.scans
        file += segment(0xC4, b"\0" + scan.dc_codes[0]) + segment(0xC4, b"\x10" + scan.ac_codes[0])
        file += segment(0xDA, bytes([1, number, 0, 0, 63, 0])) + data[scan.start : scan.end]
    return file + END


OPTIONS = {"plain": {}, "optimised": {"optimize": True}, "restarts": {"restart_marker_rows": 1}}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("size", [(176, 144), (97, 131)])
def test_a_scan_a_component_is_walked_to_the_byte(options, size):
    image = photograph(size)
    data = a_scan_a_component(image, **options)
    picture = open_picture(data)
    assert picture.damage == Damage()
    assert np.abs(picture.pixels.astype(int) - np.array(image)).mean() < 4
    parts = jpeg_parts(data)
    assert can_walk_scans(parts)
    walked = dict(walk_scans(data, parts))
    assert [*walked] == [0, 1, 2]
    for number, found in walked.items():
        assert sum(part.read for part in found) == np.prod(parts.grid_of(parts.scans[number]))
        assert all(part.sound and not part.spare for part in found)


def lost(data, at):
    return data[:at] + data[at + 24 :]


def doubled(data, at):
    return data[: at + 24] + data[at:]


def overwritten(data, at):
    return data[:at] + np.random.default_rng(at).integers(0, 255, 60, np.uint8).tobytes() + data[at + 60 :]


@pytest.mark.parametrize("damage", [lost, doubled, overwritten])
@pytest.mark.parametrize("number", range(3))
def test_what_befalls_a_scan_of_one_component_is_noted(damage, number):
    data = a_scan_a_component(photograph())
    scan = jpeg_parts(data).scans[number]
    found = open_picture(damage(data, (scan.start + scan.end) // 2)).damage
    assert found.notes
    assert found.share_of((0, 128, 176, 144)) == 1.0  # the last rows


def test_restart_markers_bound_what_is_affected():
    data = a_scan_a_component(photograph(), restart_marker_rows=2)
    scan = jpeg_parts(data).scans[0]
    (begin, _), (end, _) = scan.restarts[2:4]
    at = (begin + end) // 2
    picture = open_picture(data[:at] + data[at + 20 :])
    assert picture.damage.notes
    assert picture.damage.share_of((0, 0, 176, 144)) < 0.3
    rows = np.flatnonzero(np.any(picture.pixels != open_picture(data).pixels, axis=(1, 2)))
    ((_, top, _, bottom),) = picture.damage.boxes
    assert top <= rows[0] <= rows[-1] < bottom


def test_a_component_whose_scan_never_came_is_noted():
    data = a_scan_a_component(photograph())
    scan = jpeg_parts(data).scans[1]
    picture = open_picture(data[: scan.end] + END)
    assert picture.damage.notes == ("scans of the JPEG are missing: the picture lacks detail",)


WHOLE = {
    "progressive": lambda: jpeg(photograph(), progressive=True),
    "a scan a component": lambda: a_scan_a_component(photograph()),
    "one scan": lambda: jpeg(photograph((16, 16))),
}


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("lacking", [1, 2])
def test_a_file_that_lacks_its_end_marker_alone_is_read(make, lacking):
    data = make()
    picture = open_picture(data[:-lacking])
    assert picture.damage == EOI_LACKS
    assert np.array_equal(picture.pixels, open_picture(data).pixels)
    assert has_all(data[:-lacking], jpeg_parts(data[:-lacking]))


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
def test_a_file_that_lacks_more_is_refused(make):
    data = make()
    for more in (12, 40):
        with pytest.raises(PictureError, match="truncated JPEG"):
            open_picture(data[:-more])


def test_a_file_whose_last_scan_never_came_is_refused():
    data = jpeg(photograph(), progressive=True)
    for scan in jpeg_parts(data).scans[:-1]:
        with pytest.raises(PictureError, match="truncated JPEG"):
            open_picture(data[: scan.end])
