"""An encoder as an ONNX file for scoring, which takes pixels as they come, uint8.

`patches` [N 3 64 64] to `features` [N D]; a `crop` [N 3 S S] already shrunk to the network's side to the same; or a
`patch-set`, one picture's patches [P 3 64 64], to `features` [1 D].
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cameraborn.errors import RecipeError
from cameraborn.networks.section import InputKind
from cameraborn.photo.patches import PATCH_SIZE


def to_onnx(encoder: nn.Module, kind: InputKind = "patches", side: int = PATCH_SIZE) -> bytes:
    """The encoder as an ONNX file with a free first dimension; its input is uint8 [N 3 side side].

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
        )
    if program is None:
        raise RecipeError(
            "torch could not export the network: install the tested versions from constraints.txt"
        )
    graph_file: bytes = program.model_proto.SerializeToString()
    return graph_file


class SideBySide(nn.Module):
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
