"""A contact sheet of manipulations, as Fig. 2 and 3 of AIGFD-EXIF (arXiv 2501.02207): a row a face.

Beside each local manipulation stands where it acts: the picture shows through the soft mask, a thin line bounds the
patch that was flipped. Beside the distortion stands a lattice that went through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cameraborn.pseudo.manipulate import Kind, Pixels, enlarged, regions
from cameraborn.pseudo.names import MANIPULATIONS
from cameraborn.pseudo.variants import FaceCut, VariantOptions, make_variant

_TILE, _GAP, _HEADER = 168, 4, 26  # pixels; a pair stands twice a gap from the next
_PAPER, _INK, _LINE = "white", "black", (255, 210, 60)
_DIMMED = 0.3  # brightness of what is outside a mask
_LATTICE = 8  # cells along a side


def contact_sheet(faces: Sequence[FaceCut], options: VariantOptions) -> Image.Image:
    """The sheet: original, then each of `options.kinds` and its mask, as `make_variant` makes them."""
    pair = 2 * (_TILE + _GAP) + _GAP
    sheet = Image.new(
        "RGB",
        (_GAP + _TILE + 2 * _GAP + pair * len(options.kinds), _HEADER + (_TILE + _GAP) * len(faces)),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    starts = [_GAP, *(_GAP + _TILE + 2 * _GAP + pair * place for place in range(len(options.kinds)))]
    for x, kind in zip(starts, ("", *options.kinds), strict=True):
        words = MANIPULATIONS[kind].words if kind else "original"
        draw.text((x, _HEADER // 2), words, _INK, font, anchor="lm")
    for line, face in enumerate(faces):
        y = _HEADER + (_TILE + _GAP) * line
        for x, kind in zip(starts, ("", *options.kinds), strict=True):
            made = make_variant(face, kind, options)
            sheet.paste(_tile(made), (x, y))
            if kind:
                sheet.paste(_beside(face, kind, made, options), (x + _TILE + _GAP, y))
    return sheet


def _beside(face: FaceCut, kind: Kind, made: Pixels | None, options: VariantOptions) -> Image.Image:
    if made is None:
        return _tile(None)
    return _lattice(face, options) if kind == "affine" else _place(face, kind, options)


def _tile(pixels: Pixels | None) -> Image.Image:
    """A picture in a square; grey with a word if there is none."""
    if pixels is None:
        blank = Image.new("RGB", (_TILE, _TILE), (225, 225, 225))
        centre = (_TILE // 2, _TILE // 2)
        ImageDraw.Draw(blank).text(centre, "not possible", _INK, ImageFont.load_default(13), anchor="mm")
        return blank
    return Image.fromarray(pixels).resize((_TILE, _TILE), Image.Resampling.LANCZOS)


def _place(face: FaceCut, kind: Kind, options: VariantOptions) -> Image.Image:
    """Where a local manipulation acted."""
    work = enlarged(face.pixels, options.manipulation.side)
    H, W, _ = work.shape
    assert face.landmarks is not None  # a local manipulation was made
    found = regions(face.landmarks * (W / face.pixels.shape[1]), kind, H, W, options.manipulation) or []
    mask = np.max([region.mask for region in found], axis=0)[..., None]
    tile = _tile((work * (_DIMMED + (1 - _DIMMED) * mask)).astype(np.uint8))
    for region in found:
        left, top, right, bottom = (round(edge * _TILE / W) for edge in region.patch)
        ImageDraw.Draw(tile).rectangle((left, top, right - 1, bottom - 1), outline=_LINE)
    return tile


def _lattice(face: FaceCut, options: VariantOptions) -> Image.Image:
    """A lattice over the face, distorted with it."""
    dimmed = Image.fromarray((face.pixels * _DIMMED).astype(np.uint8))
    draw = ImageDraw.Draw(dimmed)
    side = dimmed.width
    for place in np.linspace(0, side - 1, _LATTICE + 1):
        draw.line((place, 0, place, side), _LINE, max(1, side // _TILE))
        draw.line((0, place, side, place), _LINE, max(1, side // _TILE))
    return _tile(make_variant(replace(face, pixels=np.asarray(dimmed)), "affine", options))
