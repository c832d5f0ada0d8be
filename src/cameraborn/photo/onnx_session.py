"""ONNX Runtime as this package uses it: quiet, on as many threads as it is given, and telling nobody.

Since 1.31 its builds report to their maker and keep a file in the user's cache. Only the environment, read when it is
first imported, keeps it from both; who wants the reports sets `ORT_DISABLE_TELEMETRY=0`. A program that has imported
ONNX Runtime before this package has decided already.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime


def open_session(graph: bytes | str, threads: int) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """A session of a graph, or of the file that holds one, on the processor.

    Raises:
        MemoryError: the memory does not suffice.
        Exception: the graph cannot be run; ONNX Runtime's errors share no public base class.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what fails is raised; a line of its own is one too many
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights of four bits are multiplied in single precision; by default their inputs would be rounded to eight bits.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        if "bad_alloc" in str(error):
            raise MemoryError from error
        raise
