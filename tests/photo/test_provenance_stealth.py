"""Text in the lowest bits of the pixels: all four kinds, bounded, and no false finds."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cameraborn.photo.provenance import read_provenance
from cameraborn.photo.provenance_fields import Field
from cameraborn.photo.provenance_stealth import stealth_field
from tests.photo.provenance_files import PICTURE, png, stealth

KINDS = ("stealth_pnginfo", "stealth_pngcomp", "stealth_rgbinfo", "stealth_rgbcomp")


@pytest.mark.parametrize("name", KINDS)
def test_every_kind(name):
    assert stealth_field(stealth("größer " * 30, name)) == Field("pixels", name, "größer " * 30)


@pytest.mark.parametrize("name", KINDS[2:])
def test_colours_of_a_picture_without_alpha(name):
    assert stealth_field(stealth("text", name).convert("RGB")) == Field("pixels", name, "text")


def test_saved_with_losses_it_is_gone():
    out = BytesIO()
    stealth("text", "stealth_rgbinfo").convert("RGB").save(out, "JPEG", quality=90)
    assert read_provenance(out.getvalue()).traces == ()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16"])
def test_other_pictures_have_none(mode):
    assert (
        stealth_field(PICTURE.convert("L").convert(mode) if mode != "I;16" else Image.new(mode, (9, 9)))
        is None
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (200, 1), (19, 8)])
def test_small_pictures(size):
    assert stealth_field(Image.new("RGBA", size)) is None


@settings(max_examples=50)
@given(st.sampled_from(KINDS), st.binary(max_size=100))
def test_whatever_follows_the_name_never_raises(name, message):
    picture = stealth("x" * 200, name)
    pixels = np.array(picture)
    noise = np.frombuffer(message.ljust(100, b"\0"), np.uint8)
    pixels[:, 4:6] ^= np.unpackbits(noise)[:512].reshape(64, 2, 4)  # a part of the length, and of the text
    stealth_field(Image.fromarray(pixels))


def test_in_a_file():
    found = read_provenance(png(picture=stealth("NovelAI Diffusion V4", "stealth_pngcomp")))
    assert [(trace.generator, trace.place) for trace in found.traces] == [
        ("NovelAI", "pixels stealth_pngcomp")
    ]
