"""What every request passes on its way in and every answer on its way out: hosts, headers, counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cameraborn.serve.limits import Refusal, problem
from cameraborn.serve.metrics import Metrics

# Nothing that a browser shows of an answer may load anything; the page of /docs loads its own scripts alone.
_POLICY = "default-src 'none'; frame-ancestors 'none'"
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'"
)
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DRAINED, _DRAINING = 64 << 20, 2.0  # bytes and seconds that a refused sender may go on


class Gate:
    """Wraps the application.

    Args:
        app: what is inside.
        metrics: counts requests.
        hosts: names that a request may call this server, or None for any. A server without tokens listens to this
            machine alone, and a page of a stranger that a browser here shows must not reach it, by any name.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, hosts: Collection[str] | None) -> None:
        self._app, self._metrics, self._hosts = app, metrics, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 500
        asked, body = _as_get(scope), _Body(scope, receive)

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                await body.drain()
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Cache-Control"] = "no-store"
                headers["Content-Security-Policy"] = _policy(scope["path"])
            await send(message)

        try:
            if (refusal := self._refusal(Headers(scope=scope))) is not None:
                self._metrics.refused(refusal.kind)
                await problem(refusal)(scope, body.receive, watched)
            else:
                await self._app(asked, body.receive, watched)
        finally:
            route = getattr(asked.get("route"), "path", "other")  # so that strangers cannot make up names
            self._metrics.answered(route, status, time.monotonic() - started)

    def _refusal(self, headers: Headers) -> Refusal | None:
        """Why a request is not let through.

        A browser says whose page sends a request. One of a stranger's could not read the answer, but fill the queue.
        """
        if self._hosts is None:  # a token is needed, which a stranger's page has not
            return None
        host = headers.get("host", "")
        if _name_of(host) not in self._hosts:
            return Refusal(
                421, "foreign-host", "the request calls this server by another name: use its own address"
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return Refusal(
                403, "foreign-origin", "the request comes from another server's page: use this one's own"
            )
        return None


def _as_get(scope: Scope) -> Scope:
    """HEAD is answered as GET, of which uvicorn leaves the body out; nobody follows a stream by it."""
    if scope["method"] != "HEAD":
        return scope
    headers = [(name, value) for name, value in scope["headers"] if name != b"accept"]
    return {**scope, "method": "GET", "headers": headers}


def _name_of(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _policy(path: str) -> str:
    return {"/": _PAGE_POLICY, "/docs": _DOCS_POLICY}.get(path, _POLICY)


class _Body:
    """The body of a request, of which the rest is read and thrown away before an answer: who still sends hears none."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        # Who asks first whether to send the body at all is answered at once.
        self._whole = "expect" in Headers(scope=scope)

    async def receive(self) -> Message:
        """The next part."""
        message = await self._receive()
        self._whole = not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read on, but not for ever."""
        drained = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAINING):
                while not self._whole and drained < _DRAINED:
                    drained += len((await self.receive()).get("body", b""))
