"""The photographs to learn from: found in files, folders and manifests, and no source more than its share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cameraborn.data.manifest import Row
from cameraborn.data.select import Selection, select
from cameraborn.errors import CalibrationError
from cameraborn.photo.files import pictures_in
from cameraborn.photo.sniff import Census


@dataclass(frozen=True)
class Photograph:
    """A genuine photograph to learn from, or a generated picture to tell it from."""

    path: str
    source: str
    original: str = ""  # SHA-256 of the file that this one was made from, where a manifest says so


def find_photographs(
    paths: Sequence[Path], *, split: str = "", kinds: Sequence[str] = (), census: Census | None = None
) -> Iterator[Photograph]:
    """The photographs of files, folders (recursively) and manifests (`.jsonl`), filtered by split and kind.

    A file that is met again counts once: a manifest may have a row a face, and each file is looked at for all of them.
    Artificially manipulated ones are passed over. The census counts what folders hold besides pictures.

    Raises:
        ManifestError: a manifest is broken.
        CalibrationError: a path does not exist, holds nothing of that split and kind, or calls a picture generated.
    """
    wanted = Selection(split=split, kinds=kinds, manipulations=("",))
    yield from _each_once(
        one
        for path in paths
        for one in _pictures_at(path, wanted, "photograph", "--split and --kind", census)
    )


def find_generated(
    paths: Sequence[Path], *, split: str = "", kinds: Sequence[str] = (), census: Census | None = None
) -> Iterator[Photograph]:
    """The generated pictures of files, folders (all that is in them) and manifests (rows labelled so).

    Raises:
        ManifestError: a manifest is broken.
        CalibrationError: a path does not exist, or holds none of that split and kind.
    """
    wanted = Selection(split=split, kinds=kinds, label="generated")
    options = "--generated-split and --generated-kind"
    yield from _each_once(one for path in paths for one in _pictures_at(path, wanted, "row", options, census))


def cap_per_source(photographs: Iterable[Photograph], most: int) -> Iterator[Photograph]:
    """The first `most` photographs of each source, so that no single photographer decides the threshold."""
    counts: Counter[str] = Counter()
    for photograph in photographs:
        counts[photograph.source] += 1
        if counts[photograph.source] <= most:
            yield photograph


def subsample(photographs: Sequence[Photograph], count: int) -> Sequence[Photograph]:
    """At most `count` from all through the list, because neighbours are often of one photographer."""
    return photographs[:: max(1, -(-len(photographs) // count))]


def _each_once(found: Iterable[Photograph]) -> Iterator[Photograph]:
    met: set[str] = set()
    for one in found:
        if one.path not in met:
            met.add(one.path)
            yield one


def _pictures_at(
    path: Path, wanted: Selection, what: str, options: str, census: Census | None
) -> Iterator[Photograph]:
    """The picture of a file, the pictures of a folder, or those of the wanted rows of a manifest: at least one."""
    if path.suffix == ".jsonl":
        found = (_of_row(path, row, wanted) for row in select(path, wanted))
    elif path.is_dir():
        found = (Photograph(file, path.name) for file in pictures_in(str(path), census))
    elif path.exists():
        found = (Photograph(str(one), one.parent.name) for one in [path])
    else:
        raise CalibrationError(f"{path}: no such file or folder: check the path")
    first = next(found, None)
    if first is None:
        raise CalibrationError(f"{path}: no {what} {str(wanted) or 'in it'}: check the path, {options}")
    yield first
    yield from found


def _of_row(manifest: Path, row: Row, wanted: Selection) -> Photograph:
    if row.label not in (wanted.label, "photo"):
        raise CalibrationError(
            f"{manifest}: {row.path} is labelled {row.label}: a one-class model learns from photographs alone, "
            "choose a split without generated pictures"
        )
    return Photograph(row.path, row.generator or row.source, row.original)
