"""What asks too much is refused in time, with a reason; who hangs up costs nobody else."""

import json
import select
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.command import ENVIRONMENT, posix, wait_until
from tests.conftest import encoded
from tests.serve.running import PATIENT, PHOTO, problem_of, running

MAX_BYTES = 400_000


@pytest.fixture(scope="module")
def strict(tiny_bundle):
    """A server that takes little."""
    limits = {"max-bytes": MAX_BYTES, "max-pixels": 320 * 320, "max-faces": 1, "max-files": 3}
    with running(tiny_bundle, *(f"--{name}={value}" for name, value in limits.items())) as started:
        yield started


def one_form(server, data, name="a.jpg", **query):
    return server.client.post("/v1/score", files={"file": (name, data)}, params=query)


def test_what_is_just_allowed_is_answered(strict):
    with Image.open(PHOTO) as image:
        assert image.size == (320, 320)
    assert strict.score(PHOTO, PHOTO, PHOTO).status_code == 200


@pytest.mark.parametrize("size", [MAX_BYTES, 20_000_000])
def test_too_many_bytes(strict, size):
    detail = problem_of(one_form(strict, b"\xff" * size), 413, "too-many-bytes")
    assert "0.38147 MiB" in detail
    chunks = (b"x" * 65536 for _ in range(size // 65536 + 1))  # no Content-Length
    streamed = strict.client.post("/v1/score", content=chunks, headers={"Content-Type": "application/json"})
    problem_of(streamed, 413, "too-many-bytes")


def test_too_many_files(strict):
    problem_of(strict.score(*[PHOTO] * 4), 413, "too-many-files")
    problem_of(strict.score(*[PHOTO] * 5), 413, "too-many-files")
    pictures = [{"data": ""}] * 4
    problem_of(strict.client.post("/v1/score", json={"pictures": pictures}), 413, "too-many-files")


@pytest.mark.parametrize("route", ["/v1/score", "/v1/explain"])
def test_too_many_pixels_are_refused_by_the_header(strict, route):
    huge = bytearray(encoded(np.zeros((8, 8, 3), np.uint8), "PNG"))
    huge[16:24] = (60_000).to_bytes(4, "big") * 2  # a header alone of 3.6 gigapixels
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    for data in (bytes(huge), encoded(np.zeros((321, 320, 3), np.uint8))):
        answer = strict.client.post(route, files={"file": ("huge.png", data)})
        assert "huge.png" in problem_of(answer, 422, "too-many-pixels")


@pytest.mark.parametrize("route", ["/v1/score", "/v1/explain"])
def test_too_many_faces(strict, route):
    with Image.open(PHOTO) as image:
        face = np.asarray(image.convert("RGB").resize((160, 160)))
    pair = encoded(np.hstack([face, face]), quality=95)
    answer = strict.client.post(route, files={"file": ("pair.jpg", pair)})
    assert "pair.jpg: shows more than 1 faces" in problem_of(answer, 422, "too-many-faces")


def test_a_request_that_takes_too_long_is_answered_in_time_and_its_work_ends(tiny_bundle, animation):
    with running(tiny_bundle, "--jobs", 1, "--max-seconds", 0.1) as server:
        began = time.monotonic()
        answer = server.score(*[animation] * 4)
        assert "0.1 s" in problem_of(answer, 503, "out-of-time")
        assert int(answer.headers["retry-after"]) >= 1
        assert time.monotonic() - began < 30  # whatever else this machine does
        wait_until(lambda: server.metric("cameraborn_pictures_working") == 0)
        assert server.metric("cameraborn_pictures_pending") == 0


def test_a_body_that_never_ends_is_answered_in_time(tiny_bundle):
    with running(tiny_bundle, "--max-seconds", 1) as server, connected(server) as peer:
        peer.sendall(b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        peer.sendall(b"Content-Length: 100\r\n\r\n{")
        peer.settimeout(30)
        assert b"upload-too-slow" in whole_answer(peer)


def whole_answer(peer):
    """What comes until the server hangs up; of a piece that reaches it then, its system says that by a reset."""
    came = []
    with suppress(ConnectionResetError):
        for part in iter(partial(peer.recv, 1000), b""):
            came.append(part)  # what came before a reset is kept
    return b"".join(came)


def test_a_body_that_comes_slowly_is_waited_for(tiny_bundle):
    """Work has to be done in time; a line is as slow as it is, unless it is a trickle."""
    with Image.open(PHOTO) as image:
        data = encoded(np.asarray(image), "PNG")
    with running(tiny_bundle, "--max-seconds", 2) as server:
        pieces = [data[i : i + len(data) // 12] for i in range(0, len(data), len(data) // 12)]
        steady = upload(server, len(data), pieces, 0.25)
        assert b"200 OK" in steady
        assert b'"scope": "ok"' in steady
        trickle = upload(server, len(data), [bytes([byte]) for byte in data[:100]], 0.25)
        assert b"408 Request Timeout" in trickle
        assert server.metric('cameraborn_errors_total{kind="upload-too-slow"}') == 1


def upload(server, size, pieces, pause):
    """The answer to a picture that is sent in pieces."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    end = b"\r\n--b--\r\n"
    with connected(server) as peer:
        peer.sendall(b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
        peer.sendall(b"Content-Type: multipart/form-data; boundary=b\r\n")
        peer.sendall(b"Content-Length: %d\r\n\r\n" % (len(head) + size + len(end)) + head)
        with suppress(ConnectionError):  # the server has had enough
            for piece in pieces:
                if select.select([peer], [], [], pause)[0]:
                    break
                peer.sendall(piece)
            else:
                peer.sendall(end)
        peer.settimeout(60)
        return whole_answer(peer)


def connected(server):
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port))


def test_a_full_queue_refuses_and_says_when_to_come_back(tiny_bundle, animation):
    with running(tiny_bundle, "--jobs", 1, "--max-queue", 2, *PATIENT) as server:
        with ThreadPoolExecutor(2) as clients:
            accepted = [clients.submit(server.score, animation) for _ in range(2)]
            wait_until(lambda: server.metric("cameraborn_requests_under_way") == 2)
            answer = server.score(PHOTO)
            assert "2 requests" in problem_of(answer, 429, "queue-full")
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            ready = server.client.get("/readyz")
            problem_of(ready, 503, "queue-full")
            assert ready.headers["retry-after"]
            assert server.client.get("/healthz").status_code == 200
            assert [one.result().status_code for one in accepted] == [200, 200]
        assert server.client.get("/readyz").status_code == 200


def test_who_hangs_up_is_forgotten_and_others_are_answered(tiny_bundle, animation):
    with running(tiny_bundle, "--jobs", 1, "--max-queue", 2, *PATIENT) as server:
        begun = server.client.build_request(
            "POST", "/v1/score", files={"file": ("slow.gif", animation.read_bytes())}
        )
        whole = begun.read()
        head = (
            f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: {begun.headers['content-type']}\r\n"
        )
        for sent in (whole[:1000], whole):
            with connected(server) as peer:
                peer.sendall(f"{head}Content-Length: {len(whole)}\r\n\r\n".encode() + sent)
                wait_until(lambda: server.metric("cameraborn_requests_under_way") == 1)
            wait_until(lambda: server.metric("cameraborn_requests_under_way") == 0)
        assert server.metric('cameraborn_errors_total{kind="client-gone"}') == 2
        wait_until(lambda: server.metric("cameraborn_pictures_working") == 0)
        assert server.score(PHOTO).json()[0]["scope"] == "ok"


def test_a_small_request_need_not_wait_for_all_of_a_large_one(tiny_bundle, animation):
    with running(tiny_bundle, "--jobs", 1, *PATIENT) as server, ThreadPoolExecutor(1) as clients:
        large = clients.submit(server.score, *[animation] * 4)
        wait_until(lambda: server.metric("cameraborn_pictures_working") == 1)
        with httpx.Client(base_url=server.url, timeout=300) as other:
            answer = other.post("/v1/score", files={"file": (PHOTO.name, PHOTO.read_bytes())})
        assert answer.json()[0]["scope"] == "ok"
        assert not large.done()
        assert len(large.result().json()) == 4


@posix
def test_nothing_is_written_to_disk(tiny_bundle, tmp_path, monkeypatch):
    trace = tmp_path / "written"
    trace.mkdir()
    monkeypatch.delitem(ENVIRONMENT, "MPLCONFIGDIR", raising=False)
    monkeypatch.delitem(ENVIRONMENT, "XDG_CACHE_HOME", raising=False)
    monkeypatch.delitem(ENVIRONMENT, "XDG_CONFIG_HOME", raising=False)
    with running(tiny_bundle, cwd=trace, TMPDIR=str(trace), HOME=str(trace)) as server:
        before = [*trace.iterdir()]  # ONNX Runtime leaves a file when it starts
        assert len(before) <= 1
        large = encoded(np.random.default_rng(0).integers(0, 255, (1500, 1500, 3), np.uint8), quality=98)
        assert len(large) > 3 << 20  # a form's parser keeps less in memory unless told otherwise
        with ThreadPoolExecutor(1) as clients:
            asked = clients.submit(one_form, server, large)
            while not asked.done():
                assert [*trace.iterdir()] == before
                assert not deleted_files(server.process.pid)
                time.sleep(0.01)
        assert asked.result().json()[0]["scope"] == "no-face"
        assert server.client.post("/v1/explain", files={"file": PHOTO.read_bytes()}).status_code == 200
        assert [*trace.iterdir()] == before


def deleted_files(pid):
    """Open files of a process that no longer have a name, as temporary ones."""
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(str(entry.readlink()))
        except OSError:
            continue
    return [link for link in links if link.endswith("(deleted)") and link.startswith("/")]


def test_what_is_refused_is_counted(strict):
    problem_of(strict.score(*[PHOTO] * 4), 413, "too-many-files")
    assert strict.metric('cameraborn_errors_total{kind="too-many-files"}') >= 1
    assert json.loads(strict.client.get("/healthz").text) == {"status": "ok"}
