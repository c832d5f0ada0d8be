"""What keeps a detector from a verdict: the state of a file, or doubt whether there is a face; and notes on a file."""

from __future__ import annotations

from cameraborn.detect.verdict import Scope
from cameraborn.files import Box
from cameraborn.photo.decode import Picture

DAMAGED_SHARE = 0.2  # of a face's area; benchmarks/damaged_faces.py says why
SURE_FACE = 0.5  # of a second look's confidence; benchmarks/doubtful_faces.py says why


def unfit(picture: Picture, box: Box | None = None) -> Scope | None:
    """Why nothing within a box (default: the whole picture) can be judged, whatever it looks like; None if it can."""
    if picture.hdr is not None:
        return "hdr"  # its pixels are not what a display shows, nor like any photograph of the calibration
    H, W, _ = picture.pixels.shape
    share = picture.damage.share_of(box or (0.0, 0.0, float(W), float(H)))
    return "damaged" if share > DAMAGED_SHARE else None


def notes_on(picture: Picture) -> tuple[str, ...]:
    """What a reader of a verdict should know of the file, a phrase each."""
    notes = picture.damage.notes
    if picture.hdr is not None:
        notes += (f"the picture has high dynamic range ({picture.hdr})",)
    if picture.frame is not None:
        note = f"judged by frame {picture.frame} of the animation, counted from 0"
        if picture.frames_seen is not None:
            note += "; {} of the first {} were looked at".format(*picture.frames_seen)
        notes += (note,)
    if picture.more_pictures:
        notes += ("one picture of the file was judged, and not the others",)
    return notes
