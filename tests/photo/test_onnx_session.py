"""Sessions of ONNX Runtime: nothing is kept in the user's home, and nobody is told."""

import os
import subprocess
import sys

from ..conftest import EXAMPLES


def printed(code, **environment):
    others = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=others | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_scoring_leaves_nothing_in_a_home(tmp_path):
    """The files of ONNX Runtime's telemetry are there as soon as it is imported, if it is on."""
    scored = f"import cameraborn; print(cameraborn.load().score({str(EXAMPLES / 'photo-1.jpg')!r})[0].scope)"
    assert printed(scored, HOME=str(tmp_path), XDG_CACHE_HOME="") == "ok"
    assert list(tmp_path.rglob("*")) == []


def test_who_wants_the_reports_has_them():
    told = "import os, cameraborn.photo.onnx_session; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert (printed(told), printed(told, ORT_DISABLE_TELEMETRY="0")) == ("1", "0")
