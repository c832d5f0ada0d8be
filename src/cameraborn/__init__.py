"""Was this face born in a camera? Detects AI-generated faces as anomalies, at a false-alarm rate you choose.

>>> import cameraborn
>>> detector = cameraborn.load()
>>> verdicts = detector.score("face.jpg")
"""

from cameraborn.detect.detector import Detector, load
from cameraborn.detect.verdict import Verdict
from cameraborn.errors import (
    BundleError,
    CalibrationError,
    CamerabornError,
    ManifestError,
    PictureError,
    RecipeError,
)
from cameraborn.photo.decode import Picture, open_picture
from cameraborn.photo.exif import Exif, read_exif
from cameraborn.photo.faces import Face, FaceFinder

__version__ = "0.1.0"
__all__ = [
    "BundleError",
    "CalibrationError",
    "CamerabornError",
    "Detector",
    "Exif",
    "Face",
    "FaceFinder",
    "ManifestError",
    "Picture",
    "PictureError",
    "RecipeError",
    "Verdict",
    "__version__",
    "load",
    "open_picture",
    "read_exif",
]
