"""Colours: greys scaled, profiles followed, transparency over white; known values of every kind of pixels."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from cameraborn.errors import PictureError
from cameraborn.photo.colour import PROFILE, to_srgb
from cameraborn.photo.decode import open_picture
from tests.photo.test_decode import ADOBE_RGB, SRGB, encode, png_chunk, scene, solid


@pytest.mark.parametrize(
    ("image", "format", "rgb"),
    [
        (solid("L", 77), "PNG", (77, 77, 77)),
        (solid("1", 1), "PNG", (255, 255, 255)),
        (solid("1", 0), "TIFF", (0, 0, 0)),
        (solid("RGBA", (200, 0, 100, 255)), "PNG", (200, 0, 100)),
        (solid("RGBA", (200, 0, 100, 0)), "PNG", (255, 255, 255)),
        (solid("RGBA", (200, 0, 100, 51)), "PNG", (244, 204, 224)),  # 0.2 colour + 0.8 white
        (solid("RGBA", (200, 0, 100, 51)), "TIFF", (244, 204, 224)),
        (solid("LA", (100, 51)), "PNG", (224, 224, 224)),
        (solid("RGBa", (40, 0, 20, 51)), None, (244, 204, 224)),
        (solid("CMYK", (0, 255, 255, 0)), "TIFF", (255, 0, 0)),
        (solid("CMYK", (0, 0, 0, 255)), "TIFF", (0, 0, 0)),
        (solid("I;16", 0), "PNG", (0, 0, 0)),
        (solid("I;16", 65535), "PNG", (255, 255, 255)),
        (solid("I;16", 257 * 99 + 128), "PNG", (99, 99, 99)),
        (solid("I;16", 257 * 99 + 129), "PNG", (100, 100, 100)),
        (solid("I;16", 30000), "TIFF", (117, 117, 117)),
        (solid("I;16B", 30000), "TIFF", (117, 117, 117)),
        (solid("I", 30000), None, (117, 117, 117)),
        (solid("YCbCr", (128, 128, 128)), None, (128, 128, 128)),
        (solid("HSV", (0, 255, 255)), None, (255, 0, 0)),
    ],
)
def test_known_colours(image, format, rgb):
    pixels = open_picture(image if format is None else encode(image, format)).pixels
    np.testing.assert_array_equal(pixels, np.broadcast_to(np.uint8(rgb), (20, 20, 3)))


def test_cmyk_jpeg_inverted_as_adobe_does():
    data = encode(solid("CMYK", (0, 255, 255, 0)), "JPEG", quality=100)
    assert b"Adobe" in data
    np.testing.assert_allclose(open_picture(data).pixels, np.broadcast_to([255, 0, 0], (20, 20, 3)), atol=2)


def test_16_bit_ramp_is_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
    for format in ("PNG", "TIFF"):
        pixels = open_picture(encode(Image.fromarray(ramp), format)).pixels
        np.testing.assert_array_equal(pixels[:, :, 1], np.rint(ramp / 257))


def test_16_bit_rgb_png():
    row = b"\0" + struct.pack(">3H", 0x1234, 0x8000, 0xFFFF) * 16
    header = struct.pack(">LLBBBBB", 16, 16, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(row * 16)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)
    np.testing.assert_array_equal(open_picture(data).pixels[7, 7], [0x12, 0x80, 0xFF])


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_palette_with_transparency_over_white(format):
    image = Image.new("P", (20, 20), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (10, 0, 20, 20))
    plain = open_picture(encode(image, format)).pixels
    np.testing.assert_array_equal(plain[0, [0, 19]], [[10, 20, 30], [200, 100, 50]])
    clear = open_picture(encode(image, format, transparency=0)).pixels
    np.testing.assert_array_equal(clear[0, [0, 19]], [[255, 255, 255], [200, 100, 50]])


def test_palette_with_partial_transparency():
    image = Image.new("P", (20, 20), 0)
    image.putpalette([200, 0, 100])
    pixels = open_picture(encode(image, "PNG", transparency=bytes([51]))).pixels
    np.testing.assert_array_equal(pixels[3, 3], [244, 204, 224])


@pytest.mark.parametrize(("image", "key"), [(solid("RGB", (9, 8, 7)), (9, 8, 7)), (solid("L", 9), 9)])
def test_colour_key_of_a_png(image, key):
    image.putpixel((0, 0), (1, 1, 1) if image.mode == "RGB" else 1)
    pixels = open_picture(encode(image, "PNG", transparency=key)).pixels
    np.testing.assert_array_equal(pixels[0, :2], [[1, 1, 1], [255, 255, 255]])


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_adobe_rgb_is_converted(format):
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}, "AVIF": {"quality": 100}}.get(format, {})
    data = encode(solid("RGB", (100, 150, 100)), format, icc_profile=ADOBE_RGB, **options)
    # The same light in sRGB: through the matrices and curves of the two standards, by hand.
    adobe = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
    srgb = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
    linear = np.linalg.solve(srgb, adobe @ (np.array([100, 150, 100]) / 255) ** 2.19921875)
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    assert expected[0] < 90  # red goes down: Adobe RGB's green is the more saturated
    np.testing.assert_allclose(open_picture(data).pixels[5, 5], expected, atol=3 if format == "AVIF" else 2)


def test_alpha_survives_the_profile():
    image = Image.merge("RGBA", [*solid("RGB", (100, 150, 100)).split(), solid("L", 51)])
    opaque = (
        open_picture(encode(image.convert("RGB"), "PNG", icc_profile=ADOBE_RGB)).pixels[0, 0].astype(float)
    )
    pixels = open_picture(encode(image, "PNG", icc_profile=ADOBE_RGB)).pixels
    np.testing.assert_allclose(pixels[0, 0], 0.2 * opaque + 0.8 * 255, atol=1)


@pytest.mark.parametrize(
    "profile",
    [SRGB, b"not a profile", ADOBE_RGB[:150], b"\0" * 500, ADOBE_RGB.replace(b"RGB XYZ ", b"CMYKLab ")],
    ids=["srgb", "text", "cut", "zeros", "of-cmyk"],
)
def test_srgb_and_broken_profiles_change_nothing(profile):
    for image in (Image.fromarray(scene()), Image.fromarray(scene()).convert("L")):
        data = encode(image, "PNG", icc_profile=profile)
        np.testing.assert_array_equal(open_picture(data).pixels, np.asarray(image.convert("RGB")))


def test_lab_picture_goes_through_its_profile():
    lab = ImageCms.profileToProfile(
        Image.fromarray(scene()),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    assert np.abs(open_picture(encode(lab, "TIFF")).pixels.astype(int) - scene()).mean() < 3


def test_the_profile_that_counts_is_not_always_the_embedded_one():
    image = solid("RGB", (100, 150, 100))
    converted = to_srgb(solid("RGB", (100, 150, 100)), "a")
    np.testing.assert_array_equal(np.asarray(converted), np.asarray(image))
    image.info["icc_profile"] = ADOBE_RGB
    by_embedded = np.asarray(to_srgb(image, "a"))
    assert by_embedded[0, 0, 0] < 90
    image.info[PROFILE] = SRGB
    np.testing.assert_array_equal(np.asarray(to_srgb(image, "a")), np.asarray(solid("RGB", (100, 150, 100))))
    image.info.update({PROFILE: ADOBE_RGB, "icc_profile": SRGB})
    np.testing.assert_array_equal(np.asarray(to_srgb(image, "a")), by_embedded)


def test_every_grey_of_16_bits_is_the_nearest_of_8():
    greys = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    pixels = np.asarray(to_srgb(Image.fromarray(greys), "a"))
    np.testing.assert_array_equal(pixels, np.rint(greys / 257).astype(np.uint8)[..., None].repeat(3, axis=2))


@pytest.mark.parametrize("value", [-1, 65_536])
def test_greys_of_32_bits_beyond_16_have_no_known_range(value):
    with pytest.raises(PictureError) as caught:
        to_srgb(solid("I", value), "a.tif")
    assert str(caught.value) == (
        "a.tif: 32-bit greyscale, whose range is not known: save it with 8 or 16 bits"
    )


def test_transparency_is_mixed_as_the_formula_says():
    levels = np.arange(256, dtype=np.uint8)
    colour, alpha = np.meshgrid(levels, levels)  # [256 256]
    pixels = np.stack([colour, colour[::-1], 255 - colour, alpha], axis=2)
    share = alpha[..., None] / 255
    expected = pixels[..., :3] * share + 255 * (1 - share)
    got = np.asarray(to_srgb(Image.fromarray(pixels), "a")).astype(float)
    assert np.abs(got - expected).max() <= 0.5 + 1e-9
