"""Other ways to run the bundle's networks: python benchmarks/runtimes.py PHOTOGRAPHS -o CSV

Needs `pip install openvino onnx` beside the package. ONNX Runtime in float32 is what ships; beside it

- OpenVINO in float32, and in bfloat16;
- ONNX Runtime with weights and activations of eight bits: a scale for each channel, set on the first half of the
  photographs; all products, or all but the first three, which see residuals of a few grey levels.

Every runtime is given the same patches of the second half of the photographs. `ratio` is how many times as fast as what
ships, on one thread, in turns; `largest_p_change` is how far the p-value of a photograph moves at most.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
from common import parser_of_photographs, processor, show, some_photographs, write_table
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from cameraborn.detect.detector import Detector, default_bundle
from cameraborn.photo.onnx_session import open_session

TURNS = 3
PRODUCTS = ("Conv", "Gemm", "MatMul")
Batch = NDArray[np.uint8]
Feed = dict[str, Batch]


class Session:
    """A runtime in the place of the session of ONNX Runtime that an encoder holds."""

    def __init__(self, run: Callable[[Feed], NDArray[np.float32]]) -> None:
        self._run = run

    def run(self, _: None, feed: Feed) -> list[NDArray[np.float32]]:
        return [self._run(feed)]


def main() -> None:
    options = parser_of_photographs(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_table(list(measured(options, Path(folder))), options.output, machine=processor())


def measured(options: argparse.Namespace, folder: Path) -> Iterator[dict[str, object]]:
    pictures = some_photographs(options)
    shown, seen = pictures[: len(pictures) // 2], pictures[len(pictures) // 2 :]
    detector = Detector.of_path(options.bundle or default_bundle(), threads=1)
    graphs = [detector.bundle.graph(network) for network in detector.bundle.info.networks]
    ships = [encoder._session for encoder, _ in detector.observer.encoders]
    given, timed = recorded(detector, shown), recorded(detector, seen)
    before = p_values(detector, seen)
    for name, opened in others(graphs, given, folder):
        use(detector, opened)
        moved = np.abs(p_values(detector, seen) - before)
        turns = [(seconds(ships, timed), seconds(opened, timed)) for _ in range(TURNS)]
        ours, theirs = np.min(turns, axis=0)
        row = {
            "runtime": name,
            "faces": len(moved),
            "ratio": round(ours / theirs, 2),
            "largest_p_change": round(float(moved.max()), 4),
            "median_p_change": round(float(np.median(moved)), 4),
        }
        show(row)
        yield row


def others(
    graphs: Sequence[bytes], given: Sequence[Sequence[Feed]], folder: Path
) -> Iterator[tuple[str, list[Session]]]:
    """Each other runtime, with every network opened in it."""
    for precision, name in (("f32", "float32"), ("bf16", "bfloat16")):
        yield f"OpenVINO, {name}", [in_openvino(graph, precision) for graph in graphs]
    for first, words in ((0, ""), (3, ", but the first three products")):
        sessions = [
            in_eight_bits(graph, feeds, first, folder) for graph, feeds in zip(graphs, given, strict=True)
        ]
        yield f"ONNX Runtime, eight bits{words}", sessions


def in_openvino(graph: bytes, precision: str) -> Session:
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision}
    compiled = core.compile_model(core.read_model(graph), "CPU", settings)
    return Session(lambda feed: np.array(compiled(feed)[0]))


def in_eight_bits(graph: bytes, feeds: Sequence[Feed], first: int, folder: Path) -> Session:
    """Products from the `first` on in eight bits, with scales that the feeds need."""
    prepared, quantised = folder / "prepared.onnx", folder / "quantised.onnx"
    quant_pre_process(onnx.load_from_string(graph), prepared)
    products = [node.name for node in onnx.load(prepared).graph.node if node.op_type in PRODUCTS]
    quantize_static(
        prepared,
        quantised,
        Given(feeds),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        nodes_to_quantize=products[first:],
    )
    session = open_session(str(quantised), threads=1)
    return Session(lambda feed: session.run(None, feed)[0])


class Given(CalibrationDataReader):
    """What a network is shown to set the scales of its activations."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def recorded(detector: Detector, pictures: Sequence[Path]) -> list[list[Feed]]:
    """What each network is given for the faces of pictures."""
    ships = [encoder._session for encoder, _ in detector.observer.encoders]
    feeds: list[list[Feed]] = [[] for _ in ships]
    use(detector, [recorder(session, into) for session, into in zip(ships, feeds, strict=True)])
    for picture in pictures:
        detector.score(picture)
    use(detector, ships)
    return feeds


def recorder(session: onnxruntime.InferenceSession, into: list[Feed]) -> Session:
    def run(feed: Feed) -> NDArray[np.float32]:
        into.append(feed)
        return session.run(None, feed)[0]  # type: ignore[no-any-return]

    return Session(run)


def use(detector: Detector, sessions: Sequence[object]) -> None:
    for (encoder, _), session in zip(detector.observer.encoders, sessions, strict=True):
        encoder._session = session  # type: ignore[assignment]


def p_values(detector: Detector, pictures: Sequence[Path]) -> NDArray[np.float64]:
    """Of every face that is judged."""
    verdicts = [one for picture in pictures for one in detector.score(picture)]
    return np.array([one.p_value for one in verdicts if one.p_value is not None])


def seconds(sessions: Sequence[Session], feeds: Sequence[Sequence[Feed]]) -> float:
    """Of one processor, for all that each network is given."""
    began = time.process_time()
    for session, of_network in zip(sessions, feeds, strict=True):
        for feed in of_network:
            session.run(None, feed)
    return time.process_time() - began


if __name__ == "__main__":
    main()
