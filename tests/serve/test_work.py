"""The work for one picture: refused by its header, judged with its category, and ended when nobody waits."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

import cameraborn
from cameraborn.errors import PictureError
from cameraborn.serve.limits import Limits, Refusal
from cameraborn.serve.uploads import Upload
from cameraborn.serve.work import Stopped, Work
from tests.command import ENVIRONMENT
from tests.conftest import encoded
from tests.serve.running import GENERATED, PHOTO


def work(detector=None, stop=None, *, whole_image=False, every=None, **limits):
    return Work(detector, Limits(**limits), stop or threading.Event(), whole_image, every=every)


def upload(path):
    return Upload(path.name, path.read_bytes())


def refusal_of(function, *arguments):
    with pytest.raises(Refusal) as caught:
        function(*arguments)
    return caught.value.status, caught.value.kind, caught.value.detail


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return cameraborn.load(tiny_bundle)


@pytest.fixture(scope="module")
def pair():
    """A picture of two faces."""
    with Image.open(PHOTO) as image:
        face = np.asarray(image.convert("RGB").resize((160, 160)))
    return Upload("pair.jpg", encoded(np.hstack([face, face]), quality=95))


def test_pixels_are_counted_by_the_header_alone():
    grey = Upload("grey.png", encoded(np.zeros((30, 40, 3), np.uint8), "PNG"))
    work(max_pixels=1200).check_size(grey)
    said = "grey.png: 40 x 30 pixels are more than the limit of 1,199: make it smaller first"
    assert refusal_of(work(max_pixels=1199).check_size, grey) == (422, "too-many-pixels", said)
    cut = Upload("grey.png", grey.data[:60])  # its pixels are not there
    assert refusal_of(work(max_pixels=1199).check_size, cut) == (422, "too-many-pixels", said)
    work(max_pixels=1).check_size(Upload("x", b"no picture"))  # what cannot be read is a row


def test_videos_are_taken_where_frames_are():
    film = Upload("film.mp4", b"\0\0\0\x18ftypisom" + bytes(16))
    assert refusal_of(work(max_frames=0).check_size, film) == (
        415,
        "video",
        "film.mp4: a video, and this server takes none: send pictures",
    )


def test_verdicts_are_those_of_score_with_their_category(detector):
    for path in (PHOTO, GENERATED):
        verdicts = detector.score(path, false_alarm_rate=0.2)
        found = work(detector).verdicts(upload(path), 0.2)
        assert [(one.score, one.p_value, one.flagged, one.path) for one, _ in found] == [
            (one.score, one.p_value, one.flagged, path.name) for one in verdicts
        ]
        for verdict, place in found:
            among = detector.calibration.scores[place]
            assert verdict.p_value == (1 + (among >= verdict.score).sum()) / (len(among) + 1)


def test_what_is_not_compared_has_no_category(detector):
    empty = Upload("empty.png", encoded(np.zeros((64, 64, 3), np.uint8), "PNG"))
    broken = Upload("broken.jpg", PHOTO.read_bytes()[:200])
    for one, scope in ((empty, "no-face"), (broken, "unreadable")):
        ((verdict, place),) = work(detector).verdicts(one, 0.2)
        assert (verdict.scope, verdict.path, place) == (scope, one.name, None)


def test_more_faces_than_are_allowed_are_refused(detector, pair):
    assert len(work(detector, max_faces=2).verdicts(pair, 0.2)) == 2
    said = (422, "too-many-faces", "pair.jpg: shows more than 1 faces: cut it into several pictures")
    assert refusal_of(work(detector, max_faces=1).verdicts, pair, 0.2) == said
    assert refusal_of(work(detector, max_faces=1).explain, pair, 0) == said
    assert len(work(detector, whole_image=True, max_faces=1).verdicts(pair, 0.2)) == 1


def test_work_ends_before_the_next_frame_when_nobody_waits(detector):
    stop = threading.Event()
    stop.set()
    for ended in (work(detector, stop).verdicts, work(detector, stop).explain):
        with pytest.raises(Stopped):
            ended(upload(PHOTO), 0)


def test_an_explanation_is_a_png_of_a_face_that_is_there(detector):
    assert work(detector).explain(upload(PHOTO), 0).startswith(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(PictureError, match="there is no face 7"):
        work(detector).explain(upload(PHOTO), 7)
    with pytest.raises(PictureError) as caught:
        work(detector).explain(Upload("film.mp4", b"\0\0\0\x18ftypisom" + bytes(16)), 0)
    assert str(caught.value) == "film.mp4: a video, and pictures alone are explained: send one of its frames"


def test_of_a_file_that_cannot_be_read_provenance_says_so():
    found = work().provenance(Upload("x.jpg", b"no picture"))
    assert (found.path, found.says, found.summary) == ("x.jpg", "unreadable", "the file cannot be read")
    assert found.error.startswith("x.jpg: ")
    assert work().provenance(upload(PHOTO)).path == PHOTO.name


class EndsAfter:
    """What tells work to end when it has asked so many times."""

    def __init__(self, questions):
        self.questions = questions

    def is_set(self):
        self.questions -= 1
        return self.questions < 0


@pytest.fixture
def film(tmp_path):
    """Two seconds without a face."""
    pytest.importorskip("av")
    from tests.photo.test_video import corner, write

    return write(tmp_path / "clip.mp4", [corner((64, 64))] * 50, rate=25)


def test_a_video_whose_time_is_over_keeps_what_was_seen(detector, film):
    film = upload(film)
    ((verdict, _),) = Work(detector, Limits(), EndsAfter(3), every=0.2).verdicts(film, 0.05)
    assert (verdict.scope, verdict.notes) == (
        "no-face",
        ("there was time to look at the video up to 0.0 s alone",),
    )
    with pytest.raises(Stopped):
        Work(detector, Limits(), EndsAfter(0), every=0.2).verdicts(film, 0.05)


WITHOUT_PYAV = """
import importlib.util as u; find = u.find_spec
u.find_spec = lambda name, *rest: None if name == "av" else find(name, *rest)
import sys, threading
from pathlib import Path
from cameraborn.serve.limits import Limits, Refusal
from cameraborn.serve.uploads import Upload
from cameraborn.serve.work import Work
try:
    Work(None, Limits(), threading.Event()).check_size(Upload("clip.mp4", Path(sys.argv[1]).read_bytes()))
except Refusal as refusal:
    print(refusal.status, refusal.detail)
"""


def test_a_server_without_pyav_says_so(film):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYAV, film],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    said = "clip.mp4: a video, and this server lacks PyAV, which its operator can install: send pictures"
    assert done.stdout.strip() == f"415 {said}"
