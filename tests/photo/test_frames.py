"""Frames of real animations, as a viewer shows them: against the pictures that they were made of."""

import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cameraborn.errors import PictureError
from cameraborn.photo.decode import open_picture
from cameraborn.photo.frames import LAST_FRAME, frames
from tests.photo.test_decode import ADOBE_RGB, EXAMPLES, encode, orientation_exif, scene

OPTIONS = {"GIF": {}, "WEBP": {"lossless": True}, "PNG": {}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}


def greys(count):
    return [Image.new("RGB", (32, 24), (level,) * 3) for level in np.linspace(5, 250, count).astype(int)]


def animation(format, pictures, **options):
    stream = io.BytesIO()
    made = {"save_all": True, "append_images": pictures[1:], "duration": 50, **OPTIONS[format], **options}
    pictures[0].save(stream, format, **made)
    return stream.getvalue()


def levels(data, **options):
    return [(number, int(picture.pixels[5, 5, 0])) for number, picture in frames(data, **options)]


@pytest.mark.parametrize("format", OPTIONS)
def test_every_frame_of_a_short_animation(format):
    data = animation(format, greys(6))
    assert [number for number, _ in frames(data)] == list(range(6))
    for (_, picture), shown in zip(frames(data), greys(6), strict=True):
        np.testing.assert_allclose(picture.pixels, np.asarray(shown), atol=3 if format == "AVIF" else 0)
    first = next(frames(data))[1]
    np.testing.assert_array_equal(first.pixels, open_picture(data).pixels)
    assert {replace(picture, pixels=first.pixels).sha256 for _, picture in frames(data)} == {first.sha256}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_a_still_has_one(format):
    data = encode(scene(), format)
    ((number, picture),) = frames(data)
    assert (number, picture.name) == (0, "<bytes>")
    np.testing.assert_array_equal(picture.pixels, open_picture(data).pixels)


def test_every_kind_of_source(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(animation("GIF", greys(3)))
    with path.open("rb") as stream:
        found = [len(list(frames(source))) for source in (path, str(path), path.read_bytes(), stream)]
    assert found == [3] * 4
    assert [picture.name for _, picture in frames(path)] == [str(path)] * 3
    assert len(list(frames(scene()))) == len(list(frames(Image.fromarray(scene())))) == 1


def test_pages_are_no_frames():
    stream = io.BytesIO()
    greys(3)[0].save(stream, "TIFF", save_all=True, append_images=greys(3)[1:])
    assert len(list(frames(stream.getvalue()))) == 1


def test_a_long_animation_is_looked_at_ever_less():
    numbers = [number for number, _ in frames(animation("GIF", greys(200)))]
    assert numbers[:9] == list(range(9))
    assert numbers[-1] > 170
    assert len(numbers) < 40
    gaps = np.diff(numbers)
    assert (np.diff(gaps) >= 0).all()


def test_the_work_is_bounded():
    pictures = [greys(2)[number % 2] for number in range(LAST_FRAME + 50)]
    numbers = [number for number, _ in frames(animation("GIF", pictures))]
    assert numbers[-1] <= LAST_FRAME
    assert len(numbers) <= 64


def test_only_what_is_asked_for_is_decoded():
    data = bytearray(
        animation("GIF", [Image.fromarray(scene()), *(image.resize((40, 24)) for image in greys(4))])
    )
    data[-40:-20] = bytes(20)  # of the last frame
    assert [number for number, _ in itertools.islice(frames(bytes(data)), 2)] == [0, 1]


def test_what_stays_of_the_frame_before():
    base = Image.new("RGBA", (32, 24), (200, 10, 10, 255))
    patch = Image.new("RGBA", (32, 24), (0, 0, 0, 0))
    patch.paste((10, 200, 10, 255), (0, 0, 16, 24))
    data = animation("PNG", [base, patch], blend=1, disposal=0)
    second = [picture for _, picture in frames(data)][1].pixels
    np.testing.assert_array_equal(second[0, [0, 31]], [[10, 200, 10], [200, 10, 10]])


@pytest.mark.parametrize("format", ["WEBP", "PNG"])
def test_profile_and_orientation_hold_for_every_frame(format):
    shown = [Image.fromarray(scene()), Image.fromarray(scene()[::-1])]
    options = {"icc_profile": ADOBE_RGB, "exif": orientation_exif(6), **OPTIONS[format]}
    stills = [open_picture(encode(image, format, **options)).pixels for image in shown]
    found = [picture.pixels for _, picture in frames(animation(format, shown, **options))]
    np.testing.assert_array_equal(found, stills)


def test_a_blank_first_frame():
    with Image.open(EXAMPLES[0]) as image:
        portrait = image.convert("RGB")
    data = animation("WEBP", [Image.new("RGB", portrait.size, "white"), portrait])
    blank, shown = (picture.pixels for _, picture in frames(data))
    assert blank.min() == 255
    np.testing.assert_array_equal(shown, np.asarray(portrait))


def test_errors_are_those_of_one_picture():
    with pytest.raises(PictureError, match="not a picture"):
        next(frames(b"no picture", name="a"))
    with pytest.raises(PictureError, match="more than the limit"):
        next(frames(animation("GIF", greys(2)), max_pixels=100))
    with pytest.raises(TypeError):
        next(frames(5))


@pytest.mark.parametrize("format", OPTIONS)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(share=st.floats(0.2, 1), junk=st.binary(min_size=1, max_size=30), kept=st.floats(0.3, 1))
def test_damaged_animations_give_frames_or_one_line(format, share, junk, kept):
    data = animation(format, [Image.fromarray(scene()), *(image.resize((40, 24)) for image in greys(3))])
    at = int(share * (len(data) - len(junk)))
    data = data[:at] + junk + data[at + len(junk) :]
    try:
        for number, picture in frames(data[: int(kept * len(data))]):
            assert picture.pixels.shape[2] == 3
            assert number <= 4
    except PictureError:  # `test_decode` reads their lines
        pass
