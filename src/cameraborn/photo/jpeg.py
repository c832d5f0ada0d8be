"""What a JPEG file says of its compression: the nearest IJG quality, its tables, and the subsampling of its chroma."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile


def jpeg_quality(image: JpegImageFile) -> int | None:
    """Return the quality whose standard luminance table is nearest (sum of absolute differences)."""
    if not image.quantization:
        return None
    table = image.quantization.get(0) or next(iter(image.quantization.values()))
    luminance = np.minimum(table, 255)  # the standard tables below are clipped so too
    return int(np.abs(_ijg_tables() - luminance).sum(axis=1).argmin()) + 1


def jpeg_tables(image: JpegImageFile) -> str:
    """Return a fingerprint of all quantisation tables, 6 hex digits."""
    tables = sorted((number, tuple(table)) for number, table in image.quantization.items())
    return hashlib.sha256(repr(tables).encode()).hexdigest()[:6]


def subsampling(image: JpegImageFile) -> str:
    """Return the usual name, or where there is none the sampling factors of each component."""
    factors = [(h, v) for _, h, v, _ in image.layer]
    if len(factors) == 1:
        return "grey"
    names = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (4, 1): "4:1:1", (1, 2): "4:4:0"}
    if factors[1:] == [(1, 1)] * 2 and factors[0] in names:
        return names[factors[0]]
    return " ".join(f"{h}x{v}" for h, v in factors)


@lru_cache(maxsize=1)
def _ijg_tables() -> NDArray[np.int64]:
    """Return the luminance tables of qualities 1..100, [100 64]: T.81's table K.1, scaled as libjpeg does."""
    k1 = np.array(_T81_TABLE_K1.split(), dtype=np.int64)
    quality = np.arange(1, 101)[:, None]
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.clip((k1 * percent + 50) // 100, 1, 255)


_T81_TABLE_K1 = """
    16 11 10 16 24 40 51 61  12 12 14 19 26 58 60 55  14 13 16 24 40 57 69 56  14 17 22 29 51 87 80 62
    18 22 37 56 68 109 103 77  24 35 55 64 81 104 113 92  49 64 78 87 103 121 120 101
    72 92 95 98 112 100 103 99
"""
