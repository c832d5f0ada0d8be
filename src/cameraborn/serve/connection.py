"""One client's connection: it is given up when no whole request comes, or no answer is read, for too long.

uvicorn waits without limit for the first request, for the rest of a header, and for a client that does not read. Such
connections would add up, and keep the server from ending.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from cameraborn.serve.limits import malformed, problem

SILENT = 20.0  # seconds to send a request's header in
BLOCKED = 60.0  # seconds without reading what is sent
REFUSED = 2.0  # seconds that a refused client has to hang up
LAST = 60.0  # seconds that a request which comes in has left when the server is told to end


class Connection(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with patience that ends."""

    _ends: asyncio.TimerHandle | None = None
    _is_last = _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._expect(SILENT)

    def data_received(self, data: bytes) -> None:
        """Take more of a request; its header has to come in time."""
        if self._is_refused:
            return
        super().data_received(data)
        if self._is_refused:
            self._expect(REFUSED)
        elif self.conn.their_state is not h11.IDLE:
            if not (self._is_last and self.conn.their_state is h11.SEND_BODY):
                self._expect(None)
        elif self._ends is None:
            self._expect(SILENT)

    def shutdown(self) -> None:
        """The server is to end: what has come in is answered, and the rest of a request has to come soon."""
        super().shutdown()
        self._is_last = True
        if self.conn.their_state is h11.SEND_BODY:
            self._expect(LAST)

    def pause_writing(self) -> None:
        """The client reads less than is sent."""
        super().pause_writing()
        self._expect(BLOCKED)

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        self._expect(None)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or has too large a header, is refused as everything is: in JSON."""
        answer = problem(malformed("not an HTTP request, or one whose header is too large"))
        headers = [*answer.raw_headers, (b"connection", b"close")]
        for event in (
            h11.Response(status_code=answer.status_code, headers=headers),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        # To close while more comes would take the answer back: the rest is dropped until the client hangs up.
        self.transport.write_eof()
        self._is_refused = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._expect(None)
        super().connection_lost(exc)

    def _expect(self, seconds: float | None) -> None:
        if self._ends is not None:
            self._ends.cancel()
        self._ends = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)
