"""Metrics: requests, refusals, pictures and verdicts are counted, in the form that Prometheus reads."""

import asyncio
import threading

from cameraborn.detect.verdict import Verdict
from cameraborn.serve.job_store import JobStore
from cameraborn.serve.jobs import Jobs, Judged
from cameraborn.serve.limits import Limits
from cameraborn.serve.metrics import Metrics
from cameraborn.serve.pool import Pool
from cameraborn.serve.uploads import Upload
from tests.serve.running import PAIR, PHOTO


def test_metrics_count_requests_pictures_verdicts_and_errors(server):
    counted = {
        'cameraborn_requests_total{route="/v1/score",status="200"}': 1,
        "cameraborn_pictures_total": 2,
        'cameraborn_verdicts_total{scope="ok"}': 2,
        'cameraborn_request_seconds_count{route="/v1/score"}': 2,
        'cameraborn_errors_total{kind="malformed-request"}': 1,
    }
    server.score(*PAIR)
    server.score(PHOTO, no_option=1)
    before = {name: server.metric(name) for name in counted}
    server.score(*PAIR)
    server.score(PHOTO, no_option=1)
    assert {name: server.metric(name) - value for name, value in before.items()} == counted
    for gauge in ("requests_under_way", "pictures_pending", "pictures_working"):
        assert server.metric(f"cameraborn_{gauge}") == 0


def values(metrics):
    """The lines of its text by their names."""
    lines = metrics.text().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def verdict(scope):
    return Verdict("a.jpg", None, None, None, None, None, None, None, scope, None, "tiny")


def test_what_is_told_is_counted(metrics):
    metrics.answered("/v1/score", 200, 0.3)
    metrics.answered("/v1/score", 200, 70.0)
    metrics.answered("other", 404, 0.01)
    metrics.refused("queue-full")
    metrics.judged(3, map(verdict, ("ok", "ok", "no-face", "unreadable")))
    metrics.judged(1, ())
    for faces in (1, 3, 40):
        metrics.ran(faces)
    found = values(metrics)
    expected = {
        'requests_total{route="/v1/score",status="200"}': 2,
        'requests_total{route="other",status="404"}': 1,
        'request_seconds_sum{route="/v1/score"}': 70.3,
        'request_seconds_bucket{le="0.25",route="/v1/score"}': 0,
        'request_seconds_bucket{le="0.5",route="/v1/score"}': 1,
        'request_seconds_bucket{le="60.0",route="/v1/score"}': 1,
        'request_seconds_bucket{le="+Inf",route="/v1/score"}': 2,
        'errors_total{kind="queue-full"}': 1,
        "pictures_total": 4,
        'verdicts_total{scope="ok"}': 2,
        'verdicts_total{scope="no-face"}': 1,
        'verdicts_total{scope="unreadable"}': 1,
        "faces_together_sum": 44,
        'faces_together_bucket{le="2.0"}': 1,
        'faces_together_bucket{le="3.0"}': 2,
        'faces_together_bucket{le="32.0"}': 2,
    }
    assert {name: found[f"cameraborn_{name}"] for name in expected} == expected


def test_gauges_show_what_is_under_way():
    limits = Limits()
    pool = Pool(1, limits)

    async def under_way(jobs, metrics):
        async with pool.accepted():
            with jobs.room() as room:
                room.take(1000)
                begun = values(metrics)
                jobs.start("", {}, [Upload("a.jpg", bytes(600)), Upload("b.jpg", bytes(400))], room)
            return begun, values(metrics)

    with JobStore(None) as store:
        jobs = Jobs(store, pool, limits, lambda *_: Judged(()), threading.Event())
        metrics = Metrics(pool, jobs)
        begun, started = asyncio.run(under_way(jobs, metrics))
        after = values(metrics)
    pool.close()
    names = ("requests_under_way", "job_bytes_waiting", "jobs_running", "job_pictures_pending")
    told = [[found[f"cameraborn_{name}"] for name in names] for found in (begun, started, after)]
    assert told == [[1, 1000, 0, 0], [1, 1000, 1, 2], [0, 1000, 1, 2]]
    assert begun["cameraborn_pictures_pending"] == begun["cameraborn_pictures_working"] == 0
