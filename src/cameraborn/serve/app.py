"""The application: its routes, and what it answers when something is wrong."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from cameraborn.detect.detector import Detector, control_discoveries
from cameraborn.detect.rows import Rows, json_row
from cameraborn.detect.verdict import Verdict
from cameraborn.errors import CalibrationError, PictureError
from cameraborn.photo.provenance import Provenance
from cameraborn.serve.document import answer, document, known_options, named, refusals
from cameraborn.serve.facts import BundleFacts, CalibrationFacts, calibration_facts, facts_of
from cameraborn.serve.gate import Gate
from cameraborn.serve.job_facts import JobOptions, JudgeOptions
from cameraborn.serve.job_routes import JobRoutes, job_routes
from cameraborn.serve.job_store import JobStore
from cameraborn.serve.jobs import Jobs, Judged
from cameraborn.serve.limits import (
    CLIENT_GONE,
    INTERNAL_ERROR,
    OUT_OF_MEMORY,
    Limits,
    Refusal,
    jobs_file_fails,
    malformed,
    problem,
)
from cameraborn.serve.metrics import CONTENT_TYPE, Metrics
from cameraborn.serve.pool import ClientGone, Pool, unless_gone
from cameraborn.serve.static import page_routes
from cameraborn.serve.tokens import hash_of, is_known
from cameraborn.serve.uploads import BODY, Body, Upload, in_words
from cameraborn.serve.work import Stop, Work

_log = logging.getLogger(__name__)
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_BEARER = HTTPBearer(auto_error=False, description="One of the tokens whose hashes the server was given.")


class ScoreOptions(JudgeOptions):
    """What can be asked of /v1/score in the query; the options of `cameraborn score`."""

    fdr: float | None = Field(
        None, gt=0, lt=1, description="False-discovery rate of the pictures of this request, instead."
    )


class ExplainOptions(BaseModel):
    """What can be asked of /v1/explain in the query; the options of `cameraborn explain`."""

    model_config = ConfigDict(extra="forbid")

    face: int = Field(0, ge=0, le=100_000, description="Number of the face, as in the rows of score.")
    whole_image: bool = Field(False, description="Take the whole of the picture instead of a face in it.")


class State(BaseModel):
    """Whether the server is well."""

    status: str


class Service:
    """The routes.

    Args:
        detector: it judges, and is calibrated.
        limits: what a request may ask.
        threads: processors that may be used.
        version: of the software.
        store: keeps jobs.
        abandoned: set when the server is to end without finishing jobs.
    """

    def __init__(
        self,
        detector: Detector,
        limits: Limits,
        threads: int,
        version: str,
        store: JobStore,
        abandoned: threading.Event,
    ) -> None:
        self.pool = Pool(threads, limits)
        self.jobs = Jobs(store, self.pool, limits, self._judged_for_job, abandoned)
        self.metrics = Metrics(self.pool, self.jobs)
        for encoder, _ in detector.observer.encoders:
            encoder.gather(threads, self.metrics.ran)
        self._detector, self._limits = detector, limits
        self._rows, self._facts = Rows(detector), facts_of(detector, version, limits)
        self._calibration = calibration_facts(detector)

    async def score(self, request: Request, options: Annotated[ScoreOptions, Query()]) -> Response:
        """Judge every face in the pictures: the rows of `cameraborn score`, a row a face.

        Pictures come as files of multipart/form-data or as base64 in JSON, and so do videos, whose faces are followed
        and scored but not judged. What cannot be read is a row that says so.
        """
        if {"fdr", "false_alarm"} <= options.model_fields_set:
            raise malformed("fdr and false_alarm contradict each other: give one of them")
        self.check(options)
        async with self._served(request) as (uploads, stop):
            judged = await unless_gone(
                request, self._judged(self._work(stop, options), uploads, options.false_alarm)
            )
        verdicts = [verdict for verdict, _ in judged]
        if options.fdr is not None:
            verdicts = control_discoveries(verdicts, options.fdr)
        self.metrics.judged(len(uploads), verdicts)
        return _json(self._told_of(verdicts, [place for _, place in judged], options.category))

    async def provenance(self, request: Request) -> Response:
        """Tell what the files say of their own origin: the rows of `cameraborn provenance`, a row a file.

        No verdict depends on it. Absence of metadata proves nothing, and what is there can be forged.
        """
        async with self._served(request) as (uploads, stop):
            work = Work(self._detector, self._limits, stop)
            found = await unless_gone(request, self._told(work, uploads))
        return _json([one.to_mapping() for one in found])

    async def explain(self, request: Request, options: Annotated[ExplainOptions, Query()]) -> Response:
        """Draw what moved the score of one face of one picture, and where it lies among photographs: a PNG."""
        async with self._served(request) as (uploads, stop):
            if len(uploads) > 1:
                raise malformed("more than one picture: send the one to be explained")
            work = Work(self._detector, self._limits, stop, options.whole_image)
            drawn = await unless_gone(request, self._explained(work, uploads, options.face))
        return Response(drawn, media_type="image/png")

    async def bundle(self) -> BundleFacts:
        """What the server judges with, and which false-alarm rates can be asked for."""
        return self._facts

    async def calibration(self) -> CalibrationFacts:
        """How held-out photographs score, in each category of condition that faces are compared within."""
        return self._calibration

    async def health(self) -> State:
        """Answers as long as the server runs."""
        return State(status="ok")

    async def ready(self) -> State:
        """Whether the server takes more requests now."""
        if self.pool.is_full:
            after = {"Retry-After": str(self.pool.retry_after)}
            raise Refusal(503, "queue-full", "no further request is accepted now: try again later", after)
        return State(status="ready")

    async def prometheus(self) -> Response:
        """Metrics for Prometheus: requests, errors by kind, the queue, latency, pictures and verdicts."""
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)

    def check(self, options: JudgeOptions) -> None:
        """See that pictures can be judged with these options.

        Raises:
            CalibrationError: the bundle's calibration cannot support the rate.
        """
        self._detector.check_rate(options.false_alarm)

    def _judged_for_job(self, upload: Upload, options: Mapping[str, Any], stop: Stop) -> Judged:
        """What is said of one picture of a job; this runs in a thread."""
        asked = JobOptions.model_validate(options)
        work = self._work(stop, asked)
        work.check_size(upload)
        judged = work.verdicts(upload, false_alarm_rate=asked.false_alarm)
        verdicts = [verdict for verdict, _ in judged]
        self.metrics.judged(1, verdicts)
        rows = self._told_of(verdicts, [place for _, place in judged], asked.category)
        return Judged(rows, work.provenance(upload).to_mapping() if asked.provenance else None)

    def _work(self, stop: Stop, asked: JudgeOptions) -> Work:
        return Work(
            self._detector, self._limits, stop, asked.whole_image, every=asked.every, each_frame=asked.frames
        )

    def _told_of(
        self, verdicts: Sequence[Verdict], places: Sequence[int | None], with_category: bool
    ) -> list[dict[str, Any]]:
        rows = [json_row(self._rows.of(verdict)) for verdict in verdicts]
        if with_category:
            return [row | {"category": place} for row, place in zip(rows, places, strict=True)]
        return rows

    @asynccontextmanager
    async def _served(self, request: Request) -> AsyncIterator[tuple[list[Upload], threading.Event]]:
        """A request's pictures, while it is let in."""
        async with self.pool.accepted() as stop:
            uploads = await Body(request, self._limits).pictures()
            async with self.pool.in_time():
                yield uploads, stop

    async def _judged(
        self, work: Work, uploads: Sequence[Upload], rate: float
    ) -> list[tuple[Verdict, int | None]]:
        await self.pool.each(work.check_size, uploads)  # all, before the first one costs time
        found = await self.pool.each(partial(work.verdicts, false_alarm_rate=rate), uploads)
        return [verdict for verdicts in found for verdict in verdicts]

    async def _told(self, work: Work, uploads: Sequence[Upload]) -> list[Provenance]:
        await self.pool.each(work.check_size, uploads)
        return await self.pool.each(work.provenance, uploads)

    async def _explained(self, work: Work, uploads: Sequence[Upload], face: int) -> bytes:
        await self.pool.each(work.check_size, uploads)
        (drawn,) = await self.pool.each(partial(work.explain, face=face), uploads)
        return drawn


def make_app(
    detector: Detector,
    limits: Limits,
    *,
    threads: int,
    version: str,
    store: JobStore,
    abandoned: threading.Event,
    tokens: Collection[bytes] = (),
    host: str = "",
) -> ASGIApp:
    """The application.

    Args:
        detector: it judges, and is calibrated.
        limits: what a request may ask.
        threads: processors that may be used.
        version: of the software.
        store: keeps jobs; it is closed at the end.
        abandoned: set when the server is to end without finishing jobs.
        tokens: hashes of the tokens of which each request needs one; without any, none needs one.
        host: the address that the server listens on; without tokens, requests must call it so.
    """
    service = Service(detector, limits, threads, version, store, abandoned)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.jobs.begin()
        yield
        await service.jobs.end()
        service.pool.close()

    app = FastAPIOffline(
        redoc_url=None,
        title="cameraborn",
        version=version,
        description="Was this face born in a camera? Flags AI-generated faces at a false-alarm rate you choose.",
        lifespan=lifespan,
        swagger_ui_parameters={"validatorUrl": None},  # it would send the page's address to a stranger
        openapi_url="/openapi.json",
    )
    app.include_router(_routes(service, limits, tokens))
    app.include_router(page_routes())
    probe: dict[str, Any] = {"tags": ["state"], "dependencies": [Depends(known_options)]}
    app.add_api_route("/healthz", service.health, responses=refusals(422), **probe)
    app.add_api_route("/readyz", service.ready, responses=refusals(422, 503), **probe)
    _answer_errors(app, service.metrics)
    app.openapi = partial(document, app)  # type: ignore[method-assign]
    return Gate(app, service.metrics, None if tokens else {*LOOPBACK_NAMES, host})


def _routes(service: Service, limits: Limits, tokens: Collection[bytes]) -> APIRouter:
    """What needs a token, if there are any."""

    async def authorised(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
    ) -> None:
        if given is None or not is_known(given.credentials, tokens):
            raise Refusal(
                401,
                "unauthorised",
                "no token that is known here: send one as 'Authorization: Bearer TOKEN'",
                {"WWW-Authenticate": "Bearer"},
            )
        request.state.owner = hash_of(given.credentials).hex()

    locked = refusals(401) if tokens else {}
    work = locked | refusals(408, 413, 415, 422, 429, 503)
    rows = answer("A row a face.", {"application/json": {"type": "array", "items": named("Row")}})
    origins = answer("A row a file.", {"application/json": {"type": "array", "items": named("Provenance")}})
    drawn = answer("The drawing.", {"image/png": {"type": "string", "contentMediaType": "image/png"}})
    text = answer("Metrics.", {"text/plain": {"type": "string"}})
    router = APIRouter(dependencies=[*([Depends(authorised)] if tokens else []), Depends(known_options)])
    sent: dict[str, Any] = {"methods": ["POST"], "response_class": Response, "openapi_extra": BODY}
    router.add_api_route("/v1/score", service.score, responses=work | rows, **sent)
    router.add_api_route("/v1/explain", service.explain, responses=work | drawn, **sent)
    router.add_api_route("/v1/provenance", service.provenance, responses=work | origins, **sent)
    asked = locked | refusals(422)
    router.add_api_route("/v1/bundle", service.bundle, responses=asked)
    router.add_api_route("/v1/calibration", service.calibration, responses=asked)
    router.add_api_route(
        "/metrics", service.prometheus, response_class=Response, responses=asked | text, tags=["state"]
    )
    jobs = JobRoutes(service.jobs, service.pool, limits, service.check)
    router.include_router(job_routes(jobs, locked=bool(tokens)))
    return router


def _json(rows: Sequence[Mapping[str, Any]]) -> Response:
    return Response(json.dumps(rows, ensure_ascii=False), media_type="application/json")


def _answer_errors(app: FastAPI, metrics: Metrics) -> None:
    """Every error is answered as a `Problem`, and counted."""

    def told(make: Callable[[Any], Refusal]) -> Callable[[Request, Any], Awaitable[JSONResponse]]:
        async def answer(_: Request, error: Any) -> JSONResponse:  # noqa: ANN401 (each its own kind)
            refusal = make(error)
            metrics.refused(refusal.kind)
            return problem(refusal)

        return answer

    async def told_of_methods(request: Request, error: Any) -> JSONResponse:  # noqa: ANN401 (as above)
        """An address may have several routes, of which the error knows the first."""
        path = getattr(request.scope.get("route"), "path", "")
        if (methods := app.openapi()["paths"].get(path)) is not None:
            allowed = {*map(str.upper, methods), *(("HEAD",) if "get" in methods else ())}
            error.headers = {"Allow": ", ".join(sorted(allowed))}
        return await told(_of_http)(request, error)

    gone = Refusal(CLIENT_GONE[0], "client-gone", "the sender hung up")
    app.add_exception_handler(Refusal, told(lambda refusal: refusal))
    app.add_exception_handler(RequestValidationError, told(lambda error: malformed(in_words(error))))
    app.add_exception_handler(HTTPException, told(_of_http))
    app.add_exception_handler(405, told_of_methods)
    app.add_exception_handler(CalibrationError, told(lambda error: Refusal(422, "rate", str(error))))
    app.add_exception_handler(PictureError, told(lambda error: Refusal(422, "picture", str(error))))
    app.add_exception_handler(ClientDisconnect, told(lambda _: gone))
    app.add_exception_handler(ClientGone, told(lambda _: gone))
    app.add_exception_handler(sqlite3.Error, told(_of_jobs_file))
    app.add_exception_handler(MemoryError, told(lambda _: OUT_OF_MEMORY))
    app.add_exception_handler(Exception, told(lambda _: INTERNAL_ERROR))


def _of_jobs_file(error: sqlite3.Error) -> Refusal:
    _log.error("the file of jobs cannot be used (%s): make room on the disk, or start with another", error)
    return jobs_file_fails()


def _of_http(error: HTTPException) -> Refusal:
    phrase = HTTPStatus(error.status_code).phrase
    return Refusal(
        error.status_code,
        phrase.lower().replace(" ", "-"),
        f"{error.detail}: /docs tells what can be asked",
        error.headers or {},
    )
