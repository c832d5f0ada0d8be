"""The OpenAPI document is what the server does: Schemathesis sends what it allows, and what it does not."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

# What makes a picture, and which options contradict each other, no schema can say.
BEYOND_THE_SCHEMA = "positive_data_acceptance"


@pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is not installed")
def test_the_server_keeps_to_its_document(server, tmp_path):
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--seed", "1"]
    options = ["--max-examples", "10", "--workers", "1", "--exclude-checks", BEYOND_THE_SCHEMA, "--no-color"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert "14 selected / 14 total" in done.stdout
    assert "Traceback" not in server.log
