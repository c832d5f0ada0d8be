"""Files, bytes and arrays in; upright sRGB pixels out, with the facts of the container; or one line of error.

Pictures come from strangers. So the format is recognised by content, only that format's decoder runs, the
size is checked in the header before any pixel is decoded, and every failure is a `PictureError` naming the
next step. Pillow's settings are left alone: many threads may decode at once, inside applications with theirs.
"""

import hashlib
import importlib.util
import io
import logging
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from cameraborn.errors import PictureError
from cameraborn.photo.declared_colours import colours_of
from cameraborn.photo.damage import Damage, damage_of, with_its_end
from cameraborn.photo.exif import MALFORMED, Exif, pillow_warnings_silenced, read_exif, read_orientation
from cameraborn.photo.feed import EndOfFile, JpegFeed, WholeFile
from cameraborn.photo.libtiff import libtiff_words

MIN_SIDE = 16  # pixels; nothing can be said of a smaller picture
MAX_PIXELS = 200_000_000  # the largest phone sensors; about 1.5 GB of memory while decoding
MAX_BYTES = 1 << 30  # of an encoded file
_AGAIN = "copy or download it again"
SUPPORTED_EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
    | {".avif", ".heic", ".heif", ".hif"}
)

PictureSource = str | os.PathLike[str] | bytes | BinaryIO | PIL.Image.Image | NDArray[np.uint8]

# Pillow's classes rather than Image.open, which obeys the host's global limit on size and warns below it.
_DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "TIFF": TiffImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "AVIF": AvifImageFile,
}
_MAGIC: dict[str, tuple[bytes, ...]] = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "BMP": (b"BM",),
}
_HDR, _PROFILE = "cameraborn.hdr", "cameraborn.profile"  # what we put into `Image.info`
_DAMAGED = (*MALFORMED, EOFError, RuntimeError, zlib.error)  # what decoders raise on damaged files
_UPRIGHT = {  # EXIF orientation -> what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow logs some damage as errors; without a handler Python prints those to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture and what its file says of itself."""

    pixels: NDArray[np.uint8]  # [H W 3] sRGB, upright, C-contiguous, read-only
    name: str  # what error messages and result rows call it
    format: str  # "JPEG", "PNG", ...; "ARRAY" for arrays, "IMAGE" for Pillow pictures that have none
    n_bytes: int | None  # size of the encoded file; None for arrays and Pillow pictures
    sha256: str | None  # hex, of the encoded file
    jpeg_quality: int | None  # IJG quality 1..100 that comes nearest to the luminance table; None if not JPEG
    exif: Exif
    jpeg_tables: str | None = None  # fingerprint of all quantisation tables; None if not JPEG
    subsampling: str | None = None  # of the chroma, "4:2:0", "4:4:4", ..., "grey"; None if not JPEG
    has_icc: bool = False  # a colour profile is embedded
    has_exif: bool = False  # an EXIF block is there, whatever it says
    damage: Damage = field(default_factory=Damage)  # of the file
    hdr: str | None = (
        None  # "PQ" or "HLG", a curve of high dynamic range: the pixels are not those that a display shows
    )


def open_picture(source: PictureSource, *, name: str | None = None, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode `source` to upright sRGB.

    Colours follow the embedded ICC profile; 16-bit greyscale is scaled by range; transparency is laid over
    white; of animations and multi-page files the first picture is read.

    Args:
        source: path, encoded bytes, binary stream, Pillow picture, or uint8 array [H W 3] (copied).
        name: what to call the picture; by default its path.
        max_pixels: larger pictures are refused from their header.

    Raises:
        PictureError: it cannot be read, or is no picture of a supported format and size.
        TypeError: `source` is none of the above.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, name or "<array>", max_pixels)
    if isinstance(source, Image.Image):
        label = name or str(getattr(source, "filename", "") or "<image>")
        return _from_image(source, label, source.format or "IMAGE", max_pixels, None)
    data, label = read_encoded(source, name)
    image, format = recognised(data, label)
    return _from_image(image, label, format, max_pixels, data)


def open_upright(path: Path) -> Image.Image:
    """The same pixels as a Pillow picture, and nothing else: what training asks for again and again.

    Turning a large photograph into an array takes as long as decoding it; where a crop is wanted, cut it out first.

    Raises:
        PictureError: as `open_picture`.
    """
    data, label = read_encoded(path, None)
    image, format = recognised(data, label)
    return _upright(image, label, format, MAX_PIXELS)


def heic_available() -> bool:
    """Return whether HEIC can be read, that is, whether pillow-heif is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


def _error(name: str, problem: str, advice: str) -> PictureError:
    line = f"{name}: {problem}: {advice}"
    return PictureError("".join(c if c.isprintable() else "?" for c in line))


def _supported() -> str:
    return ", ".join([*_DECODERS, "HEIC" if heic_available() else "HEIC with pip install 'cameraborn[heic]'"])


def read_encoded(source: str | os.PathLike[str] | bytes | BinaryIO, name: str | None) -> tuple[bytes, str]:
    """Return the encoded bytes and what to call them."""
    if isinstance(source, bytes | bytearray | memoryview):
        label, data = name or "<bytes>", bytes(source)
    elif isinstance(source, str | os.PathLike):
        label = name or os.fsdecode(source)
        data = _read_path(Path(os.fsdecode(source)), label)
    elif hasattr(source, "read"):
        stream_name = getattr(source, "name", None)
        label = name or (stream_name if isinstance(stream_name, str) else "<stream>")
        data = _read_stream(source, label)
    else:
        raise TypeError(f"not a path, bytes, binary stream, Pillow picture or array: {type(source)}")
    if not data:
        raise _error(label, "empty file (0 bytes)", _AGAIN)
    if len(data) > MAX_BYTES:
        raise _error(label, f"file larger than {MAX_BYTES >> 20} MiB", "save it smaller, as JPEG or PNG")
    return data, label


def _read_path(path: Path, label: str) -> bytes:
    try:
        if path.is_dir():
            raise _error(label, "a directory, not a picture", "name the pictures inside it")
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _error(label, "no such file", "check the path") from None
    except PermissionError:
        raise _error(label, "permission denied", "make the file readable for this user") from None
    except (OSError, ValueError) as error:
        raise _error(label, f"cannot be read ({error})", "check the path and the disk") from error


def _read_stream(stream: BinaryIO, label: str) -> bytes:
    try:
        data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise _error(label, f"stream cannot be read ({error})", "open it again in binary mode") from error
    if not isinstance(data, bytes):
        raise _error(label, "stream in text mode", "open it in binary mode, 'rb'")
    return data


def _sniff(data: bytes) -> str | None:
    """Return the format that the first bytes announce."""
    for format, magic in _MAGIC.items():
        if data.startswith(magic):
            return format
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":  # one container for both: a list of four-letter brands tells which
        box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        brands = {box[i : i + 4] for i in range(0, len(box), 4)}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
            return "HEIF"
    return None


def _open(data: bytes, format: str, label: str) -> ImageFile.ImageFile:
    """Read the header with the decoder of `format`."""
    decoder = _DECODERS.get(format) or _heif_decoder(label)
    try:
        if format != "JPEG":
            return decoder(WholeFile(with_its_end(data)))
        feed = JpegFeed(data)
        feed.watch(image := decoder(feed))
        return image
    except (SyntaxError, ValueError, OSError):
        # Two decoders give up on a malformed EXIF block, which must not cost the picture.
        if format == "PNG" and (at := data.find(b"eXIf")) > 0:
            chunk_end = at + 8 + int.from_bytes(data[at - 4 : at], "big")
            return decoder(WholeFile(data[: at - 4] + data[chunk_end:]))
        if format == "AVIF" and b"Exif" in data:
            return decoder(WholeFile(data.replace(b"Exif", b"skip", 1)))
        raise


def recognised(data: bytes, label: str) -> tuple[ImageFile.ImageFile, str]:
    """The picture, its header read and nothing decoded, and the name of its format."""
    format = _sniff(data)
    if format is None:
        problem = f"not a picture in a supported format ({_supported()})"
        raise _error(label, problem, "check it, or convert it to JPEG or PNG")
    with named_errors(label, format):
        image = _open(data, format, label)
    colours = colours_of(data, image.info)
    icc = None if colours.before_icc else image.info.get("icc_profile")
    image.info |= {_HDR: colours.hdr, _PROFILE: icc or colours.profile}
    return image, format


def _heif_decoder(label: str) -> type[ImageFile.ImageFile]:
    if not heic_available():
        raise _error(label, "HEIC needs an optional package", "pip install 'cameraborn[heic]'")
    from pillow_heif import HeifImageFile

    return cast("type[ImageFile.ImageFile]", HeifImageFile)


@contextmanager
def named_errors(name: str, format: str) -> Iterator[None]:
    """Turn whatever a decoder raises, and libtiff says, into one line that names the picture and the next step."""
    words: list[str] = []
    try:
        with pillow_warnings_silenced(), libtiff_words() as words:
            yield
    except EndOfFile:
        raise _error(name, f"truncated {format} (the file ends early)", _AGAIN) from None
    except Image.DecompressionBombError as error:
        raise _error(name, f"too large ({error})", "make it smaller first") from error
    except MemoryError as error:
        raise _error(name, "too large for the free memory", "free some, or make it smaller first") from error
    except _DAMAGED as error:
        reason = (words[0] if words else str(error))[:100] or type(error).__name__
        raise _error(name, f"damaged or truncated {format} ({reason})", _AGAIN) from error


def _from_array(array: NDArray[np.uint8], name: str, max_pixels: int) -> Picture:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        found = f"{array.dtype} {list(array.shape)}"
        raise _error(name, f"array is {found}, not uint8 [H, W, 3]", "convert it to RGB with values 0..255")
    _check_size(array.shape[1], array.shape[0], name, max_pixels)
    pixels = np.array(array, order="C")
    pixels.flags.writeable = False
    return Picture(pixels, name, "ARRAY", None, None, None, Exif())


def _from_image(image: Image.Image, name: str, format: str, max_pixels: int, data: bytes | None) -> Picture:
    feed = getattr(image, "fp", None)  # gone once it is loaded
    with libtiff_words() as words, named_errors(name, format):
        pixels = np.ascontiguousarray(_upright(image, name, format, max_pixels))
        damage = (
            Damage.of_whole(words, pixels)
            if words
            else damage_of(data or b"", feed, pixels, read_orientation(image))
        )
    pixels.flags.writeable = False
    exif = read_exif(image)
    return Picture(
        pixels=pixels,
        name=name,
        format=format,
        n_bytes=None if data is None else len(data),
        sha256=None if data is None else hashlib.sha256(data).hexdigest(),
        jpeg_quality=_jpeg_quality(image) if isinstance(image, JpegImageFile) else None,
        exif=exif,
        jpeg_tables=_jpeg_tables(image) if isinstance(image, JpegImageFile) else None,
        subsampling=_subsampling(image) if isinstance(image, JpegImageFile) else None,
        has_icc=bool(image.info.get("icc_profile")),
        has_exif=bool(image.info.get("exif")) or exif != Exif(),
        damage=damage,
        hdr=image.info.get(_HDR),
    )


def _upright(image: Image.Image, name: str, format: str, max_pixels: int) -> Image.Image:
    """Decode it: mode RGB, in sRGB, turned as its EXIF says."""
    _check_size(*image.size, name, max_pixels)
    if image.mode == "F":
        raise _error(name, "floating-point picture, whose range is not known", "save it with 8 or 16 bits")
    feed = getattr(image, "fp", None)
    with named_errors(name, format):
        image.load()
        if isinstance(feed, JpegFeed) and feed.lacks_data(image):
            raise EndOfFile("the file ends early")
        rgb = _to_srgb(image, name)
        method = _UPRIGHT.get(read_orientation(image))
        return rgb if method is None else rgb.transpose(method)


def _check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    size = f"{width} x {height} pixels"
    if width * height > max_pixels:
        raise _error(name, f"{size} are more than the limit of {max_pixels:,}", "make it smaller first")
    if min(width, height) < MIN_SIDE:
        raise _error(name, f"{size} are too few", f"use a version of at least {MIN_SIDE} x {MIN_SIDE}")


def _to_srgb(image: Image.Image, name: str) -> Image.Image:
    """Return mode RGB: greys scaled, colours through the ICC profile, transparency over white."""
    profile = image.info.get(_PROFILE, image.info.get("icc_profile"))
    if image.mode.startswith("I"):
        image = _reduce_to_8_bits(image, name)
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in {"1", "L", "LA", "La"} else "RGBA")
        alpha = image.getchannel("A")
    if image.mode not in {"RGB", "L", "CMYK", "LAB"}:
        image = image.convert("L" if image.mode in {"1", "LA"} else "RGB")
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
        raise _error(name, "32-bit greyscale, whose range is not known", "save it with 8 or 16 bits")
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
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return cast(Image.Image, ImageCms.profileToProfile(image, source, srgb, outputMode="RGB"))


def _jpeg_quality(image: JpegImageFile) -> int | None:
    """Return the quality whose standard luminance table is nearest (sum of absolute differences)."""
    if not image.quantization:
        return None
    table = image.quantization.get(0) or next(iter(image.quantization.values()))
    luminance = np.minimum(table, 255)  # the standard tables below are clipped so too
    return int(np.abs(_ijg_tables() - luminance).sum(axis=1).argmin()) + 1


def _jpeg_tables(image: JpegImageFile) -> str:
    tables = sorted((number, tuple(table)) for number, table in image.quantization.items())
    return hashlib.sha256(repr(tables).encode()).hexdigest()[:6]


def _subsampling(image: JpegImageFile) -> str:
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
    tables: NDArray[np.int64] = np.clip((k1 * percent + 50) // 100, 1, 255)
    return tables


_T81_TABLE_K1 = """
    16 11 10 16 24 40 51 61  12 12 14 19 26 58 60 55  14 13 16 24 40 57 69 56  14 17 22 29 51 87 80 62
    18 22 37 56 68 109 103 77  24 35 55 64 81 104 113 92  49 64 78 87 103 121 120 101
    72 92 95 98 112 100 103 99
"""
