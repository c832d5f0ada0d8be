"""Do what the Dockerfile does, in a plain folder: python tools/check_container.py

Build its first stage, start the server as its last stage says, with a file of tokens, ask what its health check asks
and have a picture judged, and look that nothing was written outside the places that compose.yaml makes writable.
Packages are installed as their constraints say, which needs the network.
"""

import hashlib
import json
import re
import secrets
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from dockerfile import Place, Stage, stages

ROOT = Path(__file__).resolve().parents[1]
INSIDE = ("/src", "/opt", "/var/lib/cameraborn", "/run/secrets", "/tmp", "/work")
WRITABLE = ("tmp", "var/lib/cameraborn")
TOKEN = secrets.token_hex(32)
SECONDS = 60


def main() -> None:
    """Build, start, ask, look, stop."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder).resolve(), ROOT, INSIDE)
        (place.root / "tmp").mkdir()
        build, final = stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
        place.build(build)
        place.build(final)
        without_tokens(place, final)
        secret = Path(place.environment(final)["CAMERABORN_SERVE_TOKENS"])
        secret.parent.mkdir(parents=True)
        secret.write_text(hashlib.sha256(TOKEN.encode()).hexdigest() + "  check\n", encoding="utf-8")
        before = written(place.root)
        port = free_port()
        # The container's port may be taken on this machine.
        extra = ["--port", str(port), "--jobs-file", place.here("/var/lib/cameraborn/jobs.sqlite")]
        server = start(place, final, extra)
        try:
            until_healthy(place, final, port, server)
            judged(port)
        finally:
            server.terminate()
        assert server.wait(SECONDS) == 0, server.returncode
        changed = written(place.root) ^ before
        assert not changed, f"written to a file system that is read-only in a container: {changed}"
    print("Dockerfile: its steps make a server that answers its health check and judges a picture")


def start(place: Place, stage: Stage, extra: list[str]) -> subprocess.Popen[bytes]:
    """Start what the container starts."""
    environment = place.environment(stage)
    command = [*stage.command("ENTRYPOINT"), *stage.command("CMD"), *extra]
    program = Path(place.here("/opt/cameraborn/bin")) / command[0]
    return subprocess.Popen([program, *command[1:]], cwd=place.here(stage.last("WORKDIR")), env=environment)


def without_tokens(place: Place, stage: Stage) -> None:
    """Without the secret the container ends with one line."""
    server = start(place, stage, [])
    assert server.wait(SECONDS) == 2, server.returncode


def until_healthy(place: Place, stage: Stage, port: int, server: subprocess.Popen[bytes]) -> None:
    """Run the health check until it succeeds."""
    check = json.loads(stage.last("HEALTHCHECK").partition(" CMD ")[2])
    command = [re.sub(r":8000/", f":{port}/", word) for word in check]
    limit = time.monotonic() + SECONDS
    program = Path(place.here("/opt/cameraborn/bin")) / command[0]
    while subprocess.run([program, *command[1:]], capture_output=True).returncode:
        assert server.poll() is None, "the server has ended"
        assert time.monotonic() < limit, "the health check never succeeded"
        time.sleep(0.2)


def judged(port: int) -> None:
    """A request with a token is answered by a verdict, and one without is refused."""
    picture = (ROOT / "examples" / "photo-1.jpg").read_bytes()
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        + picture
        + b"\r\n--x--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    address = f"http://127.0.0.1:{port}/v1/score"
    assert status(urllib.request.Request(address, body, headers)) == 401
    request = urllib.request.Request(address, body, headers | {"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        (row,) = json.load(answer)
    assert row["scope"] == "ok", row


def status(request: urllib.request.Request) -> int:
    """The status of an answer."""
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def written(root: Path) -> set[tuple[str, int]]:
    """Files outside the writable places, each with the time of its last change."""
    inside = {path: path.relative_to(root).as_posix() for path in root.rglob("*")}
    return {
        (name, path.lstat().st_mtime_ns)
        for path, name in inside.items()
        if not name.startswith(WRITABLE) and path != root / "var" / "lib"
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
