"""Frames of videos: sampled by time, upright, one at a time; odd and broken files are told in a line."""

import itertools
import struct
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from cameraborn.errors import PictureError
from cameraborn.photo.video import Header, Video

from ..command import ENVIRONMENT

av = pytest.importorskip("av")
SIZE = (96, 64)  # width, height
RED, BLUE = (230, 20, 20), (20, 20, 230)


def corner(size=SIZE):
    """Blue, with a red corner at the top left."""
    pixels = np.full((size[1], size[0], 3), BLUE, np.uint8)
    pixels[: size[1] // 2, : size[0] // 2] = RED
    return pixels


def write(path, frames, *, rate=10, codec="mpeg4", times=None, options=None, sound=False, gop=None):
    """A video of frames [H W 3], shown at a rate or at times in milliseconds."""
    with av.open(str(path), "w", options=options or {}) as container:
        if sound:
            voice = container.add_stream("aac", rate=44100)
        stream = None
        for number, pixels in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=rate)
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "yuv420p"
                if gop:
                    stream.gop_size = gop
                if times:
                    stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        if sound:
            silence = av.AudioFrame.from_ndarray(
                np.zeros((1, 44100), np.float32), format="fltp", layout="mono"
            )
            silence.sample_rate, silence.pts = 44100, 0
            container.mux(voice.encode(silence))
            container.mux(voice.encode())
        if stream is not None:
            container.mux(stream.encode())
    return path


def times_of(path, every=0.5):
    return [round(time, 3) for time, _ in Video(str(path), every).frames()]


def refusal(path):
    with pytest.raises(PictureError) as refused:
        list(Video(str(path), 0.5).frames())
    text = str(refused.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm", "avi", "mpg"])
def test_every_container_has_its_frames(tmp_path, ending):
    codec, rate = {"webm": ("libvpx-vp9", 10), "mpg": ("mpeg1video", 25)}.get(ending, ("mpeg4", 10))
    path = write(tmp_path / f"clip.{ending}", [corner()] * 2 * rate, codec=codec, rate=rate)
    found = list(Video(str(path), 0.5).frames())
    assert [time for time, _ in found] == pytest.approx([0, 0.5, 1, 1.5], abs=0.041)
    for _, picture in found:
        assert picture.pixels.shape == (64, 96, 3)
        np.testing.assert_allclose(picture.pixels[8, 8], RED, atol=40)
        np.testing.assert_allclose(picture.pixels[-8, -8], BLUE, atol=40)


@pytest.mark.parametrize(("every", "times"), [(0.1, 20), (0.25, 8), (1, 2), (60, 1)])
def test_frames_are_taken_at_intervals(tmp_path, every, times):
    path = write(tmp_path / "clip.mp4", [corner()] * 20)
    found = times_of(path, every)
    assert found[0] == 0
    assert len(found) == times
    assert [int((time + 1e-6) / every) for time in found] == list(range(times))


def test_a_variable_rate_counts_seconds_and_not_frames(tmp_path):
    shown = [0, 40, 80, 700, 740, 2000, 2040]
    path = write(tmp_path / "clip.mkv", [corner()] * len(shown), times=shown)
    assert times_of(path) == [0, 0.7, 2.0]


def turned(data, a, b, c, d):
    """An MP4 whose header tells a player to show a pixel (x, y) at (ax + cy, bx + dy) (ISO 14496-12, 6.2.2)."""
    numbers = [number << 16 for number in (a, b, 0, c, d, 0, 0, 0)]
    at = data.index(b"tkhd") - 4 + 48
    return data[:at] + struct.pack(">9i", *numbers, 1 << 30) + data[at + 36 :]


UPRIGHT = {  # the matrix, and what it does to pixels
    "as it is": ((1, 0, 0, 1), lambda x: x),
    "by 90 degrees": ((0, 1, -1, 0), lambda x: np.rot90(x, -1)),
    "by 180 degrees": ((-1, 0, 0, -1), lambda x: np.rot90(x, 2)),
    "by 270 degrees": ((0, -1, 1, 0), lambda x: np.rot90(x)),
    "mirrored": ((-1, 0, 0, 1), lambda x: x[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda x: x[::-1]),
    "about a diagonal": ((0, 1, 1, 0), lambda x: x.swapaxes(0, 1)),
    "about the other diagonal": ((0, -1, -1, 0), lambda x: x.swapaxes(0, 1)[::-1, ::-1]),
}


@pytest.mark.parametrize(("matrix", "shown"), UPRIGHT.values(), ids=UPRIGHT)
def test_what_is_filmed_with_a_turned_camera_comes_upright(tmp_path, matrix, shown):
    path = write(tmp_path / "clip.mp4", [corner()] * 3)
    path.write_bytes(turned(path.read_bytes(), *matrix))
    ((_, picture),) = Video(str(path), 9).frames()
    expected = shown(corner())
    assert picture.pixels.shape == expected.shape
    np.testing.assert_allclose(picture.pixels[-8, 8], expected[-8, 8], atol=40)
    np.testing.assert_allclose(picture.pixels[8, 8], expected[8, 8], atol=40)
    np.testing.assert_allclose(picture.pixels[8, -8], expected[8, -8], atol=40)


def with_pixels(path, ratio, size):
    """A video whose pixels are that much wider than high."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = size
        stream.pix_fmt, stream.codec_context.sample_aspect_ratio = "yuv420p", Fraction(*ratio)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(corner(size), format="rgb24")))
        container.mux(stream.encode())
    return str(path)


@pytest.mark.parametrize(("ratio", "size"), [((2, 1), (192, 64)), ((1, 2), (96, 128)), ((8, 9), (96, 72))])
def test_frames_whose_pixels_are_not_square_are_stretched(tmp_path, ratio, size):
    video = Video(with_pixels(tmp_path / "clip.mp4", ratio, SIZE), 0.1)
    pictures = [picture for _, picture in video.frames()]
    assert {picture.pixels.shape[1::-1] for picture in pictures} == {size}
    np.testing.assert_allclose(pictures[0].pixels[size[1] // 4, size[0] // 4], RED, atol=40)
    assert video.notes == [f"its pixels are not square: frames were stretched to {size[0]} x {size[1]}"]


def test_frames_that_would_be_stretched_beyond_the_limit_are_refused(tmp_path):
    path = with_pixels(tmp_path / "clip.mp4", (2, 1), (400, 300))
    with pytest.raises(PictureError, match="frames of 800 x 300 pixels are more than the limit"):
        list(Video(path, 0.1, max_pixels=200_000).frames())


@pytest.mark.parametrize(
    ("ending", "codec"),
    [("ts", "mpeg2video"), ("flv", "flv"), ("wmv", "wmv2"), ("ogg", "vp8"), ("mpg", "mpeg2video")],
)
def test_containers_are_known_by_their_first_bytes(tmp_path, ending, codec):
    path = write(tmp_path / f"clip.{ending}", [corner()] * 25, rate=25, codec=codec)
    renamed = path.rename(tmp_path / "clip")
    assert len(times_of(renamed)) == 2
    ((_, picture), *_) = Video(str(renamed), 9).frames()
    np.testing.assert_allclose(picture.pixels[8, 8], RED, atol=40)


def test_a_video_that_breaks_off_has_the_frames_before(tmp_path):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (64, 96, 3), np.uint8) for _ in range(60)]
    data = write(tmp_path / "whole.mkv", noise).read_bytes()
    path = tmp_path / "clip.mkv"
    path.write_bytes(data[: len(data) // 2])
    video = Video(str(path), 0.5)
    found = [time for time, _ in video.frames()]
    assert 2 <= found[-1] < 4
    (note,) = video.notes
    assert note.startswith("the video breaks off after ")
    whole = Video(str(tmp_path / "whole.mkv"), 0.5)
    assert len(list(whole.frames())) == 12
    assert whole.notes == []


@pytest.mark.parametrize(("codec", "ending"), [("mpeg4", "mkv"), ("libx264", "mp4")])
def test_a_video_that_is_damaged_in_its_middle_goes_on_behind_it(tmp_path, codec, ending):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (64, 96, 3), np.uint8) for _ in range(60)]
    data = bytearray(write(tmp_path / f"whole.{ending}", noise, codec=codec).read_bytes())
    length = len(data) // 10
    data[3 * length : 4 * length] = bytes(length)
    video = Video("clip", 0.5, data=bytes(data))
    found = [time for time, _ in video.frames()]
    assert found[-1] > 5
    assert len(found) >= 8
    (note,) = video.notes
    assert note.startswith("the video is damaged after ")


def test_bytes_are_read_as_a_file_is_and_the_header_is_told_before(tmp_path):
    path = write(tmp_path / "clip.mp4", [corner()] * 20)
    video = Video("sent.mp4", 0.5, data=path.read_bytes())
    assert video.header() == Video(str(path), 0.5).header() == Header(96, 64, 2.0)
    for (at, sent), (time, read) in zip(video.frames(), Video(str(path), 0.5).frames(), strict=True):
        assert at == time
        np.testing.assert_array_equal(sent.pixels, read.pixels)


def test_each_decoded_frame_is_watched(tmp_path):
    path = write(tmp_path / "clip.mp4", [corner()] * 20)
    watched = itertools.count(1)
    list(Video(str(path), 60, watch=lambda: next(watched)).frames())
    assert next(watched) == 21

    def enough():
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        list(Video(str(path), 0.5, watch=enough).frames())


def test_no_more_frames_are_taken_than_are_allowed(tmp_path):
    path = write(tmp_path / "clip.mp4", [corner()] * 20)
    video = Video(str(path), 0.5, max_frames=3)
    assert [time for time, _ in video.frames()] == [0, 0.5, 1]
    assert video.notes == ["the video was looked at before 1.5 s alone, in 3 frames"]
    video = Video(str(path), 0.5, max_frames=4)
    assert len(list(video.frames())) == 4
    assert video.notes == []


def test_files_that_cannot_be_read(tmp_path):
    data = write(tmp_path / "whole.mp4", [corner()] * 20).read_bytes()
    path = tmp_path / "clip.mp4"
    for share in (0.1, 0.5, 0.9):  # what an MP4 holds stands at its end
        path.write_bytes(data[: int(len(data) * share)])
        assert refusal(path).endswith(": check that it is complete")
    path.write_bytes(data[:40] + bytes(len(data)))
    assert refusal(path).endswith(": check that it is complete")


def test_sound_alone_is_no_video(tmp_path):
    path = write(tmp_path / "song.mp4", [], sound=True)
    assert refusal(path) == "has sound alone: give a video with pictures"


def test_the_cover_of_a_song_is_no_film(tmp_path):
    song = write(tmp_path / "song.mp4", [], sound=True)
    path = tmp_path / "covered.mp4"
    with Image.fromarray(corner()) as image:
        image.save(tmp_path / "cover.png")
    with (
        av.open(str(song)) as sound,
        av.open(str(tmp_path / "cover.png")) as cover,
        av.open(str(path), "w") as container,
    ):
        streams = {source: container.add_stream_from_template(source.streams[0]) for source in (sound, cover)}
        streams[cover].disposition = av.stream.Disposition.attached_pic
        for source, stream in streams.items():
            for packet in source.demux(source.streams[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    container.mux(packet)
    assert refusal(path) == "has sound alone: give a video with pictures"


@pytest.mark.parametrize("ending", ["mkv", "mp4", "avi"])
def test_a_video_without_a_frame(tmp_path, ending):
    path = tmp_path / f"empty.{ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        container.start_encoding()
    assert refusal(path).endswith(": check that it is complete")


def test_texts_and_missing_files_are_no_videos(tmp_path):
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    assert refusal(playlist) == (
        "not a video: give a video as MP4, MOV, Matroska, WebM, AVI, MPEG, FLV, WMV or Ogg"
    )
    assert refusal(tmp_path / "none.mp4") == "cannot be read (No such file or directory): check the path"
    with Image.fromarray(corner()) as image:
        image.save(tmp_path / "picture.png")
    assert refusal(tmp_path / "picture.png").startswith("not a video: ")


def test_frames_that_are_too_large_are_refused(tmp_path):
    path = write(tmp_path / "clip.mp4", [corner()] * 3)
    with pytest.raises(PictureError, match="96 x 64 pixels are more than the limit of 6,000"):
        list(Video(str(path), 1, max_pixels=6000).frames())


TWO_HOURS = 7200
READING = """
import re, sys
from pathlib import Path
from cameraborn.photo.video import Video
last = count = 0
for last, _ in Video(sys.argv[1], 0.5).frames():
    count += 1
print(count, last, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="the highest resident memory of a process is read from /proc"
)
def test_a_film_of_two_hours_takes_no_more_memory_than_one_of_two_minutes(tmp_path):
    def read(seconds):
        path = write(tmp_path / f"{seconds}.mp4", [corner((160, 120))] * seconds, rate=1)
        done = subprocess.run(
            [sys.executable, "-c", READING, path], capture_output=True, text=True, check=True, env=ENVIRONMENT
        )
        count, last, kibibytes = done.stdout.split()
        assert (int(count), float(last)) == (seconds, seconds - 1)
        return int(kibibytes)

    assert read(TWO_HOURS) < read(TWO_HOURS // 60) + 8192


def damaged(path, number, rng):
    """Other bytes in the middle of a packet of the stream."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        at, size = packets[number].pos, packets[number].size
    assert size > 600
    data = bytearray(path.read_bytes())
    data[at + size // 3 : at + size // 3 + 300] = rng.integers(0, 255, 300, np.uint8).tobytes()
    path.write_bytes(data)


@pytest.mark.parametrize(("ending", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4")])
def test_damage_in_the_middle_is_told(tmp_path, ending, codec):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (24, 32, 3), np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(30)]
    for number in (5, 12, 20):
        path = write(tmp_path / f"clip.{ending}", frames, codec=codec)
        sound = Video(str(path), 0.1)
        assert len(list(sound.frames())) == 30
        assert sound.notes == []
        damaged(path, number, rng)
        video = Video(str(path), 0.1)
        assert len(list(video.frames())) >= 28
        (note,) = video.notes
        assert note.startswith("the video is damaged after ")


def test_key_frames_alone_are_decoded_of_a_film_that_is_long(tmp_path):
    path = write(tmp_path / "clip.mp4", [corner()] * 100)  # a key frame each 12 frames
    with av.open(str(path)) as container:
        keys = [
            float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.is_keyframe
        ]
    watched = itertools.count()
    video = Video(str(path), 2, key_frames=True, watch=lambda: next(watched))
    found = [round(time, 3) for time, _ in video.frames()]
    assert next(watched) == len(keys) < 20
    assert found == [0, 2.4, 4.8, 6.0, 8.4]
    assert video.notes == []


def test_a_film_that_stands_still_where_data_lack_says_so(tmp_path):
    path = write(tmp_path / "clip.mkv", [corner()] * 6, times=[0, 100, 200, 3000, 3100, 3200])
    video = Video(str(path), 0.5)
    list(video.frames())
    assert video.notes == ["the video shows nothing new for more than a second after 0.2 s"]


def test_the_first_of_several_films_is_looked_at_and_named(tmp_path):
    with av.open(str(tmp_path / "two.mkv"), "w") as container:
        streams = [container.add_stream("mpeg4", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for stream, colour in zip(streams, (RED, BLUE), strict=True):
            pixels = np.full((SIZE[1], SIZE[0], 3), colour, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
    video = Video(str(tmp_path / "two.mkv"), 0.5)
    ((_, picture),) = video.frames()
    np.testing.assert_allclose(picture.pixels[8, 8], RED, atol=40)
    assert video.notes == ["the first of 2 films in the file was looked at"]
