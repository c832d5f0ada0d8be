"""What a file says of its own origin, beside the verdict and never mixed into it.

Three questions, each with a file of its own: does it name a generator (`provenance_marks.py`), does it name a camera
that agrees with itself (`provenance_camera.py`), does it carry a C2PA manifest (`provenance_c2pa.py`). All of it is a
claim that anyone can write and everyone can remove: **absence proves nothing**, and no verdict depends on it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

from PIL import Image

from cameraborn.errors import PictureError, picture_error
from cameraborn.photo.decode import MAX_PIXELS, named_errors, read_encoded, recognised
from cameraborn.photo.exif import MALFORMED, pillow_warnings_silenced
from cameraborn.photo.provenance_c2pa import Manifest, manifest_of
from cameraborn.photo.provenance_camera import Camera, CameraCheck, camera_of
from cameraborn.photo.provenance_editors import EDITORS
from cameraborn.photo.provenance_fields import Field, fields_of
from cameraborn.photo.provenance_jumbf import manifest_store
from cameraborn.photo.provenance_marks import UNNAMED, Trace, traces_of
from cameraborn.photo.provenance_source import source_claims, source_type_of
from cameraborn.photo.provenance_stealth import LOSSLESS, stealth_field
from cameraborn.photo.provenance_xmp import xmp_fields
from cameraborn.photo.sniff import HEAD, Kind, kind_of, kind_of_file

Says = Literal["generated", "partly generated", "camera", "contradictory", "nothing", "unreadable"]
PROVES_NOTHING = "absence of metadata proves nothing, and metadata can be forged"

_SOFTWARE = (
    "Software",
    "ImageEditingSoftware",
    "xmp:CreatorTool",
    "stEvt:softwareAgent",
    "OriginatingProgram",
)


@dataclass(frozen=True)
class Provenance:
    """What one file says of its origin.

    Attributes:
        path: the file, as it was named.
        says: in a word. `generated` and `partly generated`: a generator's mark, or the IPTC's source type. `camera`:
            EXIF of a camera, in which nothing contradicts itself. `contradictory`: EXIF of a camera, in which something
            does. `nothing`: no word of either, **which proves nothing**, whatever the IPTC's source type claims.
            `unreadable`: `error` tells why.
        summary: the same in a sentence.
        traces: marks of generators.
        source_type: the IPTC's Digital Source Type, its last word, spelt as in the IPTC's list.
        camera: make and model in EXIF; None where there is none.
        camera_check: whether f-number, time and ISO are there, and nothing contradicts.
        doubts: what contradicts in EXIF.
        editor: the editor that is named; None where none is known by name.
        software: all programs that are named, in the order in which they stand.
        c2pa: the manifest; None where there is none.
        notes: what else is to be seen, and what saving again explains.
        error: one line, for a file that cannot be read.
    """

    path: str
    says: Says
    summary: str
    traces: tuple[Trace, ...] = ()
    source_type: str | None = None
    camera: str | None = None
    camera_check: CameraCheck | None = None
    doubts: tuple[str, ...] = ()
    editor: str | None = None
    software: tuple[str, ...] = ()
    c2pa: Manifest | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None

    def to_mapping(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        mapping = dataclasses.asdict(self)
        if mapping["c2pa"] is not None:
            del mapping["c2pa"]["fields"]  # material of `traces`
        return mapping


def read_provenance(
    source: str | os.PathLike[str] | bytes | BinaryIO, *, name: str | None = None
) -> Provenance:
    """Read what a file says of its own origin. Absence proves nothing, and whatever is said may be forged.

    Args:
        source: path, encoded bytes or binary stream of a picture. Its pixels are decoded only for the thumbnail's
            comparison (JPEG) and for text in their lowest bits (lossless formats).
        name: what to call it; by default its path.

    Raises:
        PictureError: it cannot be read, or is no picture of a supported format, or a video.
        TypeError: `source` is none of the above.
    """
    if isinstance(source, str | os.PathLike):
        _refuse_video(kind_of_file(source), name or os.fsdecode(source))  # before gigabytes are read
    data, path = read_encoded(source, name)
    _refuse_video(kind_of(data[:HEAD]), path)
    image, format = recognised(data, path)
    with named_errors(path, format):
        fields = [*fields_of(image, data), *xmp_fields(image, data)]
        store = manifest_store(image, data)
        camera = camera_of(image)
        hidden = _hidden(image, format)
    manifest = manifest_of(store, data, format)
    software = _software(fields)
    fields += [*(manifest.fields if manifest else ()), *([hidden] if hidden else ())]
    traces = traces_of(fields)
    says = _says(traces, camera)
    claims = source_claims(fields)
    return Provenance(
        path=path,
        says=says,
        summary=_summary(says, traces, camera, claims),
        traces=traces,
        source_type=source_type_of(fields),
        camera=camera.name if camera else None,
        camera_check=camera.check if camera else None,
        doubts=camera.doubts if camera else (),
        editor=next((text for text in software if EDITORS.search(text)), None),
        software=software,
        c2pa=manifest,
        notes=(
            *(f"{claim}, which can be forged" for claim in claims if says != "nothing"),
            *_c2pa_notes(manifest, fields),
            *(camera.notes if camera else ()),
        ),
    )


def unreadable(path: str, error: PictureError) -> Provenance:
    """What is said of a file that cannot be read."""
    return Provenance(path, "unreadable", "the file cannot be read", error=str(error))


def _refuse_video(kind: Kind, path: str) -> None:
    if kind is Kind.VIDEO:
        raise picture_error(
            path, "a video, and provenance is read of pictures only", "'cameraborn score' takes videos"
        )


def _hidden(image: Image.Image, format: str) -> Field | None:
    if format not in LOSSLESS or image.width * image.height > MAX_PIXELS:
        return None
    try:
        with pillow_warnings_silenced():
            image.load()
            return stealth_field(image)
    except (*MALFORMED, EOFError):
        return None  # damaged pixels, and what the file says of itself is there all the same


def _software(fields: Sequence[Field]) -> tuple[str, ...]:
    found = (field.text.strip()[:200] for field in fields if field.name in _SOFTWARE)
    return tuple(dict.fromkeys(filter(None, found)))[:20]


def _says(traces: Sequence[Trace], camera: Camera | None) -> Says:
    if traces:
        return "generated" if any(trace.extent == "whole" for trace in traces) else "partly generated"
    if camera is None:
        return "nothing"
    return "contradictory" if camera.doubts else "camera"


def _summary(says: Says, traces: Sequence[Trace], camera: Camera | None, claims: Sequence[str]) -> str:
    if says in ("generated", "partly generated"):
        extent = "whole" if says == "generated" else "part"
        names = dict.fromkeys(trace.generator for trace in traces if trace.extent == extent)
        named = [name for name in names if name != UNNAMED] or [UNNAMED]
        taken = f"; EXIF names the camera {camera.name}" if camera and extent == "part" else ""
        return f"{says} by {', '.join(named)}, as its metadata say{taken}"
    if camera is None:
        return "; ".join([*claims, "no generator and no camera is named, which proves nothing"])
    if camera.doubts:
        return f"EXIF of {camera.name} contradicts itself: {camera.doubts[0]}"
    complete = "nothing contradicts itself" if camera.check == "plausible" else "the exposure is incomplete"
    return f"EXIF of {camera.name}, in which {complete}; EXIF can be forged"


def _c2pa_notes(manifest: Manifest | None, fields: Sequence[Field]) -> list[str]:
    remote = [field.text for field in fields if field.name == "dcterms:provenance"]
    if manifest is None:
        return [f"names a C2PA manifest elsewhere, which is not fetched: {url[:200]}" for url in remote[:1]]
    return [manifest.in_words()]
