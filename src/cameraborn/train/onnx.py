"""An encoder as an ONNX file for scoring, which takes pixels as they come, uint8.

`patches` [N 3 64 64] to `features` [N D]; a `crop` [N 3 S S] already shrunk to the network's side to the same; or a
`patch-set`, one picture's patches [P 3 64 64], to `features` [1 D].
"""

from __future__ import annotations

import copy
import logging
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cameraborn.errors import RecipeError
from cameraborn.networks.section import InputKind
from cameraborn.photo.patches import PATCH_SIZE

_SMALLEST, _FEW = 2048, 6  # numbers of a tensor, input channels of a filter, that are worth rounding
_LARGE = 2**16  # numbers of a filter that are worth it whatever its input channels
GROUP = 64  # inputs of a layer whose weights of four bits share a scale
LOWEST, HIGHEST = -8, 7  # their levels
_LEVELS = range(1, 12)  # where a group's largest weight may lie on the grid; beyond its end it is clipped
_BLOCKED_OPSET = 21  # the first with four bits and scales by blocks


def to_onnx(
    encoder: nn.Module, kind: InputKind = "patches", side: int = PATCH_SIZE, opset: int | None = None
) -> bytes:
    """The encoder as an ONNX file with a free first dimension; its input is uint8 [N 3 side side].

    Args:
        encoder: the network.
        kind: what it takes.
        side: of its input, pixels.
        opset: version of ONNX's operators; None: what torch takes.

    Raises:
        RecipeError: the installed torch cannot export it.
    """
    # A copy in the layout that ONNX knows: the graph is traced along the layout that the weights have.
    encoder = copy.deepcopy(encoder).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    example = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter, which no user can act on
        program = torch.onnx.export(
            _FromBytes(encoder, one_set=kind == "patch-set").eval(),
            (example,),
            dynamo=True,
            input_names=[kind],
            output_names=["features"],
            dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
            external_data=False,
            verbose=False,
            opset_version=opset,
        )
    if program is None:
        raise RecipeError(
            "torch could not export the network: install the tested versions from constraints.txt"
        )
    return without_traces(program.model_proto)


def without_traces(model: Any) -> bytes:  # noqa: ANN401 (of onnx, which only training needs)
    """The file of a model without what the exporter notes on each part: stack traces, with paths of this machine."""
    graph = model.graph
    values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for part in (model, graph, *graph.node, *values, *model.functions):
        del part.metadata_props[:]
    graph_file: bytes = model.SerializeToString()
    return graph_file


def with_half_weights(graph_file: bytes) -> bytes:
    """The same graph with its large dense weights kept in half precision, for a file of half the size.

    Arithmetic stays in single precision. Filters of a single channel and a small first layer stay as they are: they
    are few, and rounding would show.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(graph_file)
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        few_inputs = values.ndim == 4 and values.shape[1] <= _FEW and values.size < _LARGE
        if values.dtype != np.float32 or values.size < _SMALLEST or few_inputs:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    _put_first(model.graph, casts)
    onnx.checker.check_model(model)
    half: bytes = model.SerializeToString()
    return half


def with_four_bit_weights(encoder: nn.Module, kind: InputKind, side: int) -> bytes:
    """`to_onnx` with the weights of large linear layers kept in four bits, and other large weights in half precision.

    `GROUP` inputs of an output share a scale, that of the least squared error; weights that lie on such a grid stay
    what they are. Arithmetic stays in single precision.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(to_onnx(encoder, kind, side, opset=_BLOCKED_OPSET))
    graph, nodes = model.graph, []
    axes = {node.input[1]: _axis_of_inputs(node) for node in graph.node if node.op_type in ("MatMul", "Gemm")}
    for tensor in list(graph.initializer):
        axis = axes.get(tensor.name)
        if axis is None or math.prod(tensor.dims) < _LARGE or tensor.dims[axis] % GROUP:
            continue
        found = four_bits(np.moveaxis(numpy_helper.to_array(tensor), axis, 0))
        levels = np.ascontiguousarray(np.moveaxis(found[0], 0, axis))
        scales = np.ascontiguousarray(np.moveaxis(found[1], 0, axis))
        # Two levels a byte, the first in its lower half.
        packed = ((levels.reshape(-1, 2) & 15) @ np.array([1, 16], np.uint8)).astype(np.uint8).tobytes()
        name, kept, scale = tensor.name, f"{tensor.name}_levels", f"{tensor.name}_scales"
        graph.initializer.remove(tensor)
        graph.initializer.extend(
            (
                onnx.helper.make_tensor(kept, onnx.TensorProto.INT4, levels.shape, packed, raw=True),
                numpy_helper.from_array(scales, f"{scale}_half"),
            )
        )
        nodes += [
            onnx.helper.make_node("Cast", [f"{scale}_half"], [scale], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("DequantizeLinear", [kept, scale], [name], axis=axis, block_size=GROUP),
        ]
    _put_first(graph, nodes)
    return with_half_weights(model.SerializeToString())


def _put_first(graph: Any, nodes: Sequence[Any]) -> None:  # noqa: ANN401 (of onnx, as above)
    """Let nodes of no inputs but constants stand before all others, which read them."""
    every = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(every)


def _axis_of_inputs(node: Any) -> int:  # noqa: ANN401 (of onnx, as above)
    """Along which axis of its weight a linear layer's inputs lie."""
    return 1 if any(one.name == "transB" and one.i for one in node.attribute) else 0


def four_bits(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Weights [I O] as levels of four bits, and the scales [I/GROUP O] that they are multiplied by."""
    groups = weights.reshape(-1, GROUP, weights.shape[1])
    largest = np.abs(groups).max(axis=1, keepdims=True)
    best = np.full(largest.shape, np.inf, np.float32)
    scales = np.zeros(largest.shape, np.float16)
    for level in _LEVELS:
        tried = np.maximum(largest / level, np.finfo(np.float16).smallest_subnormal).astype(np.float16)
        error = ((_levels(groups, tried) * tried.astype(np.float32) - groups) ** 2).sum(axis=1, keepdims=True)
        scales = np.where(error < best, tried, scales)
        best = np.minimum(error, best)
    return _levels(groups, scales).astype(np.int8).reshape(weights.shape), scales[:, 0]


def _levels(groups: NDArray[np.float32], scales: NDArray[np.float16]) -> NDArray[np.float32]:
    levels: NDArray[np.float32] = np.clip(np.round(groups / scales.astype(np.float32)), LOWEST, HIGHEST)
    return levels


class Concatenated(nn.Module):
    """Several encoders of the same patches, their features one after the other."""

    def __init__(self, encoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches [N 3 64 64] to features [N D1+D2+...]."""
        return torch.cat([encoder(patches) for encoder in self.encoders], dim=1)


class _FromBytes(nn.Module):
    """The encoder behind the cast from uint8; `one_set` adds the dimension of one picture."""

    def __init__(self, encoder: nn.Module, *, one_set: bool) -> None:
        super().__init__()
        self.encoder, self.one_set = encoder, one_set

    def forward(self, pixels: Tensor) -> Tensor:
        floats = pixels.float()
        features: Tensor = self.encoder(floats[None] if self.one_set else floats)
        return features
