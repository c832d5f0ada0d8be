"""The kinds of evidence that a bundle may hold. To add one, write its file and name its class here."""

from __future__ import annotations

from cameraborn.detect.evidence.channel import Evidence
from cameraborn.detect.evidence.density import Density
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.detect.evidence.pseudo_fake import PseudoFakeClassifier
from cameraborn.errors import BundleError
from cameraborn.registry import Registry

PHOTOGRAPHS, RECONSTRUCTED, GENERATORS = "photographs", "reconstructed", "generators"  # names of channels

KINDS: Registry[type[Evidence]] = Registry("kind of evidence", BundleError)
for _kind in (Density, PseudoFakeClassifier, BinaryClassifier):
    KINDS.add(_kind.kind, _kind)
