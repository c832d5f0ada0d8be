"""The gate: who may call this server by which name, and what every answer says to browsers."""

import asyncio

import pytest
from starlette.responses import PlainTextResponse

from cameraborn.serve.gate import Gate
from tests.serve.running import PHOTO, problem_of


def test_a_page_of_a_stranger_cannot_reach_a_server_without_tokens(server):
    for host in ("evil.example", "127.0.0.1.evil.example", "["):
        problem_of(server.client.get("/v1/bundle", headers={"Host": host}), 421, "foreign-host")
    assert server.client.get("/v1/bundle", headers={"Host": "localhost:1"}).status_code == 200
    for origin in ("http://evil.example", "null", "http://127.0.0.1.evil.example", "http://127.0.0.1:1"):
        answer = server.client.post(
            "/v1/jobs", files={"file": PHOTO.read_bytes()}, headers={"Origin": origin}
        )
        problem_of(answer, 403, "foreign-origin")
    assert server.client.get("/v1/jobs", headers={"Origin": server.url}).status_code == 200


def test_answers_are_not_kept_and_load_nothing(server):
    for path in ("/healthz", "/v1/bundle", "/nowhere", "/docs"):
        headers = server.client.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "path", ["/", "/page/main.js", "/healthz", "/readyz", "/v1/bundle", "/metrics", "/nowhere"]
)
def test_head_is_answered_as_get_without_a_body(server, path):
    told, whole = server.client.head(path), server.client.get(path)
    assert (told.status_code, told.content) == (whole.status_code, b"")
    for name in ("content-type", "content-security-policy"):
        assert told.headers.get(name) == whole.headers.get(name)
    if path != "/metrics":  # it counts the requests for itself
        assert told.headers["content-length"] == whole.headers["content-length"]


class Inside:
    """An application that remembers what reaches it."""

    def __init__(self, status=200):
        self.status, self.scopes = status, []

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        if scope["type"] == "http":
            await PlainTextResponse("inside", self.status)(scope, receive, send)


def asked(gate, path="/x", *, method="GET", parts=(b"",), **headers):
    """The status and headers that a request is answered with, and how many parts of its body were taken."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    taken, sent = [], []

    async def receive():
        taken.append(parts[len(taken)])
        return {"type": "http.request", "body": taken[-1], "more_body": len(taken) < len(parts)}

    async def send(message):
        sent.append(message)

    asyncio.run(gate(scope, receive, send))
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told, len(taken)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LocalHost:8000", 200),
        ("[::1]:8000", 200),
        ("192.0.2.1:1", 200),
        ("192.0.2.2", 421),
        ("localhost.example.org", 421),
        ("localhost@example.org", 421),
        ("::1", 421),
        ("[", 421),
        ("", 421),
    ],
)
def test_a_server_answers_to_its_own_names(metrics, host, status):
    inside = Inside()
    gate = Gate(inside, metrics, {"localhost", "::1", "192.0.2.1"})
    found, _, _ = asked(gate, host=host)
    assert (found, len(inside.scopes)) == (status, int(status == 200))
    found, _, _ = asked(Gate(inside, metrics, None), host=host, origin="http://example.org")
    assert found == 200  # with tokens, names do not matter


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8", 200),
        ("HTTPS://LOCALHOST:8", 200),
        ("http://localhost:9", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_pages_of_this_server_alone_may_send(metrics, origin, status):
    assert asked(Gate(Inside(), metrics, {"localhost"}), host="localhost:8", origin=origin)[0] == status


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", {"script-src 'self'", "style-src 'self'", "media-src blob:", "form-action 'none'"}),
        ("/docs", {"script-src 'self' 'unsafe-inline'", "style-src 'self' 'unsafe-inline'"}),
        ("/docs/", set()),
        ("/v1/score", set()),
    ],
)
def test_every_answer_says_what_a_browser_may_load_for_it(metrics, path, allowed):
    _, headers, _ = asked(Gate(Inside(), metrics, None), path)
    policy = set(headers["content-security-policy"].split("; "))
    assert {"default-src 'none'", "frame-ancestors 'none'"} | allowed <= policy
    assert allowed or len(policy) == 2
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_head_comes_in_as_get_that_accepts_anything(metrics):
    inside = Inside()
    gate = Gate(inside, metrics, None)
    asked(gate, method="HEAD", accept="text/event-stream", other="kept")
    asked(gate, method="POST", accept="text/event-stream")
    assert [one["method"] for one in inside.scopes] == ["GET", "POST"]
    assert inside.scopes[0]["headers"] == [(b"other", b"kept")]
    assert inside.scopes[1]["headers"] == [(b"accept", b"text/event-stream")]


def test_a_body_is_taken_to_its_end_before_the_answer_unless_it_waits_to_be_asked_for(metrics):
    gate = Gate(Inside(), metrics, {"localhost"})
    for host in ("localhost", "example.org"):
        assert asked(gate, method="POST", parts=(b"a", b"b", b"c"), host=host)[2] == 3
        assert asked(gate, method="POST", parts=(b"a", b"b"), host=host, expect="100-continue")[2] == 0
    large = [bytes(32 << 20)] * 2 + [b"more"] * 2
    assert asked(gate, method="POST", parts=large, host="localhost")[2] == 2  # 64 MiB are enough


def test_requests_are_counted_by_route_and_those_without_one_together(metrics):
    async def broken(scope, receive, send):
        scope["route"] = type("Route", (), {"path": "/v1/x/{id}"})
        raise ZeroDivisionError

    asked(Gate(Inside(404), metrics, {"localhost"}), "/made-up", host="localhost")
    asked(Gate(Inside(), metrics, {"localhost"}), "/made-up", host="example.org")
    with pytest.raises(ZeroDivisionError):
        asked(Gate(broken, metrics, None), "/v1/x/1")
    names = ("cameraborn_requests_total", "cameraborn_errors_total")
    counted = [line for line in metrics.text().decode().splitlines() if line.startswith(names)]
    assert sorted(counted) == [
        'cameraborn_errors_total{kind="foreign-host"} 1.0',
        'cameraborn_requests_total{route="/v1/x/{id}",status="500"} 1.0',
        'cameraborn_requests_total{route="other",status="404"} 1.0',
        'cameraborn_requests_total{route="other",status="421"} 1.0',
    ]


def test_what_is_no_request_goes_through_as_it_is(metrics):
    inside = Inside()
    scope = {"type": "lifespan"}
    asyncio.run(Gate(inside, metrics, {"localhost"})(scope, None, None))
    assert inside.scopes[0] is scope
