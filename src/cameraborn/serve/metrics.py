"""What Prometheus asks for at /metrics: requests, errors by kind, the queue, latency, jobs, pictures, verdicts."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from cameraborn.detect.verdict import Verdict
from cameraborn.serve.jobs import Jobs
from cameraborn.serve.pool import Pool

SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
TOGETHER = (1, 2, 3, 4, 6, 8, 12, 16, 32)
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST


class Metrics:
    """Counts what a server does.

    Args:
        pool: whose queue is shown.
        jobs: whose number is shown.
    """

    def __init__(self, pool: Pool, jobs: Jobs) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "cameraborn_requests", "Answered requests.", ("route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "cameraborn_request_seconds",
            "Time from a request's headers to the end of its answer.",
            ("route",),
            buckets=SECONDS,
            registry=registry,
        )
        self._errors = Counter("cameraborn_errors", "Refused requests.", ("kind",), registry=registry)
        self._pictures = Counter(
            "cameraborn_pictures", "Pictures that were judged or not read.", registry=registry
        )
        self._verdicts = Counter(
            "cameraborn_verdicts", "Rows, by their scope.", ("scope",), registry=registry
        )
        self._together = Histogram(
            "cameraborn_faces_together",
            "Faces, of any requests, that went through a network in one run.",
            buckets=TOGETHER,
            registry=registry,
        )
        for name, what, value in (
            ("requests_under_way", "Requests that are accepted and not answered.", lambda: pool.requests),
            ("pictures_pending", "Pictures of these that are not finished.", lambda: pool.pending),
            ("pictures_working", "Pictures that threads work on.", lambda: pool.working),
            ("jobs_running", "Jobs that have not ended.", lambda: jobs.running),
            ("job_pictures_pending", "Pictures of jobs that are not finished.", lambda: jobs.pending),
            ("job_bytes_waiting", "Bytes of these, and of those that come in.", lambda: jobs.bytes_waiting),
        ):
            Gauge(f"cameraborn_{name}", what, registry=registry).set_function(value)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, kind: str) -> None:
        """Count a refusal."""
        self._errors.labels(kind).inc()

    def judged(self, pictures: int, verdicts: Iterable[Verdict]) -> None:
        """Count pictures and what was said of them."""
        self._pictures.inc(pictures)
        for scope, count in Tally(verdict.scope for verdict in verdicts).items():
            self._verdicts.labels(scope).inc(count)

    def ran(self, faces: int) -> None:
        """Count a run of a network."""
        self._together.observe(faces)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return prometheus_client.generate_latest(self._registry)
