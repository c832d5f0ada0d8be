"""The routes of jobs: make, look at, follow, cancel, delete."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse
from pydantic import BeforeValidator

from cameraborn.serve.document import Responses, answer, named, refusals
from cameraborn.serve.job_facts import JobFacts, JobList, JobOptions, job_facts
from cameraborn.serve.job_store import Result, StoredJob
from cameraborn.serve.jobs import Jobs
from cameraborn.serve.limits import Limits, no_such_job, too_many_streams
from cameraborn.serve.pool import Pool
from cameraborn.serve.uploads import BODY, Body

EVENTS = "text/event-stream"
_WEIGHT = re.compile(r"[01](\.[0-9]{0,3})?")
_PAGE, _SILENCE = 500, 15.0  # results read at a time; seconds after which a stream says that it is alive

JobId = Annotated[str, PathParameter(pattern="^[A-Za-z0-9_-]{22}$")]
LastEvent = Annotated[
    int,
    Header(alias="Last-Event-ID", ge=0, le=2**31, description="Go on after this event of the stream."),
    BeforeValidator(lambda sent: sent or 0),  # browsers may send an empty one
]
After = Annotated[int, Query(ge=0, le=2**31, description="Only what was settled after this event.")]
Most = Annotated[int, Query(ge=1, le=1000, description="So many results at most.")]


class JobRoutes:
    """What is answered of jobs.

    Args:
        jobs: which.
        pool: lets requests in.
        limits: what a job may ask.
        check: raises an error if pictures cannot be judged with these options.
    """

    def __init__(self, jobs: Jobs, pool: Pool, limits: Limits, check: Callable[[JobOptions], None]) -> None:
        self._jobs, self._pool, self._limits, self._check = jobs, pool, limits, check
        self._body_limits = replace(limits, max_bytes=limits.max_job_bytes, max_files=limits.max_job_files)
        self._streams = 0

    async def create(
        self, request: Request, response: Response, options: Annotated[JobOptions, Query()]
    ) -> JobFacts:
        """Accept many pictures and answer at once; they are judged one after the other.

        Pictures come as for /v1/score, but more of them. They are kept in memory until their turn, and nowhere else: a
        server that is told to end drops them, unless it keeps results in a file or somebody streams them.
        """
        self._check(options)
        async with self._pool.accepted():
            with self._jobs.room() as room:
                uploads = await Body(request, self._body_limits, room.take).pictures()
                id = self._jobs.start(_owner(request), options.model_dump(), uploads, room)
        response.headers["Location"] = f"/v1/jobs/{id}"
        return await self._facts(request, id)

    async def mine(self, request: Request) -> JobList:
        """Your jobs, newest first."""
        found = await asyncio.to_thread(self._jobs.store.jobs, _owner(request))
        return JobList(jobs=[job_facts(job, self._limits.job_hours) for job in found])

    async def look(self, request: Request, id: JobId) -> JobFacts:
        """How far a job is."""
        return await self._facts(request, id)

    async def rows(
        self,
        request: Request,
        id: JobId,
        accept: Annotated[str, Header(include_in_schema=False)] = "",
        last_event: LastEvent = 0,
        after: After = 0,
        most: Most = 1000,
    ) -> Response:
        """What became of a job's pictures, in the order of completion: JSON of what is there, or a stream.

        With `Accept: text/event-stream`, server-sent events follow the job to its end: an event `picture` each, whose
        data are a JobResult and whose id goes into `Last-Event-ID` to go on after an interruption, and `end`, whose
        data are the job. When there is nothing more to say, a stream that goes on is answered 204.
        """
        job = await self._job(request, id)
        since = max(after, last_event)
        if not _wants_events(accept):
            results = await self._results(id, since, most)
            last = results[-1].event if results else since
            if _is_over(job, last):
                await self._note_read(id)
            told = {"state": job.state, "results": [asdict(one) for one in results], "last_event": last}
            return Response(json.dumps(told), media_type="application/json")
        if _is_over(job, since):
            await self._note_read(id)
            return Response(status_code=204)
        if self._streams >= self._limits.max_queue:
            raise too_many_streams(self._limits)
        unbuffered = {"X-Accel-Buffering": "no"}  # or a proxy would keep events until there are many
        return StreamingResponse(self._stream(request, id, since), headers=unbuffered, media_type=EVENTS)

    async def cancel(self, request: Request, id: JobId) -> JobFacts:
        """End a job: what is judged stays, the rest is not judged. An ended one stays as it is."""
        await self._job(request, id)
        await self._jobs.cancel(id)
        return await self._facts(request, id)

    async def delete(self, request: Request, id: JobId) -> Response:
        """End a job, if it runs, and forget it and its results."""
        await self._job(request, id)
        await self._jobs.delete(id)
        return Response(status_code=204)

    async def _stream(self, request: Request, id: str, since: int) -> AsyncIterator[str]:
        self._streams += 1
        try:
            while True:
                news = self._jobs.news(id)
                job = await asyncio.to_thread(self._jobs.store.job, id, _owner(request))
                if job is None:
                    return
                results = await self._results(id, since, _PAGE)
                for result in results:
                    since = result.event
                    yield _event("picture", json.dumps(asdict(result)), since)
                if results:
                    continue
                if job.state != "running":
                    await self._note_read(id)
                    yield _event("end", job_facts(job, self._limits.job_hours).model_dump_json())
                    return
                try:
                    await asyncio.wait_for(news.wait(), _SILENCE)
                except TimeoutError:
                    yield ": still at work\n\n"
        finally:
            self._streams -= 1

    async def _note_read(self, id: str) -> None:
        with suppress(
            sqlite3.OperationalError
        ):  # of a full disk: the job is kept until it expires, and was answered
            await asyncio.to_thread(self._jobs.store.mark_read, id)

    async def _results(self, id: str, since: int, most: int) -> list[Result]:
        return await asyncio.to_thread(self._jobs.store.results, id, since, most)

    async def _job(self, request: Request, id: str) -> StoredJob:
        job = await asyncio.to_thread(self._jobs.store.job, id, _owner(request))
        if job is None:
            raise no_such_job()
        return job

    async def _facts(self, request: Request, id: str) -> JobFacts:
        return job_facts(await self._job(request, id), self._limits.job_hours)


def job_routes(routes: JobRoutes, locked: bool) -> APIRouter:
    """The routes.

    Args:
        routes: that answer.
        locked: each needs a token.
    """
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
    tokens = refusals(401) if locked else {}
    asked = tokens | refusals(422, 503)
    one = asked | refusals(404)
    results = answer(
        "What became of pictures.", {"application/json": named("JobResults"), EVENTS: {"type": "string"}}
    )
    nothing: Responses = {204: {"description": "Nothing more will come."}}
    router.add_api_route(
        "", routes.create, methods=["POST"], status_code=202, openapi_extra=BODY,
        responses=asked | refusals(408, 413, 415, 429),
    )  # fmt: skip
    router.add_api_route("", routes.mine, responses=asked)
    router.add_api_route("/{id}", routes.look, responses=one)
    router.add_api_route(
        "/{id}/rows", routes.rows, response_class=Response, responses=one | refusals(429) | results | nothing
    )
    router.add_api_route("/{id}/cancel", routes.cancel, methods=["POST"], responses=one)
    router.add_api_route(
        "/{id}", routes.delete, methods=["DELETE"], status_code=204, response_class=Response, responses=one
    )
    return router


def _is_over(job: StoredJob, since: int) -> bool:
    """Whether nothing is left to say of a job behind an event."""
    return job.state != "running" and since >= sum(job.counts.values())


def _wants_events(accept: str) -> bool:
    """Whether a sender names events in what it accepts, and would not rather have JSON (RFC 9110, section 12.5.1)."""
    weights = {}
    for part in accept.lower().split(","):
        media, *parameters = (one.strip() for one in part.split(";"))
        weight = next((one.removeprefix("q=") for one in parameters if one.startswith("q=")), "1")
        weights[media] = float(weight) if _WEIGHT.fullmatch(weight) else 0.0
    events = weights.get(EVENTS, 0.0)
    return events > 0 and events >= weights.get("application/json", 0.0)


def _owner(request: Request) -> str:
    """Whose jobs a request may see: those that the same token made."""
    return str(getattr(request.state, "owner", ""))


def _event(kind: str, data: str, number: int | None = None) -> str:
    place = "" if number is None else f"id: {number}\n"
    return f"{place}event: {kind}\ndata: {data}\n\n"
