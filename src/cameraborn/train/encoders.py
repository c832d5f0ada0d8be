"""The section `network` of every recipe, and the encoder it describes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator, Field
from torch import nn

from cameraborn.networks.registry import NETWORKS
from cameraborn.networks.section import NetworkSection as AnyNetworkSection


def _of_a_known_type(network: Any) -> Any:  # noqa: ANN401 (whatever the file says)
    """Patches are the default; an unknown type is answered with the nearest."""
    if not isinstance(network, dict):
        return network
    network = {"type": "patch", **network}
    if network["type"] not in NETWORKS:
        raise ValueError(NETWORKS.unknown(str(network["type"])))
    return network


if TYPE_CHECKING:
    NetworkSection = AnyNetworkSection
else:
    NetworkSection = Annotated[
        Union[tuple(NETWORKS.values())],  # noqa: UP007 (the registry says of what)
        Field(discriminator="type"),
        BeforeValidator(_of_a_known_type),
    ]


def build_encoder(section: NetworkSection) -> Any:  # noqa: ANN401 (a module of the section's type)
    """The encoder of a section, freshly initialised."""
    return section.encoder()


def describe(encoder: nn.Module, section: NetworkSection) -> str:
    """The encoder's class, sizes and number of parameters, for a bundle's card."""
    parameters = sum(p.numel() for p in encoder.parameters())
    return f"{type(encoder).__name__} {json.dumps(section.encoder_sizes())} ({parameters:,} parameters)"
