import hashlib
import threading

import pytest

from tests.serve.browsing import CHROMIUM
from tests.serve.running import TOKEN, running, slow


@pytest.fixture(scope="session")
def server(tiny_bundle):
    """One server with its defaults for all tests that leave it as it is."""
    with running(tiny_bundle, "--access-log") as started:
        yield started


@pytest.fixture(scope="session")
def animation(tmp_path_factory):
    return slow(tmp_path_factory.mktemp("slow"))


@pytest.fixture
def tokens(tmp_path):
    """A file with the hash of `TOKEN`."""
    path = tmp_path / "tokens.txt"
    path.write_text(f"# who may ask\n\n{hashlib.sha256(TOKEN.encode()).hexdigest()}  -\n{'0' * 64}\n")
    return path


@pytest.fixture
def metrics():
    """Metrics of a pool and of jobs that have nothing to do."""
    from cameraborn.serve.job_store import JobStore
    from cameraborn.serve.jobs import Jobs, Judged
    from cameraborn.serve.limits import Limits
    from cameraborn.serve.metrics import Metrics
    from cameraborn.serve.pool import Pool

    limits = Limits()
    pool = Pool(1, limits)
    with JobStore(None) as store:
        yield Metrics(pool, Jobs(store, pool, limits, lambda *_: Judged(()), threading.Event()))
    pool.close()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser):
    """Opens the page of a server; whatever the browser complains of fails the test."""
    contexts, complaints = [], []

    def opened(server, **options):
        context = browser.new_context(accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))

        def hear(said):
            # What a page still loads when a test is over finds its server gone.
            over = server.is_told_to_end and "ERR_CONNECTION_REFUSED" in said.text
            if said.type == "error" and not over:
                complaints.append(said.text)

        page.on("console", hear)
        page.goto(server.url + "/")
        return page

    opened.complaints = complaints
    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
