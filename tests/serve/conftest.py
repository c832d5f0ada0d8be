import pytest

from tests.serve.running import running


@pytest.fixture(scope="session")
def server(tiny_bundle):
    """One server with its defaults for all tests that leave it as it is."""
    with running(tiny_bundle, "--access-log") as started:
        yield started
