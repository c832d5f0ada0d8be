"""Test sets: manifests and folders in, one list of pictures out, each known by its content."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cameraborn.bench.config import PhotographSection, SetSection
from cameraborn.data.manifest import hashes_of, sha256_of
from cameraborn.data.select import Selection, select
from cameraborn.errors import BenchError
from cameraborn.photo.files import pictures_in
from cameraborn.photo.sniff import is_regular

Label = Literal["photo", "generated"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture of a test set.

    Attributes:
        file: where it lies.
        path: relative to the manifest or folder that named it, which is what is written down.
        sha256: hex digest of the file.
        test_set: name of the set.
        track: pictures are compared within it; the set's name where it has no tracks.
        label: `photo` or `generated`.
        generator: what made it; empty for photographs.
        source: where it came from.
        group: what it shares with others of its class; empty: nothing.
        original: hex digest of the file that this one was made from; empty: not known.
    """

    file: Path
    path: str
    sha256: str
    test_set: str
    track: str
    label: Label
    generator: str
    source: str
    group: str
    original: str = ""

    @property
    def hashes(self) -> tuple[str, ...]:
        """Those of the file and of its original."""
        return hashes_of(self.sha256, self.original)


def read_set(section: SetSection, *, seed: int = 0) -> list[Sample]:
    """The pictures of a set; copies of a file count once.

    Raises:
        BenchError: a folder is missing or empty, or one file is called both a photograph and generated.
        ManifestError: the manifest is missing or broken.
    """
    found = _from_manifest(section) if section.manifest else _from_folders(section)
    once: dict[str, Sample] = {}
    for sample in found:
        other = once.setdefault(sample.sha256, sample)
        if other.label != sample.label:
            raise BenchError(
                f"{section.name}: {other.path} and {sample.path} are the same file, once as a photograph and "
                "once as generated: fix the set"
            )
    samples = list(once.values())
    if not samples:
        raise BenchError(f"{section.name}: no picture in it: check its manifest, split and kinds")
    return samples if section.limit is None else _limited(samples, section.limit, seed)


def read_photographs(section: PhotographSection, *, limit: int | None = None) -> list[Sample]:
    """Photographs to fit to, or to set a threshold with, in their order; the first `limit` of them.

    Raises:
        BenchError: there are none, or a picture is labelled generated.
        ManifestError: the manifest is missing or broken.
    """
    name = "photographs"
    parts = [
        SetSection(name=name, manifest=manifest, split=section.split, kinds=section.kinds)
        for manifest in section.manifests
    ]
    parts += [SetSection(name=name, photographs={folder.name: folder}) for folder in section.folders]
    once = {sample.sha256: sample for part in parts for sample in read_set(part)}
    photographs = list(once.values())[:limit]
    for sample in photographs:
        if sample.label != "photo":
            raise BenchError(
                f"{sample.file}: labelled generated: a one-class model learns from photographs alone, choose a "
                "split without generated pictures"
            )
    return photographs


def refuse_overlap(photographs: Iterable[Sample], others: Iterable[Sample], why: str) -> None:
    """See that no picture is in both lists.

    Raises:
        BenchError: one is; the message names it and says why that is wrong.
    """
    known = {sample.sha256: sample.path for sample in photographs}
    for sample in others:
        if sample.sha256 in known:
            raise BenchError(f"{sample.path}: {why}: take it out of one of them")


def _from_manifest(section: SetSection) -> Iterator[Sample]:
    manifest = section.manifest or Path()
    for row in select(manifest, Selection(section.split, section.kinds)):
        yield Sample(
            file=Path(row.path),
            path=os.path.relpath(row.path, os.path.abspath(manifest.parent)),  # noqa: PTH100 (resolve follows links)
            sha256=row.sha256,
            test_set=section.name,
            track=(row.kind if section.tracks else "") or section.name,
            label=row.label,
            generator=(row.generator or "generated") if row.label == "generated" else "",
            source=row.source,
            group=row.group,
            original=row.original,
        )


def _from_folders(section: SetSection) -> Iterator[Sample]:
    labelled: list[tuple[Label, str, Path]] = [
        *(("photo", name, folder) for name, folder in section.photographs.items()),
        *(("generated", name, folder) for name, folder in section.generated.items()),
    ]
    for label, name, folder in labelled:
        files = sorted(map(Path, pictures_in(str(folder)))) if folder.is_dir() else []
        if not files:
            raise BenchError(
                f"{folder}: no picture in it: check the path of '{name}' in set '{section.name}'"
            )
        for file in files:
            if not is_regular(file):  # a folder that cannot be opened, or a link to nowhere
                raise BenchError(
                    f"{file}: cannot be opened: check its permissions, or take it out of the set"
                )
            yield Sample(
                file=file,
                path=os.path.join(folder.name, file.relative_to(folder)),  # noqa: PTH118
                sha256=sha256_of(file),
                test_set=section.name,
                track=section.name,
                label=label,
                generator=name if label == "generated" else "",
                source=name,
                group="",
            )


def _limited(samples: list[Sample], limit: int, seed: int) -> list[Sample]:
    """At most so many of each generator, or photograph source, of a track; drawn at random, in their order."""
    by_kind: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        by_kind[sample.track, sample.generator or f"photo {sample.source}"].append(index)
    rng = random.Random(seed)
    kept = (rng.sample(members, min(limit, len(members))) for members in by_kind.values())
    return [samples[index] for index in sorted(index for members in kept for index in members)]
