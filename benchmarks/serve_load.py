"""How `cameraborn serve` answers many clients, some of which are broken: python benchmarks/serve_load.py FOLDER

The same pictures are scored by the server, at 1, 8 and 64 clients for two minutes each, and by `cameraborn score` with
as many jobs as can be used, before and after each of these rounds, because machines are shared. A tenth of the requests
is malformed (no JSON, a form that is none, no picture at all), and one in fifty clients hangs up half way through its
request. Every answer is compared with the rows that `score` wrote for that picture. Expected: no lost or mixed-up
answer, no growth of memory after the first round, and a throughput of at least 0.9 times that of `score`, its start
excluded (it is measured by scoring one picture):

- over_score: pictures a second over those of `score`. Clients take part of the same processors; it counts against the
  server.
- processor_over_score: pictures a second of processor time, of the server's process, over those of `score`: what the
  ratio is where clients have machines of their own, whatever else this one does.
- faces_a_run: faces that go through a network together, of any clients.

--seconds 5 for a short run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
from common import processor, show, write_table

RESULTS = Path(__file__).resolve().parent / "results" / "serve_load.csv"
COMMAND = [sys.executable, "-m", "cameraborn"]
CLIENTS = (1, 8, 64)
MALFORMED, HANG_UP = 0.1, 0.02  # shares of the requests
BROKEN = (
    (b"{", {"Content-Type": "application/json"}, 422),
    (b'{"pictures": []}', {"Content-Type": "application/json"}, 422),
    (b"--x\r\n", {"Content-Type": "multipart/form-data; boundary=y"}, 422),
    (b"?", {"Content-Type": "text/plain"}, 415),
)
Rows = Mapping[str, Sequence[object]]


@dataclass
class Seen:
    """What the clients of one round saw."""

    seconds: list[float] = field(default_factory=list)  # of answers to sound requests
    counts: Counter[str] = field(default_factory=Counter)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="pictures with a face, each under 32 MiB")
    parser.add_argument("--bundle", type=Path, help="folder or zip (default: the one that ships)")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of each round")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    bundle = ["--bundle", str(arguments.bundle.resolve())] if arguments.bundle else []
    pictures = {path.name: path.read_bytes() for path in sorted(arguments.folder.iterdir()) if path.is_file()}
    alone = Alone(arguments.folder, list(pictures), bundle)
    expected = alone.rows()
    table: list[dict[str, object]] = []
    server = subprocess.Popen([*COMMAND, "serve", "--port", "0", *bundle], stderr=subprocess.PIPE, text=True)
    try:
        url = address_of(server)
        for clients in CLIENTS:
            jobs = min(clients, os.cpu_count() or 1)
            turns, before = [alone.speed(jobs)], State.of(server.pid, url)
            seen, lasted = a_round(url, clients, arguments.seconds, pictures, expected)
            after = State.of(server.pid, url)
            turns.append(alone.speed(jobs))
            table.append(summary(clients, seen, lasted, before, after, turns))
            show(table[-1])
    finally:
        server.terminate()
        server.wait(90)
    write_table(table, arguments.output, machine=f"{os.cpu_count()} cores, {processor()}")


@dataclass(frozen=True)
class Speed:
    """Pictures in a second, and in a second of processor time."""

    of_clock: float
    of_processor: float


@dataclass(frozen=True)
class Alone:
    """`cameraborn score` on files of a folder."""

    folder: Path
    names: Sequence[str]
    bundle: Sequence[str]

    def rows(self) -> Rows:
        """Its rows, by picture."""
        found: dict[str, list[object]] = {name: [] for name in self.names}
        for line in self._run(self.names, os.cpu_count() or 1)[0].splitlines():
            row = json.loads(line)
            found[row["path"]].append(row)
        return found

    def speed(self, jobs: int) -> Speed:
        """How fast it is after its start."""
        _, start, start_used = self._run(self.names[:1], jobs)
        _, seconds, used = self._run(self.names, jobs)
        more = len(self.names) - 1
        return Speed(more / max(seconds - start, 1e-9), more / max(used - start_used, 1e-9))

    def _run(self, some: Sequence[str], jobs: int) -> tuple[str, float, float]:
        """What it writes, how long it takes, and how much processor time."""
        command = [*COMMAND, "score", "--format", "jsonl", "--jobs", str(jobs), *self.bundle, *some]
        started, used = time.perf_counter(), os.times()
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        seconds, now = time.perf_counter() - started, os.times()
        children = now.children_user + now.children_system - used.children_user - used.children_system
        return done.stdout, seconds, children


def address_of(server: subprocess.Popen[str]) -> str:
    """Where it listens; what it says later is read and dropped."""
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"listening on (\S+:\d+)", line):
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return found[1]
    sys.exit("the server did not start")


def a_round(
    url: str, clients: int, seconds: float, pictures: Mapping[str, bytes], expected: Rows
) -> tuple[Seen, float]:
    """So many clients, each asking again and again, and how long the last answer took to come."""
    every = [Seen() for _ in range(clients)]
    started = time.perf_counter()
    threads = [
        threading.Thread(target=client, args=(url, number, started + seconds, pictures, expected, seen))
        for number, seen in enumerate(every)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lasted = time.perf_counter() - started
    counts = sum((seen.counts for seen in every), Counter())
    return Seen([value for seen in every for value in seen.seconds], counts), lasted


def client(
    url: str, number: int, end: float, pictures: Mapping[str, bytes], expected: Rows, seen: Seen
) -> None:
    """Ask until the time is over."""
    rng, names = np.random.default_rng(number), list(pictures)
    with httpx.Client(base_url=url, timeout=120) as asking:
        while time.perf_counter() < end:
            draw, name = rng.random(), names[rng.integers(len(names))]
            if draw < MALFORMED:
                body, headers, status = BROKEN[rng.integers(len(BROKEN))]
                answer = asking.post("/v1/score", content=body, headers=headers)
                seen.counts["malformed" if answer.status_code == status else "wrong"] += 1
            elif draw < MALFORMED + HANG_UP:
                hang_up(url, pictures[name])
                seen.counts["hung up"] += 1
            else:
                ask(asking, name, pictures[name], expected[name], seen)


def ask(asking: httpx.Client, name: str, data: bytes, rows: Sequence[object], seen: Seen) -> None:
    """One sound request, whose answer is compared with the rows of `score`."""
    began = time.perf_counter()
    try:
        answer = asking.post("/v1/score", files={"file": (name, data)})
    except httpx.HTTPError:
        seen.counts["lost"] += 1
        return
    if answer.status_code in (429, 503):
        seen.counts["refused"] += 1
        time.sleep(float(answer.headers["retry-after"]))
        return
    seen.seconds.append(time.perf_counter() - began)
    seen.counts["right" if answer.status_code == 200 and answer.json() == rows else "wrong"] += 1


def hang_up(url: str, data: bytes) -> None:
    """Send half of a form with a picture in it."""
    address = urlsplit(url)
    form = httpx.Request("POST", url, files={"file": ("half.jpg", data)})
    body = form.read()
    head = (
        f"POST /v1/score HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Content-Type: {form.headers['content-type']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((address.hostname or "", address.port or 0)) as peer:
        peer.sendall(head.encode() + body[: len(body) // 2])


def summary(
    clients: int,
    seen: Seen,
    lasted: float,
    before: State,
    after: State,
    alone: Sequence[Speed],
) -> dict[str, object]:
    """A row of the table."""
    right, used = seen.counts["right"], after.processor - before.processor
    of_clock, of_processor = (
        float(np.mean([getattr(one, name) for one in alone])) for name in ("of_clock", "of_processor")
    )
    p50, p95, p99 = np.percentile(seen.seconds or [float("nan")], [50, 95, 99])
    return {
        "clients": clients,
        "pictures_per_s": round(right / lasted, 2),
        "score_pictures_per_s": round(of_clock, 2),
        "over_score": round(right / lasted / of_clock, 3),
        "processor_over_score": round(right / used / of_processor, 3),
        **{f"{name}_s": round(float(value), 3) for name, value in (("p50", p50), ("p95", p95), ("p99", p99))},
        **{name.replace(" ", "_"): seen.counts[name] for name in ("right", "wrong", "lost", "refused")},
        **{name.replace(" ", "_"): seen.counts[name] for name in ("malformed", "hung up")},
        "faces_a_run": round((after.faces - before.faces) / (after.runs - before.runs), 2),
        "memory_before_mib": round(before.memory),
        "memory_after_mib": round(after.memory),
    }


@dataclass(frozen=True)
class State:
    """Of the server: processor time (s), memory (MiB), runs of its networks and the faces that these took."""

    processor: float
    memory: float
    runs: float
    faces: float

    @classmethod
    def of(cls, pid: int, url: str) -> State:
        """As it is now."""
        told = dict(
            line.rsplit(" ", 1)
            for line in httpx.get(f"{url}/metrics").text.splitlines()
            if line.startswith("cameraborn_faces_together_")
        )
        runs, faces = (float(told[f"cameraborn_faces_together_{name}"]) for name in ("count", "sum"))
        return cls(processor_time(pid), memory(pid), runs, faces)


def processor_time(pid: int) -> float:
    """Seconds of processor time that a process has taken; Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Resident memory of a process, in MiB; Linux."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+)", text)
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    main()
