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
from numpy.typing import NDArray
from PIL import Image

from cameraborn.detect.detector import Detector
from cameraborn.detect.verdict import ChannelVerdict, Scope, Verdict
from cameraborn.errors import counted
from cameraborn.files import Box, Pixels
from cameraborn.photo.candidates import overlap
from cameraborn.photo.video import Video

Look = NDArray[np.float64]
_RATE = 0.5  # p-values do not depend on it, and nothing is flagged
MOST_FACES = 64  # of a frame
MOST_ROWS = (
    50_000  # for single frames, of which each takes a kilobyte until the row of its face can be written
)
_SAME_OVERLAP = 0.3  # intersection over union from which two boxes are one face
_MOVED, _GROWN = 0.5, 1.5  # or a centre that moved by this share of a side, which changed by this factor
# Looks in a row that may miss a face. However long they are apart: a frame is shown until the next.
_PATIENCE = 1
_CUT = 0.2  # mean difference of two small grey frames, in shares of white, at which another scene begins
_SMALL = (32, 18)
# Correlation of two looks at a face from which it is one (benchmarks/videos.py). Of 5,000 cuts from one portrait to
# another 20 % lie under `_CUT`, and 9 % when looks are compared too; of 240 portraits that were shifted, turned,
# squeezed, lit otherwise and compressed, one is taken for another if that is as much as happens in half a second, and 8
# at twice as much.
_LIKE = 0.6
_LOOK, _AROUND = 8, 1.3  # pixels of a look's side; side of what is looked at over that of the box
_FLAT = 2.0  # grey levels of standard deviation, below which a look says nothing


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
    tracks = Tracks(each_frame=each_frame)
    last: Verdict | None = None
    looked_at = 0
    for time, picture in video.frames():
        seen = detector.observe(picture, whole_image=whole_image, most=most_faces)
        verdicts = detector.verdicts(picture, seen, path=video.path, false_alarm_rate=_RATE, face_notes=False)
        tracks.add(time, picture.pixels, [one for one in verdicts if one.box is not None])
        last, looked_at = replace(verdicts[0], start_s=0.0, end_s=time), looked_at + 1
    assert last is not None  # there is a frame, or an error
    notes = (*video.notes, *tracks.notes)
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

    Attributes:
        first, last: when it was seen first and last, in seconds.
        missed: looks since then.
        box: where it was seen last.
        look: how it looked there; None for whole frames.
        frames: times and verdicts of the frames that it was told to keep.
    """

    def __init__(self, time: float) -> None:
        self.first = self.last = time
        self.missed = 0
        self.box: Box = (0.0, 0.0, 0.0, 0.0)
        self.look: Look | None = None
        self.frames: list[tuple[float, Verdict]] = []
        self._is_judged = False
        self._best: Verdict | None = None
        self._scopes: Counter[Scope] = Counter()
        self._scores, self._p_values = array("d"), array("d")
        self._surprise: dict[str, array[float]] = {}

    def add(self, time: float, verdict: Verdict, *, keep: bool = False) -> None:
        """Take in what is said of its next frame, and keep it for a row of its own if that is wanted."""
        assert verdict.box is not None  # tracks are of faces, which have boxes
        self.last, self.box, self.missed = time, verdict.box, 0
        if keep:
            self.frames.append((time, _abstaining(verdict)))
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
        frames = [replace(one, face=number, start_s=at, end_s=at) for at, one in self.frames]
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
        each_frame: keep the frames of tracks, for rows of their own: `MOST_ROWS` of them.

    Attributes:
        all: the tracks, in the order of appearance.
        notes: what a reader should know of them.
    """

    def __init__(self, *, each_frame: bool = False) -> None:
        self.all: list[Track] = []
        self.notes: tuple[str, ...] = ()
        self._each_frame = each_frame
        self._rows_left = MOST_ROWS if each_frame else 0
        self._before: Pixels | None = None
        self._followed: list[Track] = []

    def add(self, time: float, pixels: Pixels, verdicts: Sequence[Verdict]) -> None:
        """Give the faces of the next frame to their tracks.

        Args:
            time: of the frame, in seconds.
            pixels: of the frame [H W 3].
            verdicts: on its faces.
        """
        image = Image.fromarray(pixels)
        small = np.asarray(image.convert("L").resize(_SMALL, Image.Resampling.BOX))
        if self._before is not None and _difference(small, self._before) > _CUT:
            self._followed = []
        self._before = small
        self._followed = [one for one in self._followed if one.missed <= _PATIENCE]
        free = list(self._followed)
        for one in free:
            one.missed += 1
        for verdict in verdicts:
            box = verdict.box
            assert box is not None
            look = _look_at(image, box) if verdict.face is not None else None
            alike = [one for one in free if _is_same(one.box, box) and _is_like(one.look, look)]
            if alike:
                track = max(alike, key=lambda one: overlap(one.box, box))
                free.remove(track)
            else:
                track = Track(time)
                self.all.append(track)
                self._followed.append(track)
            track.add(time, verdict, keep=self._keeps(time))
            track.look = look

    def _keeps(self, time: float) -> bool:
        """Whether one more frame gets a row of its own; a note, if it is the first that does not."""
        if self._rows_left == 0 and self._each_frame and not self.notes:
            self.notes = (f"single frames have rows up to {time:.1f} s alone, {MOST_ROWS:,} in all",)
        keeps = self._rows_left > 0
        self._rows_left -= keeps
        return keeps


def _is_same(box: Box, other: Box) -> bool:
    if overlap(box, other) >= _SAME_OVERLAP:
        return True
    sides = [max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in (box, other)]
    x, y = ((box[i] + box[i + 2] - other[i] - other[i + 2]) / 2 for i in (0, 1))
    return float(np.hypot(x, y)) <= _MOVED * min(sides) and max(sides) <= _GROWN * min(sides)


def _look_at(image: Image.Image, box: Box) -> Look:
    """A face and what is around it, of a few pixels, less its mean: [h w 3]."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half = max(1.0, _AROUND * max(box[2] - box[0], box[3] - box[1]) / 2)
    crop = image.crop((round(x - half), round(y - half), round(x + half), round(y + half)))
    look: Look = np.array(crop.resize((_LOOK, _LOOK), Image.Resampling.BOX), dtype=np.float64)
    look -= look.mean()
    return look


def _is_like(look: Look | None, other: Look | None) -> bool:
    if look is None or other is None or min(look.std(), other.std()) < _FLAT:
        return True
    return float((look * other).mean() / (look.std() * other.std())) >= _LIKE


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
    frames = counted(len(p_values), "frame")
    return (
        f"twice the mean p-value of {frames} among photographs is {combined_p_value(p_values):.2g}, "
        "which is not calibrated for videos",
    )


def _clearness(verdict: Verdict) -> tuple[float, float]:
    """By which a frame stands for its face: how sure it is one, then its longer side in pixels."""
    x0, y0, x1, y1 = verdict.box or (0.0, 0.0, 0.0, 0.0)
    return verdict.face_confidence or 0.0, max(x1 - x0, y1 - y0)
