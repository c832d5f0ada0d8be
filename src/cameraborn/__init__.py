"""Was this face born in a camera? Detects AI-generated faces as anomalies, at a false-alarm rate you choose.

>>> import cameraborn
>>> detector = cameraborn.load()
>>> verdicts = detector.score("face.jpg")
"""

from importlib import import_module
from typing import TYPE_CHECKING

from cameraborn.errors import (
    BundleError,
    CalibrationError,
    CamerabornError,
    ManifestError,
    PictureError,
    RecipeError,
)

if TYPE_CHECKING:
    from cameraborn.detect.explain import Explanation, explain
    from cameraborn.detect.explain_plot import plot_explanation
    from cameraborn.detect.verdict import Verdict
    from cameraborn.detect.video import score_video
    from cameraborn.library import Detector, calibrate_bundle, fit_bundle, load
    from cameraborn.photo.decode import Picture, open_picture
    from cameraborn.photo.exif import Exif, read_exif
    from cameraborn.photo.faces import Face, FaceFinder
    from cameraborn.photo.provenance import Provenance, read_provenance
else:
    _HOMES = {
        **dict.fromkeys(("Explanation", "explain"), "cameraborn.detect.explain"),
        **dict.fromkeys(("Detector", "calibrate_bundle", "fit_bundle", "load"), "cameraborn.library"),
        "plot_explanation": "cameraborn.detect.explain_plot",
        "Verdict": "cameraborn.detect.verdict",
        "score_video": "cameraborn.detect.video",
        **dict.fromkeys(("Picture", "open_picture"), "cameraborn.photo.decode"),
        **dict.fromkeys(("Exif", "read_exif"), "cameraborn.photo.exif"),
        **dict.fromkeys(("Face", "FaceFinder"), "cameraborn.photo.faces"),
        **dict.fromkeys(("Provenance", "read_provenance"), "cameraborn.photo.provenance"),
    }

    def __getattr__(name: str) -> object:
        """All but errors is imported at its first use: a report, for one, needs no ONNX Runtime."""
        if name not in _HOMES:
            raise AttributeError(f"module 'cameraborn' has no attribute '{name}'")
        return getattr(import_module(_HOMES[name]), name)

    def __dir__() -> list[str]:
        """Also what is imported at its first use, for a notebook's completion."""
        return sorted({*globals(), *_HOMES})


__version__ = "0.1.0"
__all__ = [
    "BundleError",
    "CalibrationError",
    "CamerabornError",
    "Detector",
    "Exif",
    "Explanation",
    "Face",
    "FaceFinder",
    "ManifestError",
    "Picture",
    "PictureError",
    "Provenance",
    "RecipeError",
    "Verdict",
    "__version__",
    "calibrate_bundle",
    "explain",
    "fit_bundle",
    "load",
    "open_picture",
    "plot_explanation",
    "read_exif",
    "read_provenance",
    "score_video",
]
