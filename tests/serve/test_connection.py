"""Connections that send nothing, or read nothing: they are given up, and keep no server from ending."""

import asyncio
import json
import socket
from contextlib import suppress

import pytest

pytest.importorskip("uvicorn")
import uvicorn

from cameraborn.serve import connection
from cameraborn.serve.connection import Connection
from cameraborn.serve.server import _listen

LARGE = b"x" * 2**20
ASK = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def application(scope, receive, send):
    assert scope["type"] == "http"
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(LARGE))]}
    )
    await send({"type": "http.response.body", "body": LARGE})


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(connection, "SILENT", 0.5)
    monkeypatch.setattr(connection, "BLOCKED", 0.5)
    monkeypatch.setattr(connection, "LAST", 0.5)
    monkeypatch.setattr(connection, "REFUSED", 0.5)


def meet(talk, application=application):
    """What `talk(reader, writer)` returns, with a server of our connections."""

    async def both():
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(application, http=Connection, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(*listener.getsockname(), limit=2**16)
        try:
            return await asyncio.wait_for(talk(reader, writer), 30)
        finally:
            server.should_exit = True
            await asyncio.wait_for(serving, 30)
            writer.close()

    return asyncio.run(both())


async def gone(reader):
    """The server has closed the connection, and answered nothing."""
    with suppress(ConnectionError):
        assert await reader.read() == b""


@pytest.mark.parametrize("sent", [b"", ASK[:20]], ids=["nothing", "half a header"])
def test_a_client_that_sends_no_whole_request_is_given_up(impatient, sent):
    async def talk(reader, writer):
        writer.write(sent)
        await gone(reader)

    meet(talk)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\r\n\r\n",
        ASK[:-2] + b"A: " + b"b" * 2**17,
        b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ],
    ids=["no HTTP", "a large header", "two hosts"],
)
def test_what_is_no_request_is_refused_in_json(sent):
    async def talk(reader, writer):
        writer.write(sent)
        return await reader.read()

    head, _, body = meet(talk).partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    told = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % told["status"])
    assert told["kind"] == "malformed-request"


def test_a_refused_client_that_does_not_hang_up_is_given_up(impatient):
    async def talk(reader, writer):
        writer.write(b"\x16\x03\x01\r\n\r\n")
        await reader.read()
        with suppress(ConnectionError):
            while True:
                writer.write(b"more")
                await writer.drain()
                await asyncio.sleep(0.05)

    meet(talk)  # it waits for half a minute at most


def test_bytes_one_by_one_do_not_prolong_it(impatient):
    async def talk(reader, writer):
        waiting = asyncio.create_task(gone(reader))
        for byte in ASK[:-1]:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
            if waiting.done():
                return
        raise AssertionError("the server waited for every byte")

    meet(talk)


def test_a_client_that_reads_no_answer_keeps_no_server_from_ending(impatient):
    async def talk(reader, writer):
        reader._transport.pause_reading()
        for _ in range(200):
            writer.write(ASK)
        await asyncio.sleep(0.1)  # the server is told to end with answers unread

    meet(talk)


def test_a_client_that_goes_on_sending_keeps_no_server_from_ending(impatient):
    async def talk(reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\n")
        await asyncio.sleep(0.1)
        sending = asyncio.create_task(trickle(writer))
        return sending

    async def trickle(writer):
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(0.05)

    meet(talk, application=endless)


async def endless(scope, receive, send):
    while (await receive())["type"] != "http.disconnect":
        pass


def test_the_end_of_an_answer_does_not_wait_for_its_beginning_to_be_confirmed():
    with _listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_client_that_asks_and_reads_has_its_answer(impatient):
    async def talk(reader, writer):
        writer.write(ASK)
        return await reader.readuntil(b"\r\n\r\n"), await reader.readexactly(len(LARGE))

    head, body = meet(talk)
    assert head.startswith(b"HTTP/1.1 200")
    assert body == LARGE
