"""Named degradations do what their names say."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cameraborn.degrade.named import STANDARD, degrade, degrade_bytes, edit, parse
from cameraborn.errors import DegradationError, PictureError
from cameraborn.photo.decode import open_picture
from cameraborn.photo.exif import Exif

from ..conftest import EXAMPLES


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def portrait():
    with Image.open(EXAMPLES / "photo-1.jpg") as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("quality", [1, 60, 100])
@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_recompression_is_the_formats_own(kind, quality):
    pixels, buffer = noise(50, 40), io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, quality=quality)
    if kind == "jpeg":
        assert open_picture(buffer.getvalue()).jpeg_quality == quality
    expected = np.asarray(Image.open(buffer).convert("RGB"))
    np.testing.assert_array_equal(degrade(pixels, f"{kind}:{quality}"), expected)


@pytest.mark.parametrize(
    ("factor", "size"), [(0.5, (25, 20)), (1.5, (75, 60)), (0.001, (1, 1)), (4, (200, 160))]
)
def test_resizing(factor, size):
    assert degrade(noise(50, 40), f"resize:{factor}").shape == (size[1], size[0], 3)


def test_shrinking_averages():
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[::2] = 200
    small = degrade(pixels, "resize:0.25")
    assert np.abs(small[2:-2].astype(int) - 100).max() <= 3


@pytest.mark.parametrize(
    "name",
    ["", "jpeg", "jpeg:", "jpeg:0", "jpeg:101", "webp:-1", "jpeg:nan", "jpeg:high", "resize:0", "resize:4.1",
     "resize:inf", "resize:nan", "resize:-1", "JPEG:75", "jpeg:75:2", "jpeg:75.5", "jpeg: 75", "jpeg:1_0",
     "jpeg:\u0667",
     "resize:0.5:cubic", "resize:0.5:lanczos:2", "resize:lanczos", "blur", "blur:0", "blur:1:box", "noise:101",
     "crop:0",
     "crop:1.1", "fit:15", "fit:99.5", "sharpen:x", "screenshot:1", "social:2", "avatar:", "+", "jpeg:75+", "+jpeg:75",
     "jpeg:75++webp:80", "jpeg:75+nothing"],
)  # fmt: skip
def test_bad_names_are_answered_with_the_good_ones(name):
    with pytest.raises(DegradationError) as caught:
        parse(name)
    assert str(caught.value).startswith(f"{name}: not a degradation")
    assert "\n" not in str(caught.value)
    for form in ("jpeg:1..100", "resize:0..4[:FILTER]", "blur:0..50", "social", "lanczos"):
        assert form in str(caught.value)
    with pytest.raises(DegradationError):
        degrade(noise(20, 20), name)


@given(st.text(alphabet="jpegwbrsizblunosc:+.0123456789 \n", max_size=24))
def test_a_name_is_understood_or_refused_in_one_line(name):
    with contextlib.suppress(DegradationError):
        assert parse(name)
        return
    with pytest.raises(DegradationError, match=r"\A[^\n]*not a degradation[^\n]*\Z"):
        parse(name)


@pytest.mark.parametrize("name", STANDARD)
def test_every_standard_degradation(name):
    pixels = portrait()
    before = pixels.copy()
    out, data = degrade(pixels, name), degrade_bytes(pixels, name)
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(degrade(before, name), out)
    assert out.dtype == np.uint8
    assert out.shape != pixels.shape or not np.array_equal(out, pixels)
    delivered = open_picture(data)
    last = parse(name)[-1]
    assert delivered.jpeg_quality == (last.number if last.kind == "jpeg" else None)
    assert delivered.exif == Exif()
    np.testing.assert_array_equal(delivered.pixels, out)


def test_a_chain_is_done_from_left_to_right():
    pixels = portrait()
    by_hand = pixels
    for step in ("resize:0.5", "jpeg:60", "blur:1"):
        by_hand = degrade(by_hand, step)
    np.testing.assert_array_equal(degrade(pixels, "resize:0.5+jpeg:60+blur:1"), by_hand)
    assert not np.array_equal(degrade(pixels, "jpeg:60+resize:0.5+blur:1"), by_hand)


@pytest.mark.parametrize(
    ("name", "quality"),
    [("jpeg:75", 75), ("social", 70), ("avatar", 75), ("webp:80", None), ("jpeg:60+blur:1", None),
     ("jpeg:60+jpeg:90", 90)],
)  # fmt: skip
def test_the_last_step_decides_the_jpeg_quality(name, quality):
    assert open_picture(degrade_bytes(portrait(), name)).jpeg_quality == quality


@pytest.mark.parametrize("name", ["noise:5", "crop:0.8", "screenshot"])
def test_chance_is_seeded_by_the_picture_or_the_key(name):
    one, other = noise(150, 150, seed=1), noise(150, 150, seed=2)
    np.testing.assert_array_equal(degrade(one, name), degrade(one.copy(), name))
    keyed = degrade(one, name, key="a")
    np.testing.assert_array_equal(keyed, degrade(one, name, key="a"))
    drawn = [degrade(np.full_like(one, 99), name, key=key) for key in "abcdefgh"]
    ramp = np.broadcast_to(np.arange(150, dtype=np.uint8), (150, 150))
    placed = [degrade(np.stack([ramp, ramp.T, ramp], axis=2), name, key=key) for key in "abcdefgh"]
    assert len({(item.shape, item.tobytes()) for item in placed}) > 1
    assert name != "noise:5" or len({item.tobytes() for item in drawn}) == 8
    assert degrade(other, name).shape != degrade(one, name).shape or not np.array_equal(other, one)


def test_noise_has_its_strength_and_two_draws_differ():
    grey = np.full((200, 200, 3), 128, np.uint8)
    error = degrade(grey, "noise:5").astype(float) - 128
    assert error.std() == pytest.approx(5, rel=0.03)
    assert abs(error.mean()) < 0.1
    # Were the second draw the first again, they would add up to 10, not to 5 times the square root of 2.
    assert (degrade(grey, "noise:5+noise:5") - 128.0).std() == pytest.approx(5 * 2**0.5, rel=0.03)


def test_blur_is_gaussian():
    from scipy.ndimage import gaussian_filter

    pixels = portrait()
    expected = gaussian_filter(pixels.astype(float), sigma=(2, 2, 0), mode="nearest")
    assert np.abs(degrade(pixels, "blur:2") - expected).mean() < 0.7


def test_sharpening_steepens_an_edge():
    edge = np.full((40, 40, 3), 80, np.uint8)
    edge[:, 20:] = 160
    sharp = degrade(edge, "sharpen:1")
    assert sharp[20, 19, 0] < 80
    assert sharp[20, 20, 0] > 160
    assert (sharp[:, :10] == 80).all()


def test_a_crop_is_a_part_of_the_picture():
    pixels = noise(50, 40)
    part = degrade(pixels, "crop:0.8")
    assert part.shape == (32, 40, 3)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (32, 40, 3))
    assert (windows == part).all(axis=(3, 4, 5)).any()


@pytest.mark.parametrize(("size", "expected"), [((400, 300), (213, 160)), ((120, 100), (120, 100))])
def test_an_avatar_is_never_enlarged(size, expected):
    assert degrade(noise(*size), "avatar").shape == (expected[1], expected[0], 3)


def test_resizing_follows_the_named_filter():
    pixels = portrait()
    for name, filter in (("lanczos", Image.Resampling.LANCZOS), ("nearest", Image.Resampling.NEAREST)):
        half = Image.fromarray(pixels).resize((pixels.shape[1] // 2, pixels.shape[0] // 2), filter)
        np.testing.assert_array_equal(degrade(pixels, f"resize:0.5:{name}"), np.asarray(half))


def test_what_no_format_holds_is_refused_in_one_line():
    wide = np.zeros((16, 16_400, 3), np.uint8)
    with pytest.raises(PictureError, match="16400 x 16 pixels are too many for WEBP: make"):
        degrade(wide, "webp:80")
    with pytest.raises(PictureError, match="times 4 are too many: make"):
        degrade(np.broadcast_to(np.zeros(3, np.uint8), (5000, 5000, 3)), "resize:4")


def test_an_edit_takes_its_chance_from_the_generator():
    pixels = noise(50, 40)
    one, same = (edit(pixels, "noise", 4.0, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    literal = np.rint(pixels + 4.0 * np.random.default_rng(1).standard_normal(pixels.shape, np.float32))
    np.testing.assert_array_equal(one, literal.clip(0, 255))
    with pytest.raises(ValueError, match="jpeg is an encoding"):
        edit(pixels, "jpeg", 75, np.random.default_rng(1))
