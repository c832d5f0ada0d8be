"""What post-processing does to a picture, by name.

A name is a step, or steps joined by `+`, done from left to right: `jpeg:75`, `resize:0.5:lanczos`,
`resize:0.5+jpeg:60`. The same picture under the same name always gives the same result: what is random in a step
(noise, where a crop lies) is seeded by the picture itself. `STANDARD` is the suite of the robustness table.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageFilter

from cameraborn.errors import DegradationError, PictureError
from cameraborn.files import Pixels
from cameraborn.photo.decode import MAX_PIXELS, MIN_SIDE, open_picture

Encoding = Literal["JPEG", "WEBP"]
Subsampling = Literal["4:4:4", "4:2:0"]

STANDARD = (
    *(f"jpeg:{quality}" for quality in (95, 90, 75, 60, 50, 30)),
    *("webp:80", "webp:50"),
    *("resize:0.75:bilinear", "resize:0.5:bicubic", "resize:0.5:lanczos", "resize:0.5:nearest"),
    *("resize:0.25:bicubic", "resize:1.5:bilinear", "resize:2:bicubic"),
    *("blur:1", "blur:2", "noise:2", "noise:5", "sharpen:1", "crop:0.8"),
    *("screenshot", "social", "avatar"),
)
_CHAINS = {
    # Uploaded to one site, saved from there, uploaded to the next.
    "social": "resize:0.75:lanczos+jpeg:80+resize:0.75:bilinear+jpeg:70",
    "avatar": "fit:160+jpeg:75",
}
_RESAMPLING = {
    name: Image.Resampling[name.upper()]
    for name in ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
}


@dataclass(frozen=True)
class Step:
    """One thing that is done to a picture."""

    kind: str
    number: float
    resampling: Image.Resampling


_Edit = Callable[[Pixels, Step, np.random.Generator], Pixels]


@dataclass(frozen=True)
class _Kind:
    """What can be done, and how it is written."""

    form: str
    limits: tuple[float, float] | None  # of its number: more than, at most; None: it has none
    whole: bool = False  # whole numbers only
    random: bool = False
    encoding: Encoding | None = None  # either this,
    edit: _Edit | None = None  # or this


def parse(name: str) -> tuple[Step, ...]:
    """The steps of a name, so that a wrong one is known before the first picture.

    Raises:
        DegradationError: a step is unknown, or its number is out of range; the message names the valid forms.
    """
    steps: list[Step] = []
    for part in name.split("+"):
        if part in _CHAINS:
            steps += parse(_CHAINS[part])
            continue
        step = _parse_step(part)
        if step is None:
            shown = "".join(c if c.isprintable() else "?" for c in name)
            forms = ", ".join([*(kind.form for kind in _KINDS.values()), *_CHAINS])
            raise DegradationError(
                f"{shown}: not a degradation: use {forms}, or several joined by '+'; "
                f"FILTER is one of {', '.join(_RESAMPLING)}"
            )
        steps.append(step)
    return tuple(steps)


def degrade(pixels: Pixels, name: str, *, key: str | None = None) -> Pixels:
    """Apply a named degradation to pixels [H W 3]; the result is [H' W' 3].

    Args:
        name: one of `STANDARD`, or any that `parse` takes.
        key: what seeds noise and the place of crops; by default the pixels themselves.

    Raises:
        DegradationError: the name is not one of a degradation.
        PictureError: the result would be too large for its format or for memory.
    """
    steps = parse(name)
    return _through(pixels, steps, _key(pixels, steps, key))


def degrade_bytes(pixels: Pixels, name: str, *, key: str | None = None) -> bytes:
    """The file as it is delivered: in the format of the last step, or as PNG if that only changes pixels.

    Decoded, it gives what `degrade` gives. Arguments and errors are the same.
    """
    steps = parse(name)
    key, last = _key(pixels, steps, key), steps[-1]
    pixels = _through(pixels, steps[:-1], key)
    if (encoding := _KINDS[last.kind].encoding) is not None:
        return _encoded(pixels, encoding, int(last.number))
    return _png(_through(pixels, [last], key, first=len(steps) - 1))


def edit(pixels: Pixels, kind: str, number: float, rng: np.random.Generator) -> Pixels:
    """One step that only changes pixels (`blur`, `noise`, ...), with its number, and with chance from `rng`."""
    change = _KINDS[kind].edit
    if change is None:
        raise ValueError(f"{kind} is an encoding, not an edit: use recompressed")
    return change(pixels, Step(kind, number, Image.Resampling.BICUBIC), rng)


def _parse_step(text: str) -> Step | None:
    name, *arguments = text.split(":")
    kind = _KINDS.get(name)
    filter = arguments.pop() if name == "resize" and len(arguments) == 2 else "bicubic"
    if kind is None or filter not in _RESAMPLING or len(arguments) != (kind.limits is not None):
        return None
    if kind.limits is None:
        return Step(name, 0.0, Image.Resampling.BILINEAR)
    above, at_most = kind.limits
    if not re.fullmatch(r"[0-9]+" if kind.whole else r"[0-9]*\.?[0-9]+", arguments[0]):
        return None
    number = float(arguments[0])
    return Step(name, number, _RESAMPLING[filter]) if above < number <= at_most else None


def _key(pixels: Pixels, steps: Sequence[Step], key: str | None) -> str:
    """What seeds the steps: hashing a large picture takes a while, so only where there is something to draw."""
    if key is not None or not any(_KINDS[step.kind].random for step in steps):
        return key or ""
    return f"{pixels.shape} {hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()}"


def _through(pixels: Pixels, steps: Sequence[Step], key: str, *, first: int = 0) -> Pixels:
    """Do the steps, which begin at place `first` of their chain: two of one kind draw differently."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    for place, step in enumerate(steps, first):
        kind = _KINDS[step.kind]
        if kind.encoding is not None:
            pixels = recompressed(pixels, kind.encoding, int(step.number))
        elif kind.edit is not None:
            pixels = kind.edit(pixels, step, np.random.default_rng([seed, place]))
    return pixels


def _resize(pixels: Pixels, step: Step, rng: np.random.Generator) -> Pixels:
    return resized(pixels, step.number, step.resampling)


def _fit(pixels: Pixels, step: Step, rng: np.random.Generator) -> Pixels:
    """The short side brought down to so many pixels; a smaller picture stays as it is."""
    side = min(pixels.shape[:2])
    return pixels if side <= step.number else resized(pixels, step.number / side, step.resampling)


def _blur(pixels: Pixels, step: Step, rng: np.random.Generator) -> Pixels:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(step.number)))


def _sharpen(pixels: Pixels, step: Step, rng: np.random.Generator) -> Pixels:
    """Unsharp masking with a radius of one pixel; the number is how much of the difference is added."""
    mask = ImageFilter.UnsharpMask(radius=1, percent=round(100 * step.number), threshold=0)
    return np.asarray(Image.fromarray(pixels).filter(mask))


def _noise(pixels: Pixels, step: Step, rng: np.random.Generator) -> Pixels:
    noise = rng.standard_normal(pixels.shape, np.float32)
    return np.rint(pixels + np.float32(step.number) * noise).clip(0, 255).astype(np.uint8)


def _crop(pixels: Pixels, step: Step, rng: np.random.Generator) -> Pixels:
    """That share of each side, from a place of chance: so the grid of an earlier JPEG lies anyhow."""
    H, W, _ = pixels.shape
    h, w = max(1, round(H * step.number)), max(1, round(W * step.number))
    y, x = rng.integers(H - h + 1), rng.integers(W - w + 1)
    return np.ascontiguousarray(pixels[y : y + h, x : x + w])


def _screenshot(pixels: Pixels, step: Step, rng: np.random.Generator) -> Pixels:
    """Drawn by a viewer at a size of its own, 0.6 to 1 of the picture's, and cut out by hand, nearly whole."""
    shown = resized(pixels, float(rng.uniform(0.6, 1.0)), step.resampling)
    H, W, _ = shown.shape
    top, bottom = rng.integers(0, 1 + H // 50, 2)
    left, right = rng.integers(0, 1 + W // 50, 2)
    return np.ascontiguousarray(shown[top : H - bottom, left : W - right])


_KINDS = {
    "jpeg": _Kind("jpeg:1..100", (0, 100), whole=True, encoding="JPEG"),
    "webp": _Kind("webp:1..100", (0, 100), whole=True, encoding="WEBP"),
    "resize": _Kind("resize:0..4[:FILTER]", (0, 4), edit=_resize),
    "fit": _Kind(f"fit:{MIN_SIDE}..9999 (short side, px)", (MIN_SIDE - 1, 9999), whole=True, edit=_fit),
    "blur": _Kind("blur:0..50 (sigma, px)", (0, 50), edit=_blur),
    "sharpen": _Kind("sharpen:0..10", (0, 10), edit=_sharpen),
    "noise": _Kind("noise:0..100 (sigma, grey levels)", (0, 100), edit=_noise, random=True),
    "crop": _Kind("crop:0..1 (of each side)", (0, 1), edit=_crop, random=True),
    "screenshot": _Kind("screenshot", None, edit=_screenshot, random=True),
}


def recompressed(
    pixels: Pixels, format: Encoding, quality: int, subsampling: Subsampling = "4:2:0"
) -> Pixels:
    """Encode and decode once; `subsampling` is that of a JPEG's colours."""
    with Image.open(io.BytesIO(_encoded(pixels, format, quality, subsampling))) as image:
        return np.asarray(image.convert("RGB"))


def _encoded(pixels: Pixels, format: Encoding, quality: int, subsampling: Subsampling = "4:2:0") -> bytes:
    buffer = io.BytesIO()
    try:
        Image.fromarray(pixels).save(buffer, format, quality=quality, subsampling=subsampling)
    except (OSError, ValueError) as error:
        H, W, _ = pixels.shape
        raise PictureError(
            f"{W} x {H} pixels are too many for {format}: make the picture smaller first"
        ) from error
    return buffer.getvalue()


def _png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def resized(pixels: Pixels, factor: float, resampling: Image.Resampling) -> Pixels:
    """Both sides times `factor`, at least one pixel each, antialiased."""
    H, W, _ = pixels.shape
    if H * W * factor**2 > MAX_PIXELS:
        raise PictureError(f"{W} x {H} pixels times {factor:g} are too many: make the picture smaller first")
    size = (max(1, round(W * factor)), max(1, round(H * factor)))
    return np.asarray(Image.fromarray(pixels).resize(size, resampling))


UNDEGRADED = "none"


def degrade_encoded(data: bytes, name: str, *, picture: str, key: str) -> bytes:
    """The encoded picture after a named degradation, encoded again; `none` leaves the bytes alone.

    Args:
        picture: name of the picture in errors.
        key: seeds what is random in a degradation: the picture's SHA-256.

    Raises:
        PictureError: the picture cannot be read, or the result would be too large.
    """
    if name == UNDEGRADED:
        return data
    return degrade_bytes(open_picture(data, name=picture).pixels, name, key=key)
