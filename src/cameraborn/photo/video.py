"""Frames of a video, one after the other: `pip install 'cameraborn[video]'` brings PyAV, which decodes them.

Whatever the length of a film, one frame is in memory at a time. Files are opened here and read as the container that
their first bytes say: nothing else is opened by what a file says of itself.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from cameraborn.errors import PictureError, picture_error
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


@dataclass
class Video:
    """A video that is read once.

    Args:
        path: the file.
        every: seconds between two frames that are taken.
        max_pixels: larger frames are refused.

    Attributes:
        notes: what a reader should know of the file, once its frames have been read.
    """

    path: str
    every: float
    max_pixels: int = MAX_PIXELS
    notes: list[str] = field(default_factory=list)

    def frames(self) -> Generator[tuple[float, Picture], None, None]:
        """Time from the start in seconds, and upright picture, of the first frame and of one in each interval after it.

        Raises:
            PictureError: it is no video that can be read, or has no frame; if it breaks off later, `notes` say so.
        """
        av = _av(self.path)
        try:
            with Path(self.path).open("rb") as file, _opened(av, file, self.path) as container:
                stream = _stream(container, self.path)
                yield from self._sampled(av, container, stream)
        except OSError as error:
            if isinstance(error, av.FFmpegError):
                raise _unreadable(self.path, error) from error
            raise picture_error(self.path, f"cannot be read ({error.strerror})", "check the path") from error
        except av.FFmpegError as error:
            raise _unreadable(self.path, error) from error

    def _sampled(
        self,
        av: Any,  # noqa: ANN401 (a module)
        container: InputContainer,
        stream: VideoStream,
    ) -> Iterator[tuple[float, Picture]]:
        start, last, due, number = None, 0.0, 0.0, -1
        frames = container.decode(stream)
        while True:
            try:
                frame = next(frames)
            except (StopIteration, av.EOFError):
                break
            except av.FFmpegError as error:
                if start is None:
                    raise
                self.notes.append(f"the video breaks off after {last:.1f} s ({error.strerror})")
                return
            number += 1
            at = _time(frame, stream, number)
            start = at if start is None else start
            last = max(last, at - start)
            if last > due - _ROUNDING:
                yield last, self._picture(frame)
                due = self.every * (1 + math.floor((last + _ROUNDING) / self.every))
        if start is None:
            raise picture_error(self.path, "has no frame that can be decoded", "check that it is complete")
        length = _length(container, stream)
        if length is not None and last < length - max(_SLACK, self.every):
            self.notes.append(f"the video breaks off after {last:.1f} s of {length:.1f} s")

    def _picture(self, frame: VideoFrame) -> Picture:
        if frame.width * frame.height > self.max_pixels:
            raise picture_error(
                self.path,
                f"frames of {frame.width} x {frame.height} pixels are more than the limit of {self.max_pixels:,}",
                "make them smaller first",
            )
        pixels = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
        turned: Pixels = np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))
        turned.flags.writeable = False
        hdr = _HDR.get(int(frame.color_trc))
        return Picture(turned, self.path, "VIDEO", None, None, None, Exif(), hdr=hdr)


def _av(path: str) -> Any:  # noqa: ANN401 (a module)
    try:
        import av
    except ImportError as error:
        raise picture_error(path, "a video, which needs PyAV", "pip install 'cameraborn[video]'") from error
    return av


_BY_HEAD = (
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"RIFF", "avi"),
    (b"\0\0\x01\xba", "mpeg"),
    (b"\0\0\x01\xb3", "mpegvideo"),
)


def _opened(av: Any, file: BinaryIO, path: str) -> InputContainer:  # noqa: ANN401 (a module)
    """The container; its kind is told, so that a text cannot pass for a list of other files to open."""
    head = file.read(HEAD)
    if kind_of(head) is not Kind.VIDEO:
        raise picture_error(path, "not a video", "give a video as MP4, MOV, Matroska, WebM, AVI or MPEG")
    file.seek(0)
    format = next((name for start, name in _BY_HEAD if head.startswith(start)), "mov")
    container: InputContainer = av.open(file, format=format, metadata_errors="replace")
    return container


def _stream(container: InputContainer, path: str) -> VideoStream:
    """The first stream of pictures that is not the cover of a piece of music."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    if container.streams.audio:
        raise picture_error(path, "has sound alone", "give a video with pictures")
    raise picture_error(path, "holds no pictures that can be decoded", "check that it is complete")


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
