"""Names of what is done to a picture, where more than one room says them; they need neither torch nor OpenCV."""

from __future__ import annotations

from dataclasses import dataclass

from cameraborn.errors import CamerabornError
from cameraborn.registry import Registry

RECONSTRUCTED = "reconstructed"  # by an autoencoder
REGIONS = ("mouth", "eye", "nose")


@dataclass(frozen=True)
class Manipulated:
    """What a manipulation (see `manipulate`) does to a face, in words, and the regions in which it does."""

    words: str
    regions: tuple[str, ...]


# In the order in which the released data of AIGFD-EXIF numbers them, ID_0.png to ID_3.png; then those of BLADES.
MANIPULATIONS: Registry[Manipulated] = Registry("manipulation", CamerabornError)
MANIPULATIONS.add("mouth-vertical", Manipulated("mouth turned over", ("mouth",)))
MANIPULATIONS.add("mouth", Manipulated("mouth mirrored", ("mouth",)))
MANIPULATIONS.add("eye", Manipulated("eye mirrored", ("eye",)))
MANIPULATIONS.add("affine", Manipulated("distorted", REGIONS))
MANIPULATIONS.add("nose", Manipulated("nose turned over", ("nose",)))
