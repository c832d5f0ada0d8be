"""A trained network to ONNX, normalisation folded into convolutions; fp32 and with fp16 weights, compared.

    python benchmarks/campaign/export.py --work WORK --run NAME      # WORK/export/NAME.onnx, NAME.fp16.onnx

Input `pixels` float32 [N 3 H W] in grey levels 0..255, any size; output `logit` [N], high is generated.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from evaluate import Evaluation, session
from onnx import numpy_helper
from safetensors.torch import load_file

from train import built

SMALLEST = 2048  # numbers: smaller tensors stay float32


def with_half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Large weights stored as float16 and cast on loading; arithmetic stays float32."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    casts = []
    for tensor in half.graph.initializer:
        values = numpy_helper.to_array(tensor)
        depthwise = values.ndim == 4 and values.shape[1] in (
            1,
            3,
            6,
        )  # few numbers, and the stem: rounding shows there
        if values.dtype != np.float32 or values.size < SMALLEST or depthwise:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *half.graph.node]
    del half.graph.node[:]
    half.graph.node.extend(nodes)
    onnx.checker.check_model(half)
    return half


def main() -> None:
    """Export, compare, time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run", required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.work / "runs" / options.run
    made = json.loads((folder / "options.json").read_text())
    net = built(argparse.Namespace(**{"residual": False} | made | {"imagenet": None})).eval()
    net.load_state_dict(load_file(folder / "average.safetensors"))
    out = options.work / "export"
    out.mkdir(exist_ok=True)
    path = out / f"{options.run}.onnx"
    session(net, path)
    onnx.save(with_half_weights(onnx.load(path)), out / f"{options.run}.fp16.onnx")
    evaluation = Evaluation(options.work)
    rng = np.random.default_rng(0)
    pictures = [evaluation.pixels(int(n)) for n in rng.choice(len(evaluation.entries), 40, replace=False)]
    batches = [np.ascontiguousarray(p.transpose(2, 0, 1))[None].astype(np.float32) for p in pictures]
    results = {}
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    for name in ("", ".fp16"):
        file = out / f"{options.run}{name}.onnx"
        run = onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
        results[name] = np.array([run.run(None, {"pixels": b})[0][0] for b in batches])
        whole = np.zeros((1, 3, 256, 256), np.float32)
        began = time.process_time()
        for _ in range(10):
            run.run(None, {"pixels": whole})
        print(
            file.name,
            file.stat().st_size >> 10,
            "KiB",
            f"{100 * (time.process_time() - began):.1f} ms at 256 px",
        )
    with torch.inference_mode():
        own = np.array([float(net(torch.from_numpy(b))) for b in batches])
    print(
        "largest difference: ONNX",
        np.abs(own - results[""]).max(),
        "fp16",
        np.abs(results[""] - results[".fp16"]).max(),
    )


if __name__ == "__main__":
    main()
