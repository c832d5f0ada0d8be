"""A server as operators run it: `cameraborn serve` in a process of its own, on a free port."""

import re
import subprocess
import threading
from contextlib import contextmanager

import httpx
import numpy as np
from PIL import Image

from tests.command import CAMERABORN, ENVIRONMENT, EXAMPLES, wait_until

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
