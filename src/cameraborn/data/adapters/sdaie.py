"""`sdaie`: SDAIE's training data as published (arXiv 2512.05651): `exif_tags.json` and pictures beside it.

The file is an object of pictures' names, each with seventeen values or more by name, in a fixed order. The fourteen
after the first three are what is learnt: seven are the index of a class, found by name, and seven are ranked, whose
names the authors' code does not give. Both become labels of the tasks `fc1` to `fc14`, which are the authors' heads.
What the file says in words of EXIF tools, or as a number of a tag that is ranked, is EXIF too; the classes' numbers are
the authors' own and no EXIF codes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from cameraborn.data.adapters.blades import class_label
from cameraborn.data.adapters.entry import Entry, LeftOut, Options, entry
from cameraborn.data.adapters.json_stream import stream_object
from cameraborn.errors import ManifestError
from cameraborn.photo.exif import TAGS, Exif
from cameraborn.photo.exif_text import parse_number, tags_of_texts
from cameraborn.photo.sniff import is_regular

NAME = "exif_tags.json"
TAGS_LEARNT = 14
_BEFORE = 3  # values that come before the fourteen
# Place among the fourteen -> name, and how many classes; the other places are ranked.
CLASSES = {
    1: ("Make", 7),
    5: ("Model", 6),
    6: ("Flash", 4),
    9: ("Metering Mode", 6),
    10: ("Exposure Mode", 4),
    11: ("White Balance Mode", 2),
    13: ("Scene Capture Type", 5),
}
_ORDINAL = frozenset(tag.name for tag in TAGS if tag.kind == "ordinal")
# The published pictures are files named as in the list, or converted ones.
_ENDINGS = (
    "",
    ".jpg",
    ".png",
    ".webp",
)


def sdaie_entries(source: Path, options: Options) -> Iterator[Entry | LeftOut]:
    """Photographs of the list whose pictures are beside it, or in a folder beside it; a photograph is a group.

    Raises:
        ManifestError: there is no `exif_tags.json`, or it is broken.
    """
    file = source / NAME if source.is_dir() else source
    if not file.is_file():
        raise ManifestError(
            f"{source}: no {NAME} in it: give the folder into which SDAIE's data were downloaded"
        )
    folder = file.parent
    places = (folder, *sorted(path for path in folder.iterdir() if path.is_dir()))
    for name, values in stream_object(file):
        path = PurePosixPath(name)
        if not path.name or path.is_absolute() or ".." in path.parts:
            continue  # names come from a file: none may lead elsewhere
        picture = _beside(places, path)
        if picture is None:
            continue
        if picture.suffix == ".pkl":
            why = "a pickle of pixels, which is not opened: save it as PNG (docs/data.md shows how)"
            yield LeftOut(str(picture), f"{picture}: {why}")
            continue
        try:
            yield entry(
                picture,
                source="SDAIE",
                group=str(path.with_suffix("")),
                exif=_tags(values),
                labels=_labels(values),
            )
        except (AttributeError, ValueError, OverflowError) as error:
            yield LeftOut(str(picture), f"{picture}: its entry in {file.name} makes no sense ({error})")


def _beside(places: tuple[Path, ...], name: PurePosixPath) -> Path | None:
    """The picture of a name, or else the pickle that was made of it."""
    stems = (place / name.with_suffix("") for place in places)
    candidates = [
        path for stem in stems for path in (Path(f"{stem}{end}") for end in (name.suffix, *_ENDINGS))
    ]
    pickles = [place / name.with_suffix(".pkl") for place in places]
    return next((path for path in (*candidates, *pickles) if is_regular(path)), None)


def _labels(values: Mapping[str, object]) -> dict[str, float]:
    """The fourteen by the authors' heads. Raises ValueError if there are fewer, or a class is none."""
    ordered = list(values.items())[_BEFORE : _BEFORE + TAGS_LEARNT]
    if len(ordered) < TAGS_LEARNT:
        raise ValueError(f"{len(values)} values, {_BEFORE + TAGS_LEARNT} are needed")
    found = dict[str, float]()
    for place, (name, value) in enumerate(ordered):
        if place in CLASSES:
            tag, count = CLASSES[place]
            label = values.get(tag)
            if label is not None and not isinstance(label, str):
                found[f"fc{place + 1}"] = class_label(label, count, tag)
        elif (number := _number(name, value)) is not None:
            found[f"fc{place + 1}"] = number
    return found


def _number(name: str, value: object) -> float | None:
    """What a value ranks by: the number, also out of a text such as "1/60sec" under the name of its tag."""
    if isinstance(value, str):
        bare = parse_number("", value)
        found = [bare] if bare is not None else list(_tags({name: value}).values())
        return next((float(one) for one in found if not isinstance(one, str)), None)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _tags(values: Mapping[str, object]) -> dict[str, Any]:
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    numbers = {name: value for name, value in values.items() if not isinstance(value, str)}
    ordinal = {tag: value for tag, value in tags_of_texts(numbers).items() if tag in _ORDINAL}
    return dict(Exif.from_mapping(ordinal | tags_of_texts(texts)).to_mapping())
