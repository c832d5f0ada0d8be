"""Frames of a video, one after the other: `pip install 'cameraborn[video]'` brings PyAV, which decodes them.

Whatever the length of a film, one frame is in memory at a time. Files are opened here and read as the container that
their first bytes say: nothing else is opened by what a file says of itself.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image

from cameraborn.errors import PictureError, counted, picture_error
from cameraborn.files import Pixels
from cameraborn.photo.decode import MAX_PIXELS, Picture
from cameraborn.photo.exif import Exif
from cameraborn.photo.sniff import HEAD, Kind, kind_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics of ITU-T H.273
_ROUNDING = 1e-6  # seconds
_SLACK = 1.0  # seconds that a video may end before its header says
_CONTAINERS = "MP4, MOV, Matroska, WebM, AVI, MPEG, FLV, WMV or Ogg"


Matrix = tuple[float, float, float, float]


@dataclass(frozen=True)
class Header:
    """What a video says of itself before anything is decoded: size in pixels as stored, and seconds if it says so."""

    width: int
    height: int
    seconds: float | None


@dataclass
class Video:
    """A video that is read once.

    Args:
        path: the file, or what to call `data`.
        every: seconds between two frames that are taken.
        max_pixels: larger frames are refused.
        data: the bytes of the file, if it is not to be opened.
        max_frames: after so many that are taken the rest is not looked at; None for all.
        key_frames: only frames that depend on no other are decoded: some seconds apart, and a long film in little time.
        watch: called each time a frame has been decoded; what it raises ends the reading.

    Attributes:
        notes: what a reader should know of the file, once its frames have been read.
    """

    path: str
    every: float
    max_pixels: int = MAX_PIXELS
    data: bytes | None = None
    max_frames: int | None = None
    key_frames: bool = False
    watch: Callable[[], None] = lambda: None
    notes: list[str] = field(default_factory=list)
    _turned: tuple[int, Matrix] | None = field(default=None, init=False, repr=False)

    def header(self) -> Header:
        """What it says of itself.

        Raises:
            PictureError: it is no video that can be read.
        """
        with self._opened() as (_, container, stream):
            return Header(stream.width, stream.height, _length(container, stream))

    def frames(self) -> Generator[tuple[float, Picture], None, None]:
        """Time from the start in seconds, and upright picture, of the first frame and of one in each interval after it.

        Raises:
            PictureError: it is no video that can be read, or has no frame; if it breaks off later, or some of it cannot
                be decoded, `notes` say so.
        """
        with self._opened() as (av, container, stream):
            self._check_size(stream.width, stream.height)
            # Before memory is taken for more.
            stream.codec_context.options = {"max_pixels": str(self.max_pixels)}
            # With several threads FFmpeg gives a frame out before it has noted that it is damaged.
            stream.codec_context.thread_count = 1
            if self.key_frames:
                stream.codec_context.skip_frame = "NONKEY"
            if (count := len(_films(container))) > 1:
                self.notes.append(f"the first of {count} films in the file was looked at")
            yield from self._sampled(av, container, stream)

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, InputContainer, VideoStream]]:
        av = _av(self.path)
        try:
            with self._file() as file, _container(av, file, self.path) as container:
                yield av, container, _stream(container, self.path)
        except OSError as error:
            if isinstance(error, av.FFmpegError):
                raise _unreadable(self.path, error) from error
            raise picture_error(self.path, f"cannot be read ({error.strerror})", "check the path") from error
        except av.FFmpegError as error:
            raise _unreadable(self.path, error) from error

    def _file(self) -> BinaryIO:
        return Path(self.path).open("rb") if self.data is None else io.BytesIO(self.data)

    def _sampled(
        self,
        av: Any,  # noqa: ANN401 (a module)
        container: InputContainer,
        stream: VideoStream,
    ) -> Iterator[tuple[float, Picture]]:
        start, last, due, number, taken, slack = None, 0.0, 0.0, -1, 0, max(_SLACK, self.every)
        damaged, gaps = list[float](), list[float]()  # seconds
        for frame in _decoded(av, container, stream):
            if frame is None:
                damaged.append(last)
                continue
            number += 1
            at = _time(frame, stream, number)
            start = at if start is None else start
            if self.key_frames:
                slack = max(slack, at - start - last)
            elif at - start > last + _SLACK:
                gaps.append(last)
            last = max(last, at - start)
            self.watch()
            if last > due - _ROUNDING:
                if taken == self.max_frames:
                    self.notes.append(f"the video was looked at before {last:.1f} s alone, in {taken} frames")
                    return
                taken += 1
                yield last, self._picture(frame, stream)
                due = self.every * (1 + math.floor((last + _ROUNDING) / self.every))
        if start is None:
            raise picture_error(self.path, "has no frame that can be decoded", "check that it is complete")
        if found := damaged or gaps:
            words = "is damaged" if damaged else "shows nothing new for more than a second"
            more = f", and in {counted(len(found) - 1, 'place')} more" if len(found) > 1 else ""
            self.notes.append(f"the video {words} after {found[0]:.1f} s{more}")
        length = _length(container, stream)
        if length is not None and last < length - slack:
            self.notes.append(f"the video breaks off after {last:.1f} s of {length:.1f} s")

    def _picture(self, frame: VideoFrame, stream: VideoStream) -> Picture:
        self._check_size(frame.width, frame.height)
        size = _shown_size(frame, stream)
        pixels = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
        if size != (frame.width, frame.height):
            self._check_size(*size)
            pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
            note = f"its pixels are not square: frames were stretched to {size[0]} x {size[1]}"
            self.notes += [] if note in self.notes else [note]
        if self._turned is None or self._turned[0] != frame.rotation:
            # Of a frame that is asked for its side data there is more memory than of others until it is collected.
            self._turned = frame.rotation, _matrix(frame)
        shown = np.ascontiguousarray(_upright(pixels, self._turned[1]))
        shown.flags.writeable = False
        hdr = _HDR.get(int(frame.color_trc))
        return Picture(shown, self.path, "VIDEO", None, None, None, Exif(), hdr=hdr)

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            raise picture_error(
                self.path,
                f"frames of {width} x {height} pixels are more than the limit of {self.max_pixels:,}",
                "make them smaller first",
            )


def is_video(data: bytes) -> bool:
    """Whether these are the bytes of a video, by the first of them."""
    return kind_of(data[:HEAD]) is Kind.VIDEO


def can_read_videos() -> bool:
    """Whether PyAV is there."""
    return find_spec("av") is not None


def _av(path: str) -> Any:  # noqa: ANN401 (a module)
    try:
        import av
    except ImportError as error:
        raise picture_error(path, "a video, which needs PyAV", "pip install 'cameraborn[video]'") from error
    return av


def _shown_size(frame: VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """Width and height of a frame before it is turned, once its pixels are square: the shorter way is stretched."""
    ratio = float(stream.sample_aspect_ratio or 1)
    if ratio > 1:
        return round(frame.width * ratio), frame.height
    return frame.width, round(frame.height / ratio) if ratio > 0 else frame.height


def _matrix(frame: VideoFrame) -> Matrix:
    """Where a file wants a pixel (x, y) to be shown: at (ax + cy, bx + dy); a, b, c and d (ISO 14496-12, 6.2.2)."""
    found: Any = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return 1.0, 0.0, 0.0, 1.0
    a, b, _, c, d = np.frombuffer(found, np.int32).astype(float)[:5]
    return a, b, c, d


def _upright(pixels: Pixels, matrix: Matrix) -> Pixels:
    """Turned and mirrored by that of the eight ways which is nearest to a matrix: [H W 3]."""
    a, b, c, d = matrix
    across, down = a, d  # from a pixel to its right and lower neighbours, where they are shown
    if abs(a) + abs(d) < abs(b) + abs(c):
        pixels, across, down = pixels.swapaxes(0, 1), c, b
    return pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


_BY_HEAD = (
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"FLV", "flv"),
    (b"0&\xb2u\x8ef\xcf\x11", "asf"),
    (b"OggS", "ogg"),
    (b"G", "mpegts"),
    (b"RIFF", "avi"),
    (b"\0\0\x01\xba", "mpeg"),
    (b"\0\0\x01\xb3", "mpegvideo"),
)


def _container(av: Any, file: BinaryIO, path: str) -> InputContainer:  # noqa: ANN401 (a module)
    """It is opened; its kind is told, so that a text cannot pass for a list of other files to open."""
    head = file.read(HEAD)
    if kind_of(head) is not Kind.VIDEO:
        raise picture_error(path, "not a video", f"give a video as {_CONTAINERS}")
    file.seek(0)
    format = next((name for start, name in _BY_HEAD if head.startswith(start)), "mov")
    container: InputContainer = av.open(file, format=format, metadata_errors="replace")
    return container


def _stream(container: InputContainer, path: str) -> VideoStream:
    """The first stream of pictures."""
    if films := _films(container):
        return films[0]
    if container.streams.audio:
        raise picture_error(path, "has sound alone", "give a video with pictures")
    raise picture_error(path, "holds no pictures that can be decoded", "check that it is complete")


def _films(container: InputContainer) -> list[VideoStream]:
    """Its streams of pictures, without the cover of a piece of music."""
    from av.stream import Disposition

    return [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]


def _decoded(
    av: Any,  # noqa: ANN401 (a module)
    container: InputContainer,
    stream: VideoStream,
) -> Iterator[VideoFrame | None]:
    """Frames, to the end or to where the file cannot be read any more; None where something cannot be decoded."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.EOFError):
            return
        except av.FFmpegError:
            yield None
            return
        try:
            for frame in packet.decode():
                yield None if frame.is_corrupt else frame
        except av.EOFError:
            return
        except av.FFmpegError:
            yield None


def _time(frame: VideoFrame, stream: VideoStream, number: int) -> float:
    """Seconds at which a frame is shown; by its number, where the file does not say."""
    if frame.time is not None:
        return float(frame.time)
    return number / float(stream.average_rate or 25)


def _length(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds that the header promises."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1e6


def _unreadable(path: str, error: Any) -> PictureError:  # noqa: ANN401 (of a module that may not be there)
    return picture_error(path, f"cannot be read as a video ({error.strerror})", "check that it is complete")
