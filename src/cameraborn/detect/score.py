"""The verdicts on one input, whatever it is: a picture or a video, on a disk, in memory or in a storage."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from cameraborn.detect.detector import Detector
from cameraborn.detect.verdict import Verdict
from cameraborn.detect.video import score_video
from cameraborn.engine.storage import is_address, opened
from cameraborn.errors import PictureError, StorageError, picture_error
from cameraborn.photo.decode import MAX_BYTES, PictureSource
from cameraborn.photo.sniff import HEAD, Kind, kind_of, kind_of_file

_BLOCK = 1 << 20  # bytes of a video that are fetched at a time


@dataclass(frozen=True)
class ScoreOptions:
    """How inputs are judged.

    Attributes:
        false_alarm: share of photographs that may be flagged.
        whole_image: take whole pictures instead of the faces in them.
        every: of videos, seconds between two frames that are looked at.
        frames: of videos, have a row for each frame as well.
    """

    false_alarm: float = 0.05
    whole_image: bool = False
    every: float = 0.5
    frames: bool = False


def verdicts_on(detector: Detector, source: PictureSource, options: ScoreOptions) -> list[Verdict]:
    """The verdicts on a picture or a video; one that says why, if it cannot be read.

    Raises:
        CalibrationError: the bundle's calibration cannot support the rate.
        BundleError: the bundle lacks evidence or a calibration.
    """
    if isinstance(source, str) and is_address(source):
        return _on_stored(detector, source, options)
    if isinstance(source, str) and kind_of_file(source) is Kind.VIDEO:
        return _on_video(detector, source, options)
    return _on_picture(detector, source, options)


def _on_picture(
    detector: Detector, source: PictureSource, options: ScoreOptions, name: str | None = None
) -> list[Verdict]:
    return detector.score(
        source, false_alarm_rate=options.false_alarm, whole_image=options.whole_image, name=name
    )


def _on_video(detector: Detector, path: str, options: ScoreOptions) -> list[Verdict]:
    try:
        return score_video(
            detector, path, every=options.every, each_frame=options.frames, whole_image=options.whole_image
        )
    except PictureError as error:
        return [detector.unreadable(path, error)]


def _on_stored(detector: Detector, address: str, options: ScoreOptions) -> list[Verdict]:
    try:
        with opened(address) as file:
            head = file.read(HEAD)
            if kind_of(head) is Kind.VIDEO:
                return _on_stored_video(detector, address, head, file, options)
            data = head + file.read(MAX_BYTES + 1 - len(head))
    except FileNotFoundError:
        return [detector.unreadable(address, picture_error(address, "no such file", "check the address"))]
    except StorageError as error:
        return [detector.unreadable(address, PictureError(str(error)))]
    return _on_picture(detector, data, options, name=address)


def _on_stored_video(
    detector: Detector, address: str, head: bytes, rest: IO[bytes], options: ScoreOptions
) -> list[Verdict]:
    """The same from a copy on the disk, whose name nobody is told."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "video"
        with copy.open("wb") as file:
            file.write(head)
            while block := rest.read(_BLOCK):
                file.write(block)
        return [
            replace(verdict, path=address, error=verdict.error and verdict.error.replace(str(copy), address))
            for verdict in _on_video(detector, str(copy), options)
        ]
