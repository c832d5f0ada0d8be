"""Counts of what was judged, and their sum."""

from dataclasses import replace

from cameraborn.detect.tally import Tally
from cameraborn.detect.verdict import Verdict

FACE = Verdict("a", 0, (0, 0, 9, 9), 9, 9, 1.0, 0.01, True, "ok", None, "tiny")
UNREADABLE = Verdict("b", None, None, None, None, None, None, None, "unreadable", "b: no", "tiny")
FACELESS = replace(UNREADABLE, scope="no-face", error=None)


def counted(*verdicts):
    tally = Tally()
    for verdict in verdicts:
        tally.add(verdict)
    return tally


def test_pictures_and_faces_are_counted_apart():
    second = replace(FACE, face=1, flagged=False, p_value=0.5)
    small = replace(FACE, face=2, flagged=None, p_value=None, scope="too-small")
    assert counted(FACE, second, small, UNREADABLE, FACELESS) == Tally(
        pictures=3, read=2, faceless=1, found=3, judged=2, flagged=1
    )


def test_a_folder_that_cannot_be_opened_is_no_picture(tmp_path):
    folder = replace(UNREADABLE, path=str(tmp_path))
    assert counted(FACE, folder, UNREADABLE) == Tally(
        pictures=2, read=1, found=1, judged=1, flagged=1, folders=1
    )


def test_frames_are_counted_with_their_video():
    video = replace(FACE, flagged=None, scope="video", start_s=0.0, end_s=1.0, frames=2)
    frame = replace(video, frames=None)
    assert counted(video, frame, frame) == Tally(pictures=1, videos=1, read=1, found=1)


def test_a_sum_is_the_count_of_all():
    assert Tally.sum([counted(FACE), counted(UNREADABLE, FACELESS), Tally()]) == counted(
        FACE, UNREADABLE, FACELESS
    )
    assert Tally.sum([]) == Tally()
