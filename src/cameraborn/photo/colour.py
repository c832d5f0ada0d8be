"""Any picture to sRGB: greys scaled, colours through the embedded ICC profile, transparency laid over white."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import cast

import numpy as np
from PIL import Image, ImageCms

from cameraborn.errors import picture_error

PROFILE = "cameraborn.profile"  # in `Image.info`: the profile that counts, where it is not the embedded one


def to_srgb(image: Image.Image, name: str) -> Image.Image:
    """Return mode RGB: greys scaled, colours through the ICC profile, transparency over white."""
    embedded = image.info.get("icc_profile")
    profile = image.info.get(PROFILE, embedded)
    if image.mode.startswith("I"):
        image = _reduce_to_8_bits(image, name)
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in {"1", "L", "LA", "La"} else "RGBA")
        alpha = image.getchannel("A")
    if image.mode not in {"RGB", "L", "CMYK", "LAB"}:
        image = image.convert("L" if image.mode in {"1", "LA"} else "RGB")
    # What chunks declare holds for greys too, as a profile of three colours.
    if image.mode == "L" and profile != embedded:
        image = image.convert("RGB")
    rgb = _apply_profile(image, profile) if profile else image
    if rgb.mode != "RGB":
        rgb = rgb.convert("RGB")
    if alpha is None:
        return rgb
    white = Image.new("RGB", rgb.size, "white")
    white.paste(rgb, mask=alpha)
    return white


def _reduce_to_8_bits(image: Image.Image, name: str) -> Image.Image:
    """Scale 0..65535 to 0..255; Pillow's own conversion would clip at 255."""
    values = np.asarray(image)  # [H W]
    if values.min() < 0 or values.max() > 65535:
        raise picture_error(name, "32-bit greyscale, whose range is not known", "save it with 8 or 16 bits")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert to sRGB; a profile that is broken, or for another kind of pixels, is ignored."""
    try:
        return image if image.mode == "RGB" and _is_srgb(profile) else _profile_to_srgb(image, profile)
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return image


@lru_cache(maxsize=16)
def _is_srgb(profile: bytes) -> bool:
    """Return whether `profile` moves no colour of a coarse grid by more than two levels, by any name."""
    levels = np.arange(0, 256, 51, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)  # [1 216 3]
    moved = np.asarray(_profile_to_srgb(Image.fromarray(grid), profile))
    return int(np.abs(moved.astype(int) - grid).max()) <= 2


def _profile_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    return cast(Image.Image, ImageCms.applyTransform(image, _transform(profile, image.mode)))


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """Built once: a large picture is converted in many strips. LittleCMS's transforms may be shared by threads."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
