"""What is done for one picture in a thread: judging it or explaining it, within the limits."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from cameraborn.detect.detector import Detector
from cameraborn.detect.explain import explain_observed
from cameraborn.detect.explain_plot import draw_explanation
from cameraborn.detect.observe import Observation
from cameraborn.detect.score import ScoreOptions
from cameraborn.detect.verdict import Verdict
from cameraborn.detect.video import judge_video
from cameraborn.errors import PictureError, picture_error
from cameraborn.photo.decode import Picture, recognised
from cameraborn.photo.frames import frames
from cameraborn.photo.provenance import Provenance, read_provenance, unreadable
from cameraborn.photo.video import Video, can_read_videos, is_video
from cameraborn.serve.limits import (
    Limits,
    no_videos,
    too_many_faces,
    too_many_frames,
    too_many_pixels,
)
from cameraborn.serve.uploads import Upload

_EVERY = ScoreOptions.every  # seconds between two frames of a video, unless told otherwise
_drawing = threading.Lock()  # matplotlib is not made for threads


class Stop(Protocol):
    """Tells whether anybody still waits, as a `threading.Event` does."""

    def is_set(self) -> bool:
        """Whether to end."""
        ...


class Stopped(Exception):
    """Nobody waits for the result any more."""


class _Film(Video):
    """A video of which the part has rows that was looked at before work on it had to end."""

    def frames(self) -> Generator[tuple[float, Picture], None, None]:
        """As of a `Video`."""
        last = None
        try:
            for last, picture in super().frames():
                yield last, picture
        except Stopped:
            if last is None:
                raise
            self.notes.append(f"there was time to look at the video up to {last:.1f} s alone")


@dataclass(frozen=True)
class Work:
    """The work of one request.

    Attributes:
        detector: it judges.
        limits: what a picture may be.
        stop: set when nobody waits any more; work ends before the next frame.
        whole_image: judge whole pictures.
        every: seconds between two frames of a video that are looked at; None for as many as are allowed, at most two
            a second.
        each_frame: after the row of a face in a video, one for each of its frames.
    """

    detector: Detector
    limits: Limits
    stop: Stop
    whole_image: bool = False
    every: float | None = None
    each_frame: bool = False

    def check_size(self, upload: Upload) -> None:
        """See by its header that a picture or video is not too large; what cannot be read is left to `judge`.

        Raises:
            Refusal: it is, or it is a video and none are taken.
        """
        try:
            if is_video(upload.data):
                size = self._size_of_video(upload)
            else:
                image, _ = recognised(upload.data, upload.name)
                size = image.size
        except PictureError:
            return
        if size[0] * size[1] > self.limits.max_pixels:
            raise too_many_pixels(upload.name, size, self.limits)

    def _size_of_video(self, upload: Upload) -> tuple[int, int]:
        if not self.limits.max_frames:
            raise no_videos(upload.name, "this server takes none")
        if not can_read_videos():
            raise no_videos(upload.name, "this server lacks PyAV, which its operator can install")
        header = self._video(upload, _EVERY).header()
        if self.every is not None and (header.seconds or 0.0) / self.every >= self.limits.max_frames:
            raise too_many_frames(upload.name, self.limits)
        return header.width, header.height

    def verdicts(self, upload: Upload, false_alarm_rate: float) -> list[tuple[Verdict, int | None]]:
        """The verdicts on a picture, as `Detector.score` gives them, each with the place of its category.

        That is the category of photographs that the face was compared with; None where it was with none.

        Raises:
            Refusal: it shows too many faces.
        """
        try:
            if is_video(upload.data):
                return [(verdict, None) for verdict in self._followed(upload)]
            picture, seen = self._look(upload)
        except PictureError as error:
            return [(self.detector.unreadable(upload.name, error), None)]
        verdicts = self.detector.verdicts(picture, seen, path=upload.name, false_alarm_rate=false_alarm_rate)
        taxonomy = self.detector.calibration.taxonomy
        measured = [one.measured for one in seen] or [None]
        return [
            (verdict, taxonomy.category_of(one.condition) if one and verdict.p_value is not None else None)
            for verdict, one in zip(verdicts, measured, strict=True)
        ]

    def provenance(self, upload: Upload) -> Provenance:
        """What a picture's file says of its own origin; no verdict depends on it."""
        try:
            return read_provenance(upload.data, name=upload.name)
        except PictureError as error:
            return unreadable(upload.name, error)

    def explain(self, upload: Upload, face: int) -> bytes:
        """A PNG that explains the verdict on one face.

        Raises:
            PictureError: the picture cannot be read, or has no such face.
            Refusal: it shows too many faces.
        """
        if is_video(upload.data):
            raise picture_error(
                upload.name, "a video, and pictures alone are explained", "send one of its frames"
            )
        picture, seen = self._look(upload)
        explanation = explain_observed(self.detector, picture, seen, face=face, whole_image=self.whole_image)
        with _drawing:
            return draw_explanation(explanation, "png")

    def _followed(self, upload: Upload) -> list[Verdict]:
        """The verdicts on the faces of a video, as `score_video` gives them."""
        return judge_video(
            self.detector,
            self._video(upload, self.every) if self.every else self._as_allowed(upload),
            each_frame=self.each_frame,
            whole_image=self.whole_image,
            most_faces=self.limits.max_faces,
        )

    def _as_allowed(self, upload: Upload) -> Video:
        """It is looked at as often as is allowed, and of a long one only key frames are decoded."""
        seconds = self._video(upload, _EVERY).header().seconds or 0.0
        every = max(_EVERY, seconds / self.limits.max_frames)
        return self._video(upload, every, key_frames=every > _EVERY)

    def _video(self, upload: Upload, every: float, *, key_frames: bool = False) -> Video:
        def watch() -> None:
            if self.stop.is_set():
                raise Stopped

        limits = self.limits
        return _Film(upload.name, every, limits.max_pixels, upload.data, limits.max_frames, key_frames, watch)

    def _look(self, upload: Upload) -> tuple[Picture, list[Observation]]:
        most = self.limits.max_faces
        found = self.detector.observe_frames(
            self._frames(upload), whole_image=self.whole_image, most=most + 1
        )
        if len(found[1]) > most:
            raise too_many_faces(upload.name, self.limits)
        return found

    def _frames(self, upload: Upload) -> Iterator[Picture]:
        with closing(frames(upload.data, name=upload.name, max_pixels=self.limits.max_pixels)) as found:
            for _, picture in found:
                if self.stop.is_set():
                    raise Stopped
                yield picture
