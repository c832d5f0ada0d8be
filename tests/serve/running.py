"""A server as operators run it: `cameraborn serve` in a process of its own, on a free port; and what is asked of it."""

import asyncio
import base64
import json
import re
import subprocess
import threading
from contextlib import contextmanager

import httpx
import numpy as np
from PIL import Image

from tests.command import CAMERABORN, ENVIRONMENT, EXAMPLES, rows_of, run_here, wait_until

TOKEN = "2a9f" * 16
PATIENT = ("--max-seconds", 300)  # the machine may be busy
LISTENING = re.compile(r"listening on (http://\S+:\d+)")
PHOTO, GENERATED = EXAMPLES / "photo-1.jpg", EXAMPLES / "generated-1.jpg"


class Running:
    """A running server: `client` asks it, `log` is what it has said on standard error."""

    def __init__(self, process, headers):
        self.process, self.lines, self.is_told_to_end = process, [], False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(lambda: LISTENING.search(self.log) or process.poll() is not None, 300)
        assert process.poll() is None, self.log
        self.url = LISTENING.search(self.log)[1]
        self.client = httpx.Client(base_url=self.url, timeout=300, headers=headers)

    def _read(self):
        self.lines.extend(self.process.stderr)

    @property
    def log(self):
        return "".join(self.lines)

    def score(self, *paths, **query):
        """The answer to pictures as files of a form."""
        files = [("file", (path.name, path.read_bytes())) for path in paths]
        return self.client.post("/v1/score", files=files, params=query)

    def metric(self, name):
        """The value of one line of /metrics."""
        text = self.client.get("/metrics").text
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)[1])

    def end(self):
        """Ask it to end, and return its exit code."""
        self.is_told_to_end = True
        self.process.terminate()
        code = self.process.wait(300)
        self._reader.join(10)
        return code


@contextmanager
def running(bundle, *options, headers=None, cwd=None, **environment):
    """A server with a bundle; it must end well, and never log a traceback."""
    command = [CAMERABORN, "serve", "--port", "0", "--bundle", str(bundle), *map(str, options)]
    process = subprocess.Popen(
        command,
        cwd=cwd,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=ENVIRONMENT | environment,
    )
    with process:
        try:
            server = Running(process, headers or {})
            with server.client:
                yield server
            if process.poll() is None:
                assert server.end() == 0
            assert "Traceback" not in server.log, server.log
        finally:
            if process.poll() is None:
                process.kill()


def slow(tmp_path, frames=40, side=300):
    """An animation without a face, which takes a while: every one of its frames is looked at."""
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (side, side), np.uint8)) for _ in range(frames)]
    path = tmp_path / "slow.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    return path


PAIR = (PHOTO, GENERATED)


NAMES = [path.name for path in PAIR]


def scored(bundle, *arguments, cwd=EXAMPLES):
    """The rows of `cameraborn score`."""
    _, out, _ = run_here("score", *arguments, "--bundle", bundle, "--format", "jsonl", cwd=cwd)
    return rows_of(out)


def encoded(path, **fields):
    return {"data": base64.b64encode(path.read_bytes()).decode(), **fields}


def problem_of(answer, status, kind):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"title", "status", "kind", "detail"}
    assert (problem["status"], problem["kind"]) == (status, kind)
    return problem["detail"]


def start(server, *paths, headers=None, **query):
    files = [("file", (path.name, path.read_bytes())) for path in paths]
    return server.client.post("/v1/jobs", files=files, params=query, headers=headers)


def started(server, *paths, **query):
    """The address of a job that was accepted."""
    answer = start(server, *paths, **query)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    return answer.headers["location"]


def ended(server, job):
    """A job, once it has ended."""
    wait_until(lambda: server.client.get(job).json()["state"] != "running", 300)
    return server.client.get(job).json()


def results(server, job, **query):
    return server.client.get(f"{job}/rows", params=query).json()["results"]


def events(server, job, after=None, most=None, **headers):
    """Server-sent events of a job: (id, kind, data) each, read as the standard says."""
    headers |= {"Accept": "text/event-stream"} | ({} if after is None else {"Last-Event-ID": str(after)})
    found, fields = [], {}
    with server.client.stream("GET", f"{job}/rows", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                found.append((fields.get("id"), fields["event"], json.loads(fields["data"])))
                fields = {}
                if len(found) == most:
                    break
    return found


def ask_here(app, path):
    """What an application in this process answers."""

    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    return asyncio.run(ask())
