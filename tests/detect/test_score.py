"""What is said of one input, whatever it is: pictures and videos by what they hold, wherever they lie."""

from dataclasses import replace

import numpy as np
import pytest

import cameraborn
from cameraborn.detect.score import ScoreOptions, verdicts_on
from cameraborn.errors import CalibrationError

from ..conftest import EXAMPLES

PHOTO = EXAMPLES / "photo-1.jpg"
PLAIN = ScoreOptions()


@pytest.fixture(scope="module")
def detector():
    return cameraborn.load()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds of a face."""
    pytest.importorskip("av")
    from ..photo.test_video import write
    from .test_video import portrait, scene

    frames = [scene((portrait(1, 220), (2 * n, 20))) for n in range(10)]
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return write(path, frames, rate=5, codec="libx264", options={"crf": "18"})


def test_a_picture_is_judged_as_the_detector_judges_it(detector):
    for source in (str(PHOTO), PHOTO, PHOTO.read_bytes()):
        assert verdicts_on(detector, source, PLAIN) == detector.score(source)


def test_options_are_the_detectors(detector):
    (strict,) = verdicts_on(detector, str(PHOTO), ScoreOptions(false_alarm=0.99))
    assert (strict.flagged, strict.p_value < 0.99) == (True, True)
    (whole,) = verdicts_on(detector, str(PHOTO), ScoreOptions(whole_image=True))
    assert (whole.face, whole.box) == (None, (0, 0, whole.width, whole.height))
    with pytest.raises(CalibrationError):
        verdicts_on(detector, str(PHOTO), ScoreOptions(false_alarm=1e-7))


def test_what_cannot_be_read_is_a_verdict_too(detector, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for name, why in (("text.jpg", "not a picture"), ("none.jpg", "no such file: check the path")):
        (verdict,) = verdicts_on(detector, str(tmp_path / name), PLAIN)
        assert (verdict.scope, verdict.path) == ("unreadable", str(tmp_path / name))
        assert verdict.error.startswith(f"{tmp_path / name}: {why}")


def test_a_video_is_one_by_its_bytes_not_by_its_name(detector, clip, tmp_path):
    (tmp_path / "film.jpg").write_bytes(clip.read_bytes())
    (tmp_path / "photo.mp4").write_bytes(PHOTO.read_bytes())
    (film,) = verdicts_on(detector, str(tmp_path / "film.jpg"), ScoreOptions(every=1))
    assert (film.scope, film.frames, film.path) == ("video", 2, str(tmp_path / "film.jpg"))
    (photo,) = verdicts_on(detector, str(tmp_path / "photo.mp4"), PLAIN)
    assert photo == replace(detector.score(PHOTO)[0], path=str(tmp_path / "photo.mp4"))


def test_options_of_videos(detector, clip):
    whole, *frames = verdicts_on(detector, str(clip), ScoreOptions(every=0.8, frames=True))
    assert [frame.start_s for frame in frames] == pytest.approx([0.0, 0.8, 1.6])
    assert whole.frames == len(frames) == 3
    (everything,) = verdicts_on(detector, str(clip), ScoreOptions(every=1, whole_image=True))
    assert everything.box == (0, 0, 480, 270)


def test_a_video_that_cannot_be_read_is_a_verdict_too(detector, clip, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(clip.read_bytes()[:300])
    (verdict,) = verdicts_on(detector, str(tmp_path / "broken.mp4"), PLAIN)
    assert (verdict.scope, verdict.frames) == ("unreadable", None)
    assert verdict.error.startswith(f"{tmp_path}/broken.mp4: ")


def test_an_array_is_a_picture(detector):
    (verdict,) = verdicts_on(detector, np.zeros((200, 200, 3), np.uint8), PLAIN)
    assert verdict.scope == "no-face"


def test_pictures_and_videos_of_a_storage(detector, clip):
    pytest.importorskip("pyarrow", reason="needs pip install 'cameraborn[cluster]'")
    from cameraborn.engine.storage import write

    place = "memory://scored"
    options = ScoreOptions(every=1)
    for path in (PHOTO, clip):
        write(f"{place}/{path.name}", path.read_bytes())
        here, there = (
            verdicts_on(detector, source, options) for source in (str(path), f"{place}/{path.name}")
        )
        assert there == [replace(verdict, path=f"{place}/{path.name}") for verdict in here]
    write(f"{place}/broken.mp4", clip.read_bytes()[:300])
    (broken,) = verdicts_on(detector, f"{place}/broken.mp4", options)
    assert broken.error.startswith(f"{place}/broken.mp4: ")  # not the name of a copy
    (missing,) = verdicts_on(detector, f"{place}/none.jpg", options)
    assert missing.error == f"{place}/none.jpg: no such file: check the address"
