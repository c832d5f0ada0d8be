"""The server: it listens on an address, answers until it is told to end, and finishes what it has accepted."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from cameraborn.errors import CamerabornError
from cameraborn.serve.connection import Connection

_IDLE = 5  # seconds that a connection stays open between two requests
_BACKLOG = 2048


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone; of a name, only localhost is known to be one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Server(uvicorn.Server):
    """Tells the application when the user insists, who has pressed Ctrl-C twice."""

    def __init__(self, config: uvicorn.Config, abandoned: threading.Event) -> None:
        super().__init__(config)
        self._abandoned = abandoned

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note a signal."""
        super().handle_exit(sig, frame)
        if self.force_exit:
            self._abandoned.set()


def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    access_log: bool,
    listening: Callable[[str], None],
    abandoned: threading.Event,
) -> None:
    """Answer requests until SIGTERM or Ctrl-C; then what was accepted is finished.

    Args:
        app: what answers.
        host: an address or a name of this machine.
        port: 0 for a free one.
        access_log: log a line a request: address, path and status.
        listening: called with the server's address, once requests can come.
        abandoned: is set at a second Ctrl-C, which ends the server at once.

    Raises:
        CamerabornError: the address cannot be listened on.
        KeyboardInterrupt: it was told to end, and is done.
    """
    listener = _listen(host, port)
    if access_log:
        _log_requests()
    config = uvicorn.Config(
        app, log_config=None, access_log=access_log, server_header=False, proxy_headers=False, ws="none",
        http=Connection, lifespan="on", timeout_keep_alive=_IDLE,
    )  # fmt: skip
    name = f"[{host}]" if ":" in host else host
    listening(f"http://{name}:{listener.getsockname()[1]}")
    _Server(config, abandoned).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
        # Connections inherit it. asyncio sets it too, but not where the listener names no protocol; without it the end
        # of each answer waits some 40 ms for the client's system to confirm the beginning.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CamerabornError(
            f"{host}:{port}: cannot be listened on ({reason}): give another --host or --port"
        ) from error


def _log_requests() -> None:
    """Requests go to standard error, as everything that is said; their bodies are nowhere."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger("uvicorn.access")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
