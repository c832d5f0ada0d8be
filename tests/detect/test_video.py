"""Faces of videos: followed, scored and never judged; p-values of frames that depend on each other."""

import tracemalloc
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

import cameraborn
from cameraborn.detect.verdict import ChannelVerdict, Verdict
from cameraborn.detect.video import (
    _CUT,
    Track,
    Tracks,
    _difference,
    combined_p_value,
    judge_video,
    score_video,
)
from cameraborn.errors import PictureError
from cameraborn.photo.video import Video

from ..command import rows_of, run_here
from ..conftest import EXAMPLES
from ..photo.test_video import write

pytest.importorskip("av")


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return cameraborn.load(tiny_bundle)


def portrait(number, side=240):
    with Image.open(EXAMPLES / f"photo-{number}.jpg") as image:
        return np.asarray(image.convert("RGB").resize((side, side)))


def scene(*faces, size=(480, 270)):
    """Portraits on grey: pixels and place of each."""
    pixels = np.full((size[1], size[0], 3), 120, np.uint8)
    for face, (x, y) in faces:
        pixels[y : y + face.shape[0], x : x + face.shape[1]] = face
    return pixels


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Four seconds: one face that moves, a second one from second 2 on, none in the last half second."""
    first, second = portrait(1, 220), portrait(2, 220)
    frames = [scene((first, (2 * n, 20))) for n in range(10)]
    frames += [scene((first, (20, 20)), (second, (250, 30))) for _ in range(8)]
    frames += [scene() for _ in range(2)]
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return write(path, frames, rate=5, codec="libx264", options={"crf": "18"})


def test_a_row_a_face_with_its_time(detector, clip):
    rows = score_video(detector, str(clip), every=0.4)
    assert [(row.face, row.frames) for row in rows] == [(0, 9), (1, 4)]
    assert rows[0].start_s == 0
    assert rows[0].end_s == pytest.approx(3.2)
    assert (rows[1].start_s, rows[1].end_s) == (pytest.approx(2.0), pytest.approx(3.2))
    assert {row.path for row in rows} == {str(clip)}


def test_no_row_of_a_video_is_judged(detector, clip):
    rows = score_video(detector, str(clip), every=0.4, each_frame=True)
    assert len(rows) == 2 + 9 + 4
    for row in rows:
        assert (row.scope, row.p_value, row.flagged, row.decided_by) == ("video", None, None, None)
        assert all(one.p_value is None for one in row.evidence.values())


def test_rows_of_frames_follow_the_row_of_their_face(detector, clip):
    first, *frames = score_video(detector, str(clip), every=0.4, each_frame=True)[:10]
    assert [(row.face, row.frames) for row in frames] == [(0, None)] * 9
    assert [row.start_s for row in frames] == pytest.approx([0.4 * n for n in range(9)])
    assert first.score == pytest.approx(np.mean([row.score for row in frames]))
    for name, one in first.evidence.items():
        assert one.surprise == pytest.approx(np.mean([row.evidence[name].surprise for row in frames]))
    (note,) = first.notes
    assert note.startswith("twice the mean p-value of 9 frames among photographs is ")
    assert note.endswith(", which is not calibrated for videos")


def test_a_video_without_a_face_and_whole_frames(detector, tmp_path):
    path = write(tmp_path / "sky.mp4", [scene()] * 10, rate=5)
    (row,) = score_video(detector, str(path))
    assert (row.scope, row.face, row.frames, row.start_s, row.score) == ("no-face", None, 4, 0, None)
    (whole,) = score_video(detector, str(path), whole_image=True)
    assert (whole.face, whole.box, whole.frames) == (None, (0, 0, 480, 270), 4)
    assert whole.p_value is None


def test_what_is_no_video_is_an_error(detector, tmp_path):
    with pytest.raises(PictureError, match="not a video"):
        score_video(detector, str(EXAMPLES / "photo-1.jpg"))


def face(x, y=100.0, side=80.0):
    box = (x, y, x + side, y + side)
    return Verdict("a.mp4", 0, box, 640, 480, 1.0, 0.5, False, "ok", None, "tiny", face_confidence=0.9)


def followed(frames, every=0.5, pixels=None):
    """Times at which each track is seen, of frames of faces."""
    tracks = Tracks(each_frame=True)
    plain = np.full((48, 64, 3), 120, np.uint8)
    for number, faces in enumerate(frames):
        tracks.add(number * every, plain if pixels is None else pixels[number], faces)
    return [[time for time, _ in track.frames] for track in tracks.all]


def test_a_face_that_moves_or_is_missed_for_a_moment_stays_one():
    assert followed([[face(100)], [face(130)], [], [face(150)]]) == [[0, 0.5, 1.5]]


def test_faces_that_change_places_in_the_list_stay_theirs():
    assert followed([[face(0), face(300)], [face(310), face(10)]]) == [[0, 0.5], [0, 0.5]]


def test_a_face_somewhere_else_or_after_a_while_is_another():
    assert followed([[face(0)], [face(300)]]) == [[0], [0.5]]
    assert followed([[face(0)], [], [], [face(0)]]) == [[0], [1.5]]
    assert followed([[face(0)], [face(0, 60.0, 200.0)]]) == [[0], [0.5]]


def test_another_scene_is_another_face():
    dark, light = np.zeros((48, 64, 3), np.uint8), np.full((48, 64, 3), 200, np.uint8)
    assert followed([[face(0)]] * 3, pixels=[dark, dark, light]) == [[0, 0.5], [1]]


def light(pixels, gain):
    return np.clip(pixels * gain, 0, 255).astype(np.uint8)


def test_a_cut_to_another_person_at_the_same_place_is_another_face():
    first, second = (scene((portrait(number), (120, 15))) for number in (1, 2))
    at = face(180, 75.0, 120.0)
    assert _difference(first, second) < _CUT
    assert followed([[at]] * 4, pixels=[first, first, second, second]) == [[0, 0.5], [1, 1.5]]


def test_a_person_who_moves_in_another_light_stays_one():
    frames, boxes = [], []
    for number in range(6):
        x, y = 100 + 12 * number, 10 + 3 * number
        turned = Image.fromarray(portrait(1)).rotate(4 * (number - 3), resample=Image.Resampling.BILINEAR)
        frames.append(light(scene((np.asarray(turned), (x, y))), 1 + 0.06 * number))
        boxes.append([face(x + 60 + (-1) ** number * 4, y + 60.0, 120.0 + 3 * number)])
    assert followed(boxes, pixels=frames) == [[0.5 * number for number in range(6)]]


def test_a_face_that_is_covered_for_a_moment_goes_on():
    shown = scene((portrait(1), (120, 15)))
    covered = shown.copy()
    covered[60:180, 180:290] = np.linspace(20, 220, 120)[:, None, None]
    at = face(180, 75.0, 120.0)
    assert followed([[at]] * 3, pixels=[shown, covered, shown]) == [[0, 1], [0.5]]


def test_whole_frames_may_look_as_they_like():
    first, second = (scene((portrait(number), (120, 15))) for number in (1, 2))
    whole = replace(face(0), face=None, box=(0.0, 0.0, 480.0, 270.0))
    assert followed([[whole]] * 2, pixels=[first, second]) == [[0, 0.5]]


def test_a_hard_cut_in_a_video_ends_a_row(detector, tmp_path):
    frames = [scene((portrait(number), (120, 15))) for number in (1, 2) for _ in range(4)]
    path = write(tmp_path / "cut.mp4", frames, rate=4, codec="libx264")
    assert [(row.start_s, row.end_s) for row in score_video(detector, str(path))] == [(0, 0.5), (1, 1.5)]


def test_a_face_stays_one_however_long_its_frames_are_shown(detector, tmp_path):
    frames = [scene((portrait(1), (120, 15)))] * 4
    path = write(tmp_path / "slow.mkv", frames, rate=Fraction(1, 3), codec="libx264")
    (row,) = score_video(detector, str(path))
    assert (row.start_s, row.end_s, row.frames) == (0, 9, 4)


def test_a_face_stays_one_where_key_frames_alone_are_looked_at(detector, tmp_path):
    frames = [scene((portrait(1), (120, 15)))] * 40
    path = write(tmp_path / "long.mp4", frames, rate=2, codec="libx264", gop=10)
    (row,) = judge_video(detector, Video(str(path), 0.5, key_frames=True))
    assert (row.start_s, row.end_s, row.frames) == (0, 15, 4)


def test_scoring_a_film_that_is_longer_takes_no_more_memory(detector, tmp_path):
    def peak(frames):
        path = write(
            tmp_path / f"{frames}.mp4", [scene((portrait(1, 110), (20, 5)), size=(160, 120))] * frames
        )
        tracemalloc.start()
        (row,) = score_video(detector, str(path), every=0.1)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert row.frames == frames
        return highest

    peak(2)  # what is made once
    a_frame = 160 * 120 * 3
    assert peak(40) < peak(8) + 2 * a_frame


def test_rows_of_single_frames_are_bounded(detector, clip, monkeypatch):
    monkeypatch.setattr("cameraborn.detect.video.MOST_ROWS", 7)
    rows = score_video(detector, str(clip), every=0.4, each_frame=True)
    tracks, frames = ([row for row in rows if (row.frames is not None) == whole] for whole in (True, False))
    assert [row.frames for row in tracks] == [9, 4]
    assert [row.start_s for row in frames] == pytest.approx([0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.0])
    for row in tracks:
        assert row.notes[0] == "single frames have rows up to 2.4 s alone, 7 in all"
    assert len(score_video(detector, str(clip), every=0.4)[0].notes) == 1


def test_a_face_that_is_followed_for_two_hours_takes_little_memory():
    def kept(frames):
        track = Track(0.0)
        tracemalloc.start()
        for number in range(frames):
            track.add(number / 2, replace(face(100), evidence={"a": ChannelVerdict(1.0, 0.5)}))
        now, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        (row,) = track.rows(0, ())
        assert (row.frames, row.score, row.end_s) == (frames, 1.0, (frames - 1) / 2)
        return now

    three_numbers = 3 * 8 * 1.2  # an array grows ahead
    assert kept(2 * 7200) < kept(10) + 2 * 7200 * three_numbers


def test_the_combined_p_value_holds_however_frames_depend_on_each_other():
    rng = np.random.default_rng(0)
    alone = rng.uniform(size=(20_000, 1))
    alike = np.repeat(alone, 8, axis=1)
    opposed = np.hstack([alone, 1 - alone])
    mixed = np.hstack([alone, rng.uniform(size=(20_000, 7))])
    for p_values in (alike, opposed, mixed):
        combined = np.array([combined_p_value(row) for row in p_values])
        for rate in (0.01, 0.05, 0.2):
            assert (combined <= rate).mean() <= rate + 3 * np.sqrt(rate / 20_000)
    assert combined_p_value([0.9, 0.8]) == 1.0
    assert combined_p_value([0.01, 0.03]) == pytest.approx(0.04)


def test_score_takes_videos_beside_pictures(tiny_bundle, clip, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(clip.read_bytes()[:300])
    arguments = (clip, EXAMPLES / "photo-1.jpg", "broken.mp4", "--bundle", tiny_bundle, "--every", "1")
    code, out, error = run_here("score", *arguments, "--format", "jsonl", cwd=tmp_path)
    rows = rows_of(out)
    assert code == 4
    assert [row["scope"] for row in rows] == ["video", "video", "ok", "unreadable"]
    assert rows[0]["end_s"] == 3.0
    assert rows[2]["start_s"] is None
    assert "check that it is complete" in rows[3]["error"]
    assert error.startswith("3 pictures, 1 unreadable; 3 faces: ")
    code, table, counted = run_here("score", *arguments, "--frames", cwd=tmp_path)
    assert counted == error
    assert len(table.splitlines()) == 1 + 4 + 4 + 2
    assert "  0.0-3.0 s  (twice the mean p-value of 4 frames" in table


def test_rows_of_videos_are_kept_and_written_as_others_are(tiny_bundle, clip, tmp_path):
    arguments = ("score", clip, "--bundle", tiny_bundle, "-o", "rows.csv")
    assert run_here(*arguments, cwd=tmp_path)[0] == 0
    whole = (tmp_path / "rows.csv").read_bytes()
    assert whole.count(b",video,") == 2
    assert run_here(*arguments, "--overwrite", "--frames", cwd=tmp_path)[0] == 0
    assert (tmp_path / "rows.csv").read_bytes().count(b",video,") > 10
