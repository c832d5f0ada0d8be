"""Text in the lowest bits of the pixels, where NovelAI and extensions of WebUI and ComfyUI keep it beside chunks.

Column by column, the most significant bit first: 15 letters that say where and how, a length in bits, the text, perhaps
compressed. In alpha one bit a pixel (`stealth_pnginfo`, `stealth_pngcomp`), in colours three (`stealth_rgbinfo`,
`stealth_rgbcomp`). Format: NovelAI's `novelai-image-metadata`, ashen-sensored's `sd_webui_stealth_pnginfo`. Any change
of pixels destroys it, so only lossless files are looked at.
"""

from __future__ import annotations

import zlib

import numpy as np
from PIL import Image

from cameraborn.photo.provenance_fields import MAX_TEXT, Field, decoded

LOSSLESS = frozenset({"PNG", "WEBP", "TIFF", "BMP"})
_KINDS = {"A": ("stealth_pnginfo", "stealth_pngcomp"), "RGB": ("stealth_rgbinfo", "stealth_rgbcomp")}
_NAME, _LENGTH = 15, 4  # bytes
_MAX_BYTES = 4 << 20


def stealth_field(image: Image.Image) -> Field | None:
    """The text in the pixels of a loaded picture; None where there is none."""
    for channels, kinds in _KINDS.items():
        if image.mode == "RGBA" or (image.mode == "RGB" and channels == "RGB"):
            head = _bytes(image, channels, _NAME + _LENGTH)
            name = head[:_NAME].decode("latin-1")
            if name in kinds:
                size = min(int.from_bytes(head[_NAME:], "big") // 8, _MAX_BYTES)
                text = _bytes(image, channels, _NAME + _LENGTH + size)[_NAME + _LENGTH :]
                return Field("pixels", name, decoded(_gunzipped(text) if name.endswith("comp") else text))
    return None


def _bytes(image: Image.Image, channels: str, count: int) -> bytes:
    """The first `count` bytes that the lowest bits spell, column by column."""
    per_pixel = len(channels)
    columns = -(-8 * count // (per_pixel * image.height))
    part = image.crop((0, 0, min(columns, image.width), image.height))
    pixels = np.asarray(part.getchannel("A") if channels == "A" else part.convert("RGB"))
    bits = (pixels.reshape(part.height, part.width, per_pixel).transpose(1, 0, 2) & 1).ravel()
    return np.packbits(bits[: 8 * count]).tobytes()


def _gunzipped(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(data, MAX_TEXT)
    except zlib.error:
        return b""
