"""The networks that recipes may name: a new one is its file, and its section here."""

from __future__ import annotations

from cameraborn.networks.efficientnet_lite import EfficientNetLiteSection
from cameraborn.networks.patchnet import PatchNetworkSection
from cameraborn.networks.resnet import ResNetSection
from cameraborn.networks.sdaie import SdaieSection
from cameraborn.networks.section import NetworkSection
from cameraborn.registry import Registry

NETWORKS: Registry[type[NetworkSection]] = Registry("network")
NETWORKS.add("patch", PatchNetworkSection)
NETWORKS.add("efficientnet-lite0", EfficientNetLiteSection)
NETWORKS.add("resnet50", ResNetSection)
NETWORKS.add("sdaie", SdaieSection)
