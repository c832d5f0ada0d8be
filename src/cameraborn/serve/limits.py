"""What one request may ask of the server, and how it is told that it asks too much.

A refusal is answered as JSON of the form "problem details" (RFC 9457), with a `kind` for programs to go by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

PROBLEM = "application/problem+json"
SLOWEST = 16 << 10  # bytes a second that a body has to come with, on the average
CLIENT_GONE = (499, "Client Closed Request")  # as web servers call it; only the counts and the log show it


@dataclass(frozen=True)
class Limits:
    """What a request may ask.

    The server holds at most `max_queue` bodies of `max_bytes` and `max_job_bytes` of pictures of jobs in memory, and
    two decoded pictures of `max_pixels` a thread: that of a request, and that of a job which gave way to it.

    Attributes:
        max_bytes: size of a request's body.
        max_pixels: size of a picture, by its header.
        max_faces: faces in a picture.
        max_files: pictures in a request.
        max_frames: frames of a video that are looked at; 0 takes no videos.
        max_seconds: time for the work on a request, once it has come in, or on one picture of a job; and the longest
            time in which nothing of a request's body comes.
        max_queue: requests that are accepted at a time, and streams of results that are open.
        max_job_files: pictures in a job.
        max_job_bytes: size of the pictures of all jobs that wait to be judged.
        max_jobs: jobs that are kept, running or ended; those whose rows were read to the end make room for others.
        job_hours: time that an ended job is kept.
    """

    max_bytes: int = 32 << 20
    max_pixels: int = 50_000_000
    max_faces: int = 64
    max_files: int = 32
    max_frames: int = 120
    max_seconds: float = 60.0
    max_queue: int = 100
    max_job_files: int = 1000
    max_job_bytes: int = 512 << 20
    max_jobs: int = 100
    job_hours: float = 24.0


@dataclass
class Refusal(Exception):
    """A request that is not answered as its sender hoped.

    Attributes:
        status: the HTTP status.
        kind: what is wrong, in a word for programs.
        detail: one line for people: what is wrong and what to do next.
        headers: of the answer.
    """

    status: int
    kind: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    title: str = Field(description="The name of the HTTP status.")
    status: int = Field(description="The HTTP status.")
    kind: str = Field(description="What is wrong, in a word for programs.")
    detail: str = Field(description="What is wrong and what to do next, in a line for people.")


def problem(refusal: Refusal) -> JSONResponse:
    """The answer to a refused request."""
    told = problem_of(refusal).model_dump()
    return JSONResponse(told, refusal.status, dict(refusal.headers), PROBLEM)


def problem_of(refusal: Refusal) -> Problem:
    """What is said of a refusal."""
    title = CLIENT_GONE[1] if refusal.status == CLIENT_GONE[0] else HTTPStatus(refusal.status).phrase
    return Problem(title=title, status=refusal.status, kind=refusal.kind, detail=refusal.detail)


def _for_now(status: int, kind: str, detail: str, seconds: int = 10) -> Refusal:
    """A refusal that says when it is worth to try again."""
    return Refusal(status, kind, detail, {"Retry-After": str(seconds)})


OUT_OF_MEMORY = _for_now(503, "out-of-memory", "the memory does not suffice: try again later")
INTERNAL_ERROR = Refusal(
    500, "internal-error", "an error of the server, which its log tells of: tell its operator"
)


def too_many_bytes(most: int) -> Refusal:
    """The body is too large."""
    allowed = f"{most / 2**20:g} MiB"
    return Refusal(
        413,
        "too-many-bytes",
        f"the request is larger than {allowed}: send fewer or smaller pictures at a time",
    )


def too_many_files(limits: Limits) -> Refusal:
    """There are too many pictures."""
    return Refusal(
        413, "too-many-files", f"there are more than {limits.max_files} pictures: send fewer at a time"
    )


def too_many_pixels(name: str, size: tuple[int, int], limits: Limits) -> Refusal:
    """A picture is too large."""
    return Refusal(
        422,
        "too-many-pixels",
        f"{name}: {size[0]} x {size[1]} pixels are more than the limit of {limits.max_pixels:,}: "
        "make it smaller first",
    )


def too_many_faces(name: str, limits: Limits) -> Refusal:
    """A picture shows too many faces."""
    return Refusal(
        422,
        "too-many-faces",
        f"{name}: shows more than {limits.max_faces} faces: cut it into several pictures",
    )


def too_many_frames(name: str, limits: Limits) -> Refusal:
    """A video would be looked at too often."""
    return Refusal(
        422,
        "too-many-frames",
        f"{name}: would be looked at more than {limits.max_frames} times: ask for a larger 'every', or leave it out",
    )


def no_videos(name: str, why: str) -> Refusal:
    """Videos are not taken here."""
    return Refusal(415, "video", f"{name}: a video, and {why}: send pictures")


def malformed(detail: str) -> Refusal:
    """The request is not of the form that the document at /openapi.json describes."""
    return Refusal(422, "malformed-request", detail)


def busy(limits: Limits, seconds: int) -> Refusal:
    """Too many requests are under way."""
    return _for_now(
        429,
        "queue-full",
        f"as much is under way as fits into {limits.max_queue} requests or {limits.max_seconds:g} s: "
        f"try again in {seconds} s",
        seconds,
    )


def out_of_time(limits: Limits, seconds: int) -> Refusal:
    """The request took too long."""
    return _for_now(
        503,
        "out-of-time",
        f"the request took more than {limits.max_seconds:g} s: send fewer or smaller pictures, "
        f"or try again in {seconds} s",
        seconds,
    )


def too_slow(limits: Limits) -> Refusal:
    """The body does not come."""
    return Refusal(
        408,
        "upload-too-slow",
        f"nothing came for {limits.max_seconds:g} s, or less than {SLOWEST >> 10} KiB a second: send it again",
    )


def too_many_jobs(limits: Limits, seconds: int) -> Refusal:
    """No further job can be kept."""
    return _for_now(
        429,
        "jobs-full",
        f"as many jobs as are kept ({limits.max_jobs}) run, or have rows that nobody has read to the end: read or "
        f"delete one, or try again in {_duration(seconds)}",
        seconds,
    )


def _duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"


def too_many_job_bytes(limits: Limits, seconds: int) -> Refusal:
    """The pictures of all jobs together are too large for now."""
    return _for_now(
        429,
        "job-bytes-full",
        f"pictures of jobs that wait would take more than {limits.max_job_bytes / 2**20:g} MiB: "
        f"try again in {seconds} s",
        seconds,
    )


def no_such_job() -> Refusal:
    """There is no job of this name, or none of this sender's."""
    return Refusal(
        404,
        "no-such-job",
        "no job of yours has this id: it was deleted, has expired, was read and made room for another, or never was",
    )


def too_many_streams(limits: Limits) -> Refusal:
    """Too many streams of results are open."""
    return _for_now(
        429,
        "streams-full",
        f"{limits.max_queue} streams of results are open already: ask for JSON, or try again later",
    )


def jobs_file_fails() -> Refusal:
    """The file of jobs cannot be read or written."""
    return _for_now(
        503,
        "jobs-file",
        "the file of jobs cannot be used now, which the log tells of: try again later",
    )
