"""`cameraborn serve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cameraborn import __version__
from cameraborn.cli.common import (
    LARGEST,
    MOST,
    BundlePath,
    Evidence,
    Jobs,
    Option,
    app,
    needs_server,
    say,
)
from cameraborn.cli.numbers import finite
from cameraborn.errors import CamerabornError, counted

_RATE = 0.05  # what requests ask for unless they say something else


@app.command()
def serve(
    host: Annotated[
        str,
        Option(metavar="ADDRESS", help="Address to listen on; any but this machine's own needs --tokens."),
    ] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    tokens: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Hashes of bearer tokens, as sha256sum writes them; each request then needs a token.",
            show_default="none is needed",
            dir_okay=False,
        ),
    ] = None,
    bundle: BundlePath = None,
    evidence: Evidence = None,
    jobs: Jobs = None,
    max_bytes: Annotated[int, Option(min=1, max=LARGEST, help="Largest size of a request, in bytes.")] = 32
    << 20,
    max_pixels: Annotated[
        int, Option(min=1, max=LARGEST, help="Largest number of pixels of a picture.")
    ] = 50_000_000,
    max_faces: Annotated[int, Option(min=1, max=MOST, help="Largest number of faces in a picture.")] = 64,
    max_files: Annotated[int, Option(min=1, max=MOST, help="Largest number of pictures in a request.")] = 32,
    max_frames: Annotated[
        int,
        Option(
            min=0, max=MOST, help="Largest number of frames of a video that are looked at; 0 takes no videos."
        ),
    ] = 120,
    max_seconds: Annotated[
        float,
        Option(
            min=0.1,
            callback=finite,
            help="Longest time to work on a request, or for more of it to come, in seconds.",
        ),
    ] = 60.0,
    max_queue: Annotated[
        int, Option(min=1, max=MOST, help="Largest number of requests that are under way.")
    ] = 100,
    jobs_file: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="File that keeps the results of jobs (POST /v1/jobs) over a restart, never pictures.",
            show_default="memory alone",
            dir_okay=False,
        ),
    ] = None,
    max_job_files: Annotated[
        int, Option(min=1, max=MOST, help="Largest number of pictures in a job.")
    ] = 1000,
    max_job_bytes: Annotated[
        int, Option(min=1, max=LARGEST, help="Largest size of the pictures of all jobs that wait, in bytes.")
    ] = 512 << 20,
    max_jobs: Annotated[
        int,
        Option(
            min=1,
            max=MOST,
            help="Largest number of jobs that are kept; those whose rows were read make room for others.",
        ),
    ] = 100,
    job_hours: Annotated[
        float, Option(min=0.0, callback=finite, help="Hours after which a job that has ended is deleted.")
    ] = 24.0,
    access_log: Annotated[
        bool, Option("--access-log", help="Say a line a request on standard error: address, path, status.")
    ] = False,
) -> None:
    """Answer the rows of score over HTTP, and a page for people: http://ADDRESS:PORT/ in a browser.

    Programs ask POST /v1/score; http://ADDRESS:PORT/docs tells the rest.

    Pictures stay in memory: none is written to disk or logged. SIGTERM and Ctrl-C end it, with exit code 0, when all
    requests that came in are answered. Jobs are finished first only with --jobs-file, or while somebody streams them;
    without, they are DROPPED with the pictures that wait in them. A second Ctrl-C ends it at once.

    A token and its hash: openssl rand -hex 32 > token; tr -d '\\n' < token | sha256sum >> tokens.txt

    Example: cameraborn serve --port 8000 & curl -F file=@portrait.jpg http://127.0.0.1:8000/v1/score
    """
    needs_server()
    import threading

    from cameraborn.library import load
    from cameraborn.serve.app import make_app
    from cameraborn.serve.fonts import list_fonts
    from cameraborn.serve.job_store import JobStore
    from cameraborn.serve.limits import Limits
    from cameraborn.serve.server import is_loopback, serve
    from cameraborn.serve.tokens import read_tokens

    if tokens is None and not is_loopback(host):
        raise CamerabornError(
            f"--host {host}: others could reach the server: give --tokens, or leave --host out to listen here alone"
        )
    hashes = () if tokens is None else read_tokens(tokens)
    detector = load(bundle, evidence=evidence)
    detector.check_rate(_RATE)
    limits = Limits(
        max_bytes, max_pixels, max_faces, max_files, max_frames, max_seconds, max_queue,
        max_job_files, max_job_bytes, max_jobs, job_hours,
    )  # fmt: skip
    list_fonts()
    abandoned, store = threading.Event(), JobStore(jobs_file)
    application = make_app(
        detector,
        limits,
        threads=jobs or os.cpu_count() or 1,
        version=__version__,
        store=store,
        abandoned=abandoned,
        tokens=hashes,
        host=host,
    )
    try:
        serve(
            application,
            host,
            port,
            access_log=access_log,
            abandoned=abandoned,
            listening=lambda address: say(
                f"{detector.bundle.info.name}: listening on {address}, of which /docs tells what can be asked"
            ),
        )
    except KeyboardInterrupt:  # as asked
        say(f"stopped: {_left(store.dropped, abandoned=abandoned.is_set())}")


def _left(jobs: int, *, abandoned: bool) -> str:
    if abandoned:
        return "what was not answered is lost"
    if jobs:
        what = counted(jobs, "job")
        return f"all requests are answered; {what} that nobody streamed ended early, as no --jobs-file keeps results"
    return "everything that was accepted is answered"
