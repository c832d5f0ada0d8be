"""`fdf`: Flickr Diverse Faces, as it is downloaded or as AIGFD-EXIF's and BLADES' `SSL_training_data` arrange it.

Faces are 128 px PNG files `images/128/<face id>.png`; `fdf_metainfo.json` has each one's box, seven points, licence
and author. The papers add EXIF for each photograph (`fdf_ccby2_exif_update_filtered_v2/<photo id>.json`), a map from
faces to photographs (`id_vs_fdfName.pkl`), BLADES' labels of faces (`adapters.blades`), and four manipulated variants
of each face (`<face id>_0..3.png` in `FDF/data/face_dataaug_neg` or `data/face_dataaug_neg`).

Hukkelås et al., "DeepPrivacy", arXiv 1909.04538; layout of the metadata: the data set's README.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cameraborn.data.adapters.blades import NAME as BLADES
from cameraborn.data.adapters.blades import BladesLabels
from cameraborn.data.adapters.entry import Entry, LeftOut, Options, entry, standing
from cameraborn.data.adapters.flickr import ExifFolder, ExifTable, exif_of_photographs
from cameraborn.data.adapters.id_map import read_id_map
from cameraborn.data.adapters.json_stream import stream_object
from cameraborn.data.manifest import Manipulation
from cameraborn.errors import ManifestError
from cameraborn.photo.sniff import is_regular

SIDE = 128  # pixels
POINTS = ("nose", "right_eye", "left_eye", "right_ear", "left_ear", "right_shoulder", "left_shoulder")
# The number in a variant's name; "vertical" is the authors' word for a turn by 180 degrees.
VARIANTS: tuple[Manipulation, ...] = ("mouth-vertical", "mouth", "eye", "affine")

_METADATA = (
    "fdf_metainfo.json",
    "fdf/fdf_metainfo.json",
    "data/fdf/fdf_metainfo.json",
    "FDF/data/fdf/fdf_metainfo.json",
)
_EXIF = "fdf_ccby2_exif_update_filtered_v2"
_MAPS = ("id_vs_fdfName.json", "id_vs_fdfName.pkl")
# As the README arranges them, and as the code expects them.
_VARIANTS = (
    "face_dataaug_neg",
    "data/face_dataaug_neg",
)


def fdf_entries(source: Path, options: Options) -> Iterator[Entry | LeftOut]:
    """Faces of the metadata whose pictures are there, each followed by its manipulated variants.

    The group is the photograph's author, whose cameras and people recur, or else the photograph. Licences that forbid
    commercial use are research only. EXIF: `options.exif`, or else the papers' folder, and where that says nothing
    BLADES' labels; faces without keep none.

    Raises:
        ManifestError: no metadata under `source`, or a file that it needs is broken.
    """
    metadata = _first(source, _METADATA)
    if metadata is None:
        raise ManifestError(
            f"{source}: no fdf_metainfo.json in it: give the folder into which FDF was downloaded"
        )
    pictures = metadata.parent / "images" / str(SIDE)
    there = _Faces(pictures)
    around = (standing(source), *standing(metadata).parents[:4])
    map_file = next((found for folder in around if (found := _first(folder, _MAPS))), None)
    photo_of = read_id_map(map_file) if map_file else {}
    exif = _exif(source, around, options, metadata, pictures, photo_of)
    label_file = next((folder / BLADES for folder in around if (folder / BLADES).is_file()), None)
    labels = BladesLabels(label_file, there) if label_file else None
    places = (folder / name for folder in around for name in _VARIANTS)
    variants = next((place for place in places if place.is_dir()), None)

    for face, facts in stream_object(metadata):
        picture = pictures / f"{face}.png"
        if face not in there:
            continue
        try:
            fields = _fields(facts, face, photo_of.get(face, ""), exif)
        except ManifestError as error:
            yield LeftOut(str(picture), f"{picture}: {error}")
            continue
        if labels is not None:
            tags, said = labels.get(face)
            fields |= {"exif": tags | fields["exif"], "labels": said}
        yield entry(picture, **fields)
        for number, manipulation in enumerate(VARIANTS if variants else ()):
            variant = (variants or pictures) / f"{face}_{number}.png"
            if is_regular(variant):
                yield entry(variant, manipulation=manipulation, **fields)


class _Faces:
    """The faces whose pictures are in a folder."""

    def __init__(self, pictures: Path) -> None:
        self._pictures = pictures

    def __contains__(self, face: object) -> bool:
        return isinstance(face, str) and face.isalnum() and is_regular(self._pictures / f"{face}.png")


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _exif(
    source: Path,
    around: tuple[Path, ...],
    options: Options,
    metadata: Path,
    pictures: Path,
    photo_of: Mapping[str, str],
) -> ExifFolder | ExifTable | None:
    place = options.exif or next((folder / _EXIF for folder in around if (folder / _EXIF).is_dir()), None)
    if place is None:
        return None
    wanted: set[str] = set()
    if place.is_file():  # a table holds many photographs: keep those of the faces that are here
        for face, facts in stream_object(metadata):
            if face in _Faces(pictures):
                wanted.add(_photo(facts, photo_of.get(face, "")))
    return exif_of_photographs(place, wanted)


def _fields(
    facts: Any,  # noqa: ANN401 (JSON)
    face: str,
    listed: str,
    exif: ExifFolder | ExifTable | None,
) -> dict[str, Any]:
    """What a row says of a face. Raises ManifestError if the metadata of the face make no sense."""
    photo = _photo(facts, listed)
    try:
        x0, y0, x1, y1 = (float(side) * SIDE for side in facts["bounding_box"])
        points = {
            name: (float(x) * SIDE, float(y) * SIDE)
            for name, (x, y) in zip(POINTS, facts["landmark"], strict=True)
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"its box or points in fdf_metainfo.json make no sense ({error})") from error
    licence = f"{facts.get('license', '')} {facts.get('license_url', '')}".strip()
    author = str(facts.get("author", ""))
    return {
        "source": "FDF",
        "group": f"author {author}" if author else f"photo {photo}" if photo else f"face {face}",
        "kind": f"fdf-{SIDE}",
        "box": (x0, y0, x1, y1),
        "points": points,
        "exif": (exif.get(photo) if exif else None) or {},
        "licence": licence,
        "research_only": "noncommercial" in licence.lower() or "-nc" in licence.lower(),
    }


def _photo(facts: Any, listed: str) -> str:  # noqa: ANN401 (JSON)
    """The photograph's id: the map's, or else the last part of its address."""
    if listed or not isinstance(facts, dict):
        return listed
    return str(facts.get("photo_url", "")).rstrip("/").rpartition("/")[2]
