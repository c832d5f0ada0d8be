"""BLADES' labels of FDF's faces (arXiv 2507.22824): `fdf_ccby2_exif_ordinal_categorical.json`.

An object of faces, each with its `path`, `EXIF_ordinal` (ISO, Aperture, Focal Length, Exposure Time) and
`EXIF_categorical`, in which every tag has a `cls_label`: its place among the tag's answers, in the order of BLADES'
prompts. The unit of a plain number of `Exposure Time` is not published (AIGFD-EXIF's parser gives 60 for 1/60sec, and
2 for 2sec), so that it is a label to rank by and no exposure time.
"""

from __future__ import annotations

import json
from collections.abc import Container
from pathlib import Path
from typing import Any

from cameraborn.data.adapters.json_stream import stream_object
from cameraborn.errors import ManifestError
from cameraborn.photo.exif import Exif
from cameraborn.photo.exif_text import tags_of_texts

NAME = "fdf_ccby2_exif_ordinal_categorical.json"
# Their tag -> the pretext task that learns it, and how many classes it has.
CLASSES = {
    "Make": ("blades_make", 10),
    "Metering Mode": ("blades_metering", 8),
    "Exposure Mode": ("blades_exposure_mode", 7),
    "White Balance Mode": ("blades_white_balance", 2),
    "Exposure Program": ("blades_program", 6),
}
EXPOSURE = "blades_exposure"
_ORDINALS = {"ISO": "ISO", "Aperture": "F-Number", "Focal Length": "Focal Length"}  # by an EXIF tool's names


class BladesLabels:
    """Tags and labels by face, of the faces that are there; some 300 bytes each are kept.

    Raises:
        ManifestError: the file is broken, or gives a face a class that its tag does not have.
    """

    def __init__(self, file: Path, wanted: Container[str]) -> None:
        self._found: dict[str, bytes] = {}
        for name, facts in stream_object(file):
            face = _face(name, facts)
            if face in wanted:
                try:
                    self._found[face] = json.dumps([_tags(facts), _labels(facts)]).encode()
                except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
                    raise ManifestError(
                        f"{file}: entry {name} makes no sense ({error}): get the file again"
                    ) from error

    def get(self, face: str) -> tuple[dict[str, Any], dict[str, float]]:
        """EXIF by our names, and labels by task; both empty if the face is not listed."""
        found = self._found.get(face)
        if found is None:
            return {}, {}
        tags, labels = json.loads(found)
        return tags, labels


def _face(name: str, facts: Any) -> str:  # noqa: ANN401 (JSON)
    path = facts.get("path") if isinstance(facts, dict) else None
    return path.replace("\\", "/").rpartition("/")[2].partition(".")[0] if isinstance(path, str) else name


def _tags(facts: dict[str, Any]) -> dict[str, Any]:
    ordinal = facts["EXIF_ordinal"]
    named = {tool: ordinal[theirs] for theirs, tool in _ORDINALS.items() if theirs in ordinal}
    exposure = ordinal.get("Exposure Time")
    if isinstance(exposure, str):
        named["Exposure Time"] = exposure
    return dict(Exif.from_mapping(tags_of_texts(named)).to_mapping())


def _labels(facts: dict[str, Any]) -> dict[str, float]:
    found = dict[str, float]()
    exposure = facts["EXIF_ordinal"].get("Exposure Time")
    if exposure is not None and not isinstance(exposure, str):
        found[EXPOSURE] = float(exposure)
    for theirs, (task, count) in CLASSES.items():
        label = facts["EXIF_categorical"].get(theirs, {}).get("cls_label")
        if label is not None:
            found[task] = class_label(label, count, theirs)
    return found


def class_label(label: object, count: int, tag: str) -> float:
    """The index of one of `count` classes; raises ValueError if it is none."""
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < count:
        raise ValueError(f"{tag} is {label!r}, and its classes are 0 to {count - 1}")
    return float(label)
