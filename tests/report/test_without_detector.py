"""A report is drawn from the scores alone: without ONNX Runtime, torch or the detector."""

import subprocess
import sys

from .made_run import made_run

CODE = """
import sys
from pathlib import Path

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("onnxruntime", "torch"):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Blocked())
from cameraborn.report.report import write_report

print(write_report(Path(sys.argv[1])).name)
print([name for name in sys.modules if name in ("cameraborn.detect.detector", "cameraborn.photo.faces")])
"""


def test_a_report_needs_neither_onnx_runtime_nor_the_detector(tmp_path):
    made_run(tmp_path)
    done = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "report.html\n[]\n"), done.stderr
