"""A finished run of `kind = "generators"` becomes a bundle's network and evidence, with weights of half precision.

Its bundle is ready for `cameraborn calibrate`, or to be merged with that of photographs (`cameraborn merge`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from cameraborn.binary.generators import PATCH, GeneratorsNetwork
from cameraborn.binary.generators_recipe import GeneratorsRecipe
from cameraborn.detect.evidence.channel import Tensors
from cameraborn.detect.evidence.kinds import GENERATORS
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.train.encoders import describe
from cameraborn.train.export import ExportedNetwork, read_finished
from cameraborn.train.run_folder import DataRecord


def export_generators(folder: Path) -> ExportedNetwork:
    """Export the averaged network of a finished run, its head as evidence.

    Raises:
        RecipeError: the folder holds no finished run, or its weights are damaged or of another network.
    """
    run = read_finished(folder, GeneratorsRecipe, GeneratorsNetwork)
    described = f"{describe(run.network.encoder, run.recipe.network)}, of known generators"
    return exported(run.network.encoder, run.network.head, described, run.data)


def exported(encoder: Any, head: nn.Linear, description: str, data: DataRecord) -> ExportedNetwork:  # noqa: ANN401
    """An encoder of patches and the one logit behind it, with what they have seen, ready for a bundle."""
    return ExportedNetwork(
        encoder=encoder,
        weights=(),
        description=description,
        features=encoder.features,
        tasks=("generated",),
        manifest_sha256=data.manifest_sha256,
        seen=data.seen,
        input_kind="patches",
        side=PATCH,
        smallest_side=PATCH,
        weight_bits=16,
        evidence=(BinaryClassifier.from_tensors(GENERATORS, ((0, encoder.features),), two_logits(head)),),
    )


def two_logits(head: nn.Linear) -> Tensors:
    """The head as logits of photograph, which is 0, and of generated."""
    weight, bias = (value.detach().numpy() for value in (head.weight, head.bias))
    return {
        "0.weight": np.concatenate([np.zeros_like(weight), weight]),
        "0.bias": np.concatenate([np.zeros_like(bias), bias]),
    }
