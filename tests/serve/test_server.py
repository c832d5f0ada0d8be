"""Where a server listens and to whom, and how it ends."""

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from cameraborn.detect.store import write_bundle
from cameraborn.serve.server import is_loopback
from tests.command import posix, run, wait_until
from tests.serve.running import PATIENT, PHOTO, TOKEN, problem_of, running, slow

LOCKED = (
    *(("POST", f"/v1/{name}") for name in ("score", "explain", "provenance")),
    *(("GET", path) for path in ("/v1/bundle", "/v1/calibration", "/metrics")),
)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "localhost.example.org"])
def test_it_listens_to_others_only_with_tokens(tiny_bundle, tmp_path, host):
    code, out, error = run("serve", "--host", host, "--port", "0", "--bundle", tiny_bundle, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert error == (
        f"cameraborn: --host {host}: others could reach the server: give --tokens, or leave --host out to listen here "
        "alone\n"
    )


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_addresses_of_this_machine_alone(host, loopback):
    assert is_loopback(host) == loopback


def test_a_token_is_needed_for_all_but_probes(tiny_bundle, tokens):
    with running(tiny_bundle, "--tokens", tokens, "--host", "0.0.0.0", "--access-log") as server:
        server.client.base_url = server.url.replace("0.0.0.0", "127.0.0.1")
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            for method, path in LOCKED:
                answer = server.client.request(method, path, headers=headers)
                problem_of(answer, 401, "unauthorised")
                assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/", "/page/main.js", "/healthz", "/readyz", "/docs", "/openapi.json"):
            assert server.client.get(path).status_code == 200
        server.client.headers = {"Authorization": f"Bearer {TOKEN}", "Host": "any.example"}
        assert server.client.get("/v1/bundle").status_code == 200
        assert server.score(PHOTO).json()[0]["scope"] == "ok"
        assert TOKEN not in server.log
        (scheme,) = server.client.get("/openapi.json").json()["components"]["securitySchemes"].values()
        assert scheme["scheme"] == "bearer"


def test_a_file_of_tokens_that_cannot_be_used(tiny_bundle, tmp_path):
    code, _, error = run("serve", "--tokens", "t.txt", "--port", "0", "--bundle", tiny_bundle, cwd=tmp_path)
    problem = "cannot be read (No such file or directory): give a file of hashes of tokens"
    assert (code, error) == (2, f"cameraborn: t.txt: {problem}\n")


def test_a_port_that_is_taken(tiny_bundle, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, _, error = run("serve", "--port", str(port), "--bundle", tiny_bundle, cwd=tmp_path)
    assert code == 2
    assert error.startswith(f"cameraborn: 127.0.0.1:{port}: cannot be listened on (Address already in use")
    assert error.count("\n") == 1


def test_a_bundle_that_cannot_judge_is_refused_before_listening(network_bundle, tmp_path):
    write_bundle(network_bundle, tmp_path / "new")
    code, _, error = run("serve", "--port", "0", "--bundle", "new", cwd=tmp_path)
    assert code == 2
    assert error.startswith("cameraborn: ")
    assert error.count("\n") == 1


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_finishes_what_was_accepted(tiny_bundle, tmp_path, number):
    path = slow(tmp_path)
    with running(tiny_bundle, "--jobs", 1, *PATIENT) as server, ThreadPoolExecutor(3) as clients:
        asked = [clients.submit(server.score, path, PHOTO) for _ in range(3)]
        wait_until(lambda: server.metric("cameraborn_requests_under_way") == 3)
        os.kill(server.process.pid, number)
        for answer in (one.result() for one in asked):
            assert [row["scope"] for row in answer.json()] == ["no-face", "ok"]
        assert server.process.wait(300) == 0
        assert server.log.endswith("stopped: everything that was accepted is answered\n")
