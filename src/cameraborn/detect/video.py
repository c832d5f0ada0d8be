"""Faces of a video, followed from frame to frame: a row a track says when a face is seen and how its frames score.

Frames are compared with photographs, whose p-values say nothing of a video encoder's traces, and no bundle is
calibrated on videos. So every row abstains, with the scope `video`; what its frames would be among photographs stands
in a note.

The frames of a face depend on each other, and nobody knows how. Twice the mean of their p-values is a p-value whatever
the dependence (Rüschendorf 1982; Vovk and Wang, "Combining p-values via averaging", Biometrika 107, 2020, section 3).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from cameraborn.detect.detector import Detector
from cameraborn.detect.verdict import ChannelVerdict, Scope, Verdict
from cameraborn.files import Box, Pixels
from cameraborn.photo.candidates import overlap
from cameraborn.photo.video import Video

_RATE = 0.5  # p-values do not depend on it, and nothing is flagged
MOST_FACES = 64  # of a frame
_SAME_OVERLAP = 0.3  # intersection over union from which two boxes are one face
_MOVED, _GROWN = 0.5, 1.5  # or a centre that moved by this share of a side, which changed by this factor
_PATIENCE = 2.5  # intervals without a face after which its track ends
_CUT = 0.2  # mean difference of two small grey frames, in shares of white, at which another scene begins
_SMALL = (32, 18)


def score_video(
    detector: Detector, path: str, *, every: float = 0.5, each_frame: bool = False, whole_image: bool = False
) -> list[Verdict]:
    """A row for each face that is followed through a video, in the order of appearance; one, if there is no face.

    Args:
        detector: it judges, and is calibrated.
        path: the file.
        every: seconds between two frames that are looked at.
        each_frame: after the row of a face, have one for each frame that shows it.
        whole_image: take whole frames instead of the faces in them.

    Raises:
        PictureError: it cannot be read.
    """
    return judge_video(detector, Video(path, every), each_frame=each_frame, whole_image=whole_image)


def judge_video(
    detector: Detector,
    video: Video,
    *,
    each_frame: bool = False,
    whole_image: bool = False,
    most_faces: int = MOST_FACES,
) -> list[Verdict]:
    """As `score_video`, of a video that is given.

    Args:
        detector: it judges, and is calibrated.
        video: nobody has read it.
        each_frame: after the row of a face, have one for each frame that shows it.
        whole_image: take whole frames instead of the faces in them.
        most_faces: that are looked at in a frame, the largest ones.

    Raises:
        PictureError: it cannot be read.
    """
    tracks = Tracks(video.every, each_frame=each_frame)
    last: Verdict | None = None
    looked_at = 0
    for time, picture in video.frames():
        seen = detector.observe(picture, whole_image=whole_image, most=most_faces)
        verdicts = detector.verdicts(picture, seen, path=video.path, false_alarm_rate=_RATE, face_notes=False)
        tracks.add(time, picture.pixels, [one for one in verdicts if one.box is not None])
        last, looked_at = replace(verdicts[0], start_s=0.0, end_s=time), looked_at + 1
    assert last is not None  # there is a frame, or an error
    notes = tuple(video.notes)
    if not tracks.all:
        return [replace(last, frames=looked_at, notes=notes)]
    return [
        row
        for number, track in enumerate(tracks.all)
        for row in track.rows(None if whole_image else number, notes)
    ]


def combined_p_value(p_values: Sequence[float]) -> float:
    """A p-value for the same hypothesis as these, at least one, however they depend on each other."""
    return min(1.0, 2.0 * float(np.mean(p_values)))


class Track:
    """One face, as long as it is followed; of its frames numbers are kept, and all else only for rows of their own.

    Args:
        time: of its first frame, in seconds.
        keeps: its frames.

    Attributes:
        first, last: when it was seen first and last, in seconds.
        box: where it was seen last.
        frames: times and verdicts of its frames, if it keeps them.
    """

    def __init__(self, time: float, keeps: bool) -> None:
        self.first = self.last = time
        self.box: Box = (0.0, 0.0, 0.0, 0.0)
        self.frames: list[tuple[float, Verdict]] = []
        self._keeps, self._is_judged = keeps, False
        self._best: Verdict | None = None
        self._scopes: Counter[Scope] = Counter()
        self._scores, self._p_values = array("d"), array("d")
        self._surprise: dict[str, array[float]] = {}

    def add(self, time: float, verdict: Verdict) -> None:
        """Take in what is said of its next frame."""
        assert verdict.box is not None  # tracks are of faces, which have boxes
        self.last, self.box = time, verdict.box
        if self._keeps:
            self.frames.append((time, verdict))
        self._scopes[verdict.scope] += 1
        if self._best is None or _clearness(verdict) > _clearness(self._best):
            self._best = verdict
        is_judged = verdict.scope == "ok"
        if is_judged and not self._is_judged:  # frames that would be judged tell more than those before
            self._is_judged, self._scores, self._surprise = True, array("d"), {}
        if is_judged == self._is_judged and verdict.score is not None:
            self._scores.append(verdict.score)
            for name, one in verdict.evidence.items():
                self._surprise.setdefault(name, array("d")).append(one.surprise)
        if is_judged and verdict.p_value is not None:
            self._p_values.append(verdict.p_value)

    def rows(self, number: int | None, notes: tuple[str, ...]) -> list[Verdict]:
        """Its row, and one for each frame that it has kept.

        Args:
            number: of the track; None for whole frames.
            notes: on the file.
        """
        frames = [replace(_abstaining(one), face=number, start_s=at, end_s=at) for at, one in self.frames]
        return [self._row(number, notes), *frames]

    def _row(self, number: int | None, notes: tuple[str, ...]) -> Verdict:
        assert self._best is not None  # a track begins with a frame
        return replace(
            self._best,
            face=number,
            score=float(np.mean(self._scores)) if self._scores else None,
            p_value=None,
            flagged=None,
            scope="video" if self._is_judged else self._scopes.most_common(1)[0][0],
            evidence={
                name: ChannelVerdict(float(np.mean(surprise))) for name, surprise in self._surprise.items()
            },
            decided_by=None,
            notes=notes + _note(self._p_values),
            start_s=self.first,
            end_s=self.last,
            frames=self._scopes.total(),
        )


class Tracks:
    """Faces that are followed through a video.

    Args:
        every: seconds between two frames.
        each_frame: keep the frames of tracks, for rows of their own.

    Attributes:
        all: the tracks, in the order of appearance.
    """

    def __init__(self, every: float, *, each_frame: bool = False) -> None:
        self.all: list[Track] = []
        self._every, self._each_frame = every, each_frame
        self._before: Pixels | None = None
        self._followed: list[Track] = []

    def add(self, time: float, pixels: Pixels, verdicts: Sequence[Verdict]) -> None:
        """Give the faces of the next frame to their tracks.

        Args:
            time: of the frame, in seconds.
            pixels: of the frame [H W 3].
            verdicts: on its faces.
        """
        small = np.asarray(Image.fromarray(pixels).convert("L").resize(_SMALL, Image.Resampling.BOX))
        if self._before is not None and _difference(small, self._before) > _CUT:
            self._followed = []
        self._before = small
        self._followed = [one for one in self._followed if time - one.last <= _PATIENCE * self._every]
        free = list(self._followed)
        for verdict in verdicts:
            box = verdict.box
            assert box is not None
            track = max(free, key=lambda one: overlap(one.box, box), default=None)
            if track is not None and _is_same(track.box, box):
                free.remove(track)
            else:
                track = Track(time, self._each_frame)
                self.all.append(track)
                self._followed.append(track)
            track.add(time, verdict)


def _is_same(box: Box, other: Box) -> bool:
    if overlap(box, other) >= _SAME_OVERLAP:
        return True
    sides = [max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in (box, other)]
    x, y = ((box[i] + box[i + 2] - other[i] - other[i + 2]) / 2 for i in (0, 1))
    return float(np.hypot(x, y)) <= _MOVED * min(sides) and max(sides) <= _GROWN * min(sides)


def _difference(small: Pixels, other: Pixels) -> float:
    return float(np.abs(small.astype(np.int16) - other).mean()) / 255


def _abstaining(verdict: Verdict) -> Verdict:
    """A verdict on a frame, as far as it holds for a video."""
    evidence = {name: ChannelVerdict(one.surprise) for name, one in verdict.evidence.items()}
    scope = "video" if verdict.scope == "ok" else verdict.scope
    return replace(
        verdict, p_value=None, flagged=None, decided_by=None, evidence=evidence, scope=scope, notes=()
    )


def _note(p_values: Sequence[float]) -> tuple[str, ...]:
    if not p_values:
        return ()
    frames = f"{len(p_values)} frame{'' if len(p_values) == 1 else 's'}"
    return (
        f"twice the mean p-value of {frames} among photographs is {combined_p_value(p_values):.2g}, "
        "which is not calibrated for videos",
    )


def _clearness(verdict: Verdict) -> tuple[float, float]:
    """By which a frame stands for its face: how sure it is one, then its longer side in pixels."""
    x0, y0, x1, y1 = verdict.box or (0.0, 0.0, 0.0, 0.0)
    return verdict.face_confidence or 0.0, max(x1 - x0, y1 - y0)
