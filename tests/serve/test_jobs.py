"""Jobs, by a real server: accepted at once, followed, cancelled, and kept over whatever ends the server."""

import asyncio
import hashlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import httpx
import numpy as np
import pytest
from PIL import Image

from cameraborn.serve.job_store import JobStore
from cameraborn.serve.jobs import Jobs, Judged
from cameraborn.serve.limits import Limits
from cameraborn.serve.pool import Pool
from cameraborn.serve.uploads import Upload
from tests.command import ROOT, posix, run, wait_until
from tests.conftest import encoded
from tests.serve.running import (
    GENERATED,
    NAMES,
    PAIR,
    PATIENT,
    PHOTO,
    ended,
    events,
    problem_of,
    results,
    running,
    start,
    started,
)


def test_many_pictures_are_accepted_at_once_and_get_the_rows_of_score(server):
    answer = start(server, *PAIR * 3, false_alarm=0.2, category=True)
    assert answer.status_code == 202
    assert answer.json()["state"] == "running"
    assert answer.json()["options"] == {
        "false_alarm": 0.2, "category": True, "whole_image": False, "every": None, "frames": False, "provenance": False,
    }  # fmt: skip
    job = answer.headers["location"]
    done = ended(server, job)
    assert done["state"] == "finished"
    assert done["counts"] == {
        "pictures": 6,
        "pending": 0,
        "judged": 6,
        "refused": 0,
        "cancelled": 0,
        "lost": 0,
    }
    assert done["created"] < done["ended"] < done["expires"]
    found = results(server, job)
    assert [one["event"] for one in found] == [1, 2, 3, 4, 5, 6]
    in_order = sorted(found, key=lambda one: one["picture"])
    assert [one["name"] for one in in_order] == NAMES * 3
    assert {one["provenance"] for one in found} == {None}
    rows = [row for one in in_order for row in one["rows"]]
    assert rows == server.score(*PAIR * 3, false_alarm=0.2, category=True).json()


def test_what_files_say_of_their_origin_comes_with_a_job_that_asks(server):
    job = started(server, *PAIR, provenance=True)
    ended(server, job)
    found = sorted(results(server, job), key=lambda one: one["picture"])
    files = [("file", (path.name, path.read_bytes())) for path in PAIR]
    assert [one["provenance"] for one in found] == server.client.post("/v1/provenance", files=files).json()


def test_base64_in_json_makes_a_job(server):
    pictures = [{"data": "bm8gcGljdHVyZQ==", "name": "no picture"}]
    answer = server.client.post("/v1/jobs", json={"pictures": pictures})
    assert answer.status_code == 202
    job = answer.headers["location"]
    assert ended(server, job)["counts"]["judged"] == 1  # a row says that it cannot be read
    ((row,),) = (one["rows"] for one in results(server, job))
    assert (row["path"], row["scope"]) == ("no picture", "unreadable")


def test_a_stream_of_a_job_that_waits_has_what_is_done(tiny_bundle, animation):
    with running(tiny_bundle, "--jobs", 1, *PATIENT) as server:
        job = started(server, PHOTO, animation)
        ((id, kind, data),) = events(server, job, most=1)
        assert (id, kind, data["name"]) == ("1", "picture", PHOTO.name)
        assert server.client.get(job).json()["counts"]["pending"] == 1


def test_a_picture_that_asks_too_much_is_refused_alone(tiny_bundle, tmp_path):
    with Image.open(PHOTO) as image:
        face = np.asarray(image.convert("RGB").resize((160, 160)))
    (tmp_path / "pair.jpg").write_bytes(encoded(np.hstack([face, face]), quality=95))
    Image.new("L", (321, 320)).save(tmp_path / "large.png")
    with running(tiny_bundle, "--max-faces", 1, "--max-pixels", 320 * 320) as server:
        job = started(server, PHOTO, tmp_path / "pair.jpg", tmp_path / "large.png", PHOTO)
        assert ended(server, job)["counts"]["judged"] == 2
        found = {one["name"]: one for one in results(server, job)}
        for name, kind in (("pair.jpg", "too-many-faces"), ("large.png", "too-many-pixels")):
            assert (found[name]["state"], found[name]["rows"]) == ("refused", [])
            assert found[name]["problem"]["kind"] == kind
            assert name in found[name]["problem"]["detail"]
        assert found[PHOTO.name]["rows"] == server.score(PHOTO).json()


def test_a_picture_that_takes_too_long_is_refused_alone(tiny_bundle, tmp_path):
    first, *rest = [Image.new("L", (1200, 1200), number) for number in range(200)]
    first.save(tmp_path / "long.gif", save_all=True, append_images=rest)
    with running(tiny_bundle, "--jobs", 1, "--max-seconds", 1) as server:
        job = started(server, tmp_path / "long.gif", PHOTO)
        assert ended(server, job)["counts"] | {"refused": 1, "judged": 1} == ended(server, job)["counts"]
        refused, judged = results(server, job)
        assert refused["problem"]["kind"] == "out-of-time"
        assert judged["rows"][0]["scope"] == "ok"


def test_what_is_cancelled_is_not_judged_and_what_is_judged_stays(tiny_bundle, animation):
    with running(tiny_bundle, "--jobs", 1, *PATIENT) as server:
        job = started(server, PHOTO, *[animation] * 3)
        wait_until(lambda: server.client.get(job).json()["counts"]["judged"] == 1)
        told = server.client.post(f"{job}/cancel").json()
        assert told["state"] == "cancelled"
        assert told["counts"] | {"judged": 1, "cancelled": 3, "pending": 0} == told["counts"]
        wait_until(lambda: server.metric("cameraborn_pictures_working") == 0)
        assert server.metric("cameraborn_jobs_running") == 0
        assert server.metric("cameraborn_job_bytes_waiting") == 0
        assert [one["state"] for one in results(server, job)] == ["judged"] + ["cancelled"] * 3
        assert [kind for _, kind, _ in events(server, job)] == ["picture"] * 4 + ["end"]
        again = server.client.post(f"{job}/cancel").json()
        assert again == server.client.get(job).json() == told


def test_a_job_that_is_deleted_is_forgotten_and_its_stream_ends(tiny_bundle, animation):
    with running(tiny_bundle, "--jobs", 1, *PATIENT) as server:
        job = started(server, *[animation] * 3)
        with httpx.Client(base_url=server.url, timeout=60) as other:
            headers = {"Accept": "text/event-stream"}
            with other.stream("GET", f"{job}/rows", headers=headers) as stream:
                assert server.client.delete(job).status_code == 204
                stream.read()
        for method, path in (("GET", ""), ("GET", "/rows"), ("POST", "/cancel"), ("DELETE", "")):
            problem_of(server.client.request(method, job + path), 404, "no-such-job")
        assert server.client.get("/v1/jobs").json() == {"jobs": []}
        wait_until(lambda: server.metric("cameraborn_pictures_working") == 0)
        assert server.metric("cameraborn_job_pictures_pending") == 0


def test_jobs_are_listed_newest_first(tiny_bundle):
    with running(tiny_bundle) as server:
        jobs = [started(server, PHOTO) for _ in range(3)]
        listed = server.client.get("/v1/jobs").json()["jobs"]
        assert [f"/v1/jobs/{one['id']}" for one in listed] == jobs[::-1]


def test_a_request_need_not_wait_for_a_job_nor_a_small_job_for_a_large_one(tiny_bundle, animation):
    with running(tiny_bundle, "--jobs", 1, *PATIENT) as server:
        large = started(server, *[animation] * 6)
        wait_until(lambda: server.metric("cameraborn_pictures_working") == 1)
        assert server.score(PHOTO).json()[0]["scope"] == "ok"
        assert server.client.get(large).json()["counts"]["pending"] > 0
        small = started(server, PHOTO)
        ended(server, small)
        assert server.client.get(large).json()["counts"]["pending"] > 0
        assert server.client.post(f"{large}/cancel").status_code == 200


def test_jobs_that_ask_too_much_are_refused(tiny_bundle, animation):
    size = animation.stat().st_size
    limits = {"max-job-files": 2, "max-job-bytes": 2 * size, "max-jobs": 2}
    options = [f"--{name}={value}" for name, value in limits.items()]
    with running(tiny_bundle, "--jobs", 1, *options, *PATIENT) as server:
        problem_of(start(server, PHOTO, PHOTO, PHOTO), 413, "too-many-files")
        problem_of(start(server, animation, animation), 413, "too-many-bytes")  # with the form's own
        problem_of(start(server, PHOTO, fdr=0.1), 422, "malformed-request")
        problem_of(start(server, PHOTO, false_alarm=1e-9), 422, "rate")
        first = started(server, animation)
        full = start(server, animation)
        assert "try again in" in problem_of(full, 429, "job-bytes-full")
        assert int(full.headers["retry-after"]) >= 1
        assert server.metric("cameraborn_job_bytes_waiting") == size
        second = started(server, PHOTO)
        assert "as many jobs as are kept (2)" in problem_of(start(server, PHOTO), 429, "jobs-full")
        for job in (first, second):
            server.client.delete(job)
        wait_until(lambda: server.metric("cameraborn_job_bytes_waiting") == 0)
        started(server, PHOTO)
        assert server.metric('cameraborn_errors_total{kind="jobs-full"}') == 1


def test_jobs_whose_rows_were_read_make_room_and_others_do_not(tiny_bundle, tmp_path):
    options = ("--max-jobs", 1, "--jobs-file", tmp_path / "jobs.db", "--job-hours", 2)
    with running(tiny_bundle, *options) as server:
        first = started(server, *PAIR)
        ended(server, first)
        for after in (1, 0):
            full = start(server, PHOTO)
            assert "try again in 2 h" in problem_of(full, 429, "jobs-full")
            assert 7000 < int(full.headers["retry-after"]) <= 7200  # until it expires
            results(server, first, after=0, most=1)  # not the last
            if not after:
                results(server, first, after=1)
        problem_of(start(server, tmp_path / "jobs.db", fdr=1), 422, "malformed-request")
        assert server.client.get(first).status_code == 200  # what is refused takes nobody's place
    with running(tiny_bundle, *options) as server:
        second = started(server, PHOTO)
        problem_of(server.client.get(first), 404, "no-such-job")
        assert [kind for _, kind, _ in events(server, second)] == ["picture", "end"]
        third = started(server, PHOTO)
        problem_of(server.client.get(second), 404, "no-such-job")
        ended(server, third)


def test_a_job_of_films_keeps_no_request_waiting(tiny_bundle, tmp_path):
    pytest.importorskip("av")
    from tests.photo.test_video import corner, write

    film = write(tmp_path / "film.mp4", [corner((640, 480))] * 400, rate=25)
    with running(tiny_bundle, "--jobs", 1, "--max-frames", 1000, *PATIENT) as server:
        job = started(server, film, film, every=0.04)
        wait_until(lambda: server.metric("cameraborn_pictures_working") == 1)
        assert server.score(PHOTO).json()[0]["scope"] == "ok"
        assert server.client.get(job).json()["counts"]["pending"] == 2  # it is in the middle of the first
        server.client.delete(job)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_of_the_documentation_run(server, tmp_path):
    text = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8").partition("## Jobs")[2]
    script = re.search(r"```bash\n(.*?)```", text, re.DOTALL)[1]
    assert script.count("curl ") == 7
    for name, path in zip(("one.jpg", "two.jpg"), PAIR, strict=True):
        shutil.copy(path, tmp_path / name)
    script = script.replace("http://127.0.0.1:8000", server.url).replace("curl ", "curl --fail-with-body ")
    done = subprocess.run(["bash", "-e"], input=script, text=True, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for part in ('"state":"running"', "id: 2\nevent: picture\ndata: {", "event: end", '"last_event": 2'):
        assert part in done.stdout
    problem_of(server.client.get(f"/v1/jobs/{done.stdout.split()[-1]}"), 404, "no-such-job")


def test_a_job_is_seen_with_the_token_that_made_it(tiny_bundle, tmp_path):
    mine, other = ({"Authorization": f"Bearer {letter * 64}"} for letter in "ab")
    hashes = [hashlib.sha256(letter.encode() * 64).hexdigest() for letter in "ab"]
    (tmp_path / "tokens.txt").write_text("\n".join(hashes))
    with running(tiny_bundle, "--tokens", tmp_path / "tokens.txt") as server:
        problem_of(start(server, PHOTO), 401, "unauthorised")
        job = start(server, PHOTO, headers=mine).headers["location"]
        for method, path in (("GET", ""), ("GET", "/rows"), ("POST", "/cancel"), ("DELETE", "")):
            problem_of(server.client.request(method, job + path), 401, "unauthorised")
            problem_of(server.client.request(method, job + path, headers=other), 404, "no-such-job")
        assert server.client.get("/v1/jobs", headers=other).json() == {"jobs": []}
        assert len(server.client.get("/v1/jobs", headers=mine).json()["jobs"]) == 1
        server.client.headers = mine  # for the metrics, when it ends


@posix
def test_after_kill_9_what_was_finished_is_there_and_the_rest_is_lost(tiny_bundle, tmp_path, animation):
    file = tmp_path / "jobs.db"
    options = ("--jobs", 1, "--jobs-file", file, *PATIENT)
    with running(tiny_bundle, *options) as server:
        done = started(server, PHOTO)
        ended(server, done)
        job = started(server, PHOTO, GENERATED, animation, animation)
        wait_until(lambda: server.client.get(job).json()["counts"]["judged"] == 2)
        before = {one: results(server, one) for one in (done, job)}
        streamed = events(server, job, most=2)
        assert before[job] == [data for _, _, data in streamed]
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(60)
    with running(tiny_bundle, *options) as server:
        assert server.client.get(done).json()["state"] == "finished"
        assert results(server, done) == before[done]
        told = server.client.get(job).json()
        assert told["state"] == "interrupted"
        assert told["counts"] | {"judged": 2, "lost": 2, "pending": 0} == told["counts"]
        found = results(server, job)
        assert found[:2] == before[job]
        assert [(one["event"], one["picture"], one["state"]) for one in found[2:]] == [
            (3, 2, "lost"),
            (4, 3, "lost"),
        ]
        rest = events(server, job, after=streamed[-1][0])
        assert [(id, data.get("state")) for id, _, data in rest] == [
            ("3", "lost"),
            ("4", "lost"),
            (None, "interrupted"),
        ]
        problem_of(start(server, PHOTO, fdr=1), 422, "malformed-request")
        assert ended(server, started(server, PHOTO))["state"] == "finished"
        assert len(server.client.get("/v1/jobs").json()["jobs"]) == 3


@posix
def test_jobs_whose_results_are_kept_are_finished_before_the_server_ends(tiny_bundle, tmp_path, animation):
    file = tmp_path / "jobs.db"
    with running(tiny_bundle, "--jobs", 1, "--jobs-file", file, *PATIENT) as server:
        job = started(server, animation, PHOTO)
        assert server.end() == 0
        assert server.log.endswith("stopped: everything that was accepted is answered\n")
    with running(tiny_bundle, "--jobs-file", file) as server:
        assert server.client.get(job).json()["state"] == "finished"
        assert len(results(server, job)) == 2
    assert [*tmp_path.iterdir()] == [file]


@posix
def test_a_second_ctrl_c_ends_it_at_once(tiny_bundle, tmp_path, animation):
    options = ("--jobs", 1, "--jobs-file", tmp_path / "jobs.db", *PATIENT)
    with running(tiny_bundle, *options) as server:
        job = started(server, *[animation] * 20)
        wait_until(lambda: server.metric("cameraborn_pictures_working") == 1)
        os.kill(server.process.pid, signal.SIGINT)
        time.sleep(1)
        assert server.process.poll() is None
        os.kill(server.process.pid, signal.SIGINT)
        assert server.process.wait(60) == 0
    assert server.log.endswith("stopped: what was not answered is lost\n")
    with running(tiny_bundle, *options) as server:
        counts = server.client.get(job).json()["counts"]
        assert counts["lost"] > 0
        assert counts["lost"] + counts["judged"] == 20


def test_without_a_file_jobs_do_not_keep_the_server(tiny_bundle, animation):
    with running(tiny_bundle, "--jobs", 1, *PATIENT) as server:
        started(server, *[animation] * 50)
        wait_until(lambda: server.metric("cameraborn_pictures_working") == 1)
        began = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - began < 60
        assert "1 job that nobody streamed ended early" in server.log


def test_two_servers_on_one_file(tiny_bundle, tmp_path):
    with running(tiny_bundle, "--jobs-file", tmp_path / "jobs.db"):
        command = ("serve", "--port", "0", "--bundle", tiny_bundle, "--jobs-file", "jobs.db")
        code, _, error = run(*command, cwd=tmp_path)
    assert (code, error) == (
        2,
        "cameraborn: jobs.db: another server has it open: give this one a file of its own\n",
    )


def test_no_picture_is_in_the_file(tiny_bundle, tmp_path):
    file = tmp_path / "jobs.db"
    with running(tiny_bundle, "--jobs-file", file) as server:
        job = started(server, *PAIR)
        assert ended(server, job)["counts"]["judged"] == 2
    kept, sent = file.read_bytes(), PHOTO.read_bytes()
    assert PHOTO.name.encode() in kept
    for start_of in range(0, len(sent) - 64, 4096):
        assert sent[start_of : start_of + 64] not in kept


def test_ended_jobs_expire(tiny_bundle):
    with running(tiny_bundle, "--job-hours", 1 / 3600) as server:
        job = started(server, PHOTO)
        wait_until(lambda: server.client.get(job).status_code == 404)
        assert server.client.get("/v1/jobs").json() == {"jobs": []}


def working(store, judge):
    """Jobs in this process's event loop, judged by a function."""
    limits = Limits()
    jobs = Jobs(store, Pool(1, limits), limits, judge, threading.Event())
    jobs.begin()
    return jobs


def begun(jobs, *names):
    with jobs.room() as room:
        return jobs.start("", {}, [Upload(name, b"") for name in names], room)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_result_that_the_disk_has_no_room_for_is_written_later(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("cameraborn.serve.jobs._WRITE_AGAIN", 0.01)

    async def scenario(store):
        jobs = working(store, lambda *_: Judged([{"path": "a" * 500_000}]))
        job = begun(jobs, "a", "b")
        (pages,) = store._database.execute("PRAGMA page_count").fetchone()
        store._database.execute(f"PRAGMA max_page_count = {pages}")  # what a full disk does
        await until(lambda: "make room on the disk" in caplog.text)
        assert store.results(job, 0, 9) == []
        assert jobs.running == 1
        store._database.execute("PRAGMA max_page_count = 100000")
        await until(lambda: not jobs.running)
        assert [(one.event, one.state) for one in store.results(job, 0, 9)] == [(1, "judged"), (2, "judged")]
        await jobs.end()

    with JobStore(tmp_path / "jobs.db") as store:
        asyncio.run(scenario(store))


def test_a_picture_that_brings_our_own_error_to_light_is_refused_alone(caplog):
    def judge(upload, *_):
        errors = {"wrong": ZeroDivisionError, "large": MemoryError}
        if upload.name in errors:
            raise errors[upload.name]
        return Judged([])

    async def scenario(store):
        jobs = working(store, judge)
        job = begun(jobs, "wrong", "large", "right")
        await until(lambda: not jobs.running)
        found = store.results(job, 0, 9)
        assert [one.problem and one.problem["kind"] for one in found] == [
            "internal-error",
            "out-of-memory",
            None,
        ]
        assert "ZeroDivisionError" in caplog.text
        assert jobs.pending == jobs.bytes_waiting == 0
        await jobs.end()

    with JobStore(None) as store:
        asyncio.run(scenario(store))
