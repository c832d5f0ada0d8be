"""Videos through the service: the rows of `score`, within the limits, from memory."""

import numpy as np
import pytest
from PIL import Image

from tests.command import EXAMPLES, posix, rows_of, run_here, wait_until
from tests.photo.test_video import corner, write
from tests.serve.running import PHOTO, encoded, ended, problem_of, results, running, started
from tests.serve.test_limits import deleted_files

pytest.importorskip("av")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Three seconds of one face."""
    with Image.open(EXAMPLES / "photo-1.jpg") as image:
        face = np.asarray(image.convert("RGB").resize((240, 240)))
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return write(path, [face] * 15, rate=5, codec="libx264", options={"crf": "18"})


def scored(bundle, clip, *options):
    _, out, _ = run_here(
        "score", clip.name, "--bundle", bundle, "--format", "jsonl", *options, cwd=clip.parent
    )
    return rows_of(out)


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ({}, []),
        ({"every": 1}, ["--every", "1"]),
        ({"every": 1, "frames": True}, ["--every", "1", "--frames"]),
        ({"whole_image": True}, ["--whole-image"]),
    ],
    ids=str,
)
def test_a_video_gets_the_rows_of_score(server, tiny_bundle, clip, query, options):
    answer = server.score(clip, PHOTO, **query)
    assert answer.status_code == 200
    *rows, last = answer.json()
    assert rows == scored(tiny_bundle, clip, *options)
    assert {row["flagged"] for row in rows} == {None}
    assert last["path"] == PHOTO.name


def test_a_video_in_json_and_in_a_job(server, clip):
    rows = server.score(clip, category=True).json()
    sent = {"pictures": [encoded(clip, name=clip.name)]}
    assert server.client.post("/v1/score", json=sent, params={"category": True}).json() == rows
    assert rows[0]["category"] is None
    job = started(server, clip, category=True)
    assert ended(server, job)["counts"]["judged"] == 1
    assert results(server, job)[0]["rows"] == rows


def test_broken_videos_are_rows_that_say_so(server, clip, tmp_path):
    cut, song = tmp_path / "cut.mp4", write(tmp_path / "song.mp4", [], sound=True)
    cut.write_bytes(clip.read_bytes()[:2000])
    rows = server.score(cut, song).json()
    assert [row["scope"] for row in rows] == ["unreadable"] * 2
    assert rows[0]["error"].endswith(": check that it is complete")
    assert rows[1]["error"] == "song.mp4: has sound alone: give a video with pictures"


def test_an_explanation_and_provenance_of_a_video_say_why_there_is_none(server, clip):
    files = {"file": (clip.name, clip.read_bytes())}
    detail = problem_of(server.client.post("/v1/explain", files=files), 422, "picture")
    assert detail == "clip.mp4: a video, and pictures alone are explained: send one of its frames"
    (origin,) = server.client.post("/v1/provenance", files=files).json()
    assert origin["says"] == "unreadable"


@pytest.fixture(scope="module")
def strict(tiny_bundle):
    limits = {"max-pixels": 320 * 320, "max-frames": 4}
    with running(tiny_bundle, *(f"--{name}={value}" for name, value in limits.items())) as started:
        yield started


def test_a_long_video_is_looked_at_less_often(strict, tmp_path):
    film = write(tmp_path / "film.mp4", [corner()] * 60, rate=1)
    (row,) = strict.score(film).json()
    assert (row["scope"], row["frames"], row["end_s"], row["notes"]) == ("no-face", 4, 48.0, "")
    detail = problem_of(strict.score(film, every=1), 422, "too-many-frames")
    assert detail.startswith("film.mp4: would be looked at more than 4 times: ")
    assert strict.score(film, every=20).json()[0]["frames"] == 3


def test_a_video_that_does_not_say_how_long_it_is_is_looked_at_so_far(strict, tmp_path):
    film = tmp_path / "live.mkv"
    write(film, [corner()] * 60, rate=1, options={"live": "1"})
    (row,) = strict.score(film).json()
    assert row["frames"] == 4
    assert "looked at before 4.0 s alone" in row["notes"]


def test_frames_that_are_too_large_are_refused_by_the_header(strict, tmp_path):
    large = write(tmp_path / "large.mp4", [corner((640, 480))] * 2)
    assert "640 x 480" in problem_of(strict.score(large), 422, "too-many-pixels")
    job = started(strict, large, PHOTO)
    assert ended(strict, job)["counts"] | {"refused": 1, "judged": 1} == ended(strict, job)["counts"]


def test_a_video_that_takes_too_long_ends_between_two_looks(tiny_bundle, tmp_path):
    film = write(tmp_path / "film.mp4", [corner((640, 480))] * 110, rate=25)
    with running(tiny_bundle, "--jobs", 1, "--max-seconds", 0.1) as server:
        problem_of(server.score(film, every=0.04), 503, "out-of-time")
        wait_until(lambda: server.metric("cameraborn_pictures_working") == 0)


def test_a_server_may_take_no_videos(tiny_bundle, clip):
    with running(tiny_bundle, "--max-frames", 0) as server:
        detail = problem_of(server.score(clip), 415, "video")
        assert detail == "clip.mp4: a video, and this server takes none: send pictures"
        assert server.client.get("/v1/bundle").json()["limits"]["max_frames"] == 0


@posix
def test_no_video_is_written_to_disk(tiny_bundle, clip, tmp_path):
    with running(tiny_bundle, cwd=tmp_path, TMPDIR=str(tmp_path)) as server:
        before = [*tmp_path.iterdir()]
        assert server.score(clip).json()[0]["scope"] == "video"
        assert [*tmp_path.iterdir()] == before
        assert not deleted_files(server.process.pid)
