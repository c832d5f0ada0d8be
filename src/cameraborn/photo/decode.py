"""Files, bytes and arrays in; upright sRGB pixels out, with the facts of the container; or one line of error.

Pictures come from strangers. So the format is recognised by content, only that format's decoder runs, the
size is checked in the header before any pixel is decoded, and every failure is a `PictureError` naming the
next step. Pillow's settings are left alone: many threads may decode at once, inside applications with theirs.
"""

import hashlib
import importlib.util
import logging
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import PIL.Image
from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from cameraborn.errors import picture_error
from cameraborn.files import Pixels
from cameraborn.photo.colour import PROFILE, to_srgb
from cameraborn.photo.damage import Damage, as_stored, damage_of
from cameraborn.photo.damage_png import with_its_end
from cameraborn.photo.damage_tiff import tiff_pieces
from cameraborn.photo.declared_colours import colours_of
from cameraborn.photo.exif import MALFORMED, Exif, pillow_warnings_silenced, read_exif, read_orientation
from cameraborn.photo.feed import JPEG_END, EndOfFile, JpegFeed, WebpFeed, WholeFile
from cameraborn.photo.jpeg import jpeg_quality, jpeg_tables, subsampling
from cameraborn.photo.jpeg_xl import decoded as decoded_jpeg_xl
from cameraborn.photo.jpeg_xl import header_of as jpeg_xl_header
from cameraborn.photo.jpeg_xl import jpeg_xl_available
from cameraborn.photo.libtiff import libtiff_errors
from cameraborn.photo.sniff import decoder_of, refuse_special

MIN_SIDE = 16  # pixels; nothing can be said of a smaller picture
MAX_PIXELS = 200_000_000  # the largest phone sensors; 8 to 12 bytes each while decoding: docs/reliability.md
_STRIP = 1 << 20  # pixels that become an array at a time: Pillow makes two more copies on the way
MAX_BYTES = 1 << 30  # of an encoded file
_AGAIN = "copy or download it again"
SUPPORTED_EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
    | {".avif", ".heic", ".heif", ".hif"}
)

PictureSource = str | os.PathLike[str] | bytes | BinaryIO | PIL.Image.Image | Pixels


# Pillow's classes rather than Image.open, which obeys the host's global limit on size and warns below it.
class _TiffImage(TiffImageFile):
    """Decodes whatever its size is, which is checked before: Pillow's class obeys that limit."""

    def load_prepare(self) -> None:
        """Make room for the pixels as they are stored."""
        if self._im is None:
            self.im = Image.new(self.mode, (self.tag_v2[256], self.tag_v2[257])).im
        super().load_prepare()


_DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "TIFF": _TiffImage,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "AVIF": AvifImageFile,
}
ANIMATED = frozenset({"GIF", "WEBP", "PNG", "AVIF"})  # those of TIFF and HEIC are other pictures
_HDR = "cameraborn.hdr"  # what we put into `Image.info`
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

    pixels: Pixels  # [H W 3] sRGB, upright, C-contiguous, read-only
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
    hdr: str | None = None  # "PQ" or "HLG": the pixels are not what a display of high dynamic range shows
    frame: int | None = None  # which frame of an animation this is, from 0; None if it is none
    frames_seen: tuple[int, int] | None = None  # looked at so many of the first so many; None: at all of them
    more_pictures: bool = False  # it is one of several in a TIFF or HEIC, or another JPEG follows it


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


def open_listed(path: str | os.PathLike[str]) -> Picture:
    """As `open_picture`, of a path that a manifest or a configuration names: only regular files are opened.

    Raises:
        PictureError: as `open_picture`, and for a pipe, socket or device.
    """
    refuse_special(path)
    return open_picture(path)


def open_upright(path: Path) -> Image.Image:
    """The same pixels as a Pillow picture, and nothing else: what training asks for again and again.

    Turning a large photograph into an array takes as long as decoding it; where a crop is wanted, cut it out first.

    Raises:
        PictureError: as `open_listed`.
    """
    refuse_special(path)
    data, label = read_encoded(path, None)
    image, format = recognised(data, label)
    return _upright(image, label, format, MAX_PIXELS)


def heic_available() -> bool:
    """Return whether HEIC can be read, that is, whether pillow-heif is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


def _supported() -> str:
    heic = "HEIC" if heic_available() else "HEIC with pip install 'cameraborn[heic]'"
    jxl = "JPEG XL" if jpeg_xl_available() else "JPEG XL with pip install 'cameraborn[jxl]'"
    return ", ".join([*_DECODERS, heic, jxl])


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
        raise picture_error(label, "empty file (0 bytes)", _AGAIN)
    if len(data) > MAX_BYTES:
        raise picture_error(
            label, f"file larger than {MAX_BYTES >> 20} MiB", "save it smaller, as JPEG or PNG"
        )
    return data, label


def _read_path(path: Path, label: str) -> bytes:
    try:
        if path.is_dir():
            if not os.access(path, os.R_OK | os.X_OK):
                raise picture_error(
                    label, "a folder that this user may not open", "make it readable, or leave it out"
                )
            raise picture_error(label, "a directory, not a picture", "name the pictures inside it")
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise picture_error(label, "no such file", "check the path") from None
    except PermissionError:
        raise picture_error(label, "permission denied", "make the file readable for this user") from None
    except (OSError, ValueError) as error:
        raise picture_error(label, f"cannot be read ({error})", "check the path and the disk") from error


def _read_stream(stream: BinaryIO, label: str) -> bytes:
    try:
        data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise picture_error(
            label, f"stream cannot be read ({error})", "open it again in binary mode"
        ) from error
    if not isinstance(data, bytes):
        raise picture_error(label, "stream in text mode", "open it in binary mode, 'rb'")
    return data


def _open(data: bytes, format: str, label: str) -> Image.Image:
    """Read the header with the decoder of `format`; JPEG XL is decoded at once."""
    if format == "JPEG XL":
        found = decoded_jpeg_xl(data)
        return _open(found, "JPEG", label) if isinstance(found, bytes) else found
    decoder = _DECODERS.get(format) or _heif_decoder(label)
    try:
        if format != "JPEG":
            return decoder((WebpFeed if format == "WEBP" else WholeFile)(with_its_end(data)))
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


def recognised(data: bytes, label: str) -> tuple[Image.Image, str]:
    """The picture, its header read and (but for JPEG XL) nothing decoded, and the name of its format."""
    format = decoder_of(data)
    if format is None:
        problem = f"not a picture in a supported format ({_supported()})"
        raise picture_error(label, problem, "check it, or convert it to JPEG or PNG")
    if data[12:16] == b"VP8X":  # a WebP whose decoder makes room for all pixels before it tells their number
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        _check_size(width, height, label, MAX_PIXELS)
    if format == "JPEG XL":
        _check_jpeg_xl(data, label)
    with named_errors(label, format):
        image = _open(data, format, label)
    colours = colours_of(data, image.info)
    icc = None if colours.before_icc else image.info.get("icc_profile")
    image.info |= {_HDR: colours.hdr, PROFILE: icc or colours.profile}
    return image, format


def _check_jpeg_xl(data: bytes, label: str) -> None:
    """Refuse what cannot be decoded, should not be, or would be decoded to something else."""
    if not jpeg_xl_available():
        raise picture_error(label, "JPEG XL needs an optional package", "pip install 'cameraborn[jxl]'")
    with named_errors(label, "JPEG XL"):
        header = jpeg_xl_header(data)
    _check_size(header.width, header.height, label, MAX_PIXELS)
    if header.animated:
        raise picture_error(label, "an animation in JPEG XL, which cannot be read", "save it as PNG or WebP")


def _heif_decoder(label: str) -> type[ImageFile.ImageFile]:
    if not heic_available():
        raise picture_error(label, "HEIC needs an optional package", "pip install 'cameraborn[heic]'")
    from pillow_heif import HeifImageFile

    return cast("type[ImageFile.ImageFile]", HeifImageFile)


@contextmanager
def named_errors(name: str, format: str) -> Iterator[list[str]]:
    """Turn whatever a decoder raises into one line that names the picture and the next step.

    It yields what libtiff reports of a TIFF meanwhile: it often goes on, and nothing is raised.
    """
    said: list[str] = []
    try:
        with pillow_warnings_silenced(), libtiff_errors() if format == "TIFF" else nullcontext(said) as said:
            yield said
    except EndOfFile:
        raise picture_error(name, f"truncated {format} (the file ends early)", _AGAIN) from None
    except Image.DecompressionBombError as error:
        raise picture_error(name, "more pixels than can be decoded", "make it smaller first") from error
    except MemoryError as error:
        raise picture_error(
            name, "too large for the free memory", "free some, or make it smaller first"
        ) from error
    except _DAMAGED as error:
        reason = said[0] if said else str(error)[:100] or type(error).__name__
        raise picture_error(name, f"damaged or truncated {format} ({reason})", _AGAIN) from error


def _from_array(array: Pixels, name: str, max_pixels: int) -> Picture:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        found = f"{array.dtype} {list(array.shape)}"
        raise picture_error(
            name, f"array is {found}, not uint8 [H, W, 3]", "convert it to RGB with values 0..255"
        )
    _check_size(array.shape[1], array.shape[0], name, max_pixels)
    pixels = np.array(array, order="C")
    pixels.flags.writeable = False
    return Picture(pixels, name, "ARRAY", None, None, None, Exif())


def _from_image(image: Image.Image, name: str, format: str, max_pixels: int, data: bytes | None) -> Picture:
    with named_errors(name, format) as said:
        source = tiff_pieces(image) or getattr(image, "fp", None)  # gone once it is loaded
        _load(image, name, format, max_pixels)
        orientation = read_orientation(image)
        pixels = _array_of(image, orientation, name)
        damage = Damage() if data is None else damage_of(data, source, image, pixels, orientation, said)
    pixels.flags.writeable = False
    exif = read_exif(image)
    return Picture(
        pixels=pixels,
        name=name,
        format=format,
        n_bytes=None if data is None else len(data),
        sha256=None if data is None else hashlib.sha256(data).hexdigest(),
        jpeg_quality=jpeg_quality(image) if isinstance(image, JpegImageFile) else None,
        exif=exif,
        jpeg_tables=jpeg_tables(image) if isinstance(image, JpegImageFile) else None,
        subsampling=subsampling(image) if isinstance(image, JpegImageFile) else None,
        has_icc=bool(image.info.get("icc_profile")),
        has_exif=bool(image.info.get("exif")) or exif != Exif(),
        damage=damage,
        hdr=image.info.get(_HDR),
        frame=_frame_of(image, format),
        more_pictures=(format in ("TIFF", "HEIF") and getattr(image, "is_animated", False))
        or _is_followed(image, source),
    )


def _is_followed(image: Image.Image, source: object) -> bool:
    """Whether another JPEG begins where this one ends, as of `cat a.jpg b.jpg`; those that an MPO lists are its own."""
    if not isinstance(source, JpegFeed) or source.parts.end is None or "mp" in image.info:
        return False
    behind = source.parts.end + len(JPEG_END)
    return source.data[behind : behind + 3] == b"\xff\xd8\xff"


def _array_of(image: Image.Image, orientation: int, name: str) -> Pixels:
    """The pixels of a picture that is loaded, upright and in sRGB, [H W 3]."""
    W, H = image.size
    pixels = np.empty((W, H, 3) if orientation >= 5 else (H, W, 3), np.uint8)
    stored = as_stored(pixels, orientation)
    rows = max(1, _STRIP // W)
    for top in range(0, H, rows):
        box = (0, top, W, min(top + rows, H))
        stored[top : top + rows] = np.asarray(to_srgb(image.crop(box), name))
    return pixels


def _frame_of(image: Image.Image, format: str) -> int | None:
    if format not in ANIMATED:
        return None
    try:
        return image.tell() if getattr(image, "is_animated", False) else None
    except _DAMAGED:  # looking for a second frame, behind the picture that was read
        return None


def _upright(image: Image.Image, name: str, format: str, max_pixels: int) -> Image.Image:
    """Decode it: mode RGB, in sRGB, turned as its EXIF says."""
    with named_errors(name, format):
        _load(image, name, format, max_pixels)
        rgb = to_srgb(image, name)
        method = _UPRIGHT.get(read_orientation(image))
        return rgb if method is None else rgb.transpose(method)


def _load(image: Image.Image, name: str, format: str, max_pixels: int) -> None:
    """Decode the pixels as they are stored, if they are not too many."""
    _check_size(*image.size, name, max_pixels)
    if image.mode == "F":
        raise picture_error(
            name, "floating-point picture, whose range is not known", "save it with 8 or 16 bits"
        )
    feed = getattr(image, "fp", None)
    with named_errors(name, format):
        image.load()
        if isinstance(feed, JpegFeed) and feed.lacks_data(image):
            raise EndOfFile("the file ends early")


def _check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    size = f"{width} x {height} pixels"
    if width * height > max_pixels:
        raise picture_error(
            name, f"{size} are more than the limit of {max_pixels:,}", "make it smaller first"
        )
    if min(width, height) < MIN_SIDE:
        raise picture_error(name, f"{size} are too few", f"use a version of at least {MIN_SIDE} x {MIN_SIDE}")
