"""The photographs to learn from: found in files, folders and manifests, and no source more than its share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cameraborn.data.manifest import Row, read_manifest
from cameraborn.errors import CalibrationError
from cameraborn.photo.files import pictures_in


@dataclass(frozen=True)
class Photograph:
    """A genuine photograph to learn from."""

    path: str
    source: str


def find_photographs(
    paths: Sequence[Path], *, split: str = "", kinds: Sequence[str] = ()
) -> Iterator[Photograph]:
    """The photographs of files, folders (recursively) and manifests (`.jsonl`), filtered by split and kind.

    Artificially manipulated ones are passed over.

    Raises:
        ManifestError: a manifest is broken.
        CalibrationError: a path does not exist, holds nothing of that split and kind, or calls a picture generated.
    """
    for path in paths:
        found = 0
        for found, photograph in enumerate(_photographs_at(path, split, kinds), 1):  # noqa: B007 (counted below)
            yield photograph
        if not found:
            wanted = (f"of split '{split}' " if split else "") + (
                f"of kind {', '.join(kinds)}" if kinds else ""
            )
            raise CalibrationError(
                f"{path}: no photograph {wanted.strip() or 'in it'}: check the path, --split and --kind"
            )


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


def _photographs_at(path: Path, split: str, kinds: Sequence[str]) -> Iterator[Photograph]:
    if path.suffix == ".jsonl":
        for row in read_manifest(path):
            wanted = (not split or row.split == split) and (not kinds or row.kind in kinds)
            if wanted and not row.manipulation:
                yield _genuine(path, row)
    elif path.is_dir():
        for file in pictures_in(str(path)):
            yield Photograph(file, path.name)
    elif path.exists():
        yield Photograph(str(path), path.parent.name)
    else:
        raise CalibrationError(f"{path}: no such file or folder: check the path")


def _genuine(manifest: Path, row: Row) -> Photograph:
    if row.label != "photo":
        raise CalibrationError(
            f"{manifest}: {row.path} is labelled {row.label}: a one-class model learns from photographs alone, "
            "choose a split without generated pictures"
        )
    return Photograph(row.path, row.source)
