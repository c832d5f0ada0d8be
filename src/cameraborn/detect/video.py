"""Faces of a video, followed from frame to frame: a row a track says when a face is seen and how its frames score.

Frames are compared with photographs, whose p-values say nothing of a video encoder's traces, and no bundle is
calibrated on videos. So every row abstains, with the scope `video`; what its frames would be among photographs stands
in a note.

The frames of a face depend on each other, and nobody knows how. Twice the mean of their p-values is a p-value whatever
the dependence (Rüschendorf 1982; Vovk and Wang, "Combining p-values via averaging", Biometrika 107, 2020, section 3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from cameraborn.detect.detector import Detector
from cameraborn.detect.verdict import ChannelVerdict, Verdict
from cameraborn.files import Box, Pixels
from cameraborn.photo.candidates import overlap
from cameraborn.photo.video import Video

_RATE = 0.5  # p-values do not depend on it, and nothing is flagged
_MOST_FACES = 64  # of a frame
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
    video, tracks = Video(path, every), Tracks(every)
    last: Verdict | None = None
    looked_at = 0
    for time, picture in video.frames():
        seen = detector.observe(picture, whole_image=whole_image, most=_MOST_FACES)
        verdicts = detector.verdicts_on(picture, seen, path=path, false_alarm_rate=_RATE)
        tracks.add(time, picture.pixels, [one for one in verdicts if one.box is not None])
        last, looked_at = replace(verdicts[0], start_s=0.0, end_s=time), looked_at + 1
    assert last is not None  # there is a frame, or an error
    notes = tuple(video.notes)
    if not tracks.all:
        return [replace(last, frames=looked_at, notes=notes)]
    return [
        row
        for number, track in enumerate(tracks.all)
        for row in track.rows(None if whole_image else number, notes, each_frame=each_frame)
    ]


def combined_p_value(p_values: Sequence[float]) -> float:
    """A p-value for the same hypothesis as these, at least one, however they depend on each other."""
    return min(1.0, 2.0 * float(np.mean(p_values)))


@dataclass
class Track:
    """One face, as long as it is followed.

    Attributes:
        seen: times in seconds, and verdicts of its frames.
    """

    seen: list[tuple[float, Verdict]] = field(default_factory=list)

    @property
    def last(self) -> float:
        """When it was seen last, in seconds."""
        return self.seen[-1][0]

    @property
    def box(self) -> Box:
        """Where it was seen last."""
        box = self.seen[-1][1].box
        assert box is not None  # tracks are of faces, which have boxes
        return box

    def rows(self, number: int | None, notes: tuple[str, ...], *, each_frame: bool) -> list[Verdict]:
        """Its row, and one for each frame.

        Args:
            number: of the track; None for whole frames.
            notes: on the file.
            each_frame: with the rows of frames.
        """
        frames = [replace(_abstaining(one), face=number, start_s=at, end_s=at) for at, one in self.seen]
        return [self._row(number, notes), *(frames if each_frame else ())]

    def _row(self, number: int | None, notes: tuple[str, ...]) -> Verdict:
        verdicts = [verdict for _, verdict in self.seen]
        judged = [one for one in verdicts if one.scope == "ok"]
        scored = [one for one in judged or verdicts if one.score is not None]
        best = max(verdicts, key=lambda one: (one.face_confidence or 0.0, _side(one)))
        scope = "video" if judged else Counter(one.scope for one in verdicts).most_common(1)[0][0]
        return replace(
            best,
            face=number,
            score=float(np.mean([one.score for one in scored if one.score is not None])) if scored else None,
            p_value=None,
            flagged=None,
            scope=scope,
            evidence=_mean_evidence([one.evidence for one in scored]),
            decided_by=None,
            notes=notes + _note([one.p_value for one in judged if one.p_value is not None]),
            start_s=self.seen[0][0],
            end_s=self.last,
            frames=len(verdicts),
        )


class Tracks:
    """Faces that are followed through a video.

    Args:
        every: seconds between two frames.

    Attributes:
        all: the tracks, in the order of appearance.
    """

    def __init__(self, every: float) -> None:
        self.all: list[Track] = []
        self._every = every
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
                track = Track()
                self.all.append(track)
                self._followed.append(track)
            track.seen.append((time, verdict))


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


def _mean_evidence(frames: Sequence[Mapping[str, ChannelVerdict]]) -> dict[str, ChannelVerdict]:
    names = frames[0] if frames else ()
    return {name: ChannelVerdict(float(np.mean([one[name].surprise for one in frames]))) for name in names}


def _note(p_values: Sequence[float]) -> tuple[str, ...]:
    if not p_values:
        return ()
    frames = f"{len(p_values)} frame{'' if len(p_values) == 1 else 's'}"
    return (
        f"twice the mean p-value of {frames} among photographs is {combined_p_value(p_values):.2g}, "
        "which is not calibrated for videos",
    )


def _side(verdict: Verdict) -> float:
    x0, y0, x1, y1 = verdict.box or (0.0, 0.0, 0.0, 0.0)
    return max(x1 - x0, y1 - y0)
