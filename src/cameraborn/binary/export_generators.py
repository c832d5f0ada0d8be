"""A finished run of `kind = "generators"` becomes a bundle's network and evidence, with weights of half precision.

Its bundle is ready for `cameraborn calibrate`, or to be merged with that of photographs (`cameraborn merge`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cameraborn.binary.generators import PATCH, GeneratorsNetwork
from cameraborn.binary.generators_recipe import GeneratorsRecipe
from cameraborn.detect.evidence.channel import Tensors
from cameraborn.detect.evidence.kinds import GENERATORS
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.train.encoders import describe
from cameraborn.train.export import ExportedNetwork, read_finished
from cameraborn.train.onnx import to_onnx, with_half_weights


def export_generators(folder: Path) -> ExportedNetwork:
    """Export the averaged network of a finished run, its head as evidence.

    Raises:
        RecipeError: the folder holds no finished run, or its weights are damaged or of another network.
    """
    run = read_finished(folder, GeneratorsRecipe, GeneratorsNetwork)
    encoder = run.network.encoder
    return ExportedNetwork(
        onnx=with_half_weights(to_onnx(encoder, "patches", PATCH)),
        weights=(),
        description=f"{describe(encoder, run.recipe.network)}, of known generators",
        features=encoder.features,
        tasks=("generated",),
        manifest_sha256=run.data.manifest_sha256,
        seen=run.data.seen,
        input_kind="patches",
        side=PATCH,
        smallest_side=PATCH,
        evidence=(
            BinaryClassifier.from_tensors(GENERATORS, ((0, encoder.features),), _two_logits(run.network)),
        ),
    )


def _two_logits(network: GeneratorsNetwork) -> Tensors:
    """The head as logits of photograph, which is 0, and of generated."""
    weight, bias = (value.detach().numpy() for value in (network.head.weight, network.head.bias))
    return {
        "0.weight": np.concatenate([np.zeros_like(weight), weight]),
        "0.bias": np.concatenate([np.zeros_like(bias), bias]),
    }
